//! Two-factor sign-in: after the password a code of an authenticator app or a recovery code, each good once.
//! The account's password alone then opens neither the drive nor the API; programs use app passwords.

use super::account_record::AccountRecord;
use super::clock::now;
use super::password::random_bytes;
use super::password_sign_in::VerifiedAccount;
use super::second_factor::TwoFactor;
use super::{Auth, token};
use crate::model::{AccountName, Error, Identity, Result, Via};
use std::net::IpAddr;
use std::time::Instant;
use zeroize::Zeroizing;

const SECRET_LEN: usize = 20;
const RECOVERY_CODES: usize = 10;
const RECOVERY_LEN: usize = 10;
const VOID: Error =
    Error::Forbidden("There were too many wrong codes: this sign-in is over. Start again.");

/// What an authenticator app needs to know.
pub struct Enrolment {
    /// The secret in base32, to be typed.
    pub secret: Zeroizing<String>,
    /// The same as an address, to be shown as a picture.
    pub uri: Zeroizing<String>,
}

impl std::fmt::Debug for Enrolment {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Enrolment")
    }
}

/// What comes after the password.
#[derive(Clone, Copy)]
pub(super) struct SecondFactorCheck<'a> {
    /// The code, if one was given.
    pub code: Option<&'a str>,
    /// The sign-in that owes it, when it was begun by an earlier request.
    pub half_open: Option<&'a str>,
    /// Where it comes from.
    pub from: IpAddr,
}

impl Auth {
    /// Begins two-factor sign-in for who knows the password; it asks for nothing until it is confirmed.
    /// `Invalid`, `Throttled`, `Busy`, `Exists` when it is on already.
    pub async fn begin_two_factor(
        &self,
        name: &AccountName,
        password: &[u8],
        from: IpAddr,
    ) -> Result<Enrolment> {
        let entry = self.confirm(name, password, "/password", from).await?;
        let bytes = Zeroizing::new(random_bytes::<SECRET_LEN>()?);
        let begun = TwoFactor::begin(bytes.as_slice());
        let edit = move |record: &mut AccountRecord| {
            record.check_same(&entry.account.id(), entry.generation)?;
            if record.two_factor.as_ref().is_some_and(TwoFactor::is_on) {
                return Err(Error::Exists);
            }
            record.two_factor = Some(begun.clone());
            Ok(())
        };
        self.accounts.try_change(name, edit).await?;
        let secret = Zeroizing::new(token::base32(bytes.as_slice()).to_ascii_uppercase());
        let uri = format!(
            "otpauth://totp/Sarang:{name}?secret={}&issuer=Sarang",
            secret.as_str()
        );
        Ok(Enrolment {
            secret,
            uri: Zeroizing::new(uri),
        })
    }

    /// Turns two-factor sign-in on with a first code; the recovery codes, which nobody can tell again.
    /// `Invalid`, `Throttled`, `NotFound` when it was not begun, or not under the present password.
    pub async fn confirm_two_factor(
        &self,
        identity: &Identity,
        code: &str,
    ) -> Result<Vec<Zeroizing<String>>> {
        let name = &identity.account;
        let codes = (0..RECOVERY_CODES)
            .map(|_| token::readable_secret::<RECOVERY_LEN>())
            .collect::<Result<Vec<_>>>()?;
        let hashes: Vec<String> = codes
            .iter()
            .map(|code| token::digest(&token::as_made(code)))
            .collect();
        let tried = self.door.reserve_code(name)?;
        let given = Zeroizing::new(code.to_owned());
        let now = now();
        let id = identity.account_id.clone();
        let generation = identity.generation;
        let edit = move |record: &mut AccountRecord| {
            record.check_same(&id, generation)?;
            let begun = record.two_factor.as_mut().ok_or(Error::NotFound)?;
            if begun.is_on() {
                return Err(Error::Exists);
            }
            if !begun.spend(&given, now) {
                return Err(Error::Unauthenticated);
            }
            (begun.confirmed, begun.recovery) = (true, hashes.clone());
            Ok(())
        };
        let outcome = self.accounts.try_change(name, edit).await;
        if !matches!(outcome, Err(Error::Unauthenticated)) {
            self.door.refund_code(name, tried);
        }
        match outcome {
            Ok(()) => {
                // What was begun by the password alone ends with it.
                let kept = if let Via::Session(id) = &identity.via {
                    Some(id.as_str())
                } else {
                    None
                };
                self.revoke_other_sessions(name, kept).await?;
                Ok(codes)
            }
            Err(Error::Unauthenticated) => Err(Error::Invalid {
                pointer: "/code".into(),
                why: "This is not the code that the app shows now.".into(),
            }),
            Err(error) => Err(error),
        }
    }

