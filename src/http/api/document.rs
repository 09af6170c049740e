//! The API's own description (`OpenAPI` 3.1), made from the code; `docs/openapi.json` is its golden copy.

use super::problem::Failures;
use crate::http::problem_document::{FieldProblem, ProblemDocument};
use utoipa::openapi::security::{ApiKey, ApiKeyValue, Http, HttpAuthScheme, SecurityScheme};
use utoipa::{Modify, OpenApi};

/// What routes are grouped under.
#[derive(Debug)]
pub struct ApiTag;

impl ApiTag {
    /// The first administrator.
    pub const SETUP: &'static str = "Set-up";
    /// Signing in and out.
    pub const SIGN_IN: &'static str = "Sign-in";
    /// Making an account for oneself.
    pub const REGISTRATION: &'static str = "Registration";
    /// The account that asks.
    pub const ACCOUNT: &'static str = "Account";
    /// Files and folders.
    pub const FILES: &'static str = "Files";
    /// All accounts, for administrators.
    pub const ACCOUNTS: &'static str = "Accounts";
    /// The server as a whole.
    pub const SERVER: &'static str = "Server";
    /// Locks.
    pub const LOCKS: &'static str = "Locks";
    /// What accounts show each other.
    pub const SHARES: &'static str = "Shares";
    /// Groups of accounts.
    pub const GROUPS: &'static str = "Groups";
    /// Folders that belong to no account.
    pub const TEAM_FOLDERS: &'static str = "Team folders";
    /// Uploads that can be gone on with.
    pub const UPLOADS: &'static str = "Resumable uploads";
    /// What was deleted and overwritten.
    pub const HISTORY: &'static str = "Trash and versions";
    /// Public links.
    pub const LINKS: &'static str = "Links";
}

#[derive(OpenApi)]
#[openapi(
    info(title = "Sarang", description = "What WebDAV has no word for: accounts, sharing, administration."),
    components(schemas(ProblemDocument, FieldProblem)),
    modifiers(&SecuritySchemes, &SharedResponses),
    security(("basic" = []), ("bearer" = []), ("cookie" = []))
)]
struct ApiDocument;

/// The ways to sign in.
struct SecuritySchemes;

impl Modify for SecuritySchemes {
    fn modify(&self, document: &mut utoipa::openapi::OpenApi) {
        let components = document.components.get_or_insert_default();
        components.add_security_scheme(
            "basic",
            SecurityScheme::Http(Http::new(HttpAuthScheme::Basic)),
        );
        components.add_security_scheme(
            "bearer",
            SecurityScheme::Http(Http::new(HttpAuthScheme::Bearer)),
        );
        components.add_security_scheme(
            "cookie",
            SecurityScheme::ApiKey(ApiKey::Cookie(ApiKeyValue::new("sid"))),
        );
    }
}

/// What routes answer alike.
struct SharedResponses;

impl Modify for SharedResponses {
    fn modify(&self, document: &mut utoipa::openapi::OpenApi) {
        document
            .components
            .get_or_insert_default()
            .responses
            .extend(Failures::described());
    }
}

/// The document without its routes.
pub(super) fn head() -> utoipa::openapi::OpenApi {
    ApiDocument::openapi()
}

/// The document as it is served and kept.
pub(super) fn text(document: &utoipa::openapi::OpenApi) -> String {
    document.to_pretty_json().unwrap_or_default()
}

#[cfg(test)]
mod tests {
    /// Run with `SARANG_GOLDEN=write` to accept a change.
    #[test]
    fn the_golden_copy_is_the_document() {
        let (_, document) = super::super::documented();
        let present = super::text(&document) + "\n";
        let path = concat!(env!("CARGO_MANIFEST_DIR"), "/docs/openapi.json");
        if std::env::var("SARANG_GOLDEN").is_ok_and(|wish| wish == "write") {
            std::fs::write(path, &present).unwrap();
        }
        let kept = std::fs::read_to_string(path).unwrap_or_default();
        assert!(
            kept == present,
            "docs/openapi.json is not what the code says; SARANG_GOLDEN=write accepts the change"
        );
    }
}
