//! Why clients failed lately, for whoever uses them: a short list for each account, in memory only. Nobody who has not signed in can
//! fill it: what comes before a sign-in has a few lines of its own, is collapsed, and costs the same for names that nobody has.

mod cause;
mod client;
mod messages;

pub use cause::{Cause, Reason};
pub use client::ClientKind;
pub use messages::Language;

use crate::model::{AccountName, time};
use parking_lot::Mutex;
use serde::{Deserialize, Serialize};
use std::collections::{HashMap, VecDeque};
use std::net::IpAddr;
use std::sync::Arc;
use std::time::SystemTime;
use utoipa::ToSchema;

/// Failures after a sign-in that an account's list has room for.
const SIGNED_IN: usize = 15;
/// Failures before a sign-in that it has room for.
const BEFORE: usize = 5;
/// Failures of clients that named no account, in all.
const NAMELESS: usize = 64;
/// Accounts that have a list.
const ACCOUNTS: usize = 1000;
/// The most characters of a text that a client chose.
const MAX_TEXT: usize = 200;

/// Which account: its name and id, since a name can be given again. `None` stands for all names that nobody has.
pub type FailureOwner = Option<(AccountName, Arc<str>)>;

/// A failure, as it is kept.
#[derive(Clone, Debug)]
pub struct Failure {
    at: SystemTime,
    client: ClientKind,
    from: IpAddr,
    reason: Reason,
    /// What was asked for: the method and the path in the drive.
    asked: Option<(String, String)>,
    /// Which device, where that is known.
    device: Option<String>,
    count: u64,
}

impl Failure {
    /// A failure at this moment.
    pub fn new(client: ClientKind, from: IpAddr, reason: Reason) -> Self {
        let Reason { cause, detail } = reason;
        let reason = Reason {
            cause,
            detail: shown(&detail),
        };
        Self {
            at: SystemTime::now(),
            client,
            from: from.to_canonical(),
            reason,
            asked: None,
            device: None,
            count: 1,
        }
    }

    /// With what was asked for.
    #[must_use]
    pub fn asked(mut self, method: &str, path: &str) -> Self {
        self.asked = Some((shown(method), shown(path)));
        self
    }

    /// With the device that it was.
    #[must_use]
    pub fn of_device(mut self, device: Option<String>) -> Self {
        self.device = device.map(|name| shown(&name));
        self
    }

    /// Finds the device of a wrong password, by what has signed in from there before.
    #[must_use]
    pub fn or_device(self, known: impl FnOnce(IpAddr, ClientKind) -> Option<String>) -> Self {
        if self.device.is_some() || self.reason.cause != Cause::WrongPassword {
            return self;
        }
        let device = known(self.from, self.client);
        self.of_device(device)
    }

    /// Whether they are one line. What the throttle does not count, a request without TLS or one that it refuses, is one line whatever
    /// the client says it is.
    fn is_like(&self, other: &Self) -> bool {
        let is_one = self.client == other.client && self.device == other.device;
        self.reason == other.reason
            && (is_one || matches!(self.reason.cause, Cause::PlainHttp | Cause::Throttled))
    }
}

/// A failure, in words.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct ClientFailure {
    /// When it happened last (RFC 3339).
    pub at: String,
    /// Which client, by its own word: `Windows`, `rclone`.
    pub client: String,
    /// The address it came from.
    pub from: String,
    /// The device, by the name of its app password, where that is known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    pub device: Option<String>,
    /// The method of the last such request; absent before a sign-in.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    pub method: Option<String>,
    /// The path of the last such request in the drive; absent before a sign-in.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    pub path: Option<String>,
    /// What kind of failure, for programs.
    pub kind: Cause,
    /// What happened, as a sentence.
    pub cause: String,
    /// What to do, as a sentence.
    pub remedy: String,
    /// How often it happened.
    pub count: u64,
}

impl ClientFailure {
    /// A failure in the words of a language.
    pub fn of(failure: Failure, language: Language) -> Self {
        let Failure {
            at,
            client,
            from,
            reason,
            asked,
            device,
            count,
        } = failure;
        let (cause, remedy) = language.message(&reason);
        let (method, path) = asked.unzip();
        Self {
            at: time::iso_date(at),
            client: client.name().to_owned(),
            from: from.to_string(),
            device,
            method,
            path,
            kind: reason.cause,
            cause,
            remedy,
            count,
        }
    }
}

