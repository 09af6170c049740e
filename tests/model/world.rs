//! The model: what two accounts have, in memory and as simple as it can be.

use crate::operations::{Content, Spot, Who};
use crate::server::QUOTA;
use std::collections::{BTreeMap, HashMap};

pub const HALL: &str = "Shared with me";

/// A file or folder.
#[derive(Clone, Debug)]
pub struct Node {
    /// Says which one it is, wherever it is moved.
    pub id: u64,
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
    pub who: Who,
    pub tree: Tree,
    /// Once it was listed.
    pub id: Option<String>,
}

#[derive(Clone, Debug)]
pub struct Version {
    pub content: Content,
    pub hashed: bool,
    /// Once it was listed.
    pub id: Option<String>,
}

#[derive(Debug, Default)]
pub struct Root {
    pub tree: Tree,
    /// The newest last.
    pub trash: Vec<Trashed>,
    /// The newest last.
    pub versions: HashMap<u64, Vec<Version>>,
}

#[derive(Clone, Debug)]
pub struct Lock {
    pub token: String,
    pub root: Who,
    pub path: String,
    pub holder: Who,
    pub shared: bool,
    pub deep: bool,
}

impl Lock {
    pub fn covers(&self, root: Who, path: &str) -> bool {
        self.root == root && (self.path == path || (self.deep && is_within(path, &self.path)))
    }
}

/// What ana shares with ben.
#[derive(Clone, Debug)]
pub struct Share {
    pub id: String,
    pub path: String,
    pub node: u64,
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

/// An upload of ana's that is not whole yet.
#[derive(Clone, Debug)]
pub struct Upload {
    pub at: String,
    pub path: String,
    pub content: Content,
    pub offset: u16,
    pub fresh: bool,
    pub reserved: u64,
}

/// Where a path of a drive leads.
#[derive(Clone, Debug)]
pub enum Seat {
    Place(Place),
    /// In the folder of shares, where nothing is.
    Nowhere,
}

#[derive(Clone, Debug)]
pub struct Place {
    pub root: Who,
    pub path: String,
    pub edit: bool,
    /// Whether it is what is shared itself.
    pub is_mount: bool,
}

#[derive(Debug, Default)]
pub struct World {
    pub roots: [Root; 2],
    pub locks: Vec<Lock>,
    pub share: Option<Share>,
    pub uploads: Vec<Upload>,
    made: u64,
}

pub fn parent(path: &str) -> &str {
    path.rsplit_once('/').map_or("", |(parent, _)| parent)
}

pub fn leaf(path: &str) -> &str {
    path.rsplit('/').next().unwrap_or_default()
}

pub fn join(folder: &str, name: &str) -> String {
    if folder.is_empty() || name.is_empty() { format!("{folder}{name}") } else { format!("{folder}/{name}") }
}

pub fn is_within(path: &str, top: &str) -> bool {
    after(path, top).is_some()
}

/// The path below `top`; empty for `top` itself.
pub fn after<'a>(path: &'a str, top: &str) -> Option<&'a str> {
    match path.strip_prefix(top) {
        Some(rest) if rest.is_empty() || top.is_empty() => Some(rest),
        Some(rest) => rest.strip_prefix('/'),
        None => None,
    }
}

impl World {
    pub fn root(&self, who: Who) -> &Root {
        &self.roots[who as usize]
    }

    pub fn root_mut(&mut self, who: Who) -> &mut Root {
        &mut self.roots[who as usize]
    }

    pub fn node(&self, root: Who, path: &str) -> Option<&Node> {
        self.root(root).tree.get(path)
    }

    pub fn is_folder(&self, root: Who, path: &str) -> bool {
        path.is_empty() || self.node(root, path).is_some_and(Node::is_folder)
    }

    /// The share, as far as ben sees it.
    pub fn shown(&self) -> Option<&Share> {
        self.share.as_ref().filter(|share| !share.left)
    }

    /// The path of a spot in the drive of `who`.
    pub fn address(&self, who: Who, spot: &Spot) -> String {
        self.address_among(who, spot, |_| true)
    }

