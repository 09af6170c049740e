//! `sarang removed`: the files of removed accounts and team folders that lie aside.

use super::calls::{pretty, with_client};
use super::print;
use crate::app::{Destination, RemovedFiles};
use crate::config::Config;
use crate::control::{ApiCall, CallError};
use crate::http::api::admin::local::MissingTree;
use crate::http::api::admin::removed_files::{BringBack, BroughtBack};
use crate::model::AccountName;
use anyhow::{Result, anyhow, bail};
use clap::{Args, Subcommand};
use std::fmt::Write as _;

/// What to do with such files.
#[derive(Debug, Subcommand)]
pub(super) enum RemovedCommand {
    /// Show which there are
    List {
        /// Print JSON
        #[arg(long)]
        json: bool,
    },
    /// Bring them back; nobody gets them in any other way
    Restore {
        /// Their id or place, from the list
        which: String,
        #[command(flatten)]
        to: DestinationChoice,
    },
    /// Delete them for good, trash and versions too
    Purge {
        /// Their id or place, from the list
        which: String,
    },
}

/// Where to: one must be said.
#[derive(Debug, Args)]
#[group(required = true, multiple = false)]
pub(super) struct DestinationChoice {
    /// As the whole drive of this account, with trash and versions; it must be empty
    #[arg(long, value_name = "NAME", value_parser = AccountName::parse)]
    home: Option<AccountName>,
    /// As a folder in the drive of this account
    #[arg(long, value_name = "NAME", value_parser = AccountName::parse)]
    folder_of: Option<AccountName>,
    /// As this team folder, with trash and versions; it must be empty
    #[arg(long, value_name = "NAME")]
    team: Option<String>,
}

impl DestinationChoice {
    fn into_destination(self) -> Result<Destination> {
        Ok(match self {
            Self { home: Some(to), .. } => Destination::Home(to),
            Self {
                folder_of: Some(to),
                ..
            } => Destination::Folder(to),
            Self { team: Some(to), .. } => Destination::Team(to),
            Self { .. } => bail!("Say where to: --home, --folder-of or --team"),
        })
    }
}

/// Carries out a command and prints what it brought.
pub(super) async fn run(command: RemovedCommand, config: Config) -> Result<()> {
    let text = with_client(config, |client| async move {
        match command {
            RemovedCommand::List { json } => {
                let files: Vec<RemovedFiles> = client.list(&["removed-files"]).await?;
                if json {
                    pretty(&files)
                } else {
                    Ok(table(&files))
                }
            }
            RemovedCommand::Restore { which, to } => {
                let wish = BringBack {
                    to: to.into_destination()?,
                };
                let call = ApiCall::post(&["removed-files", &which, "restore"]).json(&wish);
                let back: BroughtBack = client.ask(call).await.map_err(of_removed(&which))?;
                let folder = back
                    .folder
                    .map(|folder| format!("They are in the folder {folder:?} of its drive.\n"));
                Ok(format!(
                    "Brought {which} back.\n{}",
                    folder.unwrap_or_default()
                ))
            }
            RemovedCommand::Purge { which } => {
                let call = ApiCall::delete(&["removed-files", &which]);
                let () = client.ask(call).await.map_err(of_removed(&which))?;
                Ok(format!("Deleted {which}.\n"))
            }
        }
    });
    print(&text.await?)
}

/// What is not there among the files that lie aside.
fn of_removed(which: &str) -> impl Fn(CallError) -> anyhow::Error {
    move |error| {
        if error.is_not_found() {
            anyhow!(
                "There are no files {which:?} that lie aside, or no account or team folder to bring them to."
            )
        } else {
            error.into()
        }
    }
}

/// Gives up a home or team folder that is missing.
pub(super) async fn new_home(place: String, config: Config) -> Result<()> {
    let report = format!(
        "What lies in {place} is used from now on; where nothing lies, it is made at the next use.\n"
    );
    with_client(config, move |client| async move {
        let call = ApiCall::post(&["local", "replaced-trees"]).json(&MissingTree {
            place: place.clone(),
        });
        client.ask(call).await.map_err(|error| {
            if error.is_not_found() {
                anyhow!("There is no account or team folder with {place:?}.")
            } else {
                error.into()
            }
        })
    })
    .await
    .map(|()| report)
    .and_then(|report| print(&report))
}

fn table(files: &[RemovedFiles]) -> String {
    if files.is_empty() {
        return "No files of removed accounts or team folders lie aside.\n".into();
    }
    let width = files
        .iter()
        .map(|files| files.place.len())
        .max()
        .unwrap_or(0)
        .max(5);
    let mut text = format!("{:width$}  {:20}  {:8}  ID\n", "PLACE", "REMOVED", "STATE");
    for RemovedFiles {
        id,
        place,
        removed,
        deleting,
        ..
    } in files
    {
        let state = if *deleting { "deleting" } else { "kept" };
        // Writing to a String cannot fail.
        let _ = writeln!(text, "{place:width$}  {removed:20}  {state:8}  {id}");
    }
    text
}
