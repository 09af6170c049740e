//! What the audit log says: an event as it is reported, an entry as it is kept and shown.

use crate::model::{AccountName, Identity, Via};
use serde::{Deserialize, Serialize};
use std::fmt::Write as _;
use std::net::IpAddr;
use utoipa::ToSchema;

/// The most characters of a text that a client chose.
const MAX_TEXT: usize = 300;

/// What kind of act an entry tells of.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "kebab-case")]
#[schema(as = AuditKind)]
pub enum AuditKind {
    /// An account was made.
    AccountCreated,
    /// Role, quota, name or e-mail of an account changed, or whether it may sign in.
    AccountChanged,
    /// An account was removed.
    AccountRemoved,
    /// A password was set.
    PasswordChanged,
    /// Two-factor sign-in was turned on or off.
    TwoFactorChanged,
    /// An account was linked to somebody's sign-in at the OpenID Connect provider.
    OpenidLinked,
    /// Such a link was ended.
    OpenidUnlinked,
    /// A password was right, the first time from this network in a day.
    SignIn,
    /// A password was wrong.
    SignInFailed,
    /// A session began.
    SessionStarted,
    /// A session, or all others of an account, were ended.
    SessionEnded,
    /// An app password was made.
    AppPasswordCreated,
    /// An app password was revoked.
    AppPasswordRemoved,
    /// Somebody was invited.
    InviteCreated,
    /// An account was made with an invitation.
    InviteUsed,
    /// An invitation was withdrawn.
    InviteRemoved,
    /// A group was made.
    GroupCreated,
    /// A group or its members changed.
    GroupChanged,
    /// A group was removed.
    GroupRemoved,
    /// A team folder was made.
    TeamFolderCreated,
    /// A team folder or its members changed.
    TeamFolderChanged,
    /// A team folder was removed.
    TeamFolderRemoved,
    /// Files of a removed account or team folder were brought back.
    RemovedFilesRestored,
    /// Files of a removed account or team folder were deleted for good.
    RemovedFilesPurged,
    /// Something was shared.
    ShareCreated,
    /// A share changed.
    ShareChanged,
    /// A share ended.
    ShareRemoved,
    /// A share of somebody was ended by an administrator.
    ShareEnded,
    /// A public link was made.
    LinkCreated,
    /// A public link changed.
    LinkChanged,
    /// A public link ended.
    LinkRemoved,
    /// A public link of somebody was ended by an administrator.
    LinkEnded,
    /// Somebody else's lock was ended.
    LockBroken,
    /// Something of the trash or the versions of a drive was deleted for good by somebody.
    HistoryPurged,
    /// A drive was rewound, or an administrator restored something in it.
    HistoryRestored,
    /// So much was overwritten or deleted within minutes that nothing of the history expires for a while.
    HistoryHeld,
}

impl AuditKind {
    /// Whether it is written without waiting for the disk.
    pub(super) fn is_sign_in(self) -> bool {
        matches!(
            self,
            Self::SignIn | Self::SignInFailed | Self::SessionStarted | Self::SessionEnded
        )
    }

    /// Whether every account does it, to what is its own.
    fn is_personal(self) -> bool {
        use AuditKind::{
            AppPasswordCreated, AppPasswordRemoved, HistoryHeld, LinkChanged, LinkCreated,
            LinkRemoved, ShareChanged, ShareCreated, ShareRemoved,
        };
        matches!(
            self,
            LinkCreated | LinkChanged | LinkRemoved | ShareCreated | ShareChanged | ShareRemoved
        ) || matches!(self, AppPasswordCreated | AppPasswordRemoved | HistoryHeld)
    }

    /// Whether every account does it to itself, and administrators to others.
    fn is_of_an_account(self) -> bool {
        use AuditKind::{
            AccountChanged, HistoryPurged, HistoryRestored, OpenidLinked, OpenidUnlinked,
            PasswordChanged, TwoFactorChanged,
        };
        matches!(
            self,
            AccountChanged | PasswordChanged | TwoFactorChanged | OpenidLinked | OpenidUnlinked
        ) || matches!(self, HistoryPurged | HistoryRestored)
    }
}

/// Who can cause entries at will displaces, when there are many, only entries of the same series.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(super) enum SeriesId {
    /// What administrators do.
    Administration,
    /// Failed sign-ins, which anybody can cause.
    SignIns,
    /// What whoever has not signed in and the server itself do.
    Others,
    /// What an account does to its own things.
    Own(AccountName),
    /// Its sign-ins and sessions.
    OwnSignIns(AccountName),
    /// What the visitors of its links do.
    OwnVisitors(AccountName),
}

/// What kind of actor it was.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "kebab-case")]
#[schema(as = AuditBy)]
pub enum ActorKind {
    /// An account.
    Account,
    /// Whoever holds a public link.
    Link,
    /// Somebody at the server's command line.
    CommandLine,
    /// Somebody who has not signed in.
    Nobody,
    /// The server itself.
    Server,
}

/// Who did it.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Actor {
    /// An account.
    Account(AccountName),
    /// Whoever holds a public link.
    Link {
        /// Its id.
        id: String,
        /// Whose it is.
        owner: AccountName,
    },
    /// Somebody at the server's command line.
    CommandLine,
    /// Somebody who has not signed in.
    Nobody,
    /// The server itself.
    Server,
}

impl From<&Identity> for Actor {
    fn from(identity: &Identity) -> Self {
        match &identity.via {
            Via::Link(id) => Self::Link {
                id: id.clone(),
                owner: identity.account.clone(),
            },
            _ => Self::Account(identity.account.clone()),
        }
    }
}

