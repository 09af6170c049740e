//! Everything shared by requests, opened once.

use crate::auth::Auth;
use crate::config::Config;
use crate::drive::Drive;
use crate::metrics::Metrics;
use crate::model::{Identity, Result};
use crate::setup::Setup;
use crate::store::StateStore;
use std::sync::Arc;

/// The running program's shared state.
#[derive(Debug)]
pub struct App {
    /// Settings.
    pub config: Config,
    /// Counters.
    pub metrics: Metrics,
    /// Records.
    pub store: Arc<dyn StateStore>,
    /// Accounts and sign-in.
    pub auth: Arc<Auth>,
    /// The way to the first administrator, open while there is no account.
    pub setup: Setup,
}

impl App {
    /// Opens the data folder: store, accounts, locks.
    pub async fn open(_config: Config) -> Result<Arc<Self>> {
        todo!()
    }
    /// The drive of an identity.
    pub fn drive(&self, _identity: &Arc<Identity>) -> Result<Drive> {
        todo!()
    }
    /// Ends locks and closes the home of an account that was removed; `purge` also deletes its files.
    pub async fn forget_account(&self, _name: &crate::model::AccountName, _purge: bool) -> Result<()> {
        todo!()
    }
    /// Writes everything and lets go of the data folder.
    pub async fn close(&self) -> Result<()> {
        todo!()
    }
}
