//! Which front answers a request, by the prefix of its path; and what every front relies on: lengths that can be, no foreign origin.

use super::answer::Answer;
use super::reclaimable_body::ReclaimableBody;
use super::request_body::RequestBody;
use crate::app::App;
use crate::auth::RequestOrigin;
use crate::http::{csrf, dav, expected_length, failure_reports, login, public, reply, router, web};
use crate::metrics::Front;
use crate::model::Error;
use http::Request;
use std::sync::Arc;

/// Dispatches by the prefix of the path. Rare futures are boxed: an unboxed one would enlarge the state of every connection.
pub(super) async fn choose_front(
    app: &Arc<App>,
    request: Request<RequestBody>,
    origin: RequestOrigin,
) -> Answer {
    let request = match expected_length::length(request.method(), request.headers()) {
        Ok(None) => request,
        announced => match Box::pin(enforce_length(request, announced)).await {
            Ok(request) => request,
            Err(answer) => return answer,
        },
    };
    let path = request.uri().path();
    let drive = path
        .strip_prefix("/dav")
        .is_some_and(|rest| rest.is_empty() || rest.starts_with('/'));
    let above =
        matches!(path, "/" | "*") && matches!(request.method().as_str(), "OPTIONS" | "PROPFIND");
    let mounted = public::mounted(path);
    if web::is_foreign_code(path, request.headers()) {
        return web::refuse_code().into();
    }
    if csrf::is_foreign(&app.config.server, &request) {
        let dav = drive || above || mounted.is_some();
        return Box::pin(csrf::refuse(request, dav)).await;
    }
    if let Some(token) = mounted {
        return Box::pin(public::webdav::handle(
            app,
            token.to_owned(),
            &origin,
            request,
        ))
        .await;
    }
    if !drive && !above {
        return Box::pin(router::answer(app, origin, request)).await;
    }
    let (parts, mut body) = request.into_parts();
    let identity = match login::authenticate(app, &parts, &origin).await {
        Ok(identity) => identity,
        Err(error) => {
            failure_reports::record_unauthenticated(app, &parts, &origin);
            return Box::pin(login::refuse(&error, &parts, &mut body))
                .await
                .into();
        }
    };
    let mut response = if drive {
        let context = dav::DavContext::own(identity.clone(), app.config.server.path_prefix());
        dav::handle(app, &context, &parts, body).await
    } else {
        let prefix = app.config.server.path_prefix();
        Box::pin(dav::parents::handle(&identity, &parts, body, prefix)).await
    };
    failure_reports::record_drive_failure(app, &identity, (&parts, &origin), &mut response);
    Answer {
        response,
        identity: Some(identity),
    }
}

/// Enforces the announced length of the body, or refuses contradictory lengths.
async fn enforce_length(
    request: Request<RequestBody>,
    announced: Result<Option<u64>, Error>,
) -> Result<Request<RequestBody>, Answer> {
    let (parts, body) = request.into_parts();
    let held = match announced {
        Ok(len) => expected_length::enforce(body, len),
        Err(error) => Err((error, body)),
    };
    match held {
        Ok(body) => Ok(Request::from_parts(parts, body)),
        Err((error, body)) => Err(ReclaimableBody::new(body)
            .drain(&parts.headers, reply::failure(&error))
            .await
            .into()),
    }
}

/// The front that answers a path, as metrics count it.
pub(super) fn front_of(path: &str) -> Front {
    let is_below = |front: &str| {
        path.strip_prefix(front)
            .is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
    };
    match path {
        _ if is_below("/dav") => Front::Dav,
        _ if is_below("/api") => Front::Api,
        _ if is_below("/s") => Front::Link,
        _ if router::is_health(path) => Front::Health,
        _ => Front::Web,
    }
}
