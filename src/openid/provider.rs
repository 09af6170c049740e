//! What the provider says of itself, asked when it is first needed and again after a while.

use super::{OpenId, ProviderClient, down};
use crate::http_client::error_chain;
use crate::model::{Error, Result};
use openidconnect::core::{CoreClient, CoreClientAuthMethod, CoreProviderMetadata};
use openidconnect::{AuthType, ClientId};
use std::sync::Arc;
use std::time::{Duration, Instant};

/// How long what the provider says of itself is believed.
const METADATA_TTL: Duration = Duration::from_secs(3600);
/// How long a provider that failed is left alone.
const RETRY_DELAY: Duration = Duration::from_secs(1);

/// What is known of the provider.
#[derive(Debug, Default)]
pub(super) struct ProviderCache {
    found: Option<(Arc<CoreProviderMetadata>, Instant)>,
    failed: Option<Instant>,
}

impl OpenId {
    pub(super) fn client(&self, provider: &CoreProviderMetadata) -> ProviderClient {
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
    pub(super) async fn provider(
        &self,
        since: Option<Instant>,
    ) -> Result<Arc<CoreProviderMetadata>> {
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
