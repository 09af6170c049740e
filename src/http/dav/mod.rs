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

/// The identity of a request and the path prefix of its drive.
#[derive(Clone, Debug)]
pub struct DavContext {
    /// Who asks.
    pub identity: Arc<Identity>,
    /// Prefix of all addresses in the drive, that of `server.public_url` first; it needs no percent-encoding.
    pub prefix: Cow<'static, str>,
    /// Whether the drive is a single file, shown in a folder of its own.
    pub single_file: bool,
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
            single_file: false,
        }
    }
}

/// Answers one request beneath the prefix of the drive.
pub async fn handle(
    app: &Arc<App>,
    context: &DavContext,
    head: &request::Parts,
    body: RequestBody,
) -> Response<Body> {
    let reclaimable = ReclaimableBody::new(body);
    match answer(app, context, head, &reclaimable).await {
        Ok(response) => reclaimable.drain(&head.headers, response).await,
        Err(error) => {
            reply::log(&error);
            reclaimable
                .drain(&head.headers, reply::failure(&error))
                .await
        }
    }
}

async fn answer(
    app: &Arc<App>,
    context: &DavContext,
    head: &request::Parts,
    body: &ReclaimableBody,
) -> Result<Response<Body>> {
    let prefix = context.prefix.as_ref();
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
    let drive = app.drive(&context.identity).await?;
    let drive = if context.single_file {
        drive.as_single_file()
    } else {
        drive
    };
    let answered = dispatch(app, context, (&drive, &path, origin), head, body).await;
    match answered {
        Err(error @ Error::PreconditionFailed) => {
            Err(Box::pin(with_current_etag(&drive, &path, error)).await)
        }
        answered => answered,
    }
}

/// Dispatches by method. The reads, which are most requests, keep the future small; the rest is boxed.
async fn dispatch(
    app: &Arc<App>,
    context: &DavContext,
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
                context,
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
    context: &DavContext,
    (drive, path, origin): (&Drive, &VPath, ServerOrigin<'_>),
    head: &request::Parts,
    body: &ReclaimableBody,
) -> Result<Response<Body>> {
    let method = match head.method.as_str() {
        "PROPPATCH" => {
            let preconditions = gate::preconditions(drive, &head.headers, origin)?;
            let xml = body.read(MAX_PROPERTIES).await?;
            let drive = drive.clone();
            let path = path.clone();
            let prefix = context.prefix.clone();
            return app
                .run_to_completion(async move {
                    proppatch::answer(&drive, &path, &prefix, preconditions, &xml).await
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
    let xml = match method {
        DavMethod::Put | DavMethod::Patch => Bytes::new(),
        DavMethod::Lock => body.read(MAX_XML).await?,
        DavMethod::Copy | DavMethod::Move => transfer_body(body).await?,
        DavMethod::Mkcol | DavMethod::Delete | DavMethod::Unlock => body.expect_empty().await?,
    };
    let dav_request = DavRequestHead {
        method,
        head,
        path: path.clone(),
        origin,
        xml: &xml,
    };
    let exchange = gate::parse_exchange(drive.clone(), &dav_request).await?;
    adaptor::run(app, exchange, &dav_request, body).await
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

/// The resource that a request names. A name that drives do not store is 404, and 400 with the reason for methods that create.
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
