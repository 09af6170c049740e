//! What a provider says of somebody, beyond who it is.

use crate::config::NameClaim;
use openidconnect::core::{CoreIdTokenClaims, CoreUserInfoClaims};

/// What the provider says of somebody, beyond who it is.
#[derive(Default)]
pub(super) struct UserClaims {
    pub(super) email: Option<String>,
    pub(super) is_verified: bool,
    preferred: Option<String>,
    nickname: Option<String>,
    pub(super) display_name: Option<String>,
}

macro_rules! said_by {
    ($claims:ty) => {
        impl From<&$claims> for UserClaims {
            fn from(claims: &$claims) -> Self {
                Self {
                    email: claims.email().map(|email| email.as_str().to_owned()),
                    is_verified: claims.email_verified() == Some(true),
                    preferred: claims
                        .preferred_username()
                        .map(|name| name.as_str().to_owned()),
                    nickname: claims
                        .nickname()
                        .and_then(|name| name.get(None))
                        .map(|name| name.as_str().to_owned()),
                    display_name: claims
                        .name()
                        .and_then(|name| name.get(None))
                        .map(|name| name.as_str().to_owned()),
                }
            }
        }
    };
}

said_by!(CoreIdTokenClaims);
said_by!(CoreUserInfoClaims);

impl UserClaims {
    pub(super) fn name(&self, claim: NameClaim) -> Option<&str> {
        match claim {
            NameClaim::PreferredUsername => self.preferred.as_deref(),
            NameClaim::Nickname => self.nickname.as_deref(),
            // An address that is not theirs would be somebody else's name.
            NameClaim::Email => self
                .email
                .as_deref()
                .filter(|_| self.is_verified)
                .and_then(|email| email.split_once('@'))
                .map(|(name, _)| name),
            NameClaim::Sub => Some(""),
        }
    }

    /// This, and what it lacks from `more`; an address and whether it is verified belong together.
    pub(super) fn or(self, more: Self) -> Self {
        let (email, is_verified) = if self.email.is_some() {
            (self.email, self.is_verified)
        } else {
            (more.email, more.is_verified)
        };
        Self {
            email,
            is_verified,
            preferred: self.preferred.or(more.preferred),
            nickname: self.nickname.or(more.nickname),
            display_name: self.display_name.or(more.display_name),
        }
    }
}
