//! Registration as a whole: the account, the groups that its invite puts it in, and what the audit log says of it.

use super::App;
use crate::audit::{Actor, AuditKind};
use crate::auth::{AccountView, Applicant, RegisteredAccount};
use crate::model::{AccountName, Error, Result};
use crate::sharing::groups::GroupName;
use std::fmt::Write as _;
use std::net::IpAddr;

impl App {
    /// Makes an account for somebody who is not signed in; a group of the invite that is no more is passed over, and the
    /// audit log says so. As [`Auth::register`](crate::auth::Auth::register).
    pub async fn register(&self, applicant: Applicant<'_>, from: IpAddr) -> Result<AccountView> {
        let RegisteredAccount { account, invite } = self.auth.register(applicant, from).await?;
        let reporter = self.audit.reporter(Actor::Nobody, Some(from));
        let Some((id, invite)) = invite else {
            reporter
                .done(
                    AuditKind::AccountCreated,
                    account.name.as_str(),
                    "role user, by open registration",
                )
                .await;
            return Ok(account);
        };
        let note = format!("role user, with the invite {id} of {}", invite.by);
        reporter
            .done(AuditKind::AccountCreated, account.name.as_str(), note)
            .await;
        let mut note = format!("made the account {}", account.name);
        for group in &invite.groups {
            let id = invite.group_ids.get(group).map(String::as_str);
            let joined = self.join(group, id, &account.name).await;
            // Writing to a String cannot fail.
            let _ = match &joined {
                Ok(()) => write!(note, ", in the group {group}"),
                Err(Error::NotFound) => {
                    write!(note, ", not in the group {group}, which is no more")
                }
                Err(error) => {
                    tracing::error!(account = %account.name, group, %error, "an invited account is not in its group");
                    write!(
                        note,
                        ", not in the group {group}, for a failure of the server"
                    )
                }
            };
            reporter
                .report(
                    AuditKind::GroupChanged,
                    group,
                    format!("{} joined by invite", account.name),
                    &joined,
                )
                .await;
        }
        reporter.done(AuditKind::InviteUsed, &id, note).await;
        Ok(account)
    }

    async fn join(&self, group: &str, id: Option<&str>, account: &AccountName) -> Result<()> {
        self.sharing
            .groups
            .add(&GroupName::parse(group)?, id, account)
            .await
    }
}
