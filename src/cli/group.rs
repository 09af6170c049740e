//! `sarang group`: groups of accounts, which shares and team folders may name.

use super::calls::{named, pretty, with_client};
use super::print;
use super::table::columns;
use crate::config::Config;
use crate::control::{ApiCall, CallError, Client};
use crate::http::api::admin::local::MembersChange;
use crate::http::api::groups::{GroupRequest, GroupView};
use crate::model::AccountName;
use crate::sharing::groups::GroupName;
use anyhow::{Result, anyhow};
use clap::Subcommand;

/// What to do with groups.
#[derive(Debug, Subcommand)]
pub(super) enum GroupCommand {
    /// Make a group
    Add {
        /// 1 to 64 letters a-z, digits, dots, underscores or hyphens
        #[arg(value_parser = GroupName::parse)]
        name: GroupName,
        /// An account that is in it; may be said several times
        #[arg(long = "member", value_name = "NAME", value_parser = AccountName::parse)]
        members: Vec<AccountName>,
    },
    /// Show all groups
    List {
        /// Print JSON
        #[arg(long)]
        json: bool,
    },
    /// Remove a group; the shares with it end
    Remove {
        /// Which
        #[arg(value_parser = GroupName::parse)]
        name: GroupName,
    },
    /// Put accounts into a group
    MemberAdd {
        /// Which group
        #[arg(value_parser = GroupName::parse)]
        name: GroupName,
        /// Which accounts
        #[arg(required = true, value_name = "ACCOUNT", value_parser = AccountName::parse)]
        members: Vec<AccountName>,
    },
    /// Take accounts out of a group
    MemberRemove {
        /// Which group
        #[arg(value_parser = GroupName::parse)]
        name: GroupName,
        /// Which accounts
        #[arg(required = true, value_name = "ACCOUNT", value_parser = AccountName::parse)]
        members: Vec<AccountName>,
    },
}

/// Carries out a command and prints what it brought.
pub(super) async fn run(command: GroupCommand, config: Config) -> Result<()> {
    let text = with_client(config, |client| async move {
        match command {
            GroupCommand::Add { name, members } => {
                add(&client, GroupRequest { name, members }).await
            }
            GroupCommand::List { json } => {
                let groups: Vec<GroupView> = client.list(&["groups"]).await?;
                if json {
                    pretty(&groups)
                } else {
                    Ok(table(&groups))
                }
            }
            GroupCommand::Remove { name } => {
                let call = ApiCall::delete(&["groups", name.as_str()]);
                let () = client.ask(call).await.map_err(named("group", &name))?;
                Ok(format!(
                    "Removed the group {name}; the shares with it ended.\n"
                ))
            }
            GroupCommand::MemberAdd { name, members } => {
                let change = MembersChange {
                    add: members,
                    remove: Vec::new(),
                };
                change_members(&client, &name, &change).await
            }
            GroupCommand::MemberRemove { name, members } => {
                let change = MembersChange {
                    add: Vec::new(),
                    remove: members,
                };
                change_members(&client, &name, &change).await
            }
        }
    });
    print(&text.await?)
}

async fn add(client: &Client, wish: GroupRequest) -> Result<String> {
    let call = ApiCall::post(&["groups"]).json(&wish);
    let made = client.ask::<GroupView>(call).await;
    made.map_err(|error| explain(error, &wish))?;
    Ok(format!("Added the group {}.\n", wish.name))
}

/// A failure as a sentence that names the group, or the account that is not there.
fn explain(error: CallError, wish: &GroupRequest) -> anyhow::Error {
    match error
        .wrong_item("/members/")
        .and_then(|at| wish.members.get(at))
    {
        Some(member) => anyhow!("There is no account {member}."),
        None => named("group", &wish.name)(error),
    }
}

async fn change_members(
    client: &Client,
    name: &GroupName,
    change: &MembersChange<AccountName, AccountName>,
) -> Result<String> {
    let call = ApiCall::patch(&["local", "groups", name.as_str(), "members"]).json(change);
    let group: GroupView = client.ask(call).await.map_err(named("group", name))?;
    Ok(format!(
        "Members of the group {name}: {}.\n",
        members_of(&group)
    ))
}

fn members_of(group: &GroupView) -> String {
    let names: Vec<&str> = group.members.iter().map(AccountName::as_str).collect();
    if names.is_empty() {
        "none".into()
    } else {
        names.join(", ")
    }
}

fn table(groups: &[GroupView]) -> String {
    if groups.is_empty() {
        return "There are no groups yet; make one with `sarang group add NAME`.\n".into();
    }
    let row = |group: &GroupView| vec![group.name.to_string(), members_of(group)];
    columns(&["NAME", "MEMBERS"], groups.iter().map(row))
}
