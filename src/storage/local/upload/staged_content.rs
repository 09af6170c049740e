//! A staged file that is whole: what it takes over from the file that it replaces, and how it appears.

use super::etag_time;
use crate::model::{RelPath, Result};
use crate::storage::local::change_log::LoggedChange;
use crate::storage::local::names::NameAt;
use crate::storage::local::replaced_file::ReplacedFile;
use crate::storage::local::root::TreeRoot;
use crate::storage::local::staging::StagedFile;
use crate::storage::local::sys::FileStat;
use crate::storage::local::version_dir::VersionDir;
use crate::storage::{Changed, Digest, Node, PutOutcome, WriteOptions};

/// A staged file with its time and hash, and what it is to replace.
pub(super) struct StagedContent<'a> {
    pub root: &'a TreeRoot,
    pub stage: &'a StagedFile,
    pub node: Node,
    pub digest: Option<Digest>,
    pub old: ReplacedFile<'a>,
}

impl StagedContent<'_> {
    /// Takes over from what was `found` at the target under the guard, where that is not what was looked at before.
    pub fn inherit_current(
        &mut self,
        here: NameAt<'_>,
        found: Option<&FileStat>,
        commit: &WriteOptions,
    ) -> Result<()> {
        let are_alike = etag_time::are_alike(&self.node, found.map(|found| &found.node));
        if !are_alike && self.old.is_still(found)? {
            return Ok(());
        }
        self.stage.clear_inherited()?;
        self.old = ReplacedFile::open(self.root, here, found, commit.keep_replaced)?;
        if are_alike {
            self.node = etag_time::set_time(self.stage, commit.modified, &self.old)?;
        }
        self.old
            .hand_on_to(self.stage, here.0, self.digest.as_ref(), &self.node)?;
        self.root.sync_if_strict(self.stage.file())
    }

    /// Whether it certainly holds what is there already.
    pub fn is_same_as(&self, present: Option<&Node>) -> bool {
        self.digest.is_some() && present.and_then(|now| self.old.digest(now)) == self.digest
    }

    /// Makes the file appear; returns the id of the version that what it replaces has become. A save that changes nothing makes none.
    pub fn publish(
        &mut self,
        here: NameAt<'_>,
        replaces: bool,
        is_same: bool,
    ) -> Result<Option<String>> {
        let kept = if replaces {
            let versions = self.old.version_dir.as_mut().filter(|_| !is_same);
            self.stage.publish_replacing(&self.node, here, versions)?
        } else {
            self.stage.publish(here).map(|()| None)?
        };
        self.old
            .version_dir
            .as_mut()
            .filter(|_| kept.is_some())
            .map(VersionDir::mark_used);
        self.old.split_history(self.root, kept.as_deref());
        Ok(kept)
    }

    /// Notes in the change log what was written, and which version was `kept`.
    pub fn log(&self, path: &RelPath, present: Option<&Node>, kept: Option<String>) {
        let version = self
            .old
            .version_dir
            .as_ref()
            .map(VersionDir::history)
            .zip(kept);
        let written = LoggedChange::written(path.as_str().to_owned(), present, version);
        self.root.change_log.append(self.root, &[written]);
    }

    /// Puts the version on disk, if the settings want that; what has become of the upload.
    pub fn finish(self, changed: Changed) -> Result<PutOutcome> {
        self.old
            .version_dir
            .map_or(Ok(()), |versions| versions.sync())?;
        Ok(PutOutcome {
            node: self.node,
            changed,
        })
    }
}
