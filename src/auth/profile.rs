//! What an account says of itself and changes by itself: display name, e-mail address, password. An e-mail address may let
//! somebody in (`link_by_email`), so it changes only with the password.

use super::account_record::{AccountRecord, EmailSource, Profile};
use super::{Auth, PasswordCredentials, Session};
use crate::model::{AccountName, Error, Identity, Result, Via};
use serde::{Deserialize, Deserializer};
use std::net::IpAddr;

const MAX_DISPLAY_NAME: usize = 100;
const MAX_EMAIL: usize = 254;

/// What becomes of one field.
#[derive(Clone, Debug, Default)]
pub enum FieldChange {
    /// It stays.
    #[default]
    Keep,
    /// It goes; in JSON, `null`.
    Remove,
    /// It becomes this.
    Set(String),
}

/// What changes of a profile.
#[derive(Clone, Debug, Default)]
pub struct ProfileChange {
    /// The name that people see.
    pub display_name: FieldChange,
    /// The e-mail address.
    pub email: FieldChange,
}

impl<'de> Deserialize<'de> for FieldChange {
    fn deserialize<D: Deserializer<'de>>(field: D) -> Result<Self, D::Error> {
        Ok(Option::deserialize(field)?.map_or(Self::Remove, Self::Set))
    }
}

impl FieldChange {
    /// Whether the field stays.
    pub fn is_kept(&self) -> bool {
        matches!(self, Self::Keep)
    }

    fn checked(self, check: impl FnOnce(&str) -> Result<String>) -> Result<Self> {
        match self {
            Self::Set(text) => check(&text).map(Self::Set),
            Self::Keep | Self::Remove => Ok(self),
        }
    }

    fn apply(self, field: &mut Option<String>) {
        match self {
            Self::Keep => {}
            Self::Remove => *field = None,
            Self::Set(text) => *field = Some(text),
        }
    }
}

impl ProfileChange {
    /// The same without blanks around; `Invalid` says what cannot be.
    pub(super) fn checked(self) -> Result<Self> {
        let display_name = self.display_name.checked(check_display_name)?;
        Ok(Self {
            display_name,
            email: self.email.checked(check_email)?,
        })
    }

    /// As a new account says it of itself: nobody vouches for its address.
    pub(super) fn apply(self, record: &mut AccountRecord) {
        self.display_name.apply(&mut record.display_name);
        self.email.apply(&mut record.email);
    }
}

/// Sets an address that `source` vouches for. What an administrator said once is not made less by saying it again.
fn set_email(record: &mut AccountRecord, email: Option<String>, (source, at): (EmailSource, i64)) {
    let is_better = record.email_source.is_none_or(|present| source < present);
    if record.email != email || (email.is_some() && is_better) {
        record.email_source = email.as_ref().map(|_| source);
        record.email_since = Some(at);
        record.email = email;
    }
}

impl Auth {
    /// What an account says of itself.
    pub fn profile(&self, name: &AccountName) -> Option<Profile> {
        self.accounts.find(name).map(|account| account.profile())
    }

    /// Changes what an account says of itself; another e-mail address only with the present password, and the same one with
    /// the password is confirmed. `Invalid`, `NotFound`, `Throttled`, `Busy`, `Conflict`.
    pub async fn change_profile(
        &self,
        name: &AccountName,
        change: ProfileChange,
        password: Option<&[u8]>,
        from: IpAddr,
    ) -> Result<()> {
        let ProfileChange {
            display_name,
            email,
        } = change.checked()?;
        let present = self.profile(name).ok_or(Error::NotFound)?.email;
        let email = match email {
            FieldChange::Keep => None,
            FieldChange::Remove => Some(None),
            FieldChange::Set(email) => Some(Some(email)),
        };
        // Clients send back what they were shown.
        let email = email.filter(|email| password.is_some() || *email != present);
        let entry = match (&email, password) {
            (None, _) => None,
            (Some(_), Some(password)) => {
                Some(self.confirm(name, password, "/password", from).await?)
            }
            (Some(_), None) => {
                let why = "Another e-mail address needs your present password.".into();
                return Err(Error::Invalid {
                    pointer: "/password".into(),
                    why,
                });
            }
        };
        let accounts = self.accounts.clone();
        let edit = move |record: &mut AccountRecord| {
            if let (Some(email), Some(entry)) = (&email, &entry) {
                record.check_same(&entry.account.id(), entry.generation)?;
                let at = accounts.next_claim(email.as_deref().unwrap_or_default());
                set_email(record, email.clone(), (EmailSource::Owner, at));
            }
            display_name.clone().apply(&mut record.display_name);
            Ok(())
        };
        self.accounts.try_change(name, edit).await
    }

