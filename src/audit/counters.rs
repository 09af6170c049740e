//! What is repeated, counted: however often it happens, it fills neither the memory nor the disk. Failed sign-ins by account and
//! address, whatever else accounts do word for word.

use super::event::{Actor, AuditEvent, AuditKind, AuditOutcome};
use crate::model::AccountName;
use std::collections::HashMap;
use std::net::IpAddr;
use std::time::{Duration, Instant, SystemTime};

/// How long failures are counted before they get an entry.
const WINDOW: Duration = Duration::from_secs(600);
/// How many accounts and addresses are told apart in that time; the rest are counted together.
const MAX_KEYS: usize = 50;

/// How many acts are told apart before all that was counted is written.
const MAX_ACTS: usize = 1000;

/// Whose password was tried, and from where.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(super) struct FailedSignIn {
    /// `None` when what was given is no account name at all.
    pub name: Option<AccountName>,
    pub from: IpAddr,
}

impl FailedSignIn {
    pub fn event(&self) -> AuditEvent {
        let target = self
            .name
            .as_ref()
            .map(ToString::to_string)
            .unwrap_or_default();
        AuditEvent::new(Actor::Nobody, AuditKind::SignInFailed, target)
            .with_address(self.from)
            .with_outcome(AuditOutcome::Refused)
    }
}

/// What was counted since the window began.
#[derive(Debug, Default)]
pub(super) struct FailedSignInCounter {
    since: Option<Instant>,
    more: HashMap<FailedSignIn, u64>,
    others: u64,
}

impl FailedSignInCounter {
    /// Counts a failure; whether it is to get an entry of its own.
    pub fn count(&mut self, key: &FailedSignIn, now: Instant) -> bool {
        self.since.get_or_insert(now);
        if let Some(more) = self.more.get_mut(key) {
            *more += 1;
            return false;
        }
        if self.more.len() < MAX_KEYS {
            self.more.insert(key.clone(), 0);
            return true;
        }
        self.others += 1;
        false
    }

    /// What was counted, once the window is over.
    pub fn due(&mut self, now: Instant) -> Vec<(AuditEvent, u64)> {
        let over = self
            .since
            .is_some_and(|since| now.duration_since(since) >= WINDOW);
        if over { self.take() } else { Vec::new() }
    }

    /// What was counted so far; a new window begins with the next failure.
    pub fn take(&mut self) -> Vec<(AuditEvent, u64)> {
        let Self { more, others, .. } = std::mem::take(self);
        let mut counted: Vec<_> = more
            .into_iter()
            .filter(|(_, more)| *more > 0)
            .map(|(key, more)| (key.event(), more))
            .collect();
        if others > 0 {
            let event = AuditEvent::new(Actor::Nobody, AuditKind::SignInFailed, "")
                .with_outcome(AuditOutcome::Refused);
            counted.push((event.with_note("many accounts or addresses"), others));
        }
        counted
    }
}

/// Acts that were repeated word for word since the window began.
#[derive(Debug, Default)]
pub(super) struct RepeatCounter {
    since: Option<Instant>,
    more: HashMap<AuditEvent, Repeated>,
    acts: u64,
}

#[derive(Debug)]
struct Repeated {
    count: u64,
    /// When it happened last: the time, and the number of the act.
    last: (SystemTime, u64),
}

impl RepeatCounter {
    /// Counts an act; whether it is to get an entry of its own.
    pub fn count(&mut self, event: &AuditEvent, now: Instant) -> bool {
        self.since.get_or_insert(now);
        self.acts += 1;
        let last = (SystemTime::now(), self.acts);
        if let Some(repeated) = self.more.get_mut(event) {
            *repeated = Repeated {
                count: repeated.count + 1,
                last,
            };
            return false;
        }
        self.more.insert(event.clone(), Repeated { count: 0, last });
        true
    }

    /// What was counted, once the window is over or too much is told apart.
    pub fn due(&mut self, now: Instant) -> Vec<(AuditEvent, u64, SystemTime)> {
        let over = self
            .since
            .is_some_and(|since| now.duration_since(since) >= WINDOW);
        if over || self.more.len() >= MAX_ACTS {
            self.take()
        } else {
            Vec::new()
        }
    }

    /// What was counted so far, in the order in which it happened last; a new window begins with the next act.
    pub fn take(&mut self) -> Vec<(AuditEvent, u64, SystemTime)> {
        let mut counted: Vec<_> = std::mem::take(self)
            .more
            .into_iter()
            .filter(|(_, repeated)| repeated.count > 0)
            .collect();
        counted.sort_by_key(|(_, repeated)| repeated.last.1);
        counted
            .into_iter()
            .map(|(event, repeated)| (event, repeated.count, repeated.last.0))
            .collect()
    }
}
