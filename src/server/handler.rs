//! What makes the answers on a listener.

use crate::auth::RequestOrigin;
use crate::http::body::Body;
use crate::http::request_body::RequestBody;
use http::{Request, Response};

/// What makes answers. A panic in it ends the connection, so it catches its own.
pub(super) trait RequestHandler: Clone + Send + Sync + 'static {
    fn answer(
        &self,
        peer: RequestOrigin,
        request: Request<RequestBody>,
    ) -> impl Future<Output = Response<Body>> + Send;
}

impl<F, A> RequestHandler for F
where
    F: Fn(RequestOrigin, Request<RequestBody>) -> A + Clone + Send + Sync + 'static,
    A: Future<Output = Response<Body>> + Send,
{
    fn answer(
        &self,
        peer: RequestOrigin,
        request: Request<RequestBody>,
    ) -> impl Future<Output = Response<Body>> + Send {
        self(peer, request)
    }
}