    /// The path of a spot in the drive of `who`, that of a file with a past if one may be picked.
    pub fn address_of_past(&self, who: Who, spot: &Spot) -> String {
        let root = if spot.shared { Who::Ana } else { who };
        let versions = &self.root(root).versions;
        self.address_among(who, spot, |node| {
            node.history.and_then(|history| versions.get(&history)).is_some_and(|versions| !versions.is_empty())
        })
    }

    fn address_among(&self, who: Who, spot: &Spot, fits: impl Fn(&Node) -> bool) -> String {
        let root = if spot.shared { Who::Ana } else { who };
        let top = if spot.shared { self.shown().map(|share| share.path.clone()) } else { Some(String::new()) };
        let tree = self.root(root).tree.iter().filter(|(_, node)| fits(node));
        let there: Vec<_> = tree.filter_map(|(path, _)| after(path, top.as_ref()?)).collect();
        let path = match spot.pick {
            Some(pick) if !there.is_empty() => there[usize::from(pick) % there.len()],
            _ => &*spot.path,
        };
        if !spot.shared {
            return path.to_owned();
        }
        let mount = self.shown().map_or_else(|| format!("{HALL}/m"), Share::mount);
        join(&mount, path)
    }

    /// Where a path in the drive of `who` leads.
    pub fn seat(&self, who: Who, path: &str) -> Seat {
        if let (Who::Ben, Some(share)) = (who, self.shown())
            && is_within(path, HALL)
        {
            let Some(rest) = after(path, &share.mount()) else { return Seat::Nowhere };
            let (path, edit) = (join(&share.path, rest), share.edit);
            return Seat::Place(Place { root: Who::Ana, path, edit, is_mount: rest.is_empty() });
        }
        Seat::Place(Place { root: who, path: path.to_owned(), edit: true, is_mount: false })
    }

    /// The path under which `who` sees what lies in a root.
    pub fn seen_as(&self, who: Who, root: Who, path: &str) -> Option<String> {
        if who == root {
            return Some(path.to_owned());
        }
        let share = self.shown().filter(|_| who == Who::Ben)?;
        Some(join(&share.mount(), after(path, &share.path)?))
    }

    pub fn used(&self, root: Who) -> u64 {
        self.root(root).tree.values().map(Node::len).sum()
    }

    /// Whether so many bytes more may come, where `old` go.
    pub fn has_room(&self, root: Who, new: u64, old: u64) -> bool {
        let reserved: u64 = self.uploads.iter().map(|upload| upload.reserved).sum();
        root == Who::Ben || new <= old || self.used(root) + reserved + new - old <= QUOTA
    }

    /// As [`has_room`](Self::has_room), for what was promised its room before.
    pub fn has_promised_room(&self, root: Who, new: u64, old: u64) -> bool {
        root == Who::Ben || new <= old || self.used(root) + new - old <= QUOTA
    }

