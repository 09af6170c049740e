//! The OpenID Connect provider that people may sign in by: authorization code with PKCE, state and nonce; discovery when it is
//! first needed. What an account has to do with it is in `auth`.

mod claims;
mod id_token;
mod provider;
mod signing;
mod transport;

use crate::auth::{Assertion, CredentialSnapshot, PendingSignIn};
use crate::config::{NameClaim, OpenIdConfig};
use crate::http_client::error_chain;
use crate::model::{Error, Result, time};
use crate::state::StateStore;
use claims::UserClaims;
use id_token::{lacks_key, verify};
use openidconnect::core::{
    CoreAuthenticationFlow, CoreClient, CoreIdTokenClaims, CoreTokenResponse, CoreUserInfoClaims,
};
use openidconnect::{
    AuthorizationCode, ClientSecret, CsrfToken, EndpointMaybeSet, EndpointNotSet, EndpointSet,
    IssuerUrl, Nonce, OAuth2TokenResponse, PkceCodeChallenge, PkceCodeVerifier, RedirectUrl,
    RequestTokenError, Scope, TokenResponse,
};
use provider::ProviderCache;
use serde::{Deserialize, Serialize};
use signing::StateSigner;
use std::sync::Arc;
use std::time::{Instant, SystemTime};
use subtle::ConstantTimeEq;
use transport::Transport;
use zeroize::Zeroizing;

/// Seconds that somebody may take at the provider, or to find their code.
pub const SIGN_IN_TIMEOUT: i64 = 600;
/// Where the provider sends browsers back to.
pub const CALLBACK: &str = "/api/v1/openid/callback";

const UNCONFIRMED: Error =
    Error::Forbidden("The provider did not confirm this sign-in. Start again.");
/// Whoever comes back is not who left, or took too long.
pub const STATE_MISMATCH: Error = Error::Forbidden(
    "This sign-in was not begun in this browser, or took too long. Start again from this server's address.",
);

type ProviderClient = CoreClient<
    EndpointSet,
    EndpointNotSet,
    EndpointNotSet,
    EndpointNotSet,
    EndpointMaybeSet,
    EndpointMaybeSet,
>;

/// The provider.
#[derive(Debug)]
pub struct OpenId {
    config: OpenIdConfig,
    secret: Option<ClientSecret>,
    issuer: IssuerUrl,
    redirect: RedirectUrl,
    transport: Transport,
    sealer: StateSigner,
    known: tokio::sync::Mutex<ProviderCache>,
}

/// What somebody goes to the provider for.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub enum Purpose {
    /// To sign in.
    SignIn,
    /// To link the account that is signed in already, while its credentials are those it proved.
    Link(CredentialSnapshot),
}

/// Somebody at the provider.
#[derive(Serialize, Deserialize)]
pub struct SignInState {
    state: String,
    nonce: String,
    verifier: String,
    /// Where in this server they go afterwards.
    pub back: String,
    /// What they went for.
    pub purpose: Purpose,
}

impl std::fmt::Debug for SignInState {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("SignInState")
            .field("purpose", &self.purpose)
            .finish_non_exhaustive()
    }
}

/// The way to the provider, and what the browser keeps meanwhile.
#[derive(Debug)]
pub struct AuthorizationRedirect {
    /// The provider's page.
    pub location: String,
    /// The value of the cookie.
    pub cookie: Zeroizing<String>,
}

/// Somebody who has come back, but still owes a code.
#[derive(Debug, Serialize, Deserialize)]
pub struct PendingCode {
    /// What the provider's word was good for.
    pub admitted: PendingSignIn,
    /// Where in this server they go afterwards.
    pub back: String,
}

impl OpenId {
    /// The provider of the settings, if there is one; it is not asked before it is needed.
    pub async fn open(
        config: &OpenIdConfig,
        public_url: &str,
        store: Arc<dyn StateStore>,
    ) -> Result<Option<Self>> {
        if !config.is_on() {
            return Ok(None);
        }
        let wrong = |error: &dyn std::fmt::Display| {
            Error::io(
                "set up OpenID Connect",
                std::io::Error::other(error.to_string()),
            )
        };
        let secret = config.secret().map_err(|e| wrong(&format!("{e:#}")))?;
        Ok(Some(Self {
            secret: secret.map(|secret| ClientSecret::new(secret.to_string())),
            issuer: IssuerUrl::new(config.issuer.clone()).map_err(|e| wrong(&e))?,
            redirect: RedirectUrl::new(format!("{public_url}{CALLBACK}")).map_err(|e| wrong(&e))?,
            transport: Transport::to(&config.issuer),
            sealer: StateSigner::open(store).await?,
            known: tokio::sync::Mutex::default(),
            config: config.clone(),
        }))
    }

    /// The settings.
    pub fn config(&self) -> &OpenIdConfig {
        &self.config
    }

