//! WebDAV over a drive: which requests we answer ourselves, and which the protocol crate drives behind the gate.
//! ARCHITECTURE.md says why for each.

mod adaptor;
mod exchange;
mod gate;
pub mod headers;
pub mod lock_xml;
mod methods;
pub mod multistatus;
pub mod parents;
mod propertybehavior;
pub mod propfind_plan;
pub mod props;
pub mod quirks;
pub mod requests;
pub mod server_origin;
pub mod tokens;
pub mod xml;

use crate::app::App;
use crate::drive::Drive;
use crate::http::body::Body;
use crate::http::conditional::with_current_etag;
use crate::http::href::PREFIX;
use crate::http::reclaimable_body::ReclaimableBody;
use crate::http::reply;
use crate::http::request_body::RequestBody;
use crate::model::{Error, Identity, Result, VPath};
use bytes::Bytes;
use exchange::DavMethod;
use gate::DavRequestHead;
use headers::Depth;
use http::{Response, request};
use methods::{get, options, propfind, proppatch};
use server_origin::ServerOrigin;
use std::borrow::Cow;
use std::sync::Arc;
use xml::text::{MAX_PROPERTIES, MAX_XML};

/// Who asks, and under which path the drive is served to them.
#[derive(Clone, Debug)]
pub struct DavContext {
    /// Who asks.
    pub identity: Arc<Identity>,
    /// What the addresses in the drive begin with, the path of `server.public_url` first; no part of it needs an escape.
    pub prefix: Cow<'static, str>,
    /// Whether the drive is one file, to be shown in a folder of its own.
    pub encased: bool,
}

impl DavContext {
    /// An account in its own drive.
    pub fn own(identity: Arc<Identity>, path_prefix: &str) -> Self {
        Self {
            identity,
            prefix: match path_prefix {
                "" => PREFIX.into(),
                before => format!("{before}{PREFIX}").into(),
            },
            encased: false,
        }
    }
}

/// Answers one request beneath the prefix of the drive.
pub async fn handle(
    app: &Arc<App>,
    visit: &DavContext,
    head: &request::Parts,
    body: RequestBody,
) -> Response<Body> {
    let lent = ReclaimableBody::new(body);
    match answer(app, visit, head, &lent).await {
        Ok(response) => lent.drain(&head.headers, response).await,
        Err(error) => {
            reply::log(&error);
            lent.drain(&head.headers, reply::failure(&error)).await
        }
    }
}

async fn answer(
    app: &Arc<App>,
    visit: &DavContext,
    head: &request::Parts,
    body: &ReclaimableBody,
) -> Result<Response<Body>> {
    let prefix = visit.prefix.as_ref();
    let host = head
        .headers
        .get(http::header::HOST)
        .and_then(|h| h.to_str().ok())
        .unwrap_or_default();
    let origin = ServerOrigin {
        host,
        also: &app.config.server.hosts,
        prefix,
        path_prefix: app.config.server.path_prefix(),
    };
    let path = path_of(head, origin.served_prefix())?;
    let drive = app.drive(&visit.identity).await?;
    let drive = if visit.encased {
        drive.as_single_file()
    } else {
        drive
    };
    let answered = dispatch(app, visit, (&drive, &path, origin), head, body).await;
    match answered {
        Err(error @ Error::PreconditionFailed) => {
            Err(Box::pin(with_current_etag(&drive, &path, error)).await)
        }
        answered => answered,
    }
}

