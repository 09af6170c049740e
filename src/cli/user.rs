//! `sarang user`.

use crate::config::Config;
use clap::Subcommand;

/// What can be done to accounts.
#[derive(Debug, Subcommand)]
pub enum UserCommand {
    /// List accounts.
    List,
}

/// Runs one of them.
pub async fn run(_command: UserCommand, _config: Config) -> anyhow::Result<()> {
    anyhow::bail!("not merged")
}
