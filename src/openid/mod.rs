//! The OpenID Connect provider that people may sign in by: authorization code with PKCE, state and nonce; discovery when it is
//! first needed. What an account has to do with it is in `auth`.

mod signing;
mod transport;

use crate::auth::{Assertion, CredentialSnapshot, PendingSignIn};
use crate::config::{NameClaim, OpenIdConfig};
use crate::http_client::error_chain;
use crate::model::{Error, Result, time};
use openidconnect::core::{
    CoreAuthenticationFlow, CoreClient, CoreClientAuthMethod, CoreIdToken, CoreIdTokenClaims,
    CoreIdTokenVerifier, CoreJwsSigningAlgorithm, CoreProviderMetadata, CoreTokenResponse,
    CoreUserInfoClaims,
};
use openidconnect::{
    AccessTokenHash, AuthType, AuthorizationCode, ClaimsVerificationError, ClientId, ClientSecret,
    CsrfToken, EndpointMaybeSet, EndpointNotSet, EndpointSet, IssuerUrl, Nonce,
    OAuth2TokenResponse, PkceCodeChallenge, PkceCodeVerifier, RedirectUrl, RequestTokenError,
    Scope, SignatureVerificationError, TokenResponse,
};
use serde::{Deserialize, Serialize};
use signing::StateSigner;
use std::sync::Arc;
use std::time::{Duration, Instant, SystemTime};
use subtle::ConstantTimeEq;
use transport::Transport;
use zeroize::Zeroizing;

/// Seconds that somebody may take at the provider, or to find their code.
pub const SIGN_IN_TIMEOUT: i64 = 600;
/// Where the provider sends browsers back to.
pub const CALLBACK: &str = "/api/v1/openid/callback";
/// How long what the provider says of itself is believed.
const METADATA_TTL: Duration = Duration::from_secs(3600);
/// How long a provider that failed is left alone.
const RETRY_DELAY: Duration = Duration::from_secs(1);

const UNCONFIRMED: Error =
    Error::Forbidden("The provider did not confirm this sign-in. Start again.");
/// Whoever comes back is not who left, or took too long.
pub const STATE_MISMATCH: Error = Error::Forbidden(
    "This sign-in was not begun in this browser, or took too long. Start again from this server's address.",
);

/// The algorithms that only the provider can sign with: never `none`, never one whose key is the client's secret.
const ALGORITHMS: [CoreJwsSigningAlgorithm; 9] = [
    CoreJwsSigningAlgorithm::RsaSsaPkcs1V15Sha256,
    CoreJwsSigningAlgorithm::RsaSsaPkcs1V15Sha384,
    CoreJwsSigningAlgorithm::RsaSsaPkcs1V15Sha512,
    CoreJwsSigningAlgorithm::RsaSsaPssSha256,
    CoreJwsSigningAlgorithm::RsaSsaPssSha384,
    CoreJwsSigningAlgorithm::RsaSsaPssSha512,
    CoreJwsSigningAlgorithm::EcdsaP256Sha256,
    CoreJwsSigningAlgorithm::EcdsaP384Sha384,
    CoreJwsSigningAlgorithm::EdDsa,
];

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

