//! QR codes for the web app: what a phone is to read, drawn here so that pages need no library for it.

use super::ApiTag;
use super::caller::MemberCaller;
use super::json::Json;
use super::problem::{Failures, Problem};
use crate::model::Error;
use axum::response::{IntoResponse, Response};
use http::header::CONTENT_TYPE;
use qrcode::QrCode;
use qrcode::render::svg;
use serde::Deserialize;
use utoipa::ToSchema;
use zeroize::Zeroizing;

/// The longest text in bytes: beyond it a phone reads no code from a screen.
const MAX_TEXT: usize = 1000;

/// What the code says. It comes in a body, since it may be a secret that no log may have.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct QrText {
    /// The text, at most 1000 bytes.
    #[schema(value_type = String, max_length = 1000)]
    text: Zeroizing<String>,
}

/// A text as a QR code.
#[utoipa::path(post, path = "/api/v1/qr", tag = ApiTag::ACCOUNT, operation_id = "drawQr", request_body = QrText,
    responses((status = 200, body = String, content_type = "image/svg+xml"), Failures))]
pub async fn draw(_: MemberCaller, Json(wanted): Json<QrText>) -> Result<Response, Problem> {
    let picture = picture(&wanted.text)?;
    Ok(([(CONTENT_TYPE, "image/svg+xml")], picture).into_response())
}

fn picture(text: &str) -> Result<String, Error> {
    let fits = text.len() <= MAX_TEXT && !text.is_empty();
    let code = fits.then(|| QrCode::new(text).ok()).flatten();
    let why = || "A code says 1 to 1000 bytes.".into();
    let code = code.ok_or_else(|| Error::Invalid {
        pointer: "/text".into(),
        why: why(),
    })?;
    Ok(code
        .render::<svg::Color<'_>>()
        .min_dimensions(180, 180)
        .build())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn texts_become_pictures_within_bounds() {
        let drawn = picture("https://nest.example/connect?\"<script>").unwrap();
        assert!(
            drawn.contains("<svg") && !drawn.contains("script"),
            "{drawn}"
        );
        assert!(picture(&"a".repeat(MAX_TEXT)).is_ok());
        for bad in [String::new(), "a".repeat(MAX_TEXT + 1)] {
            assert!(matches!(picture(&bad), Err(Error::Invalid { .. })));
        }
    }
}