    /// Sends somebody to the provider. `ProviderDown`.
    pub async fn begin_sign_in(
        &self,
        purpose: Purpose,
        back: String,
    ) -> Result<AuthorizationRedirect> {
        let client = self.client(&*self.provider(None).await?);
        let (challenge, verifier) = PkceCodeChallenge::new_random_sha256();
        let request = client.authorize_url(
            CoreAuthenticationFlow::AuthorizationCode,
            CsrfToken::new_random,
            Nonce::new_random,
        );
        let request = request
            .add_scope(Scope::new("email".into()))
            .add_scope(Scope::new("profile".into()));
        let (location, state, nonce) = request.set_pkce_challenge(challenge).url();
        let state = state.into_secret();
        let nonce = nonce.secret().clone();
        let errand = SignInState {
            state,
            nonce,
            verifier: verifier.into_secret(),
            back,
            purpose,
        };
        Ok(AuthorizationRedirect {
            location: location.into(),
            cookie: self.sealer.sign("errand", errand, now() + SIGN_IN_TIMEOUT),
        })
    }

    /// Who comes back, by what their browser kept. `Forbidden` when it is not the one that left.
    pub fn read_state(&self, kept: &str, state: &str) -> Result<SignInState> {
        let errand: SignInState = self
            .sealer
            .verify("errand", kept, now())
            .ok_or(STATE_MISMATCH)?;
        let is_same: bool = errand.state.as_bytes().ct_eq(state.as_bytes()).into();
        if is_same {
            Ok(errand)
        } else {
            Err(STATE_MISMATCH)
        }
    }

    /// What the browser of somebody keeps who owes a code.
    pub fn write_pending_code(&self, owing: PendingCode) -> Zeroizing<String> {
        self.sealer.sign("owing", owing, now() + SIGN_IN_TIMEOUT)
    }

    /// Who owes a code, by what their browser kept. `Forbidden`.
    pub fn read_pending_code(&self, kept: &str) -> Result<PendingCode> {
        self.sealer
            .verify("owing", kept, now())
            .ok_or(STATE_MISMATCH)
    }

    /// What the provider says of who has come back with a code. `ProviderDown`, `Forbidden` when it says nothing that holds.
    pub async fn exchange_code(
        &self,
        errand: &SignInState,
        code: &str,
        said_issuer: Option<&str>,
    ) -> Result<Assertion> {
        if said_issuer.is_some_and(|issuer| issuer != self.issuer.as_str()) {
            return Err(unconfirmed("the answer is from another issuer"));
        }
        let asked = Instant::now();
        let mut client = self.client(&*self.provider(None).await?);
        let request = client.exchange_code(AuthorizationCode::new(code.to_owned()));
        let request = request.map_err(|e| unconfirmed(error_chain(&e)))?;
        let verifier = PkceCodeVerifier::new(errand.verifier.clone());
        let tokens = match request
            .set_pkce_verifier(verifier)
            .request_async(&self.transport)
            .await
        {
            Ok(tokens) => tokens,
            Err(RequestTokenError::Request(error)) => return Err(down(&error)),
            Err(error) => return Err(unconfirmed(error_chain(&error))),
        };
        let token = tokens
            .id_token()
            .ok_or_else(|| unconfirmed("there is no ID token"))?;
        let nonce = Nonce::new(errand.nonce.clone());
        if lacks_key(&client, token, &nonce) {
            // The provider may have new keys.
            client = self.client(&*self.provider(Some(asked)).await?);
        }
        let claims = verify(&client, &tokens, token, &nonce).map_err(unconfirmed)?;
        self.assertion(&client, &tokens, claims).await
    }

    async fn assertion(
        &self,
        client: &ProviderClient,
        tokens: &CoreTokenResponse,
        claims: &CoreIdTokenClaims,
    ) -> Result<Assertion> {
        let subject = claims.subject();
        let mut said = UserClaims::from(claims);
        if said.email.is_none() || said.name(self.config.name_claim).is_none() {
            let token = tokens.access_token().clone();
            if let Ok(request) = client.user_info(token, Some(subject.clone())) {
                let more: CoreUserInfoClaims = request
                    .request_async(&self.transport)
                    .await
                    .map_err(|e| unconfirmed(error_chain(&e)))?;
                said = said.or(UserClaims::from(&more));
            }
        }
        let name = match self.config.name_claim {
            NameClaim::Sub => Some(subject.as_str().to_owned()),
            claim => said.name(claim).map(str::to_owned),
        };
        Ok(Assertion {
            issuer: self.issuer.as_str().to_owned(),
            subject: subject.as_str().to_owned(),
            email: said.email.filter(|_| said.is_verified),
            name,
            display_name: said.display_name,
        })
    }
}

fn unconfirmed(why: impl std::fmt::Display) -> Error {
    tracing::warn!(%why, "the sign-in provider did not confirm a sign-in");
    UNCONFIRMED
}

fn down(why: &dyn std::fmt::Display) -> Error {
    tracing::warn!(%why, "the sign-in provider cannot be asked");
    Error::ProviderDown
}

fn now() -> i64 {
    time::unix_seconds(SystemTime::now())
}
