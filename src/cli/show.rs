//! `sarang audit`, `sarang overview`, `sarang lock`: looks at the server, and ends locks.

use super::calls::{named, pretty, with_client};
use super::{print, size};
use crate::admin::{OpenLock, Overview};
use crate::audit::{ActorKind, AuditEntry, AuditKind, AuditOutcome};
use crate::config::Config;
use crate::control::{ApiCall, Client};
use crate::http::api::admin::audit::AuditQuery;
use crate::http::api::page::Page;
use crate::model::{AccountName, time};
use anyhow::{Context, Result};
use clap::{Args, Subcommand};
use std::fmt::Write as _;

/// Entries of the audit log in one answer, and on one page of the API.
const MAX_ENTRIES: u32 = 100_000;
const PAGE: u16 = 1000;

/// Which entries of the audit log.
#[derive(Debug, Args)]
pub struct AuditArgs {
    /// Only what this account did, or what was done to it
    #[arg(long, value_parser = AccountName::parse)]
    account: Option<AccountName>,
    /// Only acts of this kind, such as account-removed or sign-in-failed
    #[arg(long, value_parser = parse_kind)]
    kind: Option<AuditKind>,
    /// Only what happened then or later, as 2026-11-21T10:00:00Z
    #[arg(long, value_parser = parse_moment)]
    from: Option<String>,
    /// Only what happened before then
    #[arg(long, value_parser = parse_moment)]
    to: Option<String>,
    /// How many entries at most
    #[arg(long, default_value_t = 50)]
    limit: u32,
    /// Print JSON
    #[arg(long)]
    json: bool,
}

/// What to do with locks.
#[derive(Debug, Subcommand)]
pub enum LockCommand {
    /// Show all locks
    List {
        /// Print JSON
        #[arg(long)]
        json: bool,
    },
    /// End a lock, whoever holds it
    Break {
        /// Its id, from the list
        id: String,
    },
}

/// `sarang audit`: newest first.
pub(super) async fn audit(args: AuditArgs, config: Config) -> Result<()> {
    let AuditArgs {
        account,
        kind,
        from,
        to,
        limit,
        json,
    } = args;
    let query = AuditQuery {
        limit: None,
        cursor: None,
        account,
        kind,
        from,
        to,
    };
    let entries = with_client(config, move |client| async move {
        read_audit(&client, query, limit).await
    })
    .await?;
    print(&if json {
        pretty(&entries)?
    } else {
        entries
            .iter()
            .fold(String::new(), |text, entry| text + &line_of(entry))
    })
}

/// The newest entries, page by page.
async fn read_audit(client: &Client, mut query: AuditQuery, limit: u32) -> Result<Vec<AuditEntry>> {
    let limit = usize::try_from(limit.min(MAX_ENTRIES))?;
    let mut entries = Vec::new();
    while entries.len() < limit {
        query.limit =
            Some(u16::try_from(limit - entries.len()).map_or(PAGE, |left| left.min(PAGE)));
        let page: Page<AuditEntry> = client.ask(ApiCall::get(&["audit"]).query(&query)).await?;
        entries.extend(page.items);
        query.cursor = page.next;
        if query.cursor.is_none() {
            break;
        }
    }
    Ok(entries)
}

/// `sarang overview`.
pub(super) async fn overview(json: bool, config: Config) -> Result<()> {
    let overview: Overview = with_client(config, |client| async move {
        Ok(client.ask(ApiCall::get(&["overview"])).await?)
    })
    .await?;
    print(&if json {
        pretty(&overview)?
    } else {
        text_of(&overview)
    })
}

/// `sarang lock`.
pub(super) async fn lock(command: LockCommand, config: Config) -> Result<()> {
    let text = with_client(config, |client| async move {
        match command {
            LockCommand::List { json } => {
                let mut locks: Vec<OpenLock> = client.list(&["locks"]).await?;
                locks.sort_by(|a, b| (&a.root, &a.path).cmp(&(&b.root, &b.path)));
                if json {
                    pretty(&locks)
                } else {
                    Ok(table(&locks))
                }
            }
            LockCommand::Break { id } => {
                let broken = client.ask(ApiCall::delete(&["locks", &id])).await;
                broken
                    .map(|()| "The lock is ended.\n".to_owned())
                    .map_err(named("lock", &id))
            }
        }
    });
    print(&text.await?)
}

fn parse_kind(text: &str) -> Result<AuditKind> {
    serde_json::from_value(text.into()).with_context(|| format!("{text:?} is no kind of act"))
}

