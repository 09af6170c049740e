//! The file that an upload replaces: what it hands on to the new one, and where its content is kept.

use super::errors::{GIVE_ACCESS, explain_store, map_errno};
use super::file_meta::{self, FileMeta};
use super::missing_features::MissingFeature;
use super::root::TreeRoot;
use super::staging::StagedFile;
use super::sys::{self, Errno, FileKind, FileStat, Lookup, fd};
use super::version_dir::{self, VersionDir};
use crate::model::Result;
use crate::storage::{Digest, Node, later_mtime, unique_mtime};
use std::os::fd::{BorrowedFd, OwnedFd};
use std::time::SystemTime;

/// What stood at the target when it was looked at. The file is held open: so it is cheap to see whether it still is what stands there.
pub(super) struct ReplacedFile<'a> {
    file: Option<(OwnedFd, FileStat)>,
    attributes: ReplacedAttributes,
    /// Where its content is kept; `None` where nothing is to be kept: no file, an empty one, or versions switched off.
    pub version_dir: Option<VersionDir<'a>>,
}

/// Properties and meta; no meta on a file system without attributes.
#[derive(PartialEq, Eq)]
struct ReplacedAttributes {
    props: Option<Vec<u8>>,
    meta: Option<FileMeta>,
}

impl<'a> ReplacedFile<'a> {
    /// Looks at what was `found` at a name; `keep` keeps its content though versions are switched off.
    pub fn open(
        root: &'a TreeRoot,
        at: (BorrowedFd<'_>, &str),
        found: Option<&FileStat>,
        keep: bool,
    ) -> Result<Self> {
        let Some(file) = open(at, found)? else {
            return Ok(Self {
                file: None,
                attributes: ReplacedAttributes {
                    props: None,
                    meta: None,
                },
                version_dir: None,
            });
        };
        let found = sys::stat_fd(fd(&file)).map_err(|e| map_errno("look at the file", e))?;
        let attributes = ReplacedAttributes::read(fd(&file))?;
        let version_dir = match &attributes.meta {
            Some(meta) if root.settings.versions || keep => {
                VersionDir::for_history(root, &meta.history(&found.node), found.node.len)?
            }
            _ => None,
        };
        Ok(Self {
            file: Some((file, found)),
            attributes,
            version_dir,
        })
    }

    /// Whether it is what was `found` at the name now, and hands on the same.
    pub fn is_still(&self, found: Option<&FileStat>) -> Result<bool> {
        let Some((file, old)) = &self.file else {
            return Ok(found.is_none());
        };
        let is_same = found.is_some_and(|now| {
            now.inode == old.inode && (now.node.len == 0) == (old.node.len == 0)
        });
        Ok(is_same && ReplacedAttributes::read(fd(file))? == self.attributes)
    }

    /// The hash of its content, if it is known; `node` is what it is now.
    pub fn digest(&self, node: &Node) -> Option<Digest> {
        self.attributes.meta.as_ref()?.digest(node)
    }

    /// Gives a new file, which is `node`, what this one hands on, and its own hash. A file that is the first in the folder `dir` gets an
    /// id and what that hands on.
    pub fn hand_on_to(
        &self,
        stage: &StagedFile,
        dir: BorrowedFd<'_>,
        digest: Option<&Digest>,
        node: &Node,
    ) -> Result<()> {
        let access = if let Some((old, _)) = &self.file {
            sys::copy_access(fd(old), stage.file())
        } else {
            let [mode, _] = stage.root().settings.modes;
            sys::InheritedAccess::of(dir)
                .and_then(|heritage| heritage.apply_to_file(stage.file(), mode))
        };
        access.map_err(|e| map_errno(GIVE_ACCESS, e))?;
        if let Some(props) = &self.attributes.props {
            sys::set_props(stage.file(), props).map_err(explain_store)?;
        }
        let Some((_, old)) = &self.file else {
            return file_meta::assign_new_id(stage.file(), digest, node);
        };
        let Some(meta) = &self.attributes.meta else {
            return Ok(());
        };
        let meta = meta.for_node(&old.node, digest, node);
        // Without it the new file would be another one, without what was kept.
        meta.store(stage.file())
            .map_err(|e| map_errno("keep the former content", e))
    }

    /// The modification time of what comes into its place, where a client wants this one, or none.
    pub fn unique_mtime(&self, root: &TreeRoot, wanted: Option<SystemTime>) -> Result<SystemTime> {
        let before = self.file.as_ref().map(|(_, found)| found.node.modified);
        // Neither the time nor the inode may tell the two contents apart.
        let is_coarse = root.missing_features.has(MissingFeature::SubsecondTimes)
            && root.missing_features.has(MissingFeature::BirthTime);
        if is_coarse {
            Ok(later_mtime(wanted, before))
        } else {
            unique_mtime(wanted, before)
        }
    }

    /// Lets a file that still has another name, now that this one is another's, go its own way; called under the guard.
    pub fn split_history(&self, root: &TreeRoot, kept: Option<&str>) {
        if let Some((file, found)) = self.file.as_ref().filter(|(_, found)| found.links > 1) {
            version_dir::split_history(root, fd(file), &found.node, kept);
        }
    }
}

impl ReplacedAttributes {
    fn read(file: BorrowedFd<'_>) -> Result<Self> {
        let props = sys::props_fd(file).map_err(|e| map_errno("read properties", e))?;
        let meta = match FileMeta::of_file(file) {
            Ok(meta) => Some(meta),
            Err(Errno::OPNOTSUPP) => None,
            Err(e) => return Err(map_errno("look for former contents", e)),
        };
        Ok(Self { props, meta })
    }
}

/// `None` where no file stands, or none any more.
fn open(at: (BorrowedFd<'_>, &str), found: Option<&FileStat>) -> Result<Option<OwnedFd>> {
    if found.is_none_or(|found| found.kind != FileKind::File) {
        return Ok(None);
    }
    match sys::open_read(at.0, at.1, Lookup::Full) {
        Ok(file) => Ok(Some(file)),
        Err(Errno::NOENT | Errno::LOOP | Errno::NXIO) => Ok(None),
        Err(e) => Err(map_errno("look at the file", e)),
    }
}
