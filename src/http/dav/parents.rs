//! Resources above the drive: `/`, which Windows asks for first on its way down to the drive, and `OPTIONS *`.

use super::headers::{self, Depth};
use super::methods::{options, propfind};
use super::multistatus::{HEAD, MultistatusWriter, ResponseHref, TAIL};
use super::propfind_plan::PropfindPlan;
use super::props::PropertySource;
use super::xml::text::MAX_XML;
use super::{requests, user_agent};
use crate::http::body::Body;
use crate::http::href::PREFIX;
use crate::http::reclaimable_body::ReclaimableBody;
use crate::http::reply;
use crate::http::request_body::RequestBody;
use crate::model::{Identity, Result};
use crate::storage::Node;
use http::{Response, request};

/// Answers OPTIONS and PROPFIND above the drive; other methods are not allowed there.
pub async fn handle(
    identity: &Identity,
    head: &request::Parts,
    body: RequestBody,
    path_prefix: &str,
) -> Response<Body> {
    let reclaimable = ReclaimableBody::new(body);
    let answer = match head.method.as_str() {
        "OPTIONS" => Ok(options::of_server()),
        "PROPFIND" => list(identity, head, &reclaimable, path_prefix).await,
        _ => Ok(options::method_not_allowed()),
    };
    let response = answer.unwrap_or_else(|error| reply::failure(&error));
    reclaimable.drain(&head.headers, response).await
}

async fn list(
    identity: &Identity,
    head: &request::Parts,
    body: &ReclaimableBody,
    path_prefix: &str,
) -> Result<Response<Body>> {
    let depth = headers::depth(&head.headers)?.unwrap_or(Depth::One);
    if depth == Depth::Infinity {
        return Ok(options::finite_depth_only());
    }
    let find = requests::parse_propfind(&body.read(MAX_XML).await?)?;
    let mut writer = MultistatusWriter::new(PropfindPlan::new(find, true, user_agent(head)));
    let node = Node::unseen(true);
    let base = format!("{path_prefix}/");
    let drive = format!("{path_prefix}{PREFIX}");
    let subject = |name| PropertySource {
        name,
        node: &node,
        props: &[],
        locks: &[],
        quota: None,
        account: identity.account.as_str(),
        prefix: &drive,
    };
    let mut out = HEAD.to_vec();
    if depth != Depth::OneNoRoot {
        writer.write(
            &mut out,
            ResponseHref {
                base: base.as_bytes(),
                child: None,
            },
            &subject(None),
        );
    }
    if depth != Depth::Zero {
        writer.write(
            &mut out,
            ResponseHref {
                base: base.as_bytes(),
                child: Some("dav"),
            },
            &subject(Some("dav")),
        );
    }
    out.extend_from_slice(TAIL);
    Ok(propfind::multistatus(Body::full(out)))
}
