//! `sarang trash`, `sarang versions`: the past of somebody's drive, seen and restored by an administrator.

use super::{print, show, size, user};
use crate::config::Config;
use crate::control::{
    DriveTrashItem, DriveVersion, HistoryRequest, HistoryResponse, Request, Response, RewindAct,
    RewindReport, Rewinding,
};
use crate::model::AccountName;
use anyhow::Result;
use clap::{Args, Subcommand};
use std::fmt::Write as _;

/// What to do with a trash.
#[derive(Debug, Subcommand)]
pub enum TrashCommand {
    /// Show what lies in it, newest first
    List {
        /// Whose
        #[arg(value_parser = AccountName::parse)]
        name: AccountName,
        /// Print JSON
        #[arg(long)]
        json: bool,
    },
    /// Put something back where it lay, or beside that when something stands there
    Restore {
        /// Whose
        #[arg(value_parser = AccountName::parse)]
        name: AccountName,
        /// Its id, from the list
        id: String,
        /// Put it here instead
        #[arg(long, value_name = "PATH")]
        to: Option<String>,
        /// Print JSON
        #[arg(long)]
        json: bool,
    },
    /// Delete something in it, or all, for good
    Purge {
        /// Whose
        #[arg(value_parser = AccountName::parse)]
        name: AccountName,
        /// What
        #[command(flatten)]
        which: TrashSelection,
        /// Print JSON
        #[arg(long)]
        json: bool,
    },
}

/// One item or all: one must be said.
#[derive(Debug, Args)]
#[group(required = true, multiple = false)]
pub struct TrashSelection {
    /// Its id, from the list
    id: Option<String>,
    /// All that lies in it
    #[arg(long)]
    all: bool,
}

/// What to do with versions.
#[derive(Debug, Subcommand)]
pub enum VersionsCommand {
    /// Show the former contents of a file, newest first
    List {
        /// Whose
        #[arg(value_parser = AccountName::parse)]
        name: AccountName,
        /// The file, as its path in their drive
        path: String,
        /// Print JSON
        #[arg(long)]
        json: bool,
    },
    /// Give a file a former content again; the present one becomes a version
    Restore {
        /// Whose
        #[arg(value_parser = AccountName::parse)]
        name: AccountName,
        /// The file, as its path in their drive
        path: String,
        /// The version's id, from the list
        id: String,
        /// Print JSON
        #[arg(long)]
        json: bool,
    },
}

/// Whose folder to rewind, and to when.
#[derive(Debug, Args)]
pub struct RewindArgs {
    /// Whose
    #[arg(value_parser = AccountName::parse)]
    name: AccountName,
    /// The folder or file, as its path in their drive; / for all
    path: String,
    /// When, as 2026-11-21T10:00:00Z
    #[arg(long, value_name = "TIME")]
    to: String,
    /// Only this path in it; may be given more than once
    #[arg(long, value_name = "PATH")]
    only: Vec<String>,
    /// Only say what would change
    #[arg(long)]
    dry_run: bool,
    /// Print JSON
    #[arg(long)]
    json: bool,
}

/// `sarang rewind`.
pub(super) async fn rewind(args: RewindArgs, config: Config) -> Result<()> {
    let RewindArgs {
        name,
        path,
        to,
        only,
        dry_run,
        json,
    } = args;
    run_request(
        name,
        HistoryRequest::Rewind(Rewinding {
            path,
            to,
            dry_run,
            only,
        }),
        json,
        config,
    )
    .await
}

/// `sarang trash`.
pub(super) async fn trash(command: TrashCommand, config: Config) -> Result<()> {
    let (name, what, json) = match command {
        TrashCommand::List { name, json } => (name, HistoryRequest::Trash, json),
        TrashCommand::Restore { name, id, to, json } => {
            (name, HistoryRequest::Untrash { id, to }, json)
        }
        TrashCommand::Purge {
            name,
            which: TrashSelection { id: Some(id), .. },
            json,
        } => (name, HistoryRequest::Purge { id }, json),
        TrashCommand::Purge { name, json, .. } => (name, HistoryRequest::Empty, json),
    };
    run_request(name, what, json, config).await
}

