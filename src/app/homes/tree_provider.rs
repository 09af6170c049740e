//! Homes and team folders for the mounts of drives.

use super::{Homes, TreeKind};
use crate::drive::context::TreeProvider;
use crate::drive::named_tree::NamedTree;
use crate::model::{AccountName, Error, Result};
use async_trait::async_trait;
use std::sync::Arc;

#[async_trait]
impl TreeProvider for Homes {
    async fn home(&self, account: &AccountName) -> Result<(Arc<NamedTree>, Option<u64>)> {
        let view = self
            .opener
            .auth
            .account(account)
            .filter(|view| !view.disabled)
            .ok_or(Error::NotFound)?;
        match self.home_of(account).await {
            Ok(root) => Ok((root, view.quota)),
            Err(Error::Unauthenticated) => Err(Error::NotFound),
            Err(error) => Err(error),
        }
    }

    fn check_home(&self, account: &AccountName) -> Result<()> {
        self.opener
            .auth
            .account(account)
            .filter(|view| !view.disabled)
            .map(drop)
            .ok_or(Error::NotFound)
    }

    async fn team(&self, name: &str) -> Result<Arc<NamedTree>> {
        self.root_of(TreeKind::Team, name).await
    }
}
