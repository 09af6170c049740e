//! Uploads that are laid aside and gone on with, by one request after the other, until they are published.

use super::place::Access;
use super::upload::{DriveUpload, admit_target};
use super::{Drive, Terms, judge};
use crate::content::{Commit, Reserved, Room, Start};
use crate::model::{Error, RelPath, Result, VPath};
use std::sync::Arc;
use std::time::SystemTime;

/// Where an upload is laid aside, and the room that it was promised.
#[derive(Debug)]
pub struct Aside {
    /// The name of the root.
    pub root: Arc<str>,
    /// Where it will stand in the root.
    pub at: RelPath,
    /// Its room.
    pub reserved: Box<dyn Reserved>,
}

/// How an upload that is complete is published.
#[derive(Clone, Debug)]
pub struct Publication {
    /// The root that it is laid aside in.
    pub root: String,
    /// Its length in bytes.
    pub len: u64,
    /// The modification time to set instead of now.
    pub modified: Option<SystemTime>,
    /// Under which conditions.
    pub terms: Terms,
}

impl Drive {
    /// Lays an upload of `len` bytes aside under `id`, a new one: judged as if it were published now, its room reserved.
    pub async fn lay_aside(&self, id: &str, path: &VPath, len: u64, terms: Terms) -> Result<Aside> {
        let place = self.admitted(path, Access::Create).await?;
        let terms = admit_target(&place, terms).await?;
        let commit = self.commit(&place, terms, judge::creating(&place)).await?;
        self.pre_judge(&place, &commit).await?;
        let (tree, room) = (
            &place.root.tree,
            Room {
                len: Some(len),
                limit: place.quota,
            },
        );
        // What is wrong with the place is told before a byte has come; nothing of this stays.
        drop(
            tree.begin_put(&place.path, Start::Empty, Room { len: None, ..room })
                .await?,
        );
        let reserved = tree.reserve(&place.path, room).await?;
        tree.lay_aside(id, len).await?;
        Ok(Aside {
            root: place.root.id.clone(),
            at: place.path.into_owned(),
            reserved,
        })
    }

    /// Whether something may be made at a path, by what it leads through alone.
    pub async fn check_change(&self, path: &VPath) -> Result<()> {
        self.admitted(path, Access::Create).await.map(drop)
    }

    /// Goes on with an upload; `NotFound` when it is gone, or the path leads to another root than it is laid aside in.
    pub async fn resume(
        &self,
        id: &str,
        path: &VPath,
        publication: Publication,
    ) -> Result<DriveUpload> {
        let place = self.admitted(path, Access::Create).await?;
        if *place.root.id != *publication.root {
            return Err(Error::NotFound);
        }
        let terms = admit_target(&place, publication.terms).await?;
        let bench = self.bench(&place, terms, judge::creating(&place)).await?;
        let room = Room {
            len: Some(publication.len),
            limit: place.quota,
        };
        let upload = place.root.tree.resume(id, &place.path, room).await?;
        let commit = Commit {
            modified: publication.modified,
            limit: place.quota,
            ..bench.commit()
        };
        Ok(DriveUpload::new(upload, commit, bench, self.clone()))
    }
}