/// What is known of the provider.
#[derive(Debug, Default)]
struct ProviderCache {
    found: Option<(Arc<CoreProviderMetadata>, Instant)>,
    failed: Option<Instant>,
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
        f.debug_struct("Errand")
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
    pub fn open(config: &OpenIdConfig, public_url: &str) -> Result<Option<Self>> {
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
            sealer: StateSigner::new().map_err(|e| wrong(&e))?,
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

    fn client(&self, provider: &CoreProviderMetadata) -> ProviderClient {
        let id = ClientId::new(self.config.client_id.clone());
        let methods = provider.token_endpoint_auth_methods_supported();
        let takes = |method| methods.is_some_and(|known| known.contains(&method));
        let in_body = takes(CoreClientAuthMethod::ClientSecretPost)
            && !takes(CoreClientAuthMethod::ClientSecretBasic);
        let client = CoreClient::from_provider_metadata(provider.clone(), id, self.secret.clone());
        let client = client.set_redirect_uri(self.redirect.clone());
        if in_body {
            client.set_auth_type(AuthType::RequestBody)
        } else {
            client
        }
    }

    /// What the provider says of itself and its keys, learned after `since` where that is given. `ProviderDown`.
    async fn provider(&self, since: Option<Instant>) -> Result<Arc<CoreProviderMetadata>> {
        let mut known = self.known.lock().await;
        let is_new =
            |at: &Instant| at.elapsed() < METADATA_TTL && since.is_none_or(|since| *at > since);
        if let Some((provider, _)) = known.found.as_ref().filter(|(_, at)| is_new(at)) {
            return Ok(provider.clone());
        }
        let stale = || {
            known
                .found
                .as_ref()
                .filter(|_| since.is_none())
                .map(|(provider, _)| provider.clone())
        };
        if known.failed.is_some_and(|at| at.elapsed() < RETRY_DELAY) {
            return stale().ok_or(Error::ProviderDown);
        }
        match self.discover().await {
            Ok(provider) => {
                let provider = Arc::new(provider);
                *known = ProviderCache {
                    found: Some((provider.clone(), Instant::now())),
                    failed: None,
                };
                Ok(provider)
            }
            Err(why) => {
                let stale = stale();
                known.failed = Some(Instant::now());
                stale.ok_or_else(|| down(&why))
            }
        }
    }

    async fn discover(&self) -> Result<CoreProviderMetadata, String> {
        let found =
            CoreProviderMetadata::discover_async(self.issuer.clone(), &self.transport).await;
        let found = found.map_err(|error| error_chain(&error))?;
        let page = found.authorization_endpoint().as_str();
        if self.transport.admits(page) {
            Ok(found)
        } else {
            Err(format!("its page {page} is not on https"))
        }
    }
}

/// What the provider says of somebody, beyond who it is.
#[derive(Default)]
struct UserClaims {
    email: Option<String>,
    is_verified: bool,
    preferred: Option<String>,
    nickname: Option<String>,
    display_name: Option<String>,
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
    fn name(&self, claim: NameClaim) -> Option<&str> {
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
    fn or(self, more: Self) -> Self {
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

fn verifier_of(client: &ProviderClient) -> CoreIdTokenVerifier<'_> {
    client.id_token_verifier().set_allowed_algs(ALGORITHMS)
}

/// Whether an ID token is signed with a key that is not known.
fn lacks_key(client: &ProviderClient, token: &CoreIdToken, nonce: &Nonce) -> bool {
    let verdict = token.claims(&verifier_of(client), nonce);
    let Err(ClaimsVerificationError::SignatureVerification(error)) = verdict else {
        return false;
    };
    matches!(
        error,
        SignatureVerificationError::NoMatchingKey | SignatureVerificationError::CryptoError(_)
    )
}

/// The claims of an ID token: signature, issuer, audience, expiry, nonce and the access token that it came with.
fn verify<'t>(
    client: &ProviderClient,
    tokens: &CoreTokenResponse,
    token: &'t CoreIdToken,
    nonce: &Nonce,
) -> Result<&'t CoreIdTokenClaims, String> {
    let verifier = verifier_of(client);
    let claims = token
        .claims(&verifier, nonce)
        .map_err(|error| error_chain(&error))?;
    check_party(claims, client.client_id())?;
    let Some(expected) = claims.access_token_hash() else {
        return Ok(claims);
    };
    let algorithm = token.signing_alg();
    let key = token.signing_key(&verifier);
    let algorithm = algorithm.map_err(|e| error_chain(&e))?;
    let key = key.map_err(|e| error_chain(&e))?;
    let found = AccessTokenHash::from_token(tokens.access_token(), algorithm, key)
        .map_err(|e| error_chain(&e))?;
    if found == *expected {
        Ok(claims)
    } else {
        Err("the ID token is of another access token".into())
    }
}

/// Refuses an ID token that was issued to another client (OpenID Connect Core 3.1.3.7, steps 4 and 5): `azp` must be ours, and
/// there where several audiences are named. Step 3, that none of these is another's, the crate has checked.
fn check_party(claims: &CoreIdTokenClaims, own: &ClientId) -> Result<(), String> {
    match claims.authorized_party() {
        Some(party) if party == own => Ok(()),
        Some(party) => Err(format!(
            "the ID token was issued to another client, {:?}",
            party.as_str()
        )),
        None if claims.audiences().len() > 1 => {
            Err("the ID token has several audiences and no authorized party".into())
        }
        None => Ok(()),
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