/// Carries a request out on the drive that it is for. What changes nothing is asked most, and needs little room.
async fn dispatch(
    app: &Arc<App>,
    visit: &DavContext,
    (drive, path, origin): (&Drive, &VPath, ServerOrigin<'_>),
    head: &request::Parts,
    body: &ReclaimableBody,
) -> Result<Response<Body>> {
    match head.method.as_str() {
        "GET" | "HEAD" => {
            get::answer(
                drive,
                path,
                head.method == http::Method::HEAD,
                &head.headers,
            )
            .await
        }
        "PROPFIND" => propfind(app, drive, (path, origin.prefix), head, body).await,
        _ => {
            Box::pin(dispatch_other(
                app,
                visit,
                (drive, path, origin),
                head,
                body,
            ))
            .await
        }
    }
}

async fn dispatch_other(
    app: &Arc<App>,
    visit: &DavContext,
    (drive, path, origin): (&Drive, &VPath, ServerOrigin<'_>),
    head: &request::Parts,
    body: &ReclaimableBody,
) -> Result<Response<Body>> {
    let verb = match head.method.as_str() {
        "PROPPATCH" => {
            let terms = gate::preconditions(drive, &head.headers, origin)?;
            let xml = body.read(MAX_PROPERTIES).await?;
            let (drive, path, prefix) = (drive.clone(), path.clone(), visit.prefix.clone());
            return app
                .run_to_completion(async move {
                    proppatch::answer(&drive, &path, &prefix, terms, &xml).await
                })
                .await;
        }
        "OPTIONS" => return options::answer(drive, path).await,
        "PUT" => DavMethod::Put,
        "PATCH" => DavMethod::Patch,
        "MKCOL" => DavMethod::Mkcol,
        "DELETE" => DavMethod::Delete,
        "COPY" => DavMethod::Copy,
        "MOVE" => DavMethod::Move,
        "LOCK" => DavMethod::Lock,
        "UNLOCK" => DavMethod::Unlock,
        _ => return Ok(options::method_not_allowed()),
    };
    let xml = match verb {
        DavMethod::Put | DavMethod::Patch => Bytes::new(),
        DavMethod::Lock => body.read(MAX_XML).await?,
        DavMethod::Copy | DavMethod::Move => transfer_body(body).await?,
        DavMethod::Mkcol | DavMethod::Delete | DavMethod::Unlock => body.expect_empty().await?,
    };
    let arrival = DavRequestHead {
        verb,
        head,
        path: path.clone(),
        origin,
        xml: &xml,
    };
    let exchange = gate::parse_exchange(drive.clone(), &arrival).await?;
    adaptor::run(app, exchange, &arrival, body).await
}

/// The body of a COPY or MOVE, which RFC 4918 has none of any more; what RFC 2518 allowed is read, and asks for nothing.
async fn transfer_body(body: &ReclaimableBody) -> Result<Bytes> {
    let xml = match body.read(MAX_XML).await {
        Err(Error::TooLarge) => return Err(Error::UnexpectedBody),
        other => other?,
    };
    if !xml.is_empty() {
        propertybehavior::parse_propertybehavior(&xml)?;
    }
    Ok(Bytes::new())
}

/// The resource a request names. A name that drives do not store names nothing; why, hears only who wants to make it.
fn path_of(head: &request::Parts, prefix: &str) -> Result<VPath> {
    let only_reads = matches!(
        head.method.as_str(),
        "GET" | "HEAD" | "OPTIONS" | "PROPFIND"
    );
    if !only_reads && head.uri.query().is_some() {
        return Err(Error::BadRequest(
            "What is to be changed has no query: a ? in a name is written %3F.",
        ));
    }
    match VPath::from_url(head.uri.path(), prefix) {
        Ok(path) => path.ok_or(Error::NotFound),
        Err(Error::BadName(_))
            if !matches!(head.method.as_str(), "PUT" | "PATCH" | "MKCOL" | "LOCK") =>
        {
            Err(Error::NotFound)
        }
        Err(error) => Err(error),
    }
}

async fn propfind(
    app: &Arc<App>,
    drive: &Drive,
    (path, prefix): (&VPath, &str),
    head: &request::Parts,
    body: &ReclaimableBody,
) -> Result<Response<Body>> {
    let depth = match headers::depth(&head.headers)? {
        Some(Depth::Infinity) if drive.stat(path).await?.folder => {
            return Ok(options::finite_depth_only());
        }
        Some(Depth::Infinity) => Depth::Zero,
        Some(depth) => depth,
        None => Depth::One,
    };
    let find = requests::parse_propfind(&body.read(MAX_XML).await?)?;
    let agent = user_agent(head);
    let hide_quota = app
        .config
        .drive
        .hide_quota_from
        .iter()
        .any(|part| agent.contains(part.as_str()));
    let request = propfind::PropfindRequest {
        depth,
        user_agent: agent,
        hide_quota,
        find,
        prefix,
    };
    propfind::answer(drive, path, request).await
}

fn user_agent(head: &request::Parts) -> &str {
    head.headers
        .get(http::header::USER_AGENT)
        .and_then(|v| v.to_str().ok())
        .unwrap_or_default()
}
