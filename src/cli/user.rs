//! `sarang user`: accounts, through the running server when there is one, else on the data folder itself.

mod calls;

use super::calls::{pretty, with_client, with_client_of_new};
use super::{failures, print, size};
use crate::config::Config;
use crate::control::Client;
use crate::http::api::admin::accounts::{AccountDocument, AccountRemovalQuery, FilesFate};
use crate::model::{AccountName, Role};
use anyhow::{Result, bail};
use clap::{Args, Subcommand};
use std::fmt::Write as _;

/// What to do with accounts.
#[derive(Debug, Subcommand)]
pub enum UserCommand {
    /// Make an account
    Add {
        /// 1 to 64 letters a-z, digits, dots, underscores or hyphens
        #[arg(value_parser = AccountName::parse)]
        name: AccountName,
        /// Let it administer the server
        #[arg(long)]
        admin: bool,
        /// How much it may store: 500M, 10G, 1.5T, bytes, or none for no limit [default: that of the config]
        #[arg(long, value_parser = parse_quota)]
        quota: Option<Limit>,
        /// A folder that is there already, by its whole path: its files are served where they lie (see `[storage] allowed`)
        #[arg(long, value_name = "PATH")]
        home: Option<String>,
        /// Read the password from one line of standard input
        #[arg(long)]
        password_stdin: bool,
    },
    /// Show all accounts
    List {
        /// Print JSON
        #[arg(long)]
        json: bool,
    },
    /// Set a password; the old one fails at once
    Passwd {
        /// Whose
        #[arg(value_parser = AccountName::parse)]
        name: AccountName,
        /// Read the password from one line of standard input
        #[arg(long)]
        password_stdin: bool,
    },
    /// End two-factor sign-in of an account that has lost its app and recovery codes; its sessions end
    TwoFactorOff {
        /// Whose
        #[arg(value_parser = AccountName::parse)]
        name: AccountName,
    },
    /// Forbid sign-in, at once
    Disable {
        /// Whose
        #[arg(value_parser = AccountName::parse)]
        name: AccountName,
    },
    /// Allow sign-in again
    Enable {
        /// Whose
        #[arg(value_parser = AccountName::parse)]
        name: AccountName,
    },
    /// Remove an account; say what becomes of its files
    Remove {
        /// Which
        #[arg(value_parser = AccountName::parse)]
        name: AccountName,
        /// What becomes of its files
        #[command(flatten)]
        files: FilesChoice,
    },
    /// Let an account administer the server, or no longer
    Role {
        /// Whose
        #[arg(value_parser = AccountName::parse)]
        name: AccountName,
        /// user or admin
        #[arg(value_parser = parse_role)]
        role: Role,
    },
    /// Limit how much an account may store
    Quota {
        /// Whose
        #[arg(value_parser = AccountName::parse)]
        name: AccountName,
        /// 500M, 10G, 1.5T, bytes, or none for no limit
        #[arg(value_parser = parse_quota)]
        size: Limit,
    },
    /// Set an e-mail address: whoever the sign-in provider says has it may sign in to the account
    Email {
        /// Whose
        #[arg(value_parser = AccountName::parse)]
        name: AccountName,
        /// The address, or none
        address: String,
    },
    /// Show why clients of an account failed lately, and what to do
    Failures {
        /// Whose
        #[arg(value_parser = AccountName::parse)]
        name: AccountName,
        /// Print JSON
        #[arg(long)]
        json: bool,
    },
    /// Let somebody of the sign-in provider sign in to an account
    Link {
        /// Which account
        #[arg(value_parser = AccountName::parse)]
        name: AccountName,
        /// Who it is there: the provider's own id, "sub"
        subject: String,
    },
    /// End that again
    Unlink {
        /// Which account
        #[arg(value_parser = AccountName::parse)]
        name: AccountName,
    },
}

/// What becomes of a removed account's files: one must be said.
#[derive(Debug, Args)]
#[group(required = true, multiple = false)]
pub struct FilesChoice {
    /// Leave its files where they are
    #[arg(long)]
    keep_files: bool,
    /// Delete its files, trash and all
    #[arg(long)]
    purge_files: bool,
    /// Delete its files though they lie in a folder that was there before: this one
    #[arg(long, value_name = "PATH")]
    purge: Option<String>,
    /// Move its files into a new folder of this account's drive
    #[arg(long, value_name = "NAME", value_parser = AccountName::parse)]
    transfer_to: Option<AccountName>,
}

impl FilesChoice {
    fn query(&self) -> AccountRemovalQuery {
        let files = if self.transfer_to.is_some() {
            FilesFate::Transfer
        } else if self.purge_files || self.purge.is_some() {
            FilesFate::Purge
        } else {
            FilesFate::Keep
        };
        AccountRemovalQuery {
            files,
            to: self.transfer_to.clone(),
            path: self.purge.clone(),
        }
    }
}

