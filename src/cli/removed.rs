//! `sarang removed`: the files of removed accounts and team folders that lie aside.

use super::{print, user};
use crate::config::Config;
use crate::control::{Destination, RemovedFiles, Request, Response};
use crate::model::AccountName;
use anyhow::{Result, bail};
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
    let as_json = matches!(command, RemovedCommand::List { json: true });
    let (request, report) = match command {
        RemovedCommand::List { .. } => (Request::RemovedList, String::new()),
        RemovedCommand::Restore { which, to } => {
            let report = format!("Brought {which} back.\n");
            (
                Request::RemovedRestore {
                    which,
                    to: to.into_destination()?,
                },
                report,
            )
        }
        RemovedCommand::Purge { which } => {
            let report = format!("Deleted {which}.\n");
            (Request::RemovedPurge { which }, report)
        }
    };
    let text = match user::ask(request, config).await? {
        Response::Refused(sentence) => bail!(sentence),
        Response::Done => report,
        Response::Moved(Some(folder)) => {
            format!("{report}They are in the folder {folder:?} of its drive.\n")
        }
        Response::Removed(files) if as_json => serde_json::to_string_pretty(&files)? + "\n",
        Response::Removed(files) => table(&files),
        _ => bail!(
            "The running server is of another version: its answer does not belong to the question"
        ),
    };
    print(&text)
}

/// Gives up a home or team folder that is missing.
pub(super) async fn new_home(place: String, config: Config) -> Result<()> {
    let report = format!(
        "What lies in {place} is used from now on; where nothing lies, it is made at the next use.\n"
    );
    match user::ask(Request::NewHome { place }, config).await? {
        Response::Refused(sentence) => bail!(sentence),
        _ => print(&report),
    }
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
