//! What the server shows, against the model: trees, contents, tags, properties, locks, room.

use crate::operations::{Content, Rights, Root, Who};
use crate::run::{Checked, Run};
use crate::url::url;
use crate::world::{HALL, Lock, Node, Seat, Share, TEAMS, in_team, join, leaf, parent, quota};
use roxmltree::Document;
use std::collections::BTreeMap;

const DAV: &str = "DAV:";
const ASKED: &str = "<D:propfind xmlns:D='DAV:' xmlns:x='urn:x'><D:prop><D:resourcetype/><D:getcontentlength/><D:getetag/>\
    <D:lockdiscovery/><D:quota-used-bytes/><D:quota-available-bytes/><x:p/><x:q/></D:prop></D:propfind>";

/// An entry as a listing shows it, or as the model says it must; properties in one text, so that they compare and print as one.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
struct Seen {
    folder: bool,
    len: Option<u64>,
    props: BTreeMap<char, String>,
    /// Scope and depth of each lock, and the token of one's own.
    locks: Vec<(bool, bool, Option<String>)>,
}

/// What a listing says of one name.
struct Row {
    seen: Seen,
    etag: String,
    used: Option<u64>,
    available: Option<u64>,
}

impl Run<'_> {
    /// After a step: what its request named, as whoever asked sees it, and the roots in which it may have changed anything, as
    /// their owners see them. After a refusal: the folders that hold what the request named.
    pub fn compare(&mut self) -> Checked {
        self.compare_aimed()?;
        if self.refused {
            return Ok(());
        }
        let (touched, reached) = (self.touched.take(), self.reached.take());
        for root in Root::ALL {
            match root {
                Root::Ana if touched.contains(&root) => self.compare_drive(Who::Ana, false)?,
                Root::Ben if touched.contains(&root) => self.compare_drive(Who::Ben, false)?,
                Root::Team if touched.contains(&root) => self.compare_team(false)?,
                Root::Team => self.compare_past_of_team(false)?,
                Root::Ana | Root::Ben if reached.contains(&root) => {
                    let owner = if root == Root::Ana {
                        Who::Ana
                    } else {
                        Who::Ben
                    };
                    self.compare_past(owner, root, false)?;
                }
                Root::Ana | Root::Ben => {}
            }
        }
        Ok(())
    }

    fn compare_aimed(&mut self) -> Checked {
        for (who, path) in self.aimed.take() {
            let folder = parent(&path).to_owned();
            if self.is_listed(who, &folder) {
                self.compare_level(who, &folder)?;
            }
            if !self.refused && path != folder && self.is_listed(who, &path) {
                self.compare_folder(who, &path)?;
            }
        }
        Ok(())
    }

    /// Whether a path leads to a folder of which something is seen.
    fn is_listed(&self, who: Who, path: &str) -> bool {
        match self.world.seat(who, path) {
            Seat::Place(place) => {
                place.rights != Rights::Drop && self.world.is_folder(place.root, &place.path)
            }
            Seat::Nowhere | Seat::Gone => false,
        }
    }

    /// Now and then: everything.
    pub fn compare_whole(&mut self) -> Checked {
        Who::ACCOUNTS
            .into_iter()
            .try_for_each(|who| self.compare_drive(who, true))?;
        self.compare_share()?;
        self.compare_team(true)?;
        self.compare_visit()?;
        self.compare_link()?;
        self.compare_shares()
    }

    fn compare_drive(&mut self, who: Who, whole: bool) -> Checked {
        self.compare_folder(who, "")?;
        self.compare_past(who, who.home(), whole)
    }

    /// Trash and versions, if they must have changed, or `whole` is asked.
    fn compare_past(&mut self, who: Who, root: Root, whole: bool) -> Checked {
        let past = self.world.holding(root).past();
        if !whole && self.past[root as usize] == past {
            return Ok(());
        }
        // Of a team folder, who may only look does not see the trash.
        if root == who.home() || self.world.in_team(who) == Some(true) {
            self.compare_trash(who, root)?;
        }
        self.compare_versions(who, root)?;
        self.past[root as usize] = past;
        Ok(())
    }

    /// What is shared with ben, as he sees it.
    fn compare_share(&mut self) -> Checked {
        let Some(share) = self.world.shown() else {
            return Ok(());
        };
        let (mount, is_folder) = (share.mount(), self.world.is_folder(Root::Ana, &share.path));
        self.compare_folder(Who::Ben, HALL)?;
        if is_folder {
            self.compare_folder(Who::Ben, &mount)
        } else {
            Ok(())
        }
    }

    /// The team folder as one of its members sees it, who may edit there if anybody does.
    fn compare_team(&mut self, whole: bool) -> Checked {
        let Some(who) = self.team_member() else {
            return Ok(());
        };
        self.compare_folder(who, TEAMS)?;
        self.compare_folder(who, &in_team(""))?;
        self.compare_past(who, Root::Team, whole)
    }

    fn compare_past_of_team(&mut self, whole: bool) -> Checked {
        let Some(who) = self.team_member() else {
            return Ok(());
        };
        self.compare_past(who, Root::Team, whole)
    }

    fn team_member(&self) -> Option<Who> {
        let may = |edit| {
            Who::ACCOUNTS
                .into_iter()
                .find(|who| self.world.in_team(*who) == Some(edit))
        };
        may(true).or_else(|| may(false))
    }

    /// After all steps: every content once more.
    pub fn compare_all(&mut self) -> Checked {
        self.compare_whole()?;
        for who in Who::ACCOUNTS {
            let tree = self.world.holding(who.home()).tree.iter();
            let files: Vec<_> = tree.map(|(at, node)| (at.clone(), node.content)).collect();
            for (path, content) in files {
                if let Some(content) = content {
                    self.read_content(who, &path, content)?;
                }
            }
            let me = self.server.ask(who, "GET", "/api/v1/me").send().json();
            if me["used"] != self.world.used(who.home()) {
                return Err(format!("{} is said to use {}", who.name(), me["used"]));
            }
        }
        Ok(())
    }

    /// A folder with its members, and the folders below it.
    pub fn compare_folder(&mut self, who: Who, path: &str) -> Checked {
        let folders = self.compare_level(who, path)?;
        folders
            .into_iter()
            .try_for_each(|folder| self.compare_folder(who, &folder))
    }

    /// A folder with its members; says which of them are folders.
    pub fn compare_level(&mut self, who: Who, path: &str) -> Checked<Vec<String>> {
        let rows = self.list(who, path)?;
        let expected = self.members(who, path);
        let names = |names: Vec<&String>| names.into_iter().cloned().collect::<Vec<_>>().join(" ");
        if rows.keys().ne(expected.keys()) {
            let (shown, said) = (
                names(rows.keys().collect()),
                names(expected.keys().collect()),
            );
            return Err(format!(
                "{} finds `{shown}` in /{path}, and the model says `{said}`",
                who.name()
            ));
        }
        let mut folders = Vec::new();
        for (name, row) in &rows {
            let at = join(path, name);
            if row.seen != expected[name] {
                return Err(format!(
                    "{} sees /{at} as {:?}, and the model says {:?}",
                    who.name(),
                    row.seen,
                    expected[name]
                ));
            }
            if name.is_empty() {
                self.compare_room(who, path, row)?;
            } else if row.seen.folder && !is_hall(path) && !is_hall(&at) {
                folders.push(at);
            } else if !row.seen.folder {
                self.compare_tag(who, &at, &row.etag)?;
            }
        }
        Ok(folders)
    }

    /// What a listing of a folder must show, itself under the empty name.
    fn members(&self, who: Who, path: &str) -> BTreeMap<String, Seen> {
        let mut members = BTreeMap::new();
        let plain = || Seen {
            folder: true,
            ..Seen::default()
        };
        if is_hall(path) {
            members.insert(String::new(), plain());
            let mount = if path == HALL {
                self.world.shown().map(Share::mount)
            } else {
                Some(in_team(""))
            };
            if let Some(mount) = mount
                && let Seat::Place(place) = self.world.seat(who, &mount)
                && let Some(seen) = self.expected(who, place.root, &place.path)
            {
                members.insert(leaf(&mount).to_owned(), seen);
            }
            return members;
        }
        let (root, path) = match self.world.seat(who, path) {
            Seat::Place(place) if place.rights == Rights::Drop => {
                members.insert(String::new(), plain());
                return members;
            }
            Seat::Place(place) => (place.root, place.path),
            // The folder of the only file that a link shows.
            Seat::Nowhere => {
                members.insert(String::new(), plain());
                let file = self.world.open_link().and_then(|link| {
                    Some((
                        leaf(&link.path).to_owned(),
                        self.expected(who, Root::Ana, &link.path)?,
                    ))
                });
                members.extend(file);
                return members;
            }
            Seat::Gone => return members,
        };
        members.extend(
            self.expected(who, root, &path)
                .map(|seen| (String::new(), seen)),
        );
        if path.is_empty() && root == who.home() {
            members.insert(
                String::new(),
                Seen {
                    locks: self.locks_on(who, root, ""),
                    ..plain()
                },
            );
            let halls = [
                (HALL, who == Who::Ben && self.world.shown().is_some()),
                (TEAMS, self.world.in_team(who).is_some()),
            ];
            members.extend(
                halls
                    .into_iter()
                    .filter(|(_, is_shown)| *is_shown)
                    .map(|(name, _)| (name.to_owned(), plain())),
            );
        }
        for at in self
            .world
            .holding(root)
            .tree
            .keys()
            .filter(|at| parent(at) == path && **at != path)
        {
            members.extend(
                self.expected(who, root, at)
                    .map(|seen| (leaf(at).to_owned(), seen)),
            );
        }
        members
    }

    fn expected(&self, who: Who, root: Root, path: &str) -> Option<Seen> {
        let node = self.world.node(root, path)?;
        let props = node
            .props
            .iter()
            .map(|(name, value)| (*name, value.to_string()))
            .collect();
        let len = node.content.map(|content| content.len.into());
        Some(Seen {
            folder: node.is_folder(),
            len,
            props,
            locks: self.locks_on(who, root, path),
        })
    }

    fn locks_on(&self, who: Who, root: Root, path: &str) -> Vec<(bool, bool, Option<String>)> {
        let covering = self
            .world
            .locks
            .iter()
            .filter(|lock| lock.covers(root, path));
        // Visitors are strangers to each other.
        let is_own = |lock: &Lock| lock.holder == who && who != Who::Visitor;
        let told = |lock: &Lock| {
            (
                lock.shared,
                lock.deep,
                Some(lock.token.clone()).filter(|_| is_own(lock)),
            )
        };
        let mut locks: Vec<_> = covering.map(told).collect();
        locks.sort();
        locks
    }

    fn compare_room(&self, who: Who, path: &str, row: &Row) -> Checked {
        if is_hall(path) {
            return Ok(());
        }
        let Seat::Place(place) = self.world.seat(who, path) else {
            return Ok(());
        };
        let used = self.world.used(place.root);
        let available = quota(place.root).map(|quota| quota.saturating_sub(used));
        // Who may only add does not hear how much there is.
        let said = if place.rights == Rights::Drop {
            0
        } else {
            used
        };
        if row.used != Some(said)
            || available.is_some_and(|available| row.available != Some(available))
        {
            let shown = (row.used, row.available);
            return Err(format!(
                "in /{path} {} has used and left {shown:?}, and the model says {used} used",
                who.name()
            ));
        }
        Ok(())
    }

    /// A tag stays for as long as the content does, and never stands for two.
    fn compare_tag(&mut self, who: Who, path: &str, etag: &str) -> Checked {
        let (root, path_in_root) = match self.world.seat(who, path) {
            Seat::Place(place) => (place.root, place.path),
            Seat::Nowhere | Seat::Gone => return Ok(()),
        };
        let node: &Node = self
            .world
            .node(root, &path_in_root)
            .ok_or("compared before")?;
        let content = node.content.ok_or("compared before")?;
        match &node.etag {
            Some(known) if known == etag => return Ok(()),
            Some(known) => {
                return Err(format!(
                    "/{path} had the tag {known}, and now {etag} with the same content"
                ));
            }
            None => {}
        }
        if self
            .tags
            .get(etag)
            .is_some_and(|seen| *seen != content.bytes())
        {
            return Err(format!(
                "/{path} has the tag {etag}, which another content had"
            ));
        }
        self.tags.insert(etag.to_owned(), content.bytes());
        self.read_content(who, path, content)?;
        let node = self
            .world
            .holding_mut(root)
            .tree
            .get_mut(&path_in_root)
            .ok_or("compared before")?;
        node.etag = Some(etag.to_owned());
        Ok(())
    }

    fn read_content(&self, who: Who, path: &str, content: Content) -> Checked {
        let reply = self.dav(who, "GET", path).send();
        if reply.status == 200 && reply.body == content.bytes() {
            return Ok(());
        }
        Err(format!(
            "/{path} is {} {:?}, and the model says {content:?}",
            reply.status,
            reply.text()
        ))
    }

    fn list(&self, who: Who, path: &str) -> Checked<BTreeMap<String, Row>> {
        let ask = self
            .dav(who, "PROPFIND", path)
            .header("depth", "1")
            .body(ASKED);
        let reply = ask.send();
        if reply.status != 207 {
            return Err(format!(
                "{} cannot list /{path}: {} {}",
                who.name(),
                reply.status,
                reply.text()
            ));
        }
        let text = reply.text();
        let document = Document::parse(&text).map_err(|error| format!("{error}: {text}"))?;
        let top = format!("{}/{}", self.prefix(who), url(path));
        let responses = document
            .root_element()
            .children()
            .filter(|node| node.has_tag_name((DAV, "response")));
        responses
            .map(|response| row(response, top.trim_end_matches('/')))
            .collect()
    }
}

