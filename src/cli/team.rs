//! `sarang team`: team folders, through the running server when there is one, else on the data folder itself.

use super::calls::{named, pretty, with_client, with_client_of_new};
use super::print;
use super::user::{Limit, parse_quota, show_quota, where_kept};
use crate::config::Config;
use crate::control::{ApiCall, CallError, Client};
use crate::http::api::admin::local::{MembersChange, RemovedTeam};
use crate::http::api::field_patch::FieldPatch;
use crate::http::api::shares::Granted;
use crate::http::api::team_folders::{
    TeamChange, TeamMember, TeamRemovalQuery, TeamRequest, TeamView,
};
use crate::model::{AccountName, Rights};
use crate::sharing::groups::{Grantee, GroupName};
use anyhow::{Result, anyhow, bail};
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
        members: Vec<TeamMember>,
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
    /// Let accounts and groups use a team folder, or change what they may do
    MemberAdd {
        /// Which
        name: String,
        /// Who: ana, ben=view, group:crew=edit
        #[arg(required = true, value_name = "WHO", value_parser = parse_member)]
        members: Vec<TeamMember>,
    },
    /// Take accounts and groups out of a team folder
    MemberRemove {
        /// Which
        name: String,
        /// Who: ana, group:crew
        #[arg(required = true, value_name = "WHO", value_parser = parse_grantee)]
        members: Vec<Grantee>,
    },
    /// Limit how much a team folder may hold
    Quota {
        /// Which
        name: String,
        /// 500M, 10G, 1.5T, bytes, or none for no limit
        #[arg(value_parser = parse_quota)]
        size: Limit,
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

impl From<TeamFilesChoice> for TeamRemovalQuery {
    fn from(choice: TeamFilesChoice) -> Self {
        Self {
            purge: choice.purge_files || choice.purge.is_some(),
            path: choice.purge,
        }
    }
}

/// Carries out a command and prints what it brought.
pub(super) async fn run(command: TeamCommand, config: Config) -> Result<()> {
    let may_be_new = matches!(command, TeamCommand::Add { .. });
    let work = |client: Client| async move { carry_out(command, &client).await };
    let text = if may_be_new {
        with_client_of_new(config, work).await?
    } else {
        with_client(config, work).await?
    };
    print(&text)
}

async fn carry_out(command: TeamCommand, client: &Client) -> Result<String> {
    match command {
        TeamCommand::Add {
            name,
            members,
            quota,
            folder,
        } => {
            let wish = TeamRequest {
                name,
                members,
                quota: quota.and_then(|Limit(bytes)| bytes),
                folder,
            };
            let call = ApiCall::post(&["team-folders"]).json(&wish);
            let made = client.ask::<TeamView>(call).await;
            made.map_err(|error| explain(error, &wish.name, &wish.members))?;
            Ok(format!("Added the team folder {}.\n", wish.name))
        }
        TeamCommand::List { json } => {
            let teams: Vec<TeamView> = client.list(&["team-folders"]).await?;
            if json {
                pretty(&teams)
            } else {
                Ok(table(&teams))
            }
        }
        TeamCommand::MemberAdd { name, members } => {
            let change = MembersChange {
                add: members,
                remove: Vec::new(),
            };
            change_members(client, &name, &change).await
        }
        TeamCommand::MemberRemove { name, members } => {
            let change = MembersChange {
                add: Vec::new(),
                remove: members,
            };
            change_members(client, &name, &change).await
        }
        TeamCommand::Quota { name, size } => {
            let change = TeamChange {
                members: None,
                quota: FieldPatch::Set(size.0),
            };
            let call = ApiCall::patch(&["team-folders", &name]).json(&change);
            let changed = client.ask::<TeamView>(call).await;
            changed.map_err(named("team folder", &name))?;
            Ok(format!(
                "Set the quota of {name}: {}.\n",
                show_quota(size.0)
            ))
        }
        TeamCommand::Remove { name, files } => remove(client, &name, files.into()).await,
    }
}

async fn change_members(
    client: &Client,
    name: &str,
    change: &MembersChange<TeamMember, Grantee>,
) -> Result<String> {
    let call = ApiCall::patch(&["local", "team-folders", name, "members"]).json(change);
    let team: TeamView = client.ask(call).await.map_err(named("team folder", name))?;
    let members = members_of(&team.members);
    let members = if members.is_empty() { "none" } else { &members };
    Ok(format!("Members of the team folder {name}: {members}.\n"))
}

/// `ana (edit), group crew (view)`
fn members_of(members: &[TeamMember]) -> String {
    let members: Vec<String> = members
        .iter()
        .map(|member| format!("{} ({})", member.to, Rights::from(member.rights)))
        .collect();
    members.join(", ")
}

async fn remove(client: &Client, name: &str, how: TeamRemovalQuery) -> Result<String> {
    let is_kept = !how.purge;
    let call = ApiCall::delete(&["local", "team-folders", name]).query(&how);
    let removed: RemovedTeam = client.ask(call).await.map_err(named("team folder", name))?;
    let place = match removed.kept {
        Some(place) if is_kept => where_kept(&place),
        None if is_kept => "It had no files.\n".into(),
        _ => String::new(),
    };
    Ok(format!("Removed the team folder {name}.\n{place}"))
}

/// A failure as a sentence that names the team folder, or the member that is not there.
fn explain(error: CallError, name: &str, members: &[TeamMember]) -> anyhow::Error {
    let wrong = error.wrong_item("/members/").and_then(|at| members.get(at));
    match wrong {
        Some(member) => anyhow!("There is no {}.", member.to),
        None => named("team folder", name)(error),
    }
}

fn parse_member(text: &str) -> Result<TeamMember> {
    let (who, rights) = text.rsplit_once('=').unwrap_or((text, "edit"));
    let rights = match rights {
        "view" => Granted::View,
        "edit" => Granted::Edit,
        _ => bail!("a member may view or edit: ben=view, group:crew=edit"),
    };
    let to = parse_grantee(who)?;
    Ok(TeamMember { to, rights })
}

/// An account, or `group:` and a group.
fn parse_grantee(text: &str) -> Result<Grantee> {
    Ok(match text.strip_prefix("group:") {
        Some(group) => Grantee::Group(GroupName::parse(group)?),
        None => Grantee::Account(AccountName::parse(text)?),
    })
}

fn table(teams: &[TeamView]) -> String {
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
    for TeamView {
        name,
        quota,
        members,
        folder,
        ..
    } in teams
    {
        let members = members_of(members);
        let place = folder
            .as_ref()
            .map(|folder| format!("  in {folder}"))
            .unwrap_or_default();
        // Writing to a String cannot fail.
        let _ = writeln!(
            text,
            "{name:width$}  {:>10}  {}{place}",
            show_quota(*quota),
            members
        );
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn members_are_read_as_they_are_written() {
        let member = |text| {
            parse_member(text)
                .map(|member| format!("{} {}", member.to, Rights::from(member.rights)))
        };
        assert_eq!(member("ana").unwrap(), "ana edit");
        assert_eq!(member("ben=view").unwrap(), "ben view");
        assert_eq!(member("group:crew=edit").unwrap(), "group crew edit");
        for wrong in ["ana=drop", "a b", "=view", "group:"] {
            assert!(member(wrong).is_err(), "{wrong}");
        }
    }
}
