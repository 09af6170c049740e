//! What makes the answers on a listener.

use crate::auth::Origin;
use crate::http::body::Body;
use crate::http::intake::BodyIn;
use http::{Request, Response};

/// What makes answers. A panic in it ends the connection, so it catches its own.
pub(super) trait Answers: Clone + Send + Sync + 'static {
    fn answer(
        &self,
        peer: Origin,
        request: Request<BodyIn>,
    ) -> impl Future<Output = Response<Body>> + Send;
}

impl<F, A> Answers for F
where
    F: Fn(Origin, Request<BodyIn>) -> A + Clone + Send + Sync + 'static,
    A: Future<Output = Response<Body>> + Send,
{
    fn answer(
        &self,
        peer: Origin,
        request: Request<BodyIn>,
    ) -> impl Future<Output = Response<Body>> + Send {
        self(peer, request)
    }
}
