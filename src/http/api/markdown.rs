//! Markdown as a page: headings, lists and tables of a text, and nothing of the markup that it brings. Safe by what is left in, and
//! shown in a frame that can run and load nothing but the style.

use super::ApiTag;
use super::caller::MemberCaller;
use super::files::PathQuery;
use super::json::Query;
use super::problem::{Failures, Problem};
use crate::http::html::{escape, page_with};
use crate::http::read_file::read_whole;
use crate::model::{Result, VPath};
use axum::response::{IntoResponse, Response};
use http::HeaderValue;
use http::header::{CONTENT_SECURITY_POLICY, X_FRAME_OPTIONS};
use pulldown_cmark::{CowStr, Event, Options, Parser, Tag as Mark, TagEnd, html};

/// The longest text in bytes.
const MAX_TEXT: u64 = 1 << 20;
/// The app shows the page in a frame, where it can load its style and nothing else; links open beside it.
const POLICY: &str = "sandbox allow-popups allow-popups-to-escape-sandbox; default-src 'none'; style-src 'self'; img-src 'self'; frame-ancestors 'self'";
/// Where links may lead.
const SCHEMES: [&str; 3] = ["https://", "http://", "mailto:"];

/// A Markdown file as a page, for a frame of the app. At most 1 MiB.
#[utoipa::path(get, path = "/api/v1/files/markdown", tag = ApiTag::FILES, operation_id = "showMarkdown", params(PathQuery),
    responses((status = 200, body = String, content_type = "text/html"), Failures))]
pub async fn show(
    member: MemberCaller,
    Query(query): Query<PathQuery>,
) -> Result<Response, Problem> {
    let path = VPath::parse(&query.path)?;
    let text = read_whole(&*member.drive().await?.open(&path).await?, MAX_TEXT).await?;
    let name = escape(path.name().unwrap_or_default());
    let html = clean(&String::from_utf8_lossy(&text));
    let mut response = page_with(&name, &html, "<base target=\"_blank\">").into_response();
    let headers = response.headers_mut();
    headers.insert(CONTENT_SECURITY_POLICY, HeaderValue::from_static(POLICY));
    headers.insert(X_FRAME_OPTIONS, HeaderValue::from_static("SAMEORIGIN"));
    Ok(response)
}

/// The text as HTML without its own markup (which is shown as text), pictures (of which the words stay) and links to anything but the web.
fn clean(text: &str) -> String {
    let options =
        Options::ENABLE_TABLES | Options::ENABLE_STRIKETHROUGH | Options::ENABLE_TASKLISTS;
    let events = Parser::new_ext(text, options).filter_map(|event| match event {
        Event::Html(markup) | Event::InlineHtml(markup) => Some(Event::Text(markup)),
        Event::Start(Mark::Image { .. }) | Event::End(TagEnd::Image) => None,
        Event::Start(Mark::Link {
            link_type,
            dest_url,
            title,
            id,
        }) => {
            let dest_url = if leads_out(&dest_url) {
                dest_url
            } else {
                CowStr::Borrowed("#")
            };
            Some(Event::Start(Mark::Link {
                link_type,
                dest_url,
                title,
                id,
            }))
        }
        other => Some(other),
    });
    let mut out = String::with_capacity(text.len() * 2);
    html::push_html(&mut out, events);
    out
}

fn leads_out(address: &str) -> bool {
    SCHEMES.iter().any(|scheme| {
        address
            .get(..scheme.len())
            .is_some_and(|start| start.eq_ignore_ascii_case(scheme))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn marks_become_elements_and_markup_becomes_text() {
        let html = clean(
            "# Top\n\n- [x] *done*\n\n|a|b|\n|-|-|\n|1|2|\n\n<script>alert(1)</script>\n\na <b onclick=x>b</b>",
        );
        for part in [
            "<h1>Top</h1>",
            "<em>done</em>",
            "<table>",
            "&lt;script&gt;",
            "&lt;b onclick=x&gt;",
        ] {
            assert!(html.contains(part), "{part}: {html}");
        }
        assert!(!html.contains("<script") && !html.contains("<b "), "{html}");
    }

    #[test]
    fn links_lead_to_the_web_and_pictures_are_words() {
        let html = clean(
            "[a](https://example.org/?x=1&y) [b](javascript:alert(1)) [c](/api/v1/logout) [d](data:text/html,x) ![words](https://example.org/track.png) [e](JaVaScRiPt:x)",
        );
        assert!(
            html.contains("href=\"https://example.org/?x=1&amp;y\"") && html.contains("words"),
            "{html}"
        );
        for gone in ["javascript:", "JaVaScRiPt", "/api/", "data:", "<img"] {
            assert!(!html.contains(gone), "{gone}: {html}");
        }
    }
}
