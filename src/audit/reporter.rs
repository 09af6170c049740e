//! Somebody at work: what they do, with where they sit, in the audit log.

use super::{Actor, Audit, AuditEvent, AuditKind, AuditOutcome};
use crate::model::Error;
use std::borrow::Borrow;
use std::net::IpAddr;

/// Tells the log what one actor does.
#[derive(Clone, Debug)]
pub struct Reporter {
    audit: Audit,
    actor: Actor,
    from: Option<IpAddr>,
}

impl Audit {
    /// `actor` at work, with the address they come from, if over the network.
    pub fn reporter(&self, actor: Actor, from: Option<IpAddr>) -> Reporter {
        Reporter {
            audit: self.clone(),
            actor,
            from,
        }
    }
}

impl Reporter {
    /// Writes an entry for what was done, for what the server failed at, and for what is always refused; not for mistakes.
    pub async fn report<T, E: Borrow<Error>>(
        &self,
        kind: AuditKind,
        target: &str,
        note: impl Into<String>,
        result: &Result<T, E>,
    ) {
        let outcome = match result.as_ref().map_err(Borrow::borrow) {
            Ok(_) => AuditOutcome::Done,
            Err(Error::Forbidden(_)) => AuditOutcome::Refused,
            Err(
                Error::Io { .. }
                | Error::Corrupt(_)
                | Error::ReadOnly
                | Error::NoSpace
                | Error::Unsupported,
            ) => AuditOutcome::Failed,
            Err(_) => return,
        };
        let mut event = AuditEvent::new(self.actor.clone(), kind, target)
            .with_note(note)
            .with_outcome(outcome);
        event.from = self.from;
        self.audit.record(event).await;
    }

    /// As [`report`](Self::report), unless what was done changed nothing.
    pub async fn report_change<T, E: Borrow<Error>>(
        &self,
        kind: AuditKind,
        target: &str,
        note: impl Into<String>,
        (result, is_change): (&Result<T, E>, bool),
    ) {
        if result.is_err() || is_change {
            self.report(kind, target, note, result).await;
        }
    }

    /// Writes an entry for what was done.
    pub async fn done(&self, kind: AuditKind, target: &str, note: impl Into<String>) {
        self.report(kind, target, note, &Ok::<(), Error>(())).await;
    }
}