pub(super) fn parse_moment(text: &str) -> Result<String> {
    let moment =
        time::parse_iso_date(text).or_else(|| time::parse_iso_date(&format!("{text}T00:00:00Z")));
    moment
        .map(time::iso_date)
        .with_context(|| format!("{text:?} is no time; write 2026-11-21 or 2026-11-21T10:00:00Z"))
}

fn line_of(entry: &AuditEntry) -> String {
    let who = match (entry.by, &entry.who) {
        (ActorKind::Account, Some(name)) => name.clone(),
        (ActorKind::Link, Some(id)) => format!("link {id}"),
        (ActorKind::CommandLine, _) => "the command line".into(),
        (ActorKind::Server, _) => "the server".into(),
        _ => "somebody".into(),
    };
    let from = entry
        .from
        .as_ref()
        .map(|from| format!(" from {from}"))
        .unwrap_or_default();
    let times = if entry.count > 1 {
        format!(" ({} times)", entry.count)
    } else {
        String::new()
    };
    let note = if entry.note.is_empty() {
        String::new()
    } else {
        format!(": {}", entry.note)
    };
    let end = match entry.outcome {
        AuditOutcome::Done => "",
        AuditOutcome::Refused => " refused",
        AuditOutcome::Failed => " FAILED",
    };
    let kind = serde_json::to_value(entry.kind)
        .ok()
        .and_then(|kind| kind.as_str().map(str::to_owned))
        .unwrap_or_default();
    format!(
        "{}  {kind}{end}  {}  by {who}{from}{note}{times}\n",
        entry.at, entry.target
    )
}

fn text_of(overview: &Overview) -> String {
    let mut text = String::new();
    let exported = overview.exported.as_deref().unwrap_or("never");
    let state = if overview.writable {
        "writable"
    } else {
        "READ-ONLY: the log says why"
    };
    let rows = [
        ("Version", overview.version.clone()),
        ("Up for", format!("{} s", overview.uptime)),
        ("State", state.to_owned()),
        ("State exported", exported.to_owned()),
        (
            "Accounts",
            format!(
                "{}, {} administer, {} disabled",
                overview.accounts, overview.administrators, overview.disabled
            ),
        ),
        ("Used", size::show(overview.used)),
        ("Free", size::show(overview.free)),
        ("Sessions", overview.sessions.to_string()),
        ("Locks", overview.locks.to_string()),
        ("Connections", overview.connections.to_string()),
        ("Requests", overview.requests.to_string()),
    ];
    for (name, value) in rows {
        // Writing to a String cannot fail.
        let _ = writeln!(text, "{name:15} {value}");
    }
    text + &warnings_of(overview)
}

/// What an administrator should look into.
fn warnings_of(overview: &Overview) -> String {
    let mut text = String::new();
    if overview.date_doubted {
        let _ = writeln!(
            text,
            "{:15} jumped: nothing of the history expires for now; the server's log says more",
            "Clock"
        );
    }
    for held in &overview.held {
        let _ = writeln!(
            text,
            "{:15} {} until {}",
            "History held", held.root, held.until
        );
    }
    for tree in &overview.missing {
        let _ = writeln!(
            text,
            "{:15} {tree}: its disk may not be mounted; `sarang check` says more",
            "Missing"
        );
    }
    for found in &overview.file_systems {
        let roots = crate::check::some_of(&found.roots);
        for lack in &found.lacks {
            let _ = writeln!(text, "{:15} {roots}: it has no {lack}", "File system");
        }
    }
    for peer in &overview.untrusted_proxies {
        let why = "sends X-Forwarded-For, is not in server.trusted_proxies: all who come through it are one network";
        let _ = writeln!(text, "{:15} {peer} {why}", "Proxy?");
    }
    text
}

fn table(locks: &[OpenLock]) -> String {
    if locks.is_empty() {
        return "Nothing is locked.\n".into();
    }
    locks.iter().fold(String::new(), |text, lock| {
        let name = format!("{}{}", lock.root, lock.path);
        // A name may hold what a terminal would act on.
        text + &format!("{}  {}  {}\n", lock.id, name.escape_debug(), lock.summary)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn arguments_are_read() {
        assert_eq!(
            parse_kind("account-removed").unwrap(),
            AuditKind::AccountRemoved
        );
        assert!(
            parse_kind("murder")
                .unwrap_err()
                .to_string()
                .contains("no kind")
        );
        assert_eq!(parse_moment("2026-11-21").unwrap(), "2026-11-21T00:00:00Z");
        assert!(parse_moment("yesterday").is_err());
    }
}
