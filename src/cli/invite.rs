//! `sarang invite`: invites, each of which lets somebody make one account.

use super::calls::{named, pretty, with_client};
use super::print;
use super::show::parse_moment;
use super::table::columns;
use super::user::{Limit, parse_quota, show_quota};
use crate::config::Config;
use crate::control::{ApiCall, CallError, Client};
use crate::http::api::invites::{InviteView, InviteWish, NewInviteSecret};
use crate::model::AccountName;
use crate::sharing::groups::GroupName;
use anyhow::{Result, anyhow, bail};
use clap::{Args, Subcommand};

/// What to do with invites.
#[derive(Debug, Subcommand)]
pub(super) enum InviteCommand {
    /// Show the open invites
    List {
        /// Print JSON
        #[arg(long)]
        json: bool,
    },
    /// Make an invite and print its secret, which is not shown again
    Create(NewInviteArgs),
    /// Withdraw an invite
    Withdraw {
        /// Its id, from the list
        id: String,
    },
}

/// What an invite shall be.
#[derive(Debug, Args)]
pub(super) struct NewInviteArgs {
    /// The administrator in whose name it is made; it holds while they administer
    #[arg(long, value_name = "NAME", value_parser = AccountName::parse)]
    by: AccountName,
    /// Whom or what it is for; only administrators see it
    #[arg(long)]
    note: Option<String>,
    /// How much the account may store: 500M, 10G, 1.5T, bytes [default: that of the config]
    #[arg(long, value_parser = parse_quota)]
    quota: Option<Limit>,
    /// A group that the account will be in; may be said several times
    #[arg(long = "group", value_name = "NAME", value_parser = GroupName::parse)]
    groups: Vec<GroupName>,
    /// When it ends, as 2030-12-31T23:59:59Z [default: in a week]
    #[arg(long, value_name = "TIME", value_parser = parse_moment)]
    expires: Option<String>,
    /// Print JSON
    #[arg(long)]
    json: bool,
}

/// Carries out a command and prints what it brought.
pub(super) async fn run(command: InviteCommand, config: Config) -> Result<()> {
    let address = config.server.public_url.clone();
    let text = with_client(config, move |client| async move {
        match command {
            InviteCommand::List { json } => {
                let invites: Vec<InviteView> = client.list(&["invites"]).await?;
                if json {
                    pretty(&invites)
                } else {
                    Ok(table(&invites))
                }
            }
            InviteCommand::Create(args) => {
                let json = args.json;
                let made = create(&client, args).await?;
                if json {
                    pretty(&made)
                } else {
                    Ok(told(&made, &address))
                }
            }
            InviteCommand::Withdraw { id } => {
                let call = ApiCall::delete(&["invites", &id]);
                let () = client.ask(call).await.map_err(named("invite", &id))?;
                Ok(format!("Withdrew the invite {id}.\n"))
            }
        }
    });
    print(&text.await?)
}

async fn create(client: &Client, args: NewInviteArgs) -> Result<NewInviteSecret> {
    let quota = match args.quota {
        None => None,
        Some(Limit(Some(bytes))) => Some(bytes),
        Some(Limit(None)) => {
            bail!("An invite has a quota, or the one of the settings: leave --quota out")
        }
    };
    let wish = InviteWish {
        note: args.note,
        quota,
        groups: args.groups,
        expires: args.expires,
    };
    let call = ApiCall::post(&["local", "accounts", args.by.as_str(), "invites"]).json(&wish);
    let made = client.ask(call).await;
    made.map_err(|error| explain(error, &args.by, &wish))
}

/// A failure as a sentence that names the administrator, or the group that is not there.
fn explain(error: CallError, by: &AccountName, wish: &InviteWish) -> anyhow::Error {
    match error
        .wrong_item("/groups/")
        .and_then(|at| wish.groups.get(at))
    {
        Some(group) => anyhow!("There is no group {group}."),
        None => named("account", by)(error),
    }
}

/// What to give on.
fn told(made: &NewInviteSecret, address: &str) -> String {
    let secret = made.invite.as_str();
    let link = if address.is_empty() {
        String::new()
    } else {
        format!("Open {}/register#{secret}\n", address.trim_end_matches('/'))
    };
    format!(
        "Made the invite {}. Who has this secret may make one account; it is not shown again:\n{secret}\n{link}",
        made.id
    )
}

fn table(invites: &[InviteView]) -> String {
    if invites.is_empty() {
        return "There are no open invites.\n".into();
    }
    let row = |invite: &InviteView| {
        vec![
            invite.id.clone(),
            invite.by.to_string(),
            show_quota(invite.quota),
            invite.expires.clone(),
            invite.groups.join(", "),
            invite.note.clone().unwrap_or_default(),
        ]
    };
    let head = ["ID", "BY", "QUOTA", "EXPIRES", "GROUPS", "NOTE"];
    columns(&head, invites.iter().map(row))
}