impl Actor {
    fn parts(self) -> (ActorKind, Option<String>) {
        match self {
            Self::Account(name) => (ActorKind::Account, Some(name.into())),
            Self::Link { id, .. } => (ActorKind::Link, Some(id)),
            Self::CommandLine => (ActorKind::CommandLine, None),
            Self::Nobody => (ActorKind::Nobody, None),
            Self::Server => (ActorKind::Server, None),
        }
    }
}

/// How it ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "kebab-case")]
#[schema(as = AuditOutcome)]
pub enum AuditOutcome {
    /// It happened.
    Done,
    /// It was refused.
    Refused,
    /// It happened in part, or not, for a failure of the server.
    Failed,
}

/// Something that happened, to be recorded.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct AuditEvent {
    /// Who did it.
    pub actor: Actor,
    /// From which address, if over the network.
    pub from: Option<IpAddr>,
    /// What kind of act.
    pub kind: AuditKind,
    /// To whom or what: an account, a path, the id of a link.
    pub target: String,
    /// More, as a few words: `role admin`.
    pub note: String,
    /// How it ended.
    pub outcome: AuditOutcome,
}

impl AuditEvent {
    /// Something that was done.
    pub fn new(actor: Actor, kind: AuditKind, target: impl Into<String>) -> Self {
        Self {
            actor,
            from: None,
            kind,
            target: target.into(),
            note: String::new(),
            outcome: AuditOutcome::Done,
        }
    }

    /// With the address it came from.
    #[must_use]
    pub fn with_address(mut self, address: IpAddr) -> Self {
        self.from = Some(address);
        self
    }

    /// With a few words more.
    #[must_use]
    pub fn with_note(mut self, note: impl Into<String>) -> Self {
        self.note = note.into();
        self
    }

    /// With another end than success.
    #[must_use]
    pub fn with_outcome(mut self, outcome: AuditOutcome) -> Self {
        self.outcome = outcome;
        self
    }

    /// Where it is kept.
    pub(super) fn series(&self) -> SeriesId {
        match (&self.actor, self.kind) {
            (Actor::Account(name), kind) if kind.is_sign_in() => SeriesId::OwnSignIns(name.clone()),
            (Actor::Account(name), kind) if kind.is_personal() => SeriesId::Own(name.clone()),
            (Actor::Account(name), kind)
                if kind.is_of_an_account() && self.target == name.as_str() =>
            {
                SeriesId::Own(name.clone())
            }
            (Actor::Account(name), AuditKind::LockBroken) if self.is_in_home_of(name) => {
                SeriesId::Own(name.clone())
            }
            (Actor::Link { owner, .. }, _) => SeriesId::OwnVisitors(owner.clone()),
            (Actor::Account(_) | Actor::CommandLine, _) => SeriesId::Administration,
            (_, kind) if kind.is_sign_in() => SeriesId::SignIns,
            _ => SeriesId::Others,
        }
    }

    fn is_in_home_of(&self, name: &AccountName) -> bool {
        let place = self
            .target
            .strip_prefix("home/")
            .and_then(|rest| rest.strip_prefix(name.as_str()));
        place.is_some_and(|path| path.starts_with('/'))
    }

    pub(super) fn into_entry(self, id: u64, at: String, count: u64) -> AuditEntry {
        let (by, who) = self.actor.parts();
        AuditEntry {
            id,
            at,
            by,
            who: who.map(|who| plain(&who)),
            from: self.from.map(|address| address.to_canonical().to_string()),
            kind: self.kind,
            target: plain(&self.target),
            note: plain(&self.note),
            outcome: self.outcome,
            count,
        }
    }
}

/// One line of the audit log.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[schema(as = AuditEntry)]
pub struct AuditEntry {
    /// Its number; later entries have greater ones.
    pub id: u64,
    /// When, in UTC (RFC 3339).
    pub at: String,
    /// What kind of actor it was.
    pub by: ActorKind,
    /// The account's name or the link's id.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    pub who: Option<String>,
    /// The address it came from.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    pub from: Option<String>,
    /// What kind of act.
    pub kind: AuditKind,
    /// To whom or what.
    pub target: String,
    /// A few words more.
    #[serde(default)]
    pub note: String,
    /// How it ended.
    pub outcome: AuditOutcome,
    /// How often it happened since the last such entry.
    pub count: u64,
}

/// Which entries are wanted.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub struct AuditFilter {
    /// Those that this account did, or that were done to it.
    pub account: Option<String>,
    /// Those of this kind.
    pub kind: Option<AuditKind>,
    /// Not those before this moment (RFC 3339, UTC).
    pub from: Option<String>,
    /// Those before this moment (RFC 3339, UTC).
    pub to: Option<String>,
}

impl AuditFilter {
    pub(super) fn matches(&self, entry: &AuditEntry) -> bool {
        let concerns = |name: &String| {
            entry.target == *name
                || (entry.by == ActorKind::Account && entry.who.as_ref() == Some(name))
        };
        // All times have one form, in which they sort as text.
        self.account.as_ref().is_none_or(concerns)
            && self.kind.is_none_or(|kind| kind == entry.kind)
            && self.from.as_ref().is_none_or(|from| entry.at >= *from)
            && self.to.as_ref().is_none_or(|to| entry.at < *to)
    }
}

/// Text as it may stand in a log: bounded, and what a terminal or a reader would be fooled by is spelled out.
fn plain(text: &str) -> String {
    let mut shown = String::with_capacity(text.len());
    for (at, c) in text.chars().enumerate() {
        if at == MAX_TEXT {
            shown.push('…');
            break;
        }
        if c.is_control()
            || matches!(c, '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2066}'..='\u{2069}' | '\u{feff}')
        {
            // Writing to a String cannot fail.
            let _ = write!(shown, "{}", c.escape_unicode());
        } else {
            shown.push(c);
        }
    }
    shown
}