fn is_hall(path: &str) -> bool {
    path == HALL || path == TEAMS
}

/// One response of a multistatus, its name beneath `top`.
fn row(response: roxmltree::Node<'_, '_>, top: &str) -> Checked<(String, Row)> {
    let find = |name: (&'static str, &'static str)| {
        response
            .descendants()
            .find(move |node| node.has_tag_name(name))
    };
    let text = |name| {
        find(name)
            .and_then(|node| node.text())
            .filter(|text| !text.is_empty())
    };
    let number = |name| text((DAV, name)).and_then(|text| text.parse().ok());
    let href = text((DAV, "href")).unwrap_or_default();
    let name = href
        .strip_prefix(top)
        .ok_or_else(|| format!("{href} in the listing of {top}"))?
        .trim_matches('/');
    let name = percent_encoding::percent_decode_str(name)
        .decode_utf8_lossy()
        .into_owned();
    let props = [('p', "p"), ('q', "q")]
        .into_iter()
        .filter_map(|(short, name)| Some((short, text(("urn:x", name))?.into())));
    let locks = response
        .descendants()
        .filter(|node| node.has_tag_name((DAV, "activelock")))
        .map(|lock| {
            let has = |name| {
                lock.descendants()
                    .any(|node| node.has_tag_name((DAV, name)))
            };
            let within = |name: &'static str| {
                lock.descendants()
                    .find(|node| node.has_tag_name((DAV, name)))
            };
            let deep = within("depth").and_then(|node| node.text()) == Some("infinity");
            let token = within("locktoken")
                .and_then(|node| node.descendants().find_map(|node| node.text()));
            (
                has("shared"),
                deep,
                token.map(|token| token.trim().to_owned()),
            )
        });
    let mut locks: Vec<_> = locks.collect();
    locks.sort();
    let folder = find((DAV, "collection")).is_some();
    let seen = Seen {
        folder,
        len: number("getcontentlength"),
        props: props.collect(),
        locks,
    };
    let etag = text((DAV, "getetag")).unwrap_or_default().to_owned();
    Ok((
        name,
        Row {
            seen,
            etag,
            used: number("quota-used-bytes"),
            available: number("quota-available-bytes"),
        },
    ))
}
