//! The calls of `sarang user`, and what their failures mean.

use super::super::calls::named;
use super::super::prompt;
use super::{FilesChoice, Limit, UserCommand, report_of, where_kept};
use crate::control::{ApiCall, CallError, Client};
use crate::http::api::admin::accounts::{
    AccountPatch, NewAccount, NewEmail, NewPassword, RemovedAccount,
};
use crate::http::api::admin::openid::SubjectWish;
use crate::model::{AccountName, Role};
use anyhow::{Result, anyhow};
use serde_json::Value;
use zeroize::Zeroizing;

impl UserCommand {
    /// The call; asks for a password where one is needed.
    pub(super) fn call(&self) -> Result<ApiCall> {
        let password = |from_stdin| prompt::new_password(from_stdin).map(Zeroizing::new);
        Ok(match self {
            Self::List { .. } => ApiCall::get(&["accounts"]),
            Self::Add {
                name,
                admin,
                quota,
                home,
                password_stdin,
            } => ApiCall::post(&["accounts"]).json(&NewAccount {
                name: name.clone(),
                password: password(*password_stdin)?,
                role: if *admin { Role::Admin } else { Role::User },
                quota: quota.map(|Limit(quota)| quota),
                home: home.clone(),
            }),
            Self::Passwd {
                name,
                password_stdin,
            } => {
                let password = password(*password_stdin)?;
                ApiCall::put(&["accounts", name.as_str(), "password"])
                    .json(&NewPassword { password })
            }
            Self::TwoFactorOff { name } => {
                ApiCall::delete(&["accounts", name.as_str(), "two-factor"])
            }
            Self::Disable { name }
            | Self::Enable { name }
            | Self::Role { name, .. }
            | Self::Quota { name, .. } => {
                ApiCall::patch(&["accounts", name.as_str()]).json(&self.patch())
            }
            Self::Remove { name, files } => {
                ApiCall::delete(&["accounts", name.as_str()]).query(&files.query())
            }
            Self::Failures { name, .. } => ApiCall::get(&["accounts", name.as_str(), "failures"]),
            Self::Email { name, address } => {
                let email = Some(address.clone()).filter(|address| address != "none");
                ApiCall::put(&["accounts", name.as_str(), "email"]).json(&NewEmail { email })
            }
            Self::Link { name, subject } => {
                let subject = subject.clone();
                ApiCall::post(&["accounts", name.as_str(), "openid"]).json(&SubjectWish { subject })
            }
            Self::Unlink { name } => ApiCall::delete(&["accounts", name.as_str(), "openid"]),
        })
    }

    /// What a command changes of the settings of an account.
    fn patch(&self) -> AccountPatch {
        let mut patch = AccountPatch::default();
        match self {
            Self::Disable { .. } => patch.disabled = Some(true),
            Self::Enable { .. } => patch.disabled = Some(false),
            Self::Role { role, .. } => patch.role = Some(*role),
            Self::Quota { size, .. } => patch.quota = Some(size.0),
            _ => {}
        }
        patch
    }

    /// The account that is changed; `None` for a list.
    fn name(&self) -> Option<&AccountName> {
        match self {
            Self::List { .. } => None,
            Self::Add { name, .. }
            | Self::Passwd { name, .. }
            | Self::TwoFactorOff { name }
            | Self::Disable { name }
            | Self::Enable { name }
            | Self::Remove { name, .. }
            | Self::Role { name, .. }
            | Self::Quota { name, .. }
            | Self::Email { name, .. }
            | Self::Failures { name, .. }
            | Self::Link { name, .. }
            | Self::Unlink { name } => Some(name),
        }
    }
}

/// Makes the call of a command that changes one account; says what it brought.
pub(super) async fn change(
    client: &Client,
    command: &UserCommand,
    call: ApiCall,
) -> Result<String> {
    let report = report_of(command);
    let done = match command {
        UserCommand::Remove { files, .. } => client
            .ask(call)
            .await
            .map(|removed| report.clone() + &where_now(files, &removed)),
        _ => client.ask::<Value>(call).await.map(|_| report),
    };
    match (done, command.name()) {
        (Ok(text), _) => Ok(text),
        (Err(error), Some(name)) => Err(explain(client, command, name, error).await),
        (Err(error), None) => Err(error.into()),
    }
}

/// Where the files of a removed account are.
fn where_now(files: &FilesChoice, removed: &RemovedAccount) -> String {
    match (&removed.folder, &removed.kept) {
        (Some(folder), _) => format!("They are in the folder {folder:?} of its drive.\n"),
        _ if files.transfer_to.is_some() => "There were none.\n".into(),
        (None, Some(place)) => where_kept(place),
        (None, None) if files.keep_files => "It had no files.\n".into(),
        (None, None) => String::new(),
    }
}

/// A failure as a sentence that names what was meant.
async fn explain(
    client: &Client,
    command: &UserCommand,
    name: &AccountName,
    error: CallError,
) -> anyhow::Error {
    let is_there = async || client.exists(&["accounts", name.as_str()]).await;
    match command {
        UserCommand::Link { .. } if error.is_taken() => {
            anyhow!("{name} or that subject is linked already.")
        }
        UserCommand::TwoFactorOff { .. }
            if error.is_not_found() && is_there().await.unwrap_or(false) =>
        {
            anyhow!("The sign-in of {name} asks for no code.")
        }
        UserCommand::Unlink { .. } if error.is_not_found() && is_there().await.unwrap_or(false) => {
            anyhow!("{name} is linked to nobody.")
        }
        UserCommand::Remove { .. }
            if !error.is_not_found() && !is_there().await.unwrap_or(true) =>
        {
            anyhow!(
                "The account {name} is removed, but not all was done with its files, which `sarang removed list` shows or the next \
                 start goes on with: {error}"
            )
        }
        _ => named("account", name)(error),
    }
}
