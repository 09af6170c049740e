//! One order at the ACME server.

use super::blocking;
use super::challenge::Challenges;
use crate::certs::file;
use crate::config::AcmeConfig;
use crate::http_client::{HttpClient, error_chain};
use http_body_util::{BodyExt, Full};
use instant_acme::{
    Account, AccountCredentials, AuthorizationStatus, BodyWrapper, BytesResponse, ChallengeType,
    Error, Identifier, NewAccount, NewOrder, Order, OrderStatus, RetryPolicy,
};
use std::path::PathBuf;
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

/// For each answer.
const PATIENCE: Duration = Duration::from_secs(30);
/// For a proof to be looked at, and for a certificate to be signed.
const POLLING: RetryPolicy = RetryPolicy::new()
    .initial_delay(Duration::from_millis(250))
    .backoff(1.5)
    .timeout(Duration::from_secs(90));
/// How often an order is begun anew whose nonces were refused; within each, so is every request.
const ORDERS: usize = 3;
const BAD_NONCE: &str = "urn:ietf:params:acme:error:badNonce";
const RATE_LIMITED: &str = "urn:ietf:params:acme:error:rateLimited";
const NO_ACCOUNT: &str = "urn:ietf:params:acme:error:accountDoesNotExist";

/// Why there is no certificate.
#[derive(Clone, Debug)]
pub(super) struct IssueError {
    /// As the end of a sentence.
    pub why: String,
    /// Whether the ACME server said that it was too much.
    pub is_limit: bool,
}

/// Who signs certificates.
pub(super) trait CertificateIssuer: Send + Sync {
    /// A certificate for one name with its chain, and its key, in PEM.
    fn obtain(&self, domain: &str) -> impl Future<Output = Result<String, IssueError>> + Send;
}

/// An ACME server, by its directory.
#[derive(Debug)]
pub(super) struct AcmeIssuer {
    config: AcmeConfig,
    folder: PathBuf,
    challenges: Challenges,
    outgoing: Arc<HttpClient>,
}

impl CertificateIssuer for AcmeIssuer {
    async fn obtain(&self, domain: &str) -> Result<String, IssueError> {
        let mut failed = Error::Str("no order");
        for _ in 0..ORDERS {
            match self.order(domain).await {
                Ok(pem) => return Ok(pem),
                Err(error) if kind(&error) == Some(BAD_NONCE) => failed = error,
                Err(error) => {
                    if kind(&error) == Some(NO_ACCOUNT) {
                        // The next try makes another.
                        let path = self.account_file();
                        let _ = blocking(move || std::fs::remove_file(path)).await;
                    }
                    return Err(refusal(&error));
                }
            }
        }
        Err(refusal(&failed))
    }
}

impl AcmeIssuer {
    pub(super) fn new(config: AcmeConfig, folder: PathBuf, challenges: Challenges) -> Self {
        let authority = Some(config.authority.clone()).filter(|path| !path.as_os_str().is_empty());
        Self {
            config,
            folder,
            challenges,
            outgoing: Arc::new(HttpClient::new(authority, PATIENCE)),
        }
    }

    fn account_file(&self) -> PathBuf {
        self.folder.join("account.json")
    }

    /// The account, made at the first need.
    async fn account(&self) -> Result<Account, Error> {
        let client = || Account::builder_with_http(Box::new(AcmeHttpClient(self.outgoing.clone())));
        let path = self.account_file();
        let known = path.clone();
        if let Some(bytes) = blocking(move || file::read(&known)).await.map_err(other)? {
            let credentials: AccountCredentials = serde_json::from_slice(&bytes)?;
            return client().from_credentials(credentials).await;
        }
        let contact = format!("mailto:{}", self.config.contact);
        let contact: &[&str] = if self.config.contact.is_empty() {
            &[]
        } else {
            &[&contact]
        };
        let wanted = NewAccount {
            contact,
            terms_of_service_agreed: self.config.agree_terms,
            only_return_existing: false,
        };
        let (account, credentials) = client()
            .create(&wanted, self.config.directory_url().to_owned(), None)
            .await?;
        let text = serde_json::to_vec(&credentials)?;
        blocking(move || file::put(&path, &text))
            .await
            .map_err(other)?;
        Ok(account)
    }

