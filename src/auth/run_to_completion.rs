//! Changes that run to their end when the caller has gone.

use crate::model::{Error, Result};

/// Runs a change to its end even when whoever asked goes away: store and memory must not part.
pub async fn run_to_completion<T: Send + 'static>(
    change: impl Future<Output = Result<T>> + Send + 'static,
) -> Result<T> {
    let done = tokio::spawn(change).await;
    done.unwrap_or_else(|e| Err(Error::io("change the account", std::io::Error::other(e))))
}
