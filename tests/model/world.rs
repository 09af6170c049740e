//! The model: what two accounts, a team folder and the visitors of a link have, in memory and as simple as it can be.

use crate::operations::{Area, Content, Pick, Rights, Root, Spot, Who};
pub use crate::records::{
    Holding, Link, Lock, Moment, Node, Past, Place, Seat, Share, Team, Trashed, Tree, Upload,
    Version, in_team,
};
use crate::server::{QUOTA, TEAM_QUOTA};

pub const HALL: &str = "Shared with me";
pub const TEAMS: &str = "Team folders";
pub const TEAM: &str = "T";
pub const TEAM_MOUNT: &str = "Team folders/T";

#[derive(Clone, Debug, Default)]
pub struct World {
    pub holdings: [Holding; 3],
    pub locks: Vec<Lock>,
    pub share: Option<Share>,
    pub link: Option<Link>,
    pub team: Option<Team>,
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
    if folder.is_empty() || name.is_empty() {
        format!("{folder}{name}")
    } else {
        format!("{folder}/{name}")
    }
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
    pub fn holding(&self, root: Root) -> &Holding {
        &self.holdings[root as usize]
    }

    pub fn holding_mut(&mut self, root: Root) -> &mut Holding {
        &mut self.holdings[root as usize]
    }

    pub fn node(&self, root: Root, path: &str) -> Option<&Node> {
        self.holding(root).tree.get(path)
    }

    /// What stands at a place.
    pub fn at(&self, place: &Place) -> Option<&Node> {
        self.node(place.root, &place.path)
    }

    pub fn is_folder(&self, root: Root, path: &str) -> bool {
        path.is_empty() || self.node(root, path).is_some_and(Node::is_folder)
    }

    /// The share, as far as ben sees it.
    pub fn shown(&self) -> Option<&Share> {
        self.share.as_ref().filter(|share| !share.left)
    }

    /// The link, while what it shows is where it was.
    pub fn open_link(&self) -> Option<&Link> {
        let link = self.link.as_ref().filter(|link| !link.ended)?;
        self.node(Root::Ana, &link.path)
            .filter(|node| node.file == link.file)
            .map(|_| link)
    }

    /// Whether `who` sees the team folder, and may edit there.
    pub fn in_team(&self, who: Who) -> Option<bool> {
        self.team?.edits(who)
    }

    /// The path of a spot in the drive of `who`.
    pub fn address(&self, who: Who, spot: &Spot) -> String {
        self.address_among(who, spot, |_| true)
    }

    /// The path of a spot in the drive of `who`, that of a file with a past if one may be picked.
    pub fn address_of_past(&self, who: Who, spot: &Spot) -> String {
        let versions = &self.holding(self.source_of(who, spot).0).versions;
        self.address_among(who, spot, |node| {
            node.history
                .and_then(|history| versions.get(&history))
                .is_some_and(|versions| !versions.is_empty())
        })
    }

    /// The root that a spot is picked from, the top of what is seen of it, and where that shows.
    fn source_of(&self, who: Who, spot: &Spot) -> (Root, Option<String>, String) {
        match (who, spot.area) {
            (Who::Visitor, _) => (
                Root::Ana,
                self.open_link().map(|link| link.path.clone()),
                String::new(),
            ),
            (_, Area::Shared) if self.shown().is_some() || spot.pick == Pick::None => {
                let mount = self
                    .shown()
                    .map_or_else(|| format!("{HALL}/m"), Share::mount);
                (
                    Root::Ana,
                    self.shown().map(|share| share.path.clone()),
                    mount,
                )
            }
            (_, Area::Team) if self.in_team(who).is_some() => {
                (Root::Team, Some(String::new()), TEAM_MOUNT.to_owned())
            }
            _ => (who.home(), Some(String::new()), String::new()),
        }
    }

