//! How commands call the API: over the control socket of the running server, or in this process when none runs.

use super::process;
use crate::app::{App, is_new_data_folder};
use crate::config::Config;
use crate::control::{CallError, Client};
use anyhow::{Result, anyhow, bail};
use std::fmt::Display;

/// Does work through the running server, or else on the data folder. Refuses where there is none: a command in the wrong place would
/// make an empty one, and look like an answer.
pub(super) async fn with_client<T: Send + 'static, F: Future<Output = Result<T>>>(
    config: Config,
    work: impl FnOnce(Client) -> F + Send + 'static,
) -> Result<T> {
    if let Some(client) = Client::connect(&config.data_dir).await {
        return work(client?).await;
    }
    if is_new_data_folder(&config.data_dir)? {
        bail!(
            "There is no data folder {}: SARANG_DATA_DIR or --config says where it is",
            config.data_dir.display()
        );
    }
    in_process(config, work).await
}

/// As [`with_client`]; where there is no data folder, it is made.
pub(super) async fn with_client_of_new<T: Send + 'static, F: Future<Output = Result<T>>>(
    config: Config,
    work: impl FnOnce(Client) -> F + Send + 'static,
) -> Result<T> {
    match Client::connect(&config.data_dir).await {
        Some(client) => work(client?).await,
        None => in_process(config, work).await,
    }
}

async fn in_process<T: Send + 'static, F: Future<Output = Result<T>>>(
    config: Config,
    work: impl FnOnce(Client) -> F + Send + 'static,
) -> Result<T> {
    let data_dir = config.data_dir.clone();
    process::as_owner_of(&data_dir, move || async move {
        let app = App::open(config).await?;
        let done = work(Client::in_process(&app)).await;
        app.close().await?;
        done
    })
    .await
}

/// Says of what is not there, or there already, what it is and its name.
pub(super) fn named(kind: &str, name: impl Display) -> impl Fn(CallError) -> anyhow::Error {
    move |error| {
        let article = if kind.starts_with('a') { "an" } else { "a" };
        if error.is_not_found() {
            anyhow!("There is no {kind} {name}.")
        } else if error.is_taken() {
            anyhow!("There is already {article} {kind} {name}.")
        } else {
            error.into()
        }
    }
}

/// A document as people and programs read it.
pub(super) fn pretty(value: &impl serde::Serialize) -> Result<String> {
    Ok(serde_json::to_string_pretty(value)? + "\n")
}