/// `sarang versions`.
pub(super) async fn versions(command: VersionsCommand, config: Config) -> Result<()> {
    let (name, what, json) = match command {
        VersionsCommand::List { name, path, json } => {
            (name, HistoryRequest::Versions { path }, json)
        }
        VersionsCommand::Restore {
            name,
            path,
            id,
            json,
        } => (name, HistoryRequest::Revert { path, id }, json),
    };
    run_request(name, what, json, config).await
}

async fn run_request(
    name: AccountName,
    what: HistoryRequest,
    json: bool,
    config: Config,
) -> Result<()> {
    match user::ask(Request::Past { name, what }, config).await? {
        Response::Past(recalled) if json => print(&show::pretty(&recalled)?),
        Response::Past(recalled) => print(&text_of(&recalled)),
        other => show::refused(other),
    }
}

fn text_of(recalled: &HistoryResponse) -> String {
    match recalled {
        HistoryResponse::Trash(items) if items.is_empty() => "The trash is empty.\n".into(),
        HistoryResponse::Trash(items) => items.iter().map(line_of).collect(),
        HistoryResponse::Versions(versions) if versions.is_empty() => {
            "There are no versions of it.\n".into()
        }
        HistoryResponse::Versions(versions) => versions.iter().map(version_line).collect(),
        HistoryResponse::Restored(path) => format!("Restored {}.\n", path.escape_debug()),
        HistoryResponse::Rewound(report) => report_of(report),
        HistoryResponse::Purged(1) => "Deleted 1 item for good.\n".into(),
        HistoryResponse::Purged(items) => format!("Deleted {items} items for good.\n"),
    }
}

/// Names may hold what a terminal would act on.
fn line_of(item: &DriveTrashItem) -> String {
    let size = if item.folder {
        "folder".into()
    } else {
        size::show(item.size)
    };
    let when = item.deleted.as_deref().unwrap_or("some time ago");
    let by = item
        .by
        .as_ref()
        .map(|by| format!(" by {by}"))
        .unwrap_or_default();
    format!(
        "{}  {}  {size}  {when}{by}\n",
        item.id.escape_debug(),
        item.path.escape_debug()
    )
}

fn report_of(report: &RewindReport) -> String {
    let mut text = String::new();
    for change in &report.changes {
        let act = match change.change {
            RewindAct::Restored => "from the trash",
            RewindAct::Moved => "moved back",
            RewindAct::Reverted => "former content",
            RewindAct::Discarded => "to the trash",
            RewindAct::Made => "made anew",
        };
        let from = change
            .from
            .as_ref()
            .map(|from| format!(" from {}", from.escape_debug()))
            .unwrap_or_default();
        // Writing to a String cannot fail.
        let _ = writeln!(text, "{act:15} {}{from}", change.path.escape_debug());
    }
    let more = |all: u64, told: usize| all.saturating_sub(told as u64);
    if more(report.change_count, report.changes.len()) > 0 {
        let _ = writeln!(
            text,
            "and {} more changes",
            more(report.change_count, report.changes.len())
        );
    }
    for path in &report.lost {
        let _ = writeln!(text, "{:15} {}", "NOT KEPT", path.escape_debug());
    }
    if more(report.lost_count, report.lost.len()) > 0 {
        let _ = writeln!(
            text,
            "and {} more that are NOT KEPT",
            more(report.lost_count, report.lost.len())
        );
    }
    if text.is_empty() {
        text = "Nothing has changed since.\n".into();
    }
    let since = report.since.as_deref().unwrap_or("now");
    text + &format!("Every change is known since {since}.\n")
}

fn version_line(version: &DriveVersion) -> String {
    let DriveVersion {
        id,
        size,
        modified,
        replaced,
    } = version;
    format!(
        "{id}  {}  written {modified}, replaced {replaced}\n",
        size::show(*size)
    )
}
