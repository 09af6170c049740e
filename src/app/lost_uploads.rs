//! Unfinished uploads that nobody may go on with any more, since a share, a membership, an app password or an account has ended: they end,
//! and their room is free again.

use super::App;
use crate::model::{Error, Identity, Irrevocable, Result, Rights};
use crate::uploads::{ResumableUpload, UploadRecord};
use std::sync::Arc;

impl App {
    /// Ends the unfinished uploads whose owners have lost the right to go on with them, after a change by which some may have.
    pub async fn abort_lost_uploads(&self) {
        for upload in self.uploads.unfinished() {
            if let Err(error) = self.abort_if_lost(&upload).await {
                tracing::warn!(upload = upload.id, %error, "an upload that nobody can go on with is not ended");
            }
        }
    }

    /// Ends an unfinished upload if its owner has lost the right to go on with it. Nothing is decided while a disk does not answer.
    pub(super) async fn abort_if_lost(&self, upload: &ResumableUpload) -> Result<()> {
        if self.may_go_on(upload).await? {
            return Ok(());
        }
        // Whoever still sends is cut off first.
        let _turn = upload.acquire().await;
        if upload.record().published.is_some() {
            return Ok(());
        }
        self.abort_upload(upload).await
    }

    async fn may_go_on(&self, upload: &ResumableUpload) -> Result<bool> {
        let record = upload.record();
        let Some(identity) = self.uploader(&record) else {
            return Ok(false);
        };
        if identity.scope.is_root() && record.root == format!("home/{}", record.owner) {
            return Ok(true);
        }
        let drive = self.drive(&Arc::new(identity)).await?;
        match upload.check(&drive).await {
            Ok(()) => Ok(true),
            Err(
                Error::Forbidden(_) | Error::NotFound | Error::ParentMissing | Error::NotFolder,
            ) => Ok(false),
            Err(error) => Err(error),
        }
    }

    /// Who could go on with an upload: the account, or whoever has an app password of the same folder. `None` for nobody.
    fn uploader(&self, record: &UploadRecord) -> Option<Identity> {
        let account = self.auth.account(&record.owner)?;
        if account.disabled {
            return None;
        }
        let access = Arc::new(Irrevocable);
        let whole = Identity::whole(account.name, account.role, account.quota, access);
        if record.scope.is_empty() {
            return Some(whole);
        }
        let app_passwords = self.auth.app_passwords_of(&record.owner);
        let (_, confined) = app_passwords
            .into_iter()
            .find(|(_, one)| one.rights != Rights::View && one.scope().as_str() == record.scope)?;
        Some(Identity {
            scope: confined.scope(),
            rights: confined.rights,
            ..whole
        })
    }
}
