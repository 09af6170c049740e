//! A folder or file as it was at a moment.

use crate::operations::{Area, Content, Pick, Root, Spot, Who};
use crate::run::{Checked, Run};
use crate::server::Reply;
use crate::world::{Moment, Node, Tree, World, after, in_team, is_within, join, parent, quota};
use serde_json::{Value, json};
use std::time::{SystemTime, UNIX_EPOCH};

/// Moments that are remembered of each root.
const MOST: usize = 12;

/// What a rewind does to one path: what, where, and where it was before.
type Change = (&'static str, String, Option<String>);

/// A world being rewound.
struct Rewinding<'a> {
    world: World,
    root: Root,
    who: Who,
    then: &'a Moment,
    changes: Vec<Change>,
    /// What was discarded on the way: the number of each item in the trash, and where it lay.
    discarded: Vec<(u64, String)>,
    /// Whether a lock that stood before keeps one of the changes from being made.
    barred: bool,
    /// Whether something is not kept any more.
    lost: bool,
}

impl Run<'_> {
    /// Remembers how the roots are that have been touched.
    pub fn note_moment(&mut self) {
        if self.refused {
            return;
        }
        let now = SystemTime::now();
        let since = now.duration_since(UNIX_EPOCH).unwrap_or_default();
        let time = sarang::model::time::iso_date(now);
        let time = time.replace('Z', &format!(".{:09}Z", since.subsec_nanos()));
        let made = self.world.made();
        let reached = self.reached.borrow();
        for root in Root::ALL.into_iter().filter(|root| reached.contains(root)) {
            let holding = self.world.holding_mut(root);
            let moment = Moment {
                time: time.clone(),
                tree: holding.tree.clone(),
                made,
            };
            holding.moments.push(moment);
            if holding.moments.len() > MOST {
                holding.moments.remove(0);
            }
        }
    }

    pub fn rewind(&mut self, (who, at): (Who, &Spot), moment: u8, dry: bool) -> Checked {
        // Now and then all of the drive, or of the team folder.
        let path = match (at.pick, at.area) {
            (Pick::None, Area::Own) => String::new(),
            (Pick::None, Area::Team) if self.world.in_team(who).is_some() => in_team(""),
            _ => self.world.address(who, at),
        };
        let (place, mut no) = self.sit(who, &path, true);
        let is_shared = place
            .as_ref()
            .is_some_and(|place| place.root != who.home() && place.root != Root::Team);
        no.add(is_shared, 403);
        let root = place.as_ref().map_or(who.home(), |place| place.root);
        let moments = &self.world.holding(root).moments;
        if moments.is_empty() {
            return Ok(());
        }
        let then = &moments[usize::from(moment) % moments.len()].clone();
        let top = place.map_or_else(String::new, |place| place.path);
        no.add(!top.is_empty() && !then.tree.contains_key(&top), 404);
        let mut next = None;
        if no.0.is_empty() {
            let rewound = Rewinding::of(&self.world, (root, &top), who, then);
            if rewound.lost || self.world.is_beneath_a_file(root, &top) {
                return Ok(());
            }
            let (before, after) = (self.world.used(root), rewound.world.used(root));
            no.add(!dry && rewound.barred, 423);
            no.add(
                !dry && after > before && quota(root).is_some_and(|quota| after > quota),
                507,
            );
            next = Some(rewound);
        }
        let body = json!({ "path": path, "to": then.time, "dry_run": dry });
        let reply = self
            .server
            .ask(who, "POST", "/api/v1/rewind")
            .json(&body)
            .send();
        let how = if dry {
            "looks what it takes to rewind"
        } else {
            "rewinds"
        };
        let back = self.world.made() - then.made;
        if !self.judge(
            &format!("{} {how} /{path} by {back}", who.name()),
            &reply,
            200,
            &no,
        )? {
            return Ok(());
        }
        let Some(rewound) = next else { return Ok(()) };
        compare_changes(&reply, &rewound.changes, |path| {
            self.world.seen_as(who, root, path)
        })?;
        if !dry {
            let told: Vec<_> = rewound
                .changes
                .iter()
                .map(|(what, at, _)| format!("{what} {at}"))
                .collect();
            self.log.push(format!("  {}", told.join(", ")));
            self.world = rewound.world;
            self.touch(root);
        }
        Ok(())
    }
}