    fn address_among(&self, who: Who, spot: &Spot, fits: impl Fn(&Node) -> bool) -> String {
        let (root, top, shown) = self.source_of(who, spot);
        let tree = || {
            self.holding(root)
                .tree
                .iter()
                .filter_map(|(at, node)| Some((after(at, top.as_ref()?)?, node)))
        };
        let one = |which: u8, all: Vec<&str>| {
            (!all.is_empty()).then(|| all[usize::from(which) % all.len()].to_owned())
        };
        let folders = || {
            tree()
                .filter(|(_, node)| node.is_folder())
                .map(|(at, _)| at)
        };
        let picked = match spot.pick {
            Pick::None => None,
            Pick::Any(which) => one(
                which,
                tree()
                    .filter(|(_, node)| fits(node))
                    .map(|(at, _)| at)
                    .collect(),
            ),
            Pick::Folder(which) => one(which, folders().collect()),
            // At the top as often as in all others.
            Pick::In(which) if which % 2 == 0 => Some(leaf(&spot.path).to_owned()),
            Pick::In(which) => {
                one(which / 2, folders().collect()).map(|folder| join(&folder, leaf(&spot.path)))
            }
        };
        let path = picked.unwrap_or_else(|| spot.path.clone());
        match self.open_link() {
            Some(link) if who == Who::Visitor && !link.folder => join(leaf(&link.path), &path),
            // The drive as a whole is asked for by name only.
            _ if path.is_empty() && shown.is_empty() && who != Who::Visitor => "a".to_owned(),
            _ => join(&shown, &path),
        }
    }

    /// Where a path in the drive of `who` leads.
    pub fn seat(&self, who: Who, path: &str) -> Seat {
        if who == Who::Visitor {
            return self.seat_by_link(path);
        }
        if let (Who::Ben, Some(share)) = (who, self.shown())
            && is_within(path, HALL)
        {
            let Some(rest) = after(path, &share.mount()) else {
                return Seat::Nowhere;
            };
            return Seat::Place(Place::at(
                Root::Ana,
                &share.path,
                rest,
                if share.edit {
                    Rights::Edit
                } else {
                    Rights::View
                },
            ));
        }
        if let Some(edit) = self.in_team(who)
            && is_within(path, TEAMS)
        {
            let Some(rest) = after(path, TEAM_MOUNT) else {
                return Seat::Nowhere;
            };
            return Seat::Place(Place::at(
                Root::Team,
                "",
                rest,
                if edit { Rights::Edit } else { Rights::View },
            ));
        }
        Seat::Place(Place {
            is_mount: false,
            ..Place::at(who.home(), "", path, Rights::Edit)
        })
    }

    fn seat_by_link(&self, path: &str) -> Seat {
        let Some(link) = self.open_link() else {
            return Seat::Gone;
        };
        if link.folder {
            return Seat::Place(Place::at(Root::Ana, &link.path, path, link.rights));
        }
        if path == leaf(&link.path) {
            Seat::Place(Place::at(Root::Ana, &link.path, "", link.rights))
        } else {
            Seat::Nowhere
        }
    }

    /// The path under which `who` sees what lies in a root.
    pub fn seen_as(&self, who: Who, root: Root, path: &str) -> Option<String> {
        if who == Who::Visitor {
            let link = self.open_link()?;
            let rest = after(path, &link.path).filter(|_| root == Root::Ana)?;
            return Some(if link.folder {
                rest.to_owned()
            } else {
                join(leaf(&link.path), rest)
            });
        }
        if root == who.home() {
            return Some(path.to_owned());
        }
        if root == Root::Team {
            return self.in_team(who).map(|_| in_team(path));
        }
        let share = self
            .shown()
            .filter(|_| who == Who::Ben && root == Root::Ana)?;
        Some(join(&share.mount(), after(path, &share.path)?))
    }

    pub fn used(&self, root: Root) -> u64 {
        self.holding(root).tree.values().map(Node::len).sum()
    }

    /// Whether so many bytes more may come, where `old` go.
    pub fn has_room(&self, root: Root, new: u64, old: u64) -> bool {
        let here = self.uploads.iter().filter(|upload| upload.root == root);
        let reserved: u64 = here.map(|upload| upload.reserved).sum();
        quota(root)
            .is_none_or(|quota| new <= old || self.used(root) + reserved + new - old <= quota)
    }

    /// As [`has_room`](Self::has_room), for what was promised its room before.
    pub fn has_promised_room(&self, root: Root, new: u64, old: u64) -> bool {
        quota(root).is_none_or(|quota| new <= old || self.used(root) + new - old <= quota)
    }

    pub fn new_id(&mut self) -> u64 {
        self.made += 1;
        self.made
    }

    /// The greatest number so far.
    pub fn made(&self) -> u64 {
        self.made
    }

    /// Whether one of the folders that should hold a path is a file.
    pub fn is_beneath_a_file(&self, root: Root, path: &str) -> bool {
        let mut above = parent(path);
        while !above.is_empty() {
            match self.node(root, above) {
                Some(node) => return !node.is_folder(),
                None => above = parent(above),
            }
        }
        false
    }