/// The failures of all accounts.
#[derive(Debug, Default)]
pub struct FailureLog(Mutex<FailureLists>);

#[derive(Debug, Default)]
struct FailureLists {
    lists: HashMap<FailureOwner, FailureList>,
    nameless: VecDeque<Failure>,
    /// How many failures there were.
    notes: u64,
}

#[derive(Debug, Default)]
struct FailureList {
    signed_in: VecDeque<Failure>,
    before: VecDeque<Failure>,
    /// The number of its last failure.
    noted: u64,
}

impl FailureLog {
    /// Keeps a failure of somebody who is signed in.
    pub fn record(&self, owner: FailureOwner, failure: Failure) {
        push(&mut self.0.lock().list(owner).signed_in, failure, SIGNED_IN);
    }

    /// Keeps a failure of somebody who only named the account.
    pub fn record_unauthenticated(&self, owner: FailureOwner, failure: Failure) {
        push(&mut self.0.lock().list(owner).before, failure, BEFORE);
    }

    /// Keeps a failure of a client that named no account; those at the same address see it.
    pub fn record_anonymous(&self, failure: Failure) {
        let mut kept = self.0.lock();
        let like = |other: &Failure| other.from == failure.from && other.is_like(&failure);
        let before = kept
            .nameless
            .iter()
            .position(like)
            .and_then(|at| kept.nameless.remove(at));
        let count = before.map_or(0, |before| before.count) + 1;
        kept.nameless.push_back(Failure { count, ..failure });
        if kept.nameless.len() > NAMELESS {
            kept.nameless.pop_front();
        }
    }

    /// Forgets what a client had failed at without a name: it has signed in.
    pub fn record_success(&self, client: ClientKind, from: IpAddr) {
        let from = from.to_canonical();
        self.0
            .lock()
            .nameless
            .retain(|failure| (failure.client, failure.from) != (client, from));
    }

    /// The failures of an account, newest first, with those of clients without a name at an address.
    pub fn of(&self, owner: &FailureOwner, near: Option<IpAddr>) -> Vec<Failure> {
        let kept = self.0.lock();
        let near = near.map(|near| near.to_canonical());
        let own = kept
            .lists
            .get(owner)
            .into_iter()
            .flat_map(|list| list.signed_in.iter().chain(&list.before));
        let nameless = kept
            .nameless
            .iter()
            .filter(|failure| Some(failure.from) == near);
        let mut found: Vec<Failure> = own.chain(nameless).cloned().collect();
        found.sort_by_key(|failure| std::cmp::Reverse(failure.at));
        found
    }
}

impl FailureLists {
    /// The list of an account. Where there are too many, the one that was longest without a failure goes.
    fn list(&mut self, owner: FailureOwner) -> &mut FailureList {
        if self.lists.len() >= ACCOUNTS && !self.lists.contains_key(&owner) {
            let oldest = self
                .lists
                .iter()
                .min_by_key(|(_, list)| list.noted)
                .map(|(owner, _)| owner.clone());
            oldest.map(|oldest| self.lists.remove(&oldest));
        }
        self.notes += 1;
        let list = self.lists.entry(owner).or_default();
        list.noted = self.notes;
        list
    }
}

/// Counts a failure with those like it, or lets the oldest go for it.
fn push(list: &mut VecDeque<Failure>, failure: Failure, room: usize) {
    let before = list
        .iter()
        .position(|other| other.is_like(&failure))
        .and_then(|at| list.remove(at));
    let count = before.map_or(0, |before| before.count) + 1;
    list.push_back(Failure { count, ..failure });
    if list.len() > room {
        list.pop_front();
    }
}

/// A text that a client chose, as it may be shown anywhere: bounded, and without what changes how the rest is shown.
fn shown(text: &str) -> String {
    let is_safe = |c: &char| {
        !c.is_control()
            && !matches!(c, '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2066}'..='\u{2069}' | '\u{feff}')
    };
    text.chars().filter(is_safe).take(MAX_TEXT).collect()
}

#[cfg(test)]
mod tests;
