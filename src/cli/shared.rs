//! `sarang share`, `sarang link`: what accounts share with each other and with anybody, seen and ended by an administrator.

use super::calls::{named, pretty, with_client};
use super::print;
use super::table::columns;
use crate::config::Config;
use crate::control::{ApiCall, Client};
use crate::http::api::admin::sharing::{SomebodysLink, SomebodysShare};
use crate::model::{AccountName, Rights};
use anyhow::{Result, bail};
use clap::{Args, Subcommand};

/// What to do with shares.
#[derive(Debug, Subcommand)]
pub(super) enum ShareCommand {
    /// Show all shares
    List(SharedArgs),
    /// End a share
    End {
        /// Its id, from the list
        id: String,
    },
}

/// What to do with public links.
#[derive(Debug, Subcommand)]
pub(super) enum LinkCommand {
    /// Show all public links; their addresses are known to those who have them alone
    List(SharedArgs),
    /// End a public link
    End {
        /// Its id, from the list
        id: String,
    },
}

/// Which of them.
#[derive(Debug, Args)]
pub(super) struct SharedArgs {
    /// Only those that this account has made
    #[arg(long, value_name = "NAME", value_parser = AccountName::parse)]
    account: Option<AccountName>,
    /// Print JSON
    #[arg(long)]
    json: bool,
}

/// `sarang share`.
pub(super) async fn shares(command: ShareCommand, config: Config) -> Result<()> {
    let text = with_client(config, |client| async move {
        match command {
            ShareCommand::List(SharedArgs { account, json }) => {
                check_account(&client, account.as_ref()).await?;
                let mut shares: Vec<SomebodysShare> = client.list(&["admin", "shares"]).await?;
                shares.retain(|share| account.as_ref().is_none_or(|name| share.owner == *name));
                if json {
                    pretty(&shares)
                } else {
                    Ok(share_table(&shares))
                }
            }
            ShareCommand::End { id } => {
                let call = ApiCall::delete(&["admin", "shares", &id]);
                let () = client.ask(call).await.map_err(named("share", &id))?;
                Ok(format!("Ended the share {id}.\n"))
            }
        }
    });
    print(&text.await?)
}

/// `sarang link`.
pub(super) async fn links(command: LinkCommand, config: Config) -> Result<()> {
    let text = with_client(config, |client| async move {
        match command {
            LinkCommand::List(SharedArgs { account, json }) => {
                check_account(&client, account.as_ref()).await?;
                let mut links: Vec<SomebodysLink> = client.list(&["admin", "links"]).await?;
                links.retain(|link| account.as_ref().is_none_or(|name| link.owner == *name));
                if json {
                    pretty(&links)
                } else {
                    Ok(link_table(&links))
                }
            }
            LinkCommand::End { id } => {
                let call = ApiCall::delete(&["admin", "links", &id]);
                let () = client.ask(call).await.map_err(named("link", &id))?;
                Ok(format!("Ended the link {id}.\n"))
            }
        }
    });
    print(&text.await?)
}

async fn check_account(client: &Client, name: Option<&AccountName>) -> Result<()> {
    match name {
        Some(name) if !client.exists(&["accounts", name.as_str()]).await? => {
            bail!("There is no account {name}.")
        }
        _ => Ok(()),
    }
}

fn share_table(shares: &[SomebodysShare]) -> String {
    if shares.is_empty() {
        return "There are no shares.\n".into();
    }
    let row = |SomebodysShare { owner, share }: &SomebodysShare| {
        vec![
            share.id.clone(),
            owner.to_string(),
            share.to.to_string(),
            Rights::from(share.rights).to_string(),
            expiry(share.expires.as_ref()),
            share.path.clone(),
        ]
    };
    let head = ["ID", "OWNER", "TO", "RIGHTS", "EXPIRES", "PATH"];
    columns(&head, shares.iter().map(row))
}

fn link_table(links: &[SomebodysLink]) -> String {
    if links.is_empty() {
        return "There are no links.\n".into();
    }
    let row = |SomebodysLink { owner, link }: &SomebodysLink| {
        let password = if link.has_password { "yes" } else { "no" };
        vec![
            link.id.clone(),
            owner.to_string(),
            link.rights.to_string(),
            password.into(),
            expiry(link.expires.as_ref()),
            link.downloads.to_string(),
            // Records of links have no slash at the front.
            format!("/{}", link.path.trim_start_matches('/')),
        ]
    };
    let head = [
        "ID",
        "OWNER",
        "RIGHTS",
        "PASSWORD",
        "EXPIRES",
        "DOWNLOADS",
        "PATH",
    ];
    columns(&head, links.iter().map(row))
}

fn expiry(expires: Option<&String>) -> String {
    expires.cloned().unwrap_or_else(|| "never".into())
}