/// What the answer says that changes, in whatever order.
fn compare_changes(
    reply: &Reply,
    changes: &[Change],
    seen: impl Fn(&str) -> Option<String>,
) -> Checked {
    let shown = |path: &String| json!(format!("/{}", seen(path).unwrap_or_default()));
    let said = changes
        .iter()
        .map(|(what, at, from)| (json!(what), shown(at), json!(from.as_ref().map(shown))));
    let mut said: Vec<_> = said.collect();
    let told = |change: &Value| {
        (
            change["change"].clone(),
            change["path"].clone(),
            change["from"].clone(),
        )
    };
    let mut told: Vec<_> = reply.json()["changes"]
        .as_array()
        .into_iter()
        .flatten()
        .map(told)
        .collect();
    said.sort_by_key(|change| format!("{change:?}"));
    told.sort_by_key(|change| format!("{change:?}"));
    if said == told {
        return Ok(());
    }
    Err(format!(
        "it says that it changes {told:?}, and the model says {said:?}"
    ))
}

/// Where something lies.
enum Found {
    Path(String),
    /// In an item of the trash, by its index, at a path in it.
    Trash(usize, String),
}

impl<'a> Rewinding<'a> {
    fn of(world: &World, (root, top): (Root, &str), who: Who, then: &'a Moment) -> Self {
        let (changes, discarded) = (Vec::new(), Vec::new());
        let mut this = Self {
            world: world.clone(),
            root,
            who,
            then,
            changes,
            discarded,
            barred: false,
            lost: false,
        };
        this.make_way(top);
        this.move_free(top);
        this.settle(top);
        this
    }

    fn wanted(&self, at: &str) -> Option<Node> {
        self.then.tree.get(at).cloned()
    }

    fn wanted_members(&self, at: &str) -> Vec<String> {
        self.then
            .tree
            .keys()
            .filter(|path| parent(path) == at && !path.is_empty())
            .cloned()
            .collect()
    }

    fn now(&self, at: &str) -> Option<&Node> {
        self.world.node(self.root, at)
    }

    /// Whether what stood at a path stands there still.
    fn stands(&self, at: &str) -> bool {
        at.is_empty() || self.now(at).map(|node| node.id) == self.wanted(at).map(|node| node.id)
    }

    fn find(&self, id: u64) -> Option<Found> {
        let holding = self.world.holding(self.root);
        if let Some((path, _)) = holding.tree.iter().find(|(_, node)| node.id == id) {
            return Some(Found::Path(path.clone()));
        }
        holding.trash.iter().enumerate().find_map(|(index, item)| {
            let inner = item.tree.iter().find(|(_, node)| node.id == id)?.0;
            Some(Found::Trash(index, inner.clone()))
        })
    }

    /// Makes the folders on the way to a path.
    fn make_way(&mut self, path: &str) {
        let mut way = String::new();
        for name in parent(path).split('/').filter(|name| !name.is_empty()) {
            way = join(&way, name);
            if self.now(&way).is_none() {
                self.bar(|world, root, who| world.writing_barred((root, &way), who, &[]));
                self.world.make_folder(self.root, &way);
                self.changes.push(("made", way.clone(), None));
            }
        }
    }

    /// Moves back what was moved away, where its place is free.
    fn move_free(&mut self, at: &str) {
        let Some(want) = self
            .wanted(at)
            .or_else(|| at.is_empty().then(|| Node::new(0, None, false)))
        else {
            return;
        };
        if !at.is_empty()
            && self.now(at).is_none()
            && let Some(Found::Path(_)) = self.find(want.id)
        {
            self.shift(want.id, at);
        }
        if want.is_folder() && self.stands(at) {
            for member in self.wanted_members(at) {
                self.move_free(&member);
            }
        }
    }

