//! `sarang team`: team folders, through the running server when there is one, else on the data folder itself.

use super::print;
use super::user::{Limit, ask, parse_quota, show_quota, where_kept};
use crate::config::Config;
use crate::control::{FilesDisposal, Request, Response, TeamSummary};
use crate::model::{AccountName, Rights};
use crate::sharing::groups::{Grantee, GranteeRef, GroupName};
use crate::sharing::teams::TeamFolderMember;
use anyhow::{Result, bail};
use clap::{Args, Subcommand};
use std::fmt::Write as _;

/// What to do with team folders.
#[derive(Debug, Subcommand)]
pub(super) enum TeamCommand {
    /// Make a team folder
    Add {
        /// Its name, the same for all
        name: String,
        /// Who may use it: ana, ben=view, group:crew=edit; may be said several times
        #[arg(long = "member", value_name = "WHO", value_parser = parse_member)]
        members: Vec<TeamFolderMember>,
        /// How much it may hold: 500M, 10G, 1.5T, bytes [default: no limit]
        #[arg(long, value_parser = parse_quota)]
        quota: Option<Limit>,
        /// A folder that is there already, by its whole path: its files are served where they lie (see `[storage] allowed`)
        #[arg(long, value_name = "PATH")]
        folder: Option<String>,
    },
    /// Show all team folders
    List {
        /// Print JSON
        #[arg(long)]
        json: bool,
    },
    /// Remove a team folder; say what becomes of its files
    Remove {
        /// Which
        name: String,
        #[command(flatten)]
        files: TeamFilesChoice,
    },
}

/// What becomes of a removed team folder's files: one must be said.
#[derive(Debug, Args)]
#[group(required = true, multiple = false)]
pub(super) struct TeamFilesChoice {
    /// Leave its files on the disk
    #[arg(long)]
    keep_files: bool,
    /// Delete its files, trash and all
    #[arg(long)]
    purge_files: bool,
    /// Delete its files though they lie in a folder that was there before: this one
    #[arg(long, value_name = "PATH")]
    purge: Option<String>,
}

impl From<TeamFilesChoice> for FilesDisposal {
    fn from(choice: TeamFilesChoice) -> Self {
        match choice {
            TeamFilesChoice {
                purge: Some(path), ..
            } => Self::PurgeAt(path),
            TeamFilesChoice {
                purge_files: true, ..
            } => Self::Purge,
            TeamFilesChoice { .. } => Self::Keep,
        }
    }
}

/// Carries out a command and prints what it brought.
pub(super) async fn run(command: TeamCommand, config: Config) -> Result<()> {
    let as_json = matches!(command, TeamCommand::List { json: true });
    let (request, report) = match command {
        TeamCommand::Add {
            name,
            members,
            quota,
            folder,
        } => {
            let report = format!("Added the team folder {name}.\n");
            let quota = quota.and_then(|Limit(bytes)| bytes);
            (
                Request::TeamAdd {
                    name,
                    members,
                    quota,
                    folder,
                },
                report,
            )
        }
        TeamCommand::List { .. } => (Request::TeamList, String::new()),
        TeamCommand::Remove { name, files } => {
            let report = format!("Removed the team folder {name}.\n");
            let files = files.into();
            (Request::TeamRemove { name, files }, report)
        }
    };
    let text = match ask(request, config).await? {
        Response::Refused(sentence) => bail!(sentence),
        Response::Done => report,
        Response::Aside(Some(place)) => format!("{report}{}", where_kept(&place)),
        Response::Aside(None) => format!("{report}It had no files.\n"),
        Response::Teams(teams) if as_json => serde_json::to_string_pretty(&teams)? + "\n",
        Response::Teams(teams) => table(&teams),
        _ => bail!(
            "The running server is of another version: its answer does not belong to the question"
        ),
    };
    print(&text)
}

fn parse_member(text: &str) -> Result<TeamFolderMember> {
    let (who, rights) = text.rsplit_once('=').unwrap_or((text, "edit"));
    let rights = match rights {
        "view" => Rights::View,
        "edit" => Rights::Edit,
        _ => bail!("a member may view or edit: ben=view, group:crew=edit"),
    };
    let to = match who.strip_prefix("group:") {
        // Which group that is, the server looks up.
        Some(group) => GranteeRef {
            named: Grantee::Group(GroupName::parse(group)?),
            group_id: None,
        },
        None => AccountName::parse(who)?.into(),
    };
    Ok(TeamFolderMember { to, rights })
}

fn table(teams: &[TeamSummary]) -> String {
    if teams.is_empty() {
        return "There are no team folders yet; make one with `sarang team add NAME`.\n".into();
    }
    let width = teams
        .iter()
        .map(|team| team.name.chars().count())
        .max()
        .unwrap_or(0)
        .max(4);
    let mut text = format!("{:width$}  {:>10}  MEMBERS\n", "NAME", "QUOTA");
    for TeamSummary {
        name,
        quota,
        members,
        folder,
    } in teams
    {
        let members: Vec<String> = members
            .iter()
            .map(|it| format!("{} ({})", it.to, it.rights))
            .collect();
        let place = folder
            .as_ref()
            .map(|folder| format!("  in {folder}"))
            .unwrap_or_default();
        // Writing to a String cannot fail.
        let _ = writeln!(
            text,
            "{name:width$}  {:>10}  {}{place}",
            show_quota(*quota),
            members.join(", ")
        );
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn members_are_read_as_they_are_written() {
        let member =
            |text| parse_member(text).map(|member| format!("{} {}", member.to, member.rights));
        assert_eq!(member("ana").unwrap(), "ana edit");
        assert_eq!(member("ben=view").unwrap(), "ben view");
        assert_eq!(member("group:crew=edit").unwrap(), "group crew edit");
        for wrong in ["ana=drop", "a b", "=view", "group:"] {
            assert!(member(wrong).is_err(), "{wrong}");
        }
    }
}
