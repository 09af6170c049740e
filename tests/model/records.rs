//! What the model knows of each thing.

use crate::operations::{Content, Rights, Root, Who};
use crate::world::{HALL, TEAM_MOUNT, is_within, join, leaf};
use std::collections::{BTreeMap, HashMap};

/// A file or folder.
#[derive(Clone, Debug)]
pub struct Node {
    /// Says which one it is, wherever it is moved and whatever is saved in it.
    pub id: u64,
    /// What shares and links know it by: as the id, but names of one file have the same.
    pub file: u64,
    /// Names of one file have the same.
    pub inode: u64,
    /// `None` for a folder.
    pub content: Option<Content>,
    /// Whether the server has come to know the hash of the content on the way.
    pub hashed: bool,
    /// Which former contents are its own.
    pub history: Option<u64>,
    pub props: BTreeMap<char, u8>,
    /// Once it was seen.
    pub etag: Option<String>,
}

impl Node {
    /// Something new; its numbers are its own.
    pub fn new(id: u64, content: Option<Content>, hashed: bool) -> Self {
        Self {
            id,
            file: id,
            inode: id,
            content,
            hashed,
            history: None,
            props: BTreeMap::new(),
            etag: None,
        }
    }

    pub fn is_folder(&self) -> bool {
        self.content.is_none()
    }

    pub fn len(&self) -> u64 {
        self.content.map_or(0, |content| content.len.into())
    }
}

/// A tree by its paths; what was cut out of one has the empty path for its top.
pub type Tree = BTreeMap<String, Node>;

#[derive(Clone, Debug)]
pub struct Trashed {
    pub path: String,
    /// The name of the account that did it.
    pub by: &'static str,
    pub tree: Tree,
    /// The later, the greater.
    pub stamp: u64,
    /// Once it was listed.
    pub id: Option<String>,
}

#[derive(Clone, Debug)]
pub struct Version {
    pub content: Content,
    pub hashed: bool,
    /// The later, the greater.
    pub stamp: u64,
    /// Once it was listed.
    pub id: Option<String>,
}

/// A root at a moment.
#[derive(Clone, Debug)]
pub struct Moment {
    /// As the API has it.
    pub time: String,
    pub tree: Tree,
    /// The numbers of the model up to then.
    pub made: u64,
}

/// What lies in a root.
#[derive(Clone, Debug, Default)]
pub struct Holding {
    pub tree: Tree,
    /// The newest last.
    pub trash: Vec<Trashed>,
    /// The newest last.
    pub versions: HashMap<u64, Vec<Version>>,
    /// As it was, the newest last; what was made beside the server since then is not known to it.
    pub moments: Vec<Moment>,
}

/// The numbers of what is in the trash, and of the versions of each path.
pub type Past = (Vec<u64>, BTreeMap<String, Vec<u64>>);

impl Holding {
    pub fn past(&self) -> Past {
        let versions = |history| {
            self.versions
                .get(&history)
                .into_iter()
                .flatten()
                .map(|version| version.stamp)
                .collect()
        };
        let files = self
            .tree
            .iter()
            .filter_map(|(path, node)| Some((path.clone(), versions(node.history?))));
        (
            self.trash.iter().map(|item| item.stamp).collect(),
            files.collect(),
        )
    }
}

#[derive(Clone, Debug)]
pub struct Lock {
    pub token: String,
    pub root: Root,
    pub path: String,
    pub holder: Who,
    pub shared: bool,
    pub deep: bool,
}

impl Lock {
    pub fn covers(&self, root: Root, path: &str) -> bool {
        self.root == root && (self.path == path || (self.deep && is_within(path, &self.path)))
    }

    pub fn is_within(&self, root: Root, path: &str) -> bool {
        self.root == root && is_within(&self.path, path)
    }
}

/// What ana shares with ben.
#[derive(Clone, Debug)]
pub struct Share {
    pub id: String,
    pub path: String,
    pub edit: bool,
    /// The name that ben gave it.
    pub name: Option<String>,
    /// Whether ben does not want it.
    pub left: bool,
}

impl Share {
    /// Where it shows in ben's drive.
    pub fn mount(&self) -> String {
        let name = self.name.as_deref().unwrap_or_else(|| leaf(&self.path));
        format!("{HALL}/{name}")
    }
}

/// What ana gives away by a link.
#[derive(Clone, Debug)]
pub struct Link {
    pub id: String,
    pub token: String,
    pub path: String,
    pub file: u64,
    pub folder: bool,
    pub rights: Rights,
    pub password: Option<&'static str>,
    pub ended: bool,
}

/// The team folder: whether ana and ben are members, and may edit.
#[derive(Clone, Copy, Debug)]
pub struct Team {
    pub ana: Option<bool>,
    pub ben: Option<bool>,
}

impl Team {
    pub fn edits(self, who: Who) -> Option<bool> {
        match who {
            Who::Ana => self.ana,
            Who::Ben => self.ben,
            Who::Visitor => None,
        }
    }
}

/// An upload that is not whole yet.
#[derive(Clone, Debug)]
pub struct Upload {
    pub who: Who,
    pub at: String,
    /// In the drive of whoever sends it.
    pub path: String,
    pub root: Root,
    pub content: Content,
    pub offset: u16,
    pub fresh: bool,
    pub reserved: u64,
}

/// Where a path of a drive leads.
#[derive(Clone, Debug)]
pub enum Seat {
    Place(Place),
    /// In a folder of mounts, or beside the file that is all a link shows.
    Nowhere,
    /// The link shows nothing.
    Gone,
}

#[derive(Clone, Debug)]
pub struct Place {
    pub root: Root,
    pub path: String,
    pub rights: Rights,
    /// Whether it is the top of what is shared, given away or the team's.
    pub is_mount: bool,
    /// Names below that top.
    pub below: usize,
}

impl Place {
    pub fn at(root: Root, top: &str, rest: &str, rights: Rights) -> Self {
        let below = rest.split('/').filter(|name| !name.is_empty()).count();
        Self {
            root,
            path: join(top, rest),
            rights,
            is_mount: rest.is_empty(),
            below,
        }
    }

    /// What a lock, a share or a version is found by.
    pub fn spot(&self) -> (Root, &str) {
        (self.root, &self.path)
    }

    pub fn edits(&self) -> bool {
        self.rights == Rights::Edit
    }
}

/// The path of something in the team folder.
pub fn in_team(path: &str) -> String {
    join(TEAM_MOUNT, path)
}