    /// Ends two-factor sign-in for who knows the password. `Invalid`, `Throttled`, `Busy`.
    pub async fn end_two_factor(
        &self,
        name: &AccountName,
        password: &[u8],
        from: IpAddr,
    ) -> Result<()> {
        let entry = self.confirm(name, password, "/password", from).await?;
        let edit = move |record: &mut AccountRecord| {
            record.check_same(&entry.account.id(), entry.generation)?;
            record.two_factor = None;
            Ok(())
        };
        self.accounts.try_change(name, edit).await
    }

    /// Ends two-factor sign-in of an account whose app and recovery codes are lost, and its sessions before that: whoever
    /// has found the device is out. `NotFound` also when sign-in asks for no code.
    pub async fn drop_two_factor(&self, name: &AccountName) -> Result<()> {
        if !self.has_two_factor(name) {
            return Err(Error::NotFound);
        }
        self.revoke_other_sessions(name, None).await?;
        self.accounts
            .change(name, |record| record.two_factor = None)
            .await
    }

    /// Whether an account's sign-in asks for a code.
    pub fn has_two_factor(&self, name: &AccountName) -> bool {
        self.accounts
            .find(name)
            .is_some_and(|account| account.wants_code())
    }

    /// What comes after the right password: nothing, or a code. `CodeRequired`, `Unauthenticated`, `Throttled`, and `Forbidden`
    /// when too many wrong codes have ended the sign-in that owes one.
    pub(super) async fn pass_second_step(
        &self,
        name: &AccountName,
        entry: &VerifiedAccount,
        step: SecondFactorCheck<'_>,
    ) -> Result<()> {
        if !entry.account.wants_code() {
            return Ok(());
        }
        let code = Zeroizing::new(step.code.ok_or(Error::CodeRequired)?.to_owned());
        let tried = self.door.reserve_code(name)?;
        let half_open = step.half_open.map(str::to_owned);
        let owed = half_open
            .as_ref()
            .map(|id| self.half_open.reserve(id, None, Instant::now()))
            .transpose();
        let Ok(owed) = owed else {
            self.door.refund_code(name, tried);
            return Err(VOID);
        };
        let id = entry.account.id();
        let generation = entry.generation;
        let now = now();
        let edit = move |record: &mut AccountRecord| {
            let is_present = record.check_same(&id, generation).is_ok();
            let is_right = record
                .two_factor
                .as_mut()
                .is_some_and(|two_factor| two_factor.spend(&code, now));
            if is_present && is_right {
                Ok(())
            } else {
                Err(Error::Unauthenticated)
            }
        };
        let outcome = self.accounts.try_change(name, edit).await;
        match &outcome {
            Ok(()) => {
                self.door.refund_code(name, tried);
                if let Some((id, owed)) = half_open.as_ref().zip(owed) {
                    self.half_open.refund(id, owed);
                }
                self.door.record_success(name.clone(), step.from);
            }
            Err(Error::Unauthenticated) => self.door.record_failure(name, step.from),
            // It stays counted: whether the code was right is not known.
            Err(_) => {}
        }
        outcome
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::AccountsConfig;
    use crate::model::Role;
    use crate::state::memory::MemoryStore;

    #[tokio::test]
    async fn after_five_wrong_codes_a_sign_in_that_owes_one_is_over_for_good() {
        let auth = Auth::open(MemoryStore::new(), &AccountsConfig::default())
            .await
            .unwrap();
        let ana = AccountName::parse("ana").unwrap();
        let from = IpAddr::from([192, 0, 2, 1]);
        auth.create(&ana, b"blue kettle 77", Role::User, None)
            .await
            .unwrap();
        let on = |record: &mut AccountRecord| {
            let recovery = (0..9).map(|n| token::digest(&format!("code{n}"))).collect();
            record.two_factor = Some(TwoFactor {
                confirmed: true,
                recovery,
                ..TwoFactor::begin(b"secret")
            });
        };
        auth.accounts.change(&ana, on).await.unwrap();
        let account = auth.accounts.find(&ana).unwrap();
        let entry = VerifiedAccount {
            generation: account.generation().unwrap(),
            account,
        };
        let give = async |half_open, code| {
            let step = SecondFactorCheck {
                code: Some(code),
                half_open: Some(half_open),
                from,
            };
            auth.pass_second_step(&ana, &entry, step).await
        };
        for n in 0..4 {
            assert!(
                matches!(give("one", "wrong").await, Err(Error::Unauthenticated)),
                "{n}"
            );
        }
        give("one", "code0").await.expect("one is left");
        assert!(matches!(
            give("one", "wrong").await,
            Err(Error::Unauthenticated)
        ));
        assert!(matches!(
            give("one", "code1").await,
            Err(Error::Throttled { .. })
        ));
        auth.door.forget_codes();
        for _ in 0..9 {
            assert!(matches!(
                give("one", "code1").await,
                Err(Error::Forbidden(_))
            ));
        }
        give("two", "code1")
            .await
            .expect("begun anew, and the refused ones took nothing from the account's budget");
    }
}