    /// Locks on one thing let through who brings the token of one of them.
    fn bars<'a>(locks: impl Iterator<Item = &'a Lock>, who: Who, tokens: &[String]) -> bool {
        let locks: Vec<_> = locks.collect();
        !locks.is_empty() && !locks.iter().any(|lock| lock.holder == who && tokens.contains(&lock.token))
    }

    /// Whether a lock keeps `who` from changing what is at a path.
    pub fn content_barred(&self, (root, path): (Who, &str), who: Who, tokens: &[String]) -> bool {
        Self::bars(self.locks.iter().filter(|lock| lock.covers(root, path)), who, tokens)
    }

    /// Whether a lock keeps `who` from changing which members a folder has.
    pub fn members_barred(&self, (root, path): (Who, &str), who: Who, tokens: &[String]) -> bool {
        Self::bars(self.locks.iter().filter(|lock| lock.root == root && lock.path == path), who, tokens)
    }

    /// Whether a lock keeps `who` from making or writing what is at a path.
    pub fn writing_barred(&self, at: (Who, &str), who: Who, tokens: &[String]) -> bool {
        let is_new = self.node(at.0, at.1).is_none();
        self.content_barred(at, who, tokens) || (is_new && self.members_barred((at.0, parent(at.1)), who, tokens))
    }

    /// Whether a lock keeps `who` from taking away or replacing all that is at a path.
    pub fn taking_barred(&self, at: (Who, &str), who: Who, tokens: &[String]) -> bool {
        let below = self.locks.iter().filter(|lock| lock.root == at.0 && is_within(&lock.path, at.1));
        self.members_barred((at.0, parent(at.1)), who, tokens)
            || self.content_barred(at, who, tokens)
            || below.map(|lock| lock.path.clone()).any(|path| self.members_barred((at.0, &path), who, tokens))
    }

    pub fn new_id(&mut self) -> u64 {
        self.made += 1;
        self.made
    }

    pub fn make_folder(&mut self, root: Who, path: &str) {
        let id = self.new_id();
        let props = BTreeMap::new();
        let folder = Node { id, content: None, hashed: false, history: None, props, etag: None };
        self.root_mut(root).tree.insert(path.to_owned(), folder);
    }

    /// Gives a file its content; what it had becomes a version, unless that is the same.
    pub fn write(&mut self, root: Who, path: &str, content: Content, hashed: bool) {
        let (id, fresh) = (self.new_id(), self.new_id());
        let old = self.root_mut(root).tree.remove(path);
        let mut new = Node { id, content: Some(content), hashed, history: None, props: BTreeMap::new(), etag: None };
        if let Some(old) = old {
            let former = old.content.expect("only files are written");
            new.history = old.history.or((former.len > 0).then_some(fresh));
            new.props = old.props;
            if let Some(history) = new.history
                && !(hashed && old.hashed && same(former, content))
            {
                let version = Version { content: former, hashed: old.hashed, id: None };
                self.root_mut(root).versions.entry(history).or_default().push(version);
            }
            if let Some(share) = self.share.as_mut().filter(|share| root == Who::Ana && share.node == old.id) {
                share.node = id;
            }
        }
        self.root_mut(root).tree.insert(path.to_owned(), new);
    }

    /// What lies at a path and below it, as a tree of its own.
    pub fn subtree(&self, root: Who, path: &str) -> Tree {
        let all = self.root(root).tree.iter();
        all.filter_map(|(at, node)| Some((after(at, path)?.to_owned(), node.clone()))).collect()
    }

    /// Takes a tree away from its place; the locks there end.
    pub fn cut(&mut self, root: Who, path: &str) -> Tree {
        let tree = self.subtree(root, path);
        self.root_mut(root).tree.retain(|at, _| !is_within(at, path));
        self.locks.retain(|lock| lock.root != root || !is_within(&lock.path, path));
        tree
    }

    pub fn graft(&mut self, root: Who, path: &str, tree: Tree) {
        self.root_mut(root).tree.extend(tree.into_iter().map(|(at, node)| (join(path, &at), node)));
    }

    /// Moves what is at a path to the trash; what it shared is shared no more.
    pub fn discard(&mut self, root: Who, path: &str, who: Who) {
        let tree = self.cut(root, path);
        self.root_mut(root).trash.push(Trashed { path: path.to_owned(), who, tree, id: None });
        if self.share.as_ref().is_some_and(|share| root == Who::Ana && is_within(&share.path, path)) {
            self.share = None;
        }
    }

    /// Ends the locks that ben holds in what is shared, when he may not change it any more.
    pub fn release(&mut self) {
        let Some(share) = &self.share else { return };
        if share.left || !share.edit {
            let path = share.path.clone();
            self.locks
                .retain(|lock| !(lock.root == Who::Ana && lock.holder == Who::Ben && is_within(&lock.path, &path)));
        }
    }
}

/// Whether the bytes are the same; no bytes are, whatever they were to be.
pub fn same(one: Content, other: Content) -> bool {
    one == other || (one.len == 0 && other.len == 0)
}
