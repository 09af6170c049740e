//! The file that an upload replaces: what it hands on to the new one, and where its content is kept.

use super::label::{self, Label};
use super::lacks::Lack;
use super::os::{self, Errno, Found, Kind, Lookup, fd};
use super::props::explain_store;
use super::root::{GIVE_ACCESS, Root, explain};
use super::stage::Stage;
use super::versions::{self, Shelf};
use crate::content::{Digest, Node, draw_time, later_time};
use crate::model::Result;
use std::os::fd::{BorrowedFd, OwnedFd};
use std::time::SystemTime;

/// What stood at the target when it was looked at. The file is held open: so it is cheap to see whether it still is what stands there.
pub(super) struct Replaced<'a> {
    file: Option<(OwnedFd, Found)>,
    attributes: Attributes,
    /// Where its content is kept; `None` where nothing is to be kept: no file, an empty one, or versions switched off.
    pub shelf: Option<Shelf<'a>>,
}

/// Properties and label; no label on a file system without attributes.
#[derive(PartialEq, Eq)]
struct Attributes {
    props: Option<Vec<u8>>,
    label: Option<Label>,
}

impl<'a> Replaced<'a> {
    /// Looks at what was `found` at a name.
    pub fn look(root: &'a Root, at: (BorrowedFd<'_>, &str), found: Option<&Found>) -> Result<Self> {
        let Some(file) = open(at, found)? else {
            return Ok(Self {
                file: None,
                attributes: Attributes {
                    props: None,
                    label: None,
                },
                shelf: None,
            });
        };
        let found = os::stat_fd(fd(&file)).map_err(|e| explain("look at the file", e))?;
        let attributes = Attributes::read(fd(&file))?;
        let shelf = match &attributes.label {
            Some(label) if root.settings.versions => {
                Shelf::of(root, &label.history(&found.node), found.node.len)?
            }
            _ => None,
        };
        Ok(Self {
            file: Some((file, found)),
            attributes,
            shelf,
        })
    }

    /// Whether it is what was `found` at the name now, and hands on the same.
    pub fn is_still(&self, found: Option<&Found>) -> Result<bool> {
        let Some((file, old)) = &self.file else {
            return Ok(found.is_none());
        };
        let is_same = found.is_some_and(|now| {
            now.inode == old.inode && (now.node.len == 0) == (old.node.len == 0)
        });
        Ok(is_same && Attributes::read(fd(file))? == self.attributes)
    }

    /// The hash of its content, if it is known; `node` is what it is now.
    pub fn digest(&self, node: &Node) -> Option<Digest> {
        self.attributes.label.as_ref()?.digest(node)
    }

    /// Gives a new file, which is `node`, what this one hands on, and its own hash. A file that is the first in the folder `dir` gets an
    /// id and what that hands on.
    pub fn endow(
        &self,
        stage: &Stage,
        dir: BorrowedFd<'_>,
        digest: Option<&Digest>,
        node: &Node,
    ) -> Result<()> {
        let access = if let Some((old, _)) = &self.file {
            os::take_over_access(fd(old), stage.file())
        } else {
            let [mode, _] = stage.root().settings.modes;
            os::Heritage::of(dir).and_then(|heritage| heritage.give_file(stage.file(), mode))
        };
        access.map_err(|e| explain(GIVE_ACCESS, e))?;
        if let Some(props) = &self.attributes.props {
            os::set_props(stage.file(), props).map_err(explain_store)?;
        }
        let Some((_, old)) = &self.file else {
            return label::found(stage.file(), digest, node);
        };
        let Some(label) = &self.attributes.label else {
            return Ok(());
        };
        let label = label.for_node(&old.node, digest, node);
        // Without it the new file would be another one, without what was kept.
        label
            .store(stage.file())
            .map_err(|e| explain("keep the former content", e))
    }

    /// The modification time of what comes into its place, where a client wants this one, or none.
    pub fn draw_time(&self, root: &Root, wanted: Option<SystemTime>) -> Result<SystemTime> {
        let before = self.file.as_ref().map(|(_, found)| found.node.modified);
        // Neither the time nor the inode may tell the two contents apart.
        let is_coarse = root.lacks.has(Lack::Fractions) && root.lacks.has(Lack::Birth);
        if is_coarse {
            Ok(later_time(wanted, before))
        } else {
            draw_time(wanted, before)
        }
    }

    /// Lets a file that still has another name, now that this one is another's, go its own way; called under the guard.
    pub fn part(&self, root: &Root, kept: Option<&str>) {
        if let Some((file, found)) = self.file.as_ref().filter(|(_, found)| found.links > 1) {
            versions::part(root, fd(file), &found.node, kept);
        }
    }
}

impl Attributes {
    fn read(file: BorrowedFd<'_>) -> Result<Self> {
        let props = os::props_fd(file).map_err(|e| explain("read properties", e))?;
        let label = match Label::of_file(file) {
            Ok(label) => Some(label),
            Err(Errno::OPNOTSUPP) => None,
            Err(e) => return Err(explain("look for former contents", e)),
        };
        Ok(Self { props, label })
    }
}

/// `None` where no file stands, or none any more.
fn open(at: (BorrowedFd<'_>, &str), found: Option<&Found>) -> Result<Option<OwnedFd>> {
    if found.is_none_or(|found| found.kind != Kind::File) {
        return Ok(None);
    }
    match os::open_read(at.0, at.1, Lookup::Full) {
        Ok(file) => Ok(Some(file)),
        Err(Errno::NOENT | Errno::LOOP | Errno::NXIO) => Ok(None),
        Err(e) => Err(explain("look at the file", e)),
    }
}