    async fn order(&self, domain: &str) -> Result<String, Error> {
        let account = self.account().await?;
        let wanted = [Identifier::Dns(domain.to_ascii_lowercase())];
        let mut order = account.new_order(&NewOrder::new(&wanted)).await?;
        let mut shown = Vec::new();
        let mut authorizations = order.authorizations();
        while let Some(authorization) = authorizations.next().await {
            let mut authorization = authorization?;
            match authorization.status {
                AuthorizationStatus::Valid => continue,
                AuthorizationStatus::Pending => {}
                _ => return Err(Error::Str("an authorization that is still open")),
            }
            let challenge = authorization.challenge(ChallengeType::TlsAlpn01);
            let mut challenge = challenge.ok_or(Error::Unsupported("the challenge TLS-ALPN-01"))?;
            let digest = challenge.key_authorization().digest();
            shown.push(
                self.challenges
                    .show(domain, digest.as_ref())
                    .map_err(other)?,
            );
            challenge.set_ready().await?;
        }
        if !shown.is_empty() {
            let proven = order.poll_ready(&POLLING).await;
            if !matches!(proven, Ok(OrderStatus::Ready)) {
                let why = why_unproven(&mut order).await;
                return Err(why.map_or_else(
                    || proven.err().unwrap_or(Error::Str("a proof of the name")),
                    |why| other(why.as_str()),
                ));
            }
        }
        drop(shown);
        let key = order.finalize().await?;
        let chain = order.poll_certificate(&POLLING).await?;
        Ok(chain + &key)
    }
}

/// What the ACME server says of the proofs that it did not get.
async fn why_unproven(order: &mut Order) -> Option<String> {
    let mut authorizations = order.authorizations();
    while let Some(authorization) = authorizations.next().await {
        let mut authorization = authorization.ok()?;
        let mut refreshed = authorization.refresh().await.map(drop);
        if refreshed
            .as_ref()
            .is_err_and(|error| kind(error) == Some(BAD_NONCE))
        {
            refreshed = authorization.refresh().await.map(drop);
        }
        refreshed.ok()?;
        let state = &*authorization;
        let mut errors = state
            .challenges
            .iter()
            .filter_map(|challenge| challenge.error.as_ref());
        if let Some(problem) = errors.next() {
            let detail = problem.detail.as_deref().unwrap_or("it does not say why");
            return Some(format!(
                "the ACME server did not get the proof from this server ({detail}); does port 443 of the name lead to an address in tls.listen?"
            ));
        }
    }
    None
}

fn kind(error: &Error) -> Option<&str> {
    match error {
        Error::Api(problem) => problem.r#type.as_deref(),
        _ => None,
    }
}

fn refusal(error: &Error) -> IssueError {
    IssueError {
        why: error_chain(error),
        is_limit: kind(error) == Some(RATE_LIMITED),
    }
}

fn other(error: impl Into<Box<dyn std::error::Error + Send + Sync>>) -> Error {
    Error::Other(error.into())
}

struct AcmeHttpClient(Arc<HttpClient>);

impl instant_acme::HttpClient for AcmeHttpClient {
    fn request(
        &self,
        request: http::Request<BodyWrapper<bytes::Bytes>>,
    ) -> Pin<Box<dyn Future<Output = Result<BytesResponse, Error>> + Send>> {
        let outgoing = self.0.clone();
        Box::pin(async move {
            if request.uri().scheme_str() != Some("https") {
                return Err(other(format!("{} is no address with TLS", request.uri())));
            }
            let (head, body) = request.into_parts();
            let body = body.collect().await.map_err(other)?.to_bytes();
            let response = outgoing
                .send(http::Request::from_parts(head, body))
                .await
                .map_err(other)?;
            Ok(BytesResponse::from(response.map(Full::new)))
        })
    }
}