    fn settle(&mut self, at: &str) {
        let Some(want) = self
            .wanted(at)
            .or_else(|| at.is_empty().then(|| Node::new(0, None, false)))
        else {
            return;
        };
        if !self.stands(at) {
            if self.find(want.id).is_none() {
                self.lost = true;
                return;
            }
            if self.now(at).is_some() {
                self.discard(at);
            }
            self.shift(want.id, at);
        }
        if let Some(content) = want.content {
            return self.rewrite(at, &want, content);
        }
        let wanted = self.wanted_members(at);
        let tree = &self.world.holding(self.root).tree;
        let is_extra =
            |path: &&String| parent(path) == at && !path.is_empty() && !wanted.contains(path);
        for path in tree.keys().filter(is_extra).cloned().collect::<Vec<_>>() {
            self.discard(&path);
        }
        for member in wanted {
            self.settle(&member);
        }
    }

    fn discard(&mut self, at: &str) {
        self.bar(|world, root, who| world.taking_barred((root, at), who, &[]));
        self.world.discard(self.root, at, self.who);
        let stamp = self
            .world
            .holding(self.root)
            .trash
            .last()
            .map_or(0, |item| item.stamp);
        self.discarded.push((stamp, at.to_owned()));
        self.changes.push(("discarded", at.to_owned(), None));
    }

    /// Brings something to a path at which nothing stands, from wherever it lies.
    fn shift(&mut self, id: u64, to: &str) {
        let root = self.root;
        match self.find(id) {
            None => self.lost = true,
            Some(Found::Path(from)) => {
                self.bar(|world, root, who| {
                    world.taking_barred((root, &from), who, &[])
                        || world.taking_barred((root, to), who, &[])
                });
                let tree = self.world.cut(root, &from);
                self.world.graft(root, to, tree);
                self.world.follow(root, &from, to);
                self.changes.push(("moved", to.to_owned(), Some(from)));
            }
            Some(Found::Trash(index, inner)) => {
                self.bar(|world, root, who| world.writing_barred((root, to), who, &[]));
                let item = &mut self.world.holding_mut(root).trash[index];
                let stamp = item.stamp;
                let part: Tree = item
                    .tree
                    .iter()
                    .filter_map(|(at, node)| Some((after(at, &inner)?.to_owned(), node.clone())))
                    .collect();
                item.tree.retain(|at, _| !is_within(at, &inner));
                if inner.is_empty() {
                    self.world.holding_mut(root).trash.remove(index);
                }
                self.world.graft(root, to, part);
                let lay = self
                    .discarded
                    .iter()
                    .find(|(item, _)| *item == stamp)
                    .map(|(_, path)| join(path, &inner));
                let what = if lay.is_some() { "moved" } else { "restored" };
                self.changes.push((what, to.to_owned(), lay));
            }
        }
    }

    /// Gives a file the content that it had.
    fn rewrite(&mut self, at: &str, want: &Node, content: Content) {
        let Some(now) = self.now(at).cloned() else {
            return;
        };
        if now.content.is_some_and(|now| now.is(content)) {
            return;
        }
        let versions = now
            .history
            .and_then(|history| self.world.holding(self.root).versions.get(&history));
        let former = versions
            .into_iter()
            .flatten()
            .find(|version| version.stamp > self.then.made)
            .cloned();
        let is_former = former
            .as_ref()
            .is_some_and(|former| former.content.is(content));
        if !is_former && content.len > 0 {
            self.lost = true;
            return;
        }
        self.bar(|world, root, who| world.content_barred((root, at), who, &[]));
        let hashed = former
            .filter(|_| is_former)
            .is_none_or(|former| former.hashed);
        self.world.write(
            (self.root, at),
            Content {
                len: content.len,
                ..want.content.unwrap_or(content)
            },
            hashed,
        );
        self.changes.push(("reverted", at.to_owned(), None));
    }

    fn bar(&mut self, is_barred: impl Fn(&World, Root, Who) -> bool) {
        self.barred |= is_barred(&self.world, self.root, self.who);
    }
}
