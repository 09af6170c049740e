//! `sarang trash`, `sarang versions`: the past of somebody's drive, seen and restored by an administrator.

use super::calls::{named, pretty, with_client};
use super::{print, size};
use crate::admin::history::{RewindAct, RewindReport, Rewinding};
use crate::config::Config;
use crate::control::{ApiCall, Client};
use crate::http::api::files::ResourceKind;
use crate::http::api::history::{
    FileQuery, FileVersion, FileVersions, Purged, RestoredItem, Restoring, TrashItemView, VersionOf,
};
use crate::http::api::page::Page;
use crate::model::AccountName;
use anyhow::{Result, bail};
use clap::{Args, Subcommand};
use http::Method;
use serde::de::DeserializeOwned;
use serde_json::{Value, json};
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
    let wish = Rewinding {
        path,
        to,
        dry_run,
        only,
    };
    let text = with_client(config, move |client| async move {
        let report: RewindReport = ask(
            &client,
            &name,
            call(Method::POST, &name, &["rewind"]).json(&wish),
        )
        .await?;
        told(json, &json!({"rewound": report}), || report_of(&report))
    });
    print(&text.await?)
}

/// `sarang trash`.
pub(super) async fn trash(command: TrashCommand, config: Config) -> Result<()> {
    let text = with_client(config, |client| async move {
        match command {
            TrashCommand::List { name, json } => {
                let trash: Page<TrashItemView> =
                    ask(&client, &name, call(Method::GET, &name, &["trash"])).await?;
                told(json, &json!({"trash": trash.items}), || {
                    trash_lines(&trash.items)
                })
            }
            TrashCommand::Restore { name, id, to, json } => {
                let asked = call(Method::POST, &name, &["trash", &id, "restore"]);
                let wish = Restoring { to, folder: None };
                let restored: RestoredItem = ask(&client, &name, asked.json(&wish)).await?;
                told_restored(json, &restored.path)
            }
            TrashCommand::Purge { name, which, json } => {
                let asked = match &which.id {
                    Some(id) => call(Method::DELETE, &name, &["trash", id]),
                    None => call(Method::DELETE, &name, &["trash"]),
                };
                let Purged { items } = ask(&client, &name, asked).await?;
                told(json, &json!({"purged": items}), || match items {
                    1 => "Deleted 1 item for good.\n".into(),
                    items => format!("Deleted {items} items for good.\n"),
                })
            }
        }
    });
    print(&text.await?)
}

/// `sarang versions`.
pub(super) async fn versions(command: VersionsCommand, config: Config) -> Result<()> {
    let text = with_client(config, |client| async move {
        match command {
            VersionsCommand::List { name, path, json } => {
                let asked = call(Method::GET, &name, &["versions"]).query(&FileQuery { path });
                let FileVersions { items } = ask(&client, &name, asked).await?;
                told(json, &json!({"versions": items}), || version_lines(&items))
            }
            VersionsCommand::Restore {
                name,
                path,
                id,
                json,
            } => {
                let version = VersionOf { path, id };
                let asked = call(Method::POST, &name, &["versions", "restore"]).json(&version);
                let restored: RestoredItem = ask(&client, &name, asked).await?;
                told_restored(json, &restored.path)
            }
        }
    });
    print(&text.await?)
}

/// A call about the past of an account's drive.
fn call(method: Method, name: &AccountName, what: &[&str]) -> ApiCall {
    ApiCall::new(
        method,
        &[&["local", "accounts", name.as_str()], what].concat(),
    )
}

/// Asks about the past of a drive; says what is not there, the account or the thing.
async fn ask<T: DeserializeOwned>(client: &Client, name: &AccountName, call: ApiCall) -> Result<T> {
    match client.ask(call).await {
        Err(error) if error.is_not_found() => {
            if client.exists(&["accounts", name.as_str()]).await? {
                bail!("There is no such thing in the past of {name}.");
            }
            Err(named("account", name)(error))
        }
        done => Ok(done?),
    }
}

fn told(as_json: bool, document: &Value, text: impl FnOnce() -> String) -> Result<String> {
    if as_json {
        pretty(document)
    } else {
        Ok(text())
    }
}

fn told_restored(as_json: bool, path: &str) -> Result<String> {
    told(as_json, &json!({"restored": path}), || {
        format!("Restored {}.\n", path.escape_debug())
    })
}

fn trash_lines(items: &[TrashItemView]) -> String {
    if items.is_empty() {
        return "The trash is empty.\n".into();
    }
    items.iter().map(line_of).collect()
}

fn version_lines(versions: &[FileVersion]) -> String {
    if versions.is_empty() {
        return "There are no versions of it.\n".into();
    }
    versions.iter().map(version_line).collect()
}

/// Names may hold what a terminal would act on.
fn line_of(item: &TrashItemView) -> String {
    let size = if item.kind == ResourceKind::Folder {
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

fn version_line(version: &FileVersion) -> String {
    let FileVersion {
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
