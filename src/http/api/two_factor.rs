//! Two-factor sign-in: turning it on with an authenticator app, and off.

use super::ApiTag;
use super::caller::AccountCaller;
use super::json::Json;
use super::problem::{Failures, Problem};
use crate::audit::AuditKind;
use http::StatusCode;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;
use zeroize::Zeroizing;

/// The account's password once more.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(as = Proof)]
pub struct PasswordConfirmation {
    /// The present password.
    #[schema(value_type = String)]
    password: Zeroizing<String>,
}

/// The first code.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct Confirmation {
    /// The six digits that the app shows.
    code: String,
}

/// What an authenticator app needs to know.
#[derive(Serialize, ToSchema)]
pub struct EnrolmentView {
    /// The secret in base32, to be typed.
    #[schema(value_type = String)]
    pub secret: Zeroizing<String>,
    /// The same as an `otpauth` address, to be shown as a picture.
    #[schema(value_type = String)]
    pub uri: Zeroizing<String>,
}

/// What helps when the app is lost. They are not shown again.
#[derive(Serialize, ToSchema)]
pub struct RecoveryCodes {
    /// Ten codes, each good for one sign-in.
    #[schema(value_type = Vec<String>)]
    pub recovery_codes: Vec<Zeroizing<String>>,
}

/// Begins: makes the secret for an authenticator app. Sign-in asks for nothing new until it is confirmed.
#[utoipa::path(post, path = "/api/v1/me/two-factor", tag = ApiTag::ACCOUNT, operation_id = "beginTwoFactor",
    request_body = PasswordConfirmation, responses((status = 201, body = EnrolmentView), Failures))]
pub async fn begin(
    AccountCaller {
        app,
        identity,
        client,
    }: AccountCaller,
    Json(proof): Json<PasswordConfirmation>,
) -> Result<(StatusCode, axum::Json<EnrolmentView>), Problem> {
    let begun = app
        .auth
        .begin_two_factor(&identity.account, proof.password.as_bytes(), client)
        .await?;
    Ok((
        StatusCode::CREATED,
        axum::Json(EnrolmentView {
            secret: begun.secret,
            uri: begun.uri,
        }),
    ))
}

/// Confirms with a first code: from now on sign-in asks for one, and the password alone opens neither drive nor API.
#[utoipa::path(post, path = "/api/v1/me/two-factor/confirm", tag = ApiTag::ACCOUNT, operation_id = "confirmTwoFactor",
    request_body = Confirmation, responses((status = 200, body = RecoveryCodes), Failures))]
pub async fn confirm(
    caller: AccountCaller,
    Json(confirmation): Json<Confirmation>,
) -> Result<axum::Json<RecoveryCodes>, Problem> {
    let reporter = caller.reporter();
    let AccountCaller { app, identity, .. } = caller;
    let work = app.clone();
    let confirmed = async move {
        let codes = work
            .auth
            .confirm_two_factor(&identity, &confirmation.code)
            .await;
        reporter
            .report(
                AuditKind::TwoFactorChanged,
                identity.account.as_str(),
                "on",
                &codes,
            )
            .await;
        codes
    };
    let recovery_codes = app.run_to_completion(confirmed).await?;
    Ok(axum::Json(RecoveryCodes { recovery_codes }))
}

/// Ends it: sign-in asks for the password only.
#[utoipa::path(delete, path = "/api/v1/me/two-factor", tag = ApiTag::ACCOUNT, operation_id = "endTwoFactor",
    request_body = PasswordConfirmation, responses((status = 204), Failures))]
pub async fn end(
    caller: AccountCaller,
    Json(proof): Json<PasswordConfirmation>,
) -> Result<StatusCode, Problem> {
    let reporter = caller.reporter();
    let AccountCaller {
        app,
        identity,
        client,
    } = caller;
    let work = app.clone();
    let ended = async move {
        let ended = work
            .auth
            .end_two_factor(&identity.account, proof.password.as_bytes(), client)
            .await;
        reporter
            .report(
                AuditKind::TwoFactorChanged,
                identity.account.as_str(),
                "off",
                &ended,
            )
            .await;
        ended
    };
    app.run_to_completion(ended).await?;
    Ok(StatusCode::NO_CONTENT)
}