    /// Sets the e-mail address of an account for an administrator, who vouches for it. `NotFound`, `Invalid`, also when one
    /// vouched for it as another account's.
    pub async fn set_email(&self, name: &AccountName, email: Option<String>) -> Result<()> {
        let email = email.map(|email| check_email(&email)).transpose()?;
        let accounts = self.accounts.clone();
        let own = name.clone();
        let edit = move |record: &mut AccountRecord| {
            let other = email
                .as_deref()
                .and_then(|email| accounts.vouched_for(email))
                .filter(|other| *other != own);
            if let Some(other) = other {
                let why = format!(
                    "This is the address of {other} already, and one address is of one account."
                );
                return Err(Error::Invalid {
                    pointer: "/email".into(),
                    why,
                });
            }
            let at = accounts.next_claim(email.as_deref().unwrap_or_default());
            set_email(record, email.clone(), (EmailSource::Administrator, at));
            Ok(())
        };
        self.accounts.try_change(name, edit).await
    }

    /// Changes the password for who knows the old one. Every session, bearer, app password and remembered verdict of the
    /// account ends, but for the session that asks. `Invalid`, `Throttled`, `Busy`, `Conflict`.
    pub async fn change_password(
        &self,
        identity: &Identity,
        (old, new): (&[u8], &[u8]),
        from: IpAddr,
    ) -> Result<()> {
        let name = &identity.account;
        let entry = self.confirm(name, old, "/old", from).await?;
        let hash = self
            .hash_new(name, new)
            .await
            .map_err(|error| at("/new", error))?;
        let before = entry.generation;
        let after = entry.generation + 1;
        let edit = move |record: &mut AccountRecord| {
            record.check_same(&entry.account.id(), before)?;
            record.password.clone_from(&hash);
            record.end_generation();
            Ok(())
        };
        let kept = match &identity.via {
            Via::Session(id) => Some(id.as_str()),
            Via::Password | Via::AppPassword(_) | Via::Link(_) => None,
        };
        let session = kept
            .and_then(|id| self.sessions.get(id))
            .filter(|session| session.is_of(before));
        let session = session.map(|session| session.kept());
        self.accounts
            .try_change_keeping(name, session, edit)
            .await?;
        if let Some(id) = kept {
            let carry_over = move |session: &mut Session| session.carry_over(before, after);
            match self.sessions.change(id, carry_over).await {
                Ok(()) | Err(Error::NotFound) => {}
                Err(error) => return Err(error),
            }
        }
        self.purge_revoked(name).await;
        Ok(())
    }

    /// Asks once more for the password of who is signed in; a wrong one is `Invalid` at `pointer` and counts as a failed sign-in.
    pub(super) async fn confirm(
        &self,
        name: &AccountName,
        password: &[u8],
        pointer: &str,
        from: IpAddr,
    ) -> Result<super::password_sign_in::VerifiedAccount> {
        let wrong = |error| match error {
            Error::Unauthenticated => Error::Invalid {
                pointer: pointer.into(),
                why: "This is not your present password.".into(),
            },
            other => other,
        };
        self.door
            .check(
                PasswordCredentials {
                    user: name.as_str(),
                    password,
                },
                from,
            )
            .await
            .map_err(wrong)
    }
}

/// A refusal of a value as one that points at its field.
pub(super) fn at(pointer: &str, error: Error) -> Error {
    match error {
        Error::BadRequest(why) | Error::BadName(why) => Error::Invalid {
            pointer: pointer.into(),
            why: why.into(),
        },
        other => other,
    }
}

fn check_display_name(text: &str) -> Result<String> {
    let name = text.trim();
    if name.is_empty() || name.chars().count() > MAX_DISPLAY_NAME || name.chars().any(is_hidden) {
        return Err(at(
            "/display_name",
            Error::BadRequest("A display name has 1 to 100 visible characters."),
        ));
    }
    Ok(name.to_owned())
}

fn check_email(text: &str) -> Result<String> {
    let email = text.trim();
    let is_plain =
        email.len() <= MAX_EMAIL && !email.chars().any(|c| c.is_whitespace() || is_hidden(c));
    let has_sides = email
        .rsplit_once('@')
        .is_some_and(|(user, host)| !user.is_empty() && !host.is_empty());
    if is_plain && has_sides {
        return Ok(email.to_owned());
    }
    Err(at(
        "/email",
        Error::BadRequest("This is not an e-mail address."),
    ))
}

/// Control characters, and those that turn or hide the text around them.
fn is_hidden(c: char) -> bool {
    c.is_control()
        || matches!(c, '\u{200b}'..='\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2060}'..='\u{2069}' | '\u{feff}')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_and_addresses_are_what_people_write() {
        assert_eq!(check_display_name(" Ana Müller ").unwrap(), "Ana Müller");
        assert_eq!(
            check_email(" ana@drive.example ").unwrap(),
            "ana@drive.example"
        );
        for bad in ["", "  ", "a\nb", "a\u{202e}b", &"x".repeat(101)] {
            assert!(
                matches!(check_display_name(bad), Err(Error::Invalid { pointer, .. }) if pointer == "/display_name")
            );
        }
        for bad in [
            "",
            "ana",
            "@drive",
            "ana@",
            "a na@drive",
            &format!("{}@x", "a".repeat(254)),
        ] {
            assert!(
                matches!(check_email(bad), Err(Error::Invalid { pointer, .. }) if pointer == "/email"),
                "{bad}"
            );
        }
    }
}
