//! The answer of a front: the response, and who had signed in.

use super::body::Body;
use crate::model::Identity;
use http::Response;
use std::sync::Arc;

/// What a front makes of a request.
#[derive(Debug)]
pub(super) struct Answer {
    pub(super) response: Response<Body>,
    pub(super) identity: Option<Arc<Identity>>,
}

impl From<Response<Body>> for Answer {
    fn from(response: Response<Body>) -> Self {
        Self {
            response,
            identity: None,
        }
    }
}
