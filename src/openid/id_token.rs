//! Checking ID tokens (OpenID Connect Core 3.1.3.7).

use super::ProviderClient;
use crate::http_client::error_chain;
use openidconnect::core::{
    CoreIdToken, CoreIdTokenClaims, CoreIdTokenVerifier, CoreJwsSigningAlgorithm, CoreTokenResponse,
};
use openidconnect::{
    AccessTokenHash, ClaimsVerificationError, ClientId, Nonce, OAuth2TokenResponse,
    SignatureVerificationError,
};

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

fn verifier_of(client: &ProviderClient) -> CoreIdTokenVerifier<'_> {
    client.id_token_verifier().set_allowed_algs(ALGORITHMS)
}

/// Whether an ID token is signed with a key that is not known.
pub(super) fn lacks_key(client: &ProviderClient, token: &CoreIdToken, nonce: &Nonce) -> bool {
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
pub(super) fn verify<'t>(
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
