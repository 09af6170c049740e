//! HTML pages that the server writes itself, and the policy of pages that run scripts of the web app.

use super::assets;
use axum::response::{Html, IntoResponse, Response};
use http::HeaderValue;
use http::header::CONTENT_SECURITY_POLICY;

/// What pages with scripts may do: run and show what this server sends, and make nothing of text but text.
pub(super) const POLICY: &str = "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' blob:; media-src 'self'; \
    connect-src 'self'; frame-src 'self'; manifest-src 'self'; worker-src 'self'; form-action 'self'; base-uri 'none'; \
    frame-ancestors 'none'; require-trusted-types-for 'script'; trusted-types 'none'";

/// Marks a response whose body is a page of the server's own. Its attributes have quotes of their own only, so that what follows
/// one is an address of this server.
#[derive(Clone)]
pub(super) struct OwnPage;

/// A page of the server's own.
#[derive(Debug)]
pub(super) struct HtmlPage(pub String);

impl IntoResponse for HtmlPage {
    fn into_response(self) -> Response {
        let mut response = Html(self.0).into_response();
        response.extensions_mut().insert(OwnPage);
        response
    }
}

/// A whole page around `content`, which is HTML. Its own forms must say where they come from, though nothing else hears its
/// address: with `no-referrer`, the policy of the header, browsers send `Origin: null` (Fetch section 3.2).
pub(super) fn page(title: &str, content: &str) -> HtmlPage {
    page_with(title, content, "")
}

/// As [`page`], with more in its head.
pub(super) fn page_with(title: &str, content: &str, head: &str) -> HtmlPage {
    let assets = assets::prefix();
    HtmlPage(format!(
        "<!doctype html>\n<html lang=\"en\"><head><meta charset=\"utf-8\"><title>{title}</title>\
         <meta name=\"referrer\" content=\"same-origin\"><meta name=\"viewport\" content=\"width=device-width\">\
         <link rel=\"icon\" href=\"{assets}icons.svg\" type=\"image/svg+xml\"><link rel=\"stylesheet\" href=\"{assets}app.css\">{head}</head>\
         <body><main class=\"plain\"><h1>{title}</h1>\n{content}\n</main></body></html>\n"
    ))
}

/// A page with these contents that runs the app: what it holds is for browsers without scripts.
pub(super) fn app_page(title: &str, content: &str) -> Response {
    with_policy(page_with(title, content, &script("main.js")).into_response())
}

/// What runs a script of the app in a page of the server.
pub(super) fn script(name: &str) -> String {
    format!(
        "<script type=\"module\" src=\"{}{name}\"></script>",
        assets::prefix()
    )
}

pub(super) fn with_policy(mut response: Response) -> Response {
    response
        .headers_mut()
        .insert(CONTENT_SECURITY_POLICY, HeaderValue::from_static(POLICY));
    response
}

/// Text as HTML, in elements and quoted attributes.
pub(super) fn escape(text: &str) -> String {
    let mut html = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '&' => html.push_str("&amp;"),
            '<' => html.push_str("&lt;"),
            '>' => html.push_str("&gt;"),
            '"' => html.push_str("&quot;"),
            '\'' => html.push_str("&#39;"),
            c => html.push(c),
        }
    }
    html
}

/// How to connect, for who sees no more than this; `host` is HTML.
pub(super) fn welcome(host: &str, needs_setup: bool) -> String {
    let setup = if needs_setup {
        "<p><strong>Nobody can sign in yet.</strong> Open the set-up link that the server printed when it started, \
         or run <code>sarang user add</code>.</p>"
    } else {
        ""
    };
    format!(
        "{setup}<p>This is a network drive. Connect a file manager to it:</p>\
         <p><code>http://{host}/dav/</code></p>\
         <p>Linux file managers write it <code>dav://{host}/dav/</code>.</p>"
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_client_sends_is_text_in_the_page() {
        assert_eq!(escape("<script>\"'&"), "&lt;script&gt;&quot;&#39;&amp;");
        assert!(!welcome("a", false).contains("sarang user add"));
        assert!(welcome("a", true).contains("sarang user add"));
    }
}