/// A quota as given on the command line; `None` is unlimited.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limit(pub(super) Option<u64>);

pub(super) fn parse_quota(text: &str) -> Result<Limit> {
    if text.eq_ignore_ascii_case("none") {
        Ok(Limit(None))
    } else {
        size::parse(text).map(|bytes| Limit(Some(bytes)))
    }
}

fn parse_role(text: &str) -> Result<Role> {
    match text {
        "user" => Ok(Role::User),
        "admin" => Ok(Role::Admin),
        _ => bail!("{text:?} is no role; write user or admin"),
    }
}

/// Carries out a command and prints what it brought; an error is one sentence for people.
pub async fn run(command: UserCommand, config: Config) -> Result<()> {
    if let UserCommand::Failures { name, json } = command {
        return failures::run(name, json, &config).await;
    }
    let call = command.call()?;
    let may_be_new = matches!(command, UserCommand::Add { .. });
    let work = move |client: Client| async move {
        if let UserCommand::List { json } = command {
            let accounts: Vec<AccountDocument> = client.list(&["accounts"]).await?;
            return if json {
                pretty(&accounts)
            } else {
                Ok(table(&accounts))
            };
        }
        calls::change(&client, &command, call).await
    };
    let text = if may_be_new {
        with_client_of_new(config, work).await?
    } else {
        with_client(config, work).await?
    };
    print(&text)
}

/// Where the files of what was removed are.
pub(super) fn where_kept(place: &str) -> String {
    if place.starts_with('/') {
        return format!("Its files stay where they are, in {place}.\n");
    }
    format!("Its files are in {place}: `sarang removed` brings them back or deletes them.\n")
}

/// What to print when it is done.
fn report_of(command: &UserCommand) -> String {
    match command {
        UserCommand::Add {
            name, admin: true, ..
        } => format!("Added the administrator {name}.\n"),
        UserCommand::Add { name, .. } => format!("Added the account {name}.\n"),
        UserCommand::List { .. } | UserCommand::Failures { .. } => String::new(),
        UserCommand::Passwd { name, .. } => {
            format!("Set the password of {name}; the old one fails from now on.\n")
        }
        UserCommand::TwoFactorOff { name } => {
            format!("Sign-in of {name} asks for no code from now on, and its sessions ended.\n")
        }
        UserCommand::Disable { name } => {
            format!("Disabled {name}: it cannot sign in from now on.\n")
        }
        UserCommand::Enable { name } => format!("Enabled {name}.\n"),
        UserCommand::Remove {
            name,
            files:
                FilesChoice {
                    transfer_to: Some(to),
                    ..
                },
        } => {
            format!("Removed {name}; its files go to {to}.\n")
        }
        UserCommand::Role {
            name,
            role: Role::Admin,
        } => format!("{name} is an administrator now.\n"),
        UserCommand::Role { name, .. } => format!("{name} is no administrator now.\n"),
        UserCommand::Remove { name, files } if files.purge_files || files.purge.is_some() => {
            format!("Removed {name} and its files.\n")
        }
        UserCommand::Remove { name, .. } => format!("Removed {name}.\n"),
        UserCommand::Email { name, address } if address == "none" => {
            format!("{name} has no e-mail address now.\n")
        }
        UserCommand::Email { name, address } => {
            format!("The e-mail address of {name} is {address} now.\n")
        }
        UserCommand::Link { name, subject } => {
            format!("{subject} of the provider signs in to {name} from now on.\n")
        }
        UserCommand::Unlink { name } => {
            format!("{name} is linked to nobody now; its sessions go on.\n")
        }
        UserCommand::Quota { name, size } => {
            format!("Set the quota of {name}: {}.\n", show_quota(size.0))
        }
    }
}

pub(super) fn show_quota(quota: Option<u64>) -> String {
    quota.map_or_else(|| "unlimited".into(), size::show)
}

fn table(accounts: &[AccountDocument]) -> String {
    if accounts.is_empty() {
        return "There are no accounts yet; make one with `sarang user add NAME`.\n".into();
    }
    let width = accounts
        .iter()
        .map(|account| account.name.as_str().len())
        .max()
        .unwrap_or(0)
        .max(4);
    let mut text = format!(
        "{:width$}  {:5}  {:8}  {:>10}  CREATED\n",
        "NAME", "ROLE", "SIGN-IN", "QUOTA"
    );
    for account in accounts {
        let role = match account.role {
            Role::User => "user",
            Role::Admin => "admin",
        };
        let sign_in = if account.disabled {
            "disabled"
        } else {
            "enabled"
        };
        let name = account.name.as_str();
        let quota = show_quota(account.quota);
        let day = account.created.get(..10).unwrap_or_default();
        let _ = writeln!(
            text,
            "{name:width$}  {role:5}  {sign_in:8}  {quota:>10}  {day}"
        );
    }
    text
}

#[cfg(test)]
mod tests;
