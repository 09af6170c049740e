//! Counts downloads by a link: an answer to GET that brings the content of a file, or an archive. It is counted when all but its
//! bytes is there, in one step with the look at the limit: what is not given out (304, 412, a file that cannot be opened) is not counted,
//! and of many that come at once as many get through as the limit has left.

use crate::app::App;
use crate::http::body::Download;
use crate::links::Link;
use crate::model::Result;
use http::header::{ACCEPT_RANGES, RANGE};
use http::{HeaderMap, HeaderValue, Method, Response};
use std::sync::Arc;

/// Where downloads are limited, each is one whole file: a part would cost as much, or nothing.
pub(super) fn prepare(link: &Link, headers: &mut HeaderMap) {
    if link.record.max_downloads.is_some() {
        headers.remove(RANGE);
    }
}

/// Counts a download before its bytes are sent; `NotFound` when the limit has none left.
pub(super) async fn charge<B>(
    app: &Arc<App>,
    link: &Link,
    method: &Method,
    mut response: Response<B>,
) -> Result<Response<B>> {
    let is_limited = link.record.max_downloads.is_some();
    if is_limited && response.headers().contains_key(ACCEPT_RANGES) {
        response
            .headers_mut()
            .insert(ACCEPT_RANGES, HeaderValue::from_static("none"));
    }
    if *method == Method::GET && response.extensions().get::<Download>().is_some() {
        let shared = Arc::clone(app);
        let link = link.clone();
        // To the end though the visitor leaves.
        app.run_to_completion(async move { shared.links.count_download(&link).await })
            .await?;
    }
    Ok(response)
}