    pub fn make_folder(&mut self, root: Root, path: &str) {
        let folder = Node::new(self.new_id(), None, false);
        self.holding_mut(root).tree.insert(path.to_owned(), folder);
    }

    /// Gives a file its content; what it had becomes a version, unless that is the same.
    pub fn write(&mut self, (root, path): (Root, &str), content: Content, hashed: bool) {
        let fresh = self.new_id();
        let Some(old) = self.holding_mut(root).tree.remove(path) else {
            self.holding_mut(root)
                .tree
                .insert(path.to_owned(), Node::new(fresh, Some(content), hashed));
            return;
        };
        let former = old.content.expect("only files are written");
        let history = old.history.or((former.len > 0).then_some(old.file));
        let new = Node {
            inode: fresh,
            content: Some(content),
            hashed,
            history,
            etag: None,
            ..old.clone()
        };
        self.holding_mut(root).tree.insert(path.to_owned(), new);
        let versions = &self.holding(root).versions;
        let has_past = history.is_some_and(|history| versions.contains_key(&history));
        let is_kept = (former.len > 0 || has_past) && !(hashed && old.hashed && former.is(content));
        self.part(root, &old);
        if let Some(history) = history.filter(|_| is_kept) {
            let version = Version {
                content: former,
                hashed: old.hashed,
                stamp: self.new_id(),
                id: None,
            };
            self.holding_mut(root)
                .versions
                .entry(history)
                .or_default()
                .push(version);
        }
    }

    /// Gives the other names of a file that lost one a history of their own, with what is in that so far.
    fn part(&mut self, root: Root, old: &Node) {
        let own = self.new_id();
        let holding = self.holding_mut(root);
        let so_far = old
            .history
            .and_then(|history| holding.versions.get(&history))
            .cloned()
            .unwrap_or_default();
        let trashed = holding
            .trash
            .iter_mut()
            .flat_map(|item| item.tree.values_mut());
        let mut is_shared = false;
        for other in holding
            .tree
            .values_mut()
            .chain(trashed)
            .filter(|node| node.inode == old.inode)
        {
            (other.history, is_shared) = (Some(own), true);
        }
        if is_shared && !so_far.is_empty() {
            holding.versions.insert(own, so_far);
        }
    }

    /// What lies at a path and below it, as a tree of its own.
    pub fn subtree(&self, root: Root, path: &str) -> Tree {
        let all = self.holding(root).tree.iter();
        all.filter_map(|(at, node)| Some((after(at, path)?.to_owned(), node.clone())))
            .collect()
    }

    /// Takes a tree away from its place; the locks there end.
    pub fn cut(&mut self, root: Root, path: &str) -> Tree {
        let tree = self.subtree(root, path);
        self.holding_mut(root)
            .tree
            .retain(|at, _| !is_within(at, path));
        self.locks.retain(|lock| !lock.is_within(root, path));
        tree
    }

    pub fn graft(&mut self, root: Root, path: &str, tree: Tree) {
        self.holding_mut(root)
            .tree
            .extend(tree.into_iter().map(|(at, node)| (join(path, &at), node)));
    }

    /// Moves what is at a path to the trash; what it shared is shared no more.
    pub fn discard(&mut self, root: Root, path: &str, who: Who) {
        let (tree, stamp) = (self.cut(root, path), self.new_id());
        let by = if who == Who::Visitor { Who::Ana } else { who }.name();
        self.holding_mut(root).trash.push(Trashed {
            path: path.to_owned(),
            by,
            tree,
            stamp,
            id: None,
        });
        if self
            .share
            .as_ref()
            .is_some_and(|share| root == Root::Ana && is_within(&share.path, path))
        {
            self.share = None;
        }
    }

    /// Lets what was moved be found where it is now, by who holds a share of it.
    pub fn follow(&mut self, root: Root, from: &str, to: &str) {
        if let Some(share) = self.share.as_mut().filter(|_| root == Root::Ana)
            && let Some(rest) = after(&share.path, from)
        {
            share.path = join(to, rest);
        }
    }

    /// A tree of other files with the same content and properties, and no past.
    pub fn copied(&mut self, mut tree: Tree, is_hashed: bool) -> Tree {
        for node in tree.values_mut() {
            let new = Node::new(self.new_id(), node.content, node.hashed || is_hashed);
            *node = Node {
                props: node.props.clone(),
                ..new
            };
        }
        tree
    }
}

pub fn quota(root: Root) -> Option<u64> {
    match root {
        Root::Ana => Some(QUOTA),
        Root::Ben => None,
        Root::Team => Some(TEAM_QUOTA),
    }
}
