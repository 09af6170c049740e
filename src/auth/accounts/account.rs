//! One account in memory: its record, and the identity that it gives to requests.

use crate::auth::AccountView;
use crate::auth::account_record::{AccountRecord, Profile};
use crate::auth::revocation::Revocation;
use crate::model::{AccountName, Identity};
use parking_lot::RwLock;
use std::sync::Arc;

/// One account in memory; whoever holds it sees every change at once.
pub struct Account {
    pub(super) name: AccountName,
    present: RwLock<AccountState>,
}

struct AccountState {
    record: Arc<AccountRecord>,
    identity: Arc<Identity>,
    /// What the password alone lets in; revoked when it does so no longer.
    by_password: Arc<Revocation>,
    removed: bool,
}

impl std::fmt::Debug for Account {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_tuple("Account").field(&self.name).finish()
    }
}

impl Account {
    pub(super) fn new(name: AccountName, record: Arc<AccountRecord>) -> Arc<Self> {
        let present = AccountState::new(&name, record, Arc::default());
        Arc::new(Self {
            name,
            present: RwLock::new(present),
        })
    }

    /// The identity as it is now, if the account may sign in and its credentials are still of this generation.
    pub fn identity_at(&self, generation: u64) -> Option<Arc<Identity>> {
        self.present.read().identity_at(generation)
    }

    /// The generation and password hash to verify a sign-in against; `None` when it may not sign in.
    pub fn credentials(&self) -> Option<(u64, String)> {
        let present = self.present.read();
        present
            .is_open()
            .then(|| (present.record.generation, present.record.password.clone()))
    }

    /// The generation of its credentials; `None` when it may not sign in.
    pub fn generation(&self) -> Option<u64> {
        let present = self.present.read();
        present.is_open().then_some(present.record.generation)
    }

    /// As [`identity_at`](Self::identity_at), for a session of this generation.
    pub fn identity_of(&self, session: &str, generation: u64) -> Option<Arc<Identity>> {
        let present = self.present.read();
        present
            .holds_session(session, generation)
            .then(|| Arc::clone(&present.identity))
    }

    /// Whether a session of this generation still holds.
    pub fn holds_session(&self, session: &str, generation: u64) -> bool {
        self.present.read().holds_session(session, generation)
    }

    /// Shows a changed record. What the old password let in ends with it.
    pub(super) fn show(&self, record: Arc<AccountRecord>) {
        let mut present = self.present.write();
        let by_password = if record.password_opens() == present.record.password_opens() {
            Arc::clone(&present.by_password)
        } else {
            present.by_password.revoke();
            Arc::default()
        };
        *present = AccountState::new(&self.name, record, by_password);
    }

    /// Says that it is no more.
    pub(super) fn end(&self) {
        let mut present = self.present.write();
        present.removed = true;
        present.by_password.revoke();
    }

    /// Which account of its name it is.
    pub fn id(&self) -> Arc<str> {
        self.present.read().identity.account_id.clone()
    }

    /// The identity as it is now, if the account may sign in with its password alone.
    pub fn identity_by_password(&self, generation: u64) -> Option<Arc<Identity>> {
        let present = self.present.read();
        present
            .identity_at(generation)
            .filter(|_| !present.wants_code())
    }

    /// Whether sign-in asks for a code after the password.
    pub fn wants_code(&self) -> bool {
        self.present.read().wants_code()
    }

    /// What the account says of itself.
    pub fn profile(&self) -> Profile {
        let present = self.present.read();
        let AccountRecord {
            display_name,
            email,
            email_source,
            email_since,
            ..
        } = &*present.record;
        let email_source = *email_source;
        let email_since = *email_since;
        Profile {
            display_name: display_name.clone(),
            email: email.clone(),
            email_source,
            email_since,
        }
    }

    pub(super) fn administers(&self) -> bool {
        let present = self.present.read();
        !present.removed && present.record.administers()
    }

    pub(super) fn view(&self) -> AccountView {
        self.present.read().record.view(&self.name)
    }
}

impl AccountState {
    fn new(name: &AccountName, record: Arc<AccountRecord>, by_password: Arc<Revocation>) -> Self {
        let whole = Identity::whole(name.clone(), record.role, record.quota, by_password.clone());
        let account_id = record.id.as_str().into();
        let generation = record.generation;
        let identity = Arc::new(Identity {
            account_id,
            generation,
            ..whole
        });
        Self {
            record,
            identity,
            by_password,
            removed: false,
        }
    }

    fn identity_at(&self, generation: u64) -> Option<Arc<Identity>> {
        let holds = self.is_open() && self.record.generation == generation;
        holds.then(|| Arc::clone(&self.identity))
    }

    fn is_open(&self) -> bool {
        !self.removed && !self.record.disabled
    }

    fn holds_session(&self, session: &str, generation: u64) -> bool {
        let is_kept = || {
            let kept = self.record.kept_session.as_ref();
            kept.is_some_and(|(hash, before)| hash == session && *before == generation)
        };
        self.is_open() && (self.record.generation == generation || is_kept())
    }

    fn wants_code(&self) -> bool {
        self.record.wants_code()
    }
}
