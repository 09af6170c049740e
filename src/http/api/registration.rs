//! Registration: a new account, made by whoever will use it.

use super::ApiTag;
use super::caller::PublicCaller;
use super::json::Json;
use super::problem::{Failures, Problem};
use crate::auth::{Applicant, FieldChange, ProfileChange};
use crate::http::csrf;
use crate::model::{AccountName, Role};
use http::StatusCode;
use http::request::Parts;
use serde::{Deserialize, Serialize};
use std::sync::Arc;
use utoipa::ToSchema;
use zeroize::Zeroizing;

/// Who wants an account.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct Application {
    /// The name it shall have.
    name: String,
    /// Its password.
    #[schema(value_type = String)]
    password: Zeroizing<String>,
    /// The secret of an invite; needed unless everybody may register.
    #[schema(value_type = Option<String>)]
    invite: Option<Zeroizing<String>>,
    /// The name that people shall see.
    display_name: Option<String>,
    /// The e-mail address.
    email: Option<String>,
}

impl std::fmt::Debug for Application {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Application")
            .field("name", &self.name)
            .finish_non_exhaustive()
    }
}

/// An account that was just made.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Registered)]
pub struct RegisteredView {
    /// Its name.
    pub name: AccountName,
    /// Its role.
    pub role: Role,
    /// Its quota in bytes; absent when unlimited.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub quota: Option<u64>,
}

/// Makes an account, with an invite or where everybody may; it can sign in at once.
#[utoipa::path(post, path = "/api/v1/register", tag = ApiTag::REGISTRATION, operation_id = "register", security(()),
    request_body = Application, responses((status = 201, body = RegisteredView), Failures))]
pub async fn register(
    PublicCaller { app, client }: PublicCaller,
    head: Parts,
    Json(application): Json<Application>,
) -> Result<(StatusCode, axum::Json<RegisteredView>), Problem> {
    csrf::check_if_known(&app.config.server, &head)?;
    let work = Arc::clone(&app);
    let account = app.run_to_completion(async move {
        let profile = ProfileChange {
            display_name: application
                .display_name
                .map_or(FieldChange::Keep, FieldChange::Set),
            email: application
                .email
                .map_or(FieldChange::Keep, FieldChange::Set),
        };
        let applicant = Applicant {
            name: &application.name,
            password: application.password.as_bytes(),
            invite: application.invite.as_deref().map(String::as_str),
            profile,
        };
        work.register(applicant, client).await
    });
    let account = account.await?;
    tracing::info!(account = account.name.as_str(), "an account was registered");
    let registered = RegisteredView {
        name: account.name,
        role: account.role,
        quota: account.quota,
    };
    Ok((StatusCode::CREATED, axum::Json(registered)))
}
