//! What the server shows, against the model: trees, contents, tags, properties, locks, room, trash, versions.

use crate::operations::{Content, Who};
use crate::run::{Checked, Run};
use crate::server::QUOTA;
use crate::url::url;
use crate::world::{HALL, Lock, Node, Place, Seat, join, leaf, parent};
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
    /// After a step: every drive that its request could reach, as its owner sees it, and as ben sees it if he asked.
    /// After a refusal: the folders that hold what the request named.
    pub fn compare(&mut self, who: Who) -> Checked {
        if self.refused {
            return self.compare_aimed(who);
        }
        if who == Who::Ben {
            self.compare_drive(Who::Ben)?;
            self.compare_share()?;
        }
        if who == Who::Ana || self.world.share.is_some() {
            self.compare_drive(Who::Ana)?;
        }
        Ok(())
    }

    fn compare_aimed(&mut self, who: Who) -> Checked {
        for path in self.aimed.take() {
            let folder = parent(&path).to_owned();
            match self.world.seat(who, &folder) {
                Seat::Place(place) if self.world.is_folder(place.root, &place.path) => {
                    self.compare_level(who, &folder)?;
                }
                _ => {}
            }
        }
        Ok(())
    }

    /// Now and then: everything.
    pub fn compare_whole(&mut self) -> Checked {
        Who::ALL.into_iter().try_for_each(|who| self.compare_drive(who))?;
        self.compare_share()
    }

    fn compare_drive(&mut self, who: Who) -> Checked {
        self.compare_folder(who, "")?;
        self.compare_trash(who)?;
        self.compare_versions(who)
    }

    /// What is shared with ben, as he sees it.
    fn compare_share(&mut self) -> Checked {
        let Some(share) = self.world.shown() else { return Ok(()) };
        let (mount, is_folder) = (share.mount(), self.world.is_folder(Who::Ana, &share.path));
        self.compare_folder(Who::Ben, HALL)?;
        if is_folder { self.compare_folder(Who::Ben, &mount) } else { Ok(()) }
    }

    /// After all steps: every content once more.
    pub fn compare_all(&mut self) -> Checked {
        self.compare_whole()?;
        for who in Who::ALL {
            let files: Vec<_> = self.world.root(who).tree.iter().map(|(at, node)| (at.clone(), node.content)).collect();
            for (path, content) in files {
                if let Some(content) = content {
                    self.read_content(who, &path, content)?;
                }
            }
            let me = self.server.ask(who, "GET", "/api/v1/me").send().json();
            if me["used"] != self.world.used(who) {
                return Err(format!("{} is said to use {}", who.name(), me["used"]));
            }
        }
        Ok(())
    }

    /// A folder with its members, and the folders below it.
    fn compare_folder(&mut self, who: Who, path: &str) -> Checked {
        let folders = self.compare_level(who, path)?;
        folders.into_iter().try_for_each(|folder| self.compare_folder(who, &folder))
    }

    /// A folder with its members; says which of them are folders.
    fn compare_level(&mut self, who: Who, path: &str) -> Checked<Vec<String>> {
        let rows = self.list(who, path)?;
        let expected = self.members(who, path);
        let names = |names: Vec<&String>| names.into_iter().cloned().collect::<Vec<_>>().join(" ");
        if rows.keys().ne(expected.keys()) {
            let (shown, said) = (names(rows.keys().collect()), names(expected.keys().collect()));
            return Err(format!("{} finds `{shown}` in /{path}, and the model says `{said}`", who.name()));
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
            } else if row.seen.folder && path != HALL && at != HALL {
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
        let hall = || Seen { folder: true, ..Seen::default() };
        if path == HALL {
            members.insert(String::new(), hall());
            if let Some(share) = self.world.shown()
                && let Some(seen) = self.expected(who, Who::Ana, &share.path)
            {
                members.insert(leaf(&share.mount()).to_owned(), seen);
            }
            return members;
        }
        let Seat::Place(Place { root, path, .. }) = self.world.seat(who, path) else { return members };
        members.extend(self.expected(who, root, &path).map(|seen| (String::new(), seen)));
        if path.is_empty() {
            members.insert(String::new(), Seen { locks: self.locks_on(who, root, ""), ..hall() });
            if who == Who::Ben && self.world.shown().is_some() {
                members.insert(HALL.to_owned(), hall());
            }
        }
        for at in self.world.root(root).tree.keys().filter(|at| parent(at) == path && **at != path) {
            members.extend(self.expected(who, root, at).map(|seen| (leaf(at).to_owned(), seen)));
        }
        members
    }

    fn expected(&self, who: Who, root: Who, path: &str) -> Option<Seen> {
        let node = self.world.node(root, path)?;
        let props = node.props.iter().map(|(name, value)| (*name, value.to_string())).collect();
        let len = node.content.map(|content| content.len.into());
        Some(Seen { folder: node.is_folder(), len, props, locks: self.locks_on(who, root, path) })
    }

    fn locks_on(&self, who: Who, root: Who, path: &str) -> Vec<(bool, bool, Option<String>)> {
        let covering = self.world.locks.iter().filter(|lock| lock.covers(root, path));
        let told = |lock: &Lock| (lock.shared, lock.deep, Some(lock.token.clone()).filter(|_| lock.holder == who));
        let mut locks: Vec<_> = covering.map(told).collect();
        locks.sort();
        locks
    }

    fn compare_room(&self, who: Who, path: &str, row: &Row) -> Checked {
        if path == HALL {
            return Ok(());
        }
        let Seat::Place(place) = self.world.seat(who, path) else { return Ok(()) };
        let used = self.world.used(place.root);
        let available = (place.root == Who::Ana).then(|| QUOTA.saturating_sub(used));
        if row.used != Some(used) || available.is_some_and(|available| row.available != Some(available)) {
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
            Seat::Nowhere => return Ok(()),
        };
        let node: &Node = self.world.node(root, &path_in_root).ok_or("compared before")?;
        let content = node.content.ok_or("compared before")?;
        match &node.etag {
            Some(known) if known == etag => return Ok(()),
            Some(known) => return Err(format!("/{path} had the tag {known}, and now {etag} with the same content")),
            None => {}
        }
        if self.tags.get(etag).is_some_and(|seen| *seen != content.bytes()) {
            return Err(format!("/{path} has the tag {etag}, which another content had"));
        }
        self.tags.insert(etag.to_owned(), content.bytes());
        self.read_content(who, path, content)?;
        let node = self.world.root_mut(root).tree.get_mut(&path_in_root).ok_or("compared before")?;
        node.etag = Some(etag.to_owned());
        Ok(())
    }

    fn read_content(&self, who: Who, path: &str, content: Content) -> Checked {
        let reply = self.server.dav(who, "GET", path).send();
        if reply.status == 200 && reply.body == content.bytes() {
            return Ok(());
        }
        Err(format!("/{path} is {} {:?}, and the model says {content:?}", reply.status, reply.text()))
    }

    fn list(&self, who: Who, path: &str) -> Checked<BTreeMap<String, Row>> {
        let ask = self.server.dav(who, "PROPFIND", path).header("depth", "1").body(ASKED);
        let reply = ask.send();
        if reply.status != 207 {
            return Err(format!("{} cannot list /{path}: {} {}", who.name(), reply.status, reply.text()));
        }
        let text = reply.text();
        let document = Document::parse(&text).map_err(|error| format!("{error}: {text}"))?;
        let top = format!("/dav/{}", url(path));
        let responses = document.root_element().children().filter(|node| node.has_tag_name((DAV, "response")));
        responses.map(|response| row(response, top.trim_end_matches('/'))).collect()
    }

    fn compare_trash(&mut self, who: Who) -> Checked {
        let reply = self.server.ask(who, "GET", "/api/v1/trash?limit=1000").send().json();
        let items = reply["items"].as_array().cloned().unwrap_or_default();
        let told = |item: &serde_json::Value| {
            let text = |key: &str| item[key].as_str().unwrap_or_default().to_owned();
            (text("path"), text("kind"), item["size"].as_u64(), text("by"))
        };
        let trash = &mut self.world.root_mut(who).trash;
        let expected = trash.iter().rev().map(|item| {
            let top = &item.tree[""];
            let kind = if top.is_folder() { "folder" } else { "file" };
            (format!("/{}", item.path), kind.to_owned(), Some(top.len()), item.who.name().to_owned())
        });
        let (shown, expected): (Vec<_>, Vec<_>) = (items.iter().map(told).collect(), expected.collect());
        if shown != expected {
            return Err(format!("the trash of {} holds {shown:?}, and the model says {expected:?}", who.name()));
        }
        for (lain, item) in trash.iter_mut().rev().zip(&items) {
            let id = item["id"].as_str().unwrap_or_default().to_owned();
            if lain.id.get_or_insert_with(|| id.clone()) != &id {
                return Err(format!("what lay at /{} is called {id} in the trash now", lain.path));
            }
        }
        Ok(())
    }

    /// The versions of the files that have a past.
    fn compare_versions(&mut self, who: Who) -> Checked {
        let tree = self.world.root(who).tree.iter();
        let files: Vec<_> = tree.filter_map(|(path, node)| Some((path.clone(), node.history?))).collect();
        files.into_iter().try_for_each(|(path, history)| self.compare_history(who, &path, history))
    }

    fn compare_history(&mut self, who: Who, path: &str, history: u64) -> Checked {
        let reply = self.server.ask(who, "GET", &format!("/api/v1/versions?path={}", url(path))).send().json();
        let items = reply["items"].as_array().cloned().unwrap_or_default();
        let versions = self.world.root_mut(who).versions.entry(history).or_default();
        let shown: Vec<_> = items.iter().map(|item| item["size"].as_u64().unwrap_or_default()).collect();
        let expected: Vec<u64> = versions.iter().rev().map(|version| version.content.len.into()).collect();
        if shown != expected {
            return Err(format!("/{path} has versions of {shown:?} bytes, and the model says {expected:?}"));
        }
        for (version, item) in versions.iter_mut().rev().zip(&items) {
            let id = item["id"].as_str().unwrap_or_default().to_owned();
            if version.id.as_ref().is_some_and(|known| *known != id) {
                return Err(format!("a version of /{path} is called {id} now"));
            }
            if version.id.replace(id.clone()).is_none() {
                let target = format!("/api/v1/versions/content?path={}&id={id}", url(path));
                let body = self.server.ask(who, "GET", &target).send().body;
                if body != version.content.bytes() {
                    return Err(format!("a version of /{path} is {body:?}, and the model says {:?}", version.content));
                }
            }
        }
        Ok(())
    }
}

/// One response of a multistatus, its name beneath `top`.
fn row(response: roxmltree::Node<'_, '_>, top: &str) -> Checked<(String, Row)> {
    let find = |name: (&'static str, &'static str)| response.descendants().find(move |node| node.has_tag_name(name));
    let text = |name| find(name).and_then(|node| node.text()).filter(|text| !text.is_empty());
    let number = |name| text((DAV, name)).and_then(|text| text.parse().ok());
    let href = text((DAV, "href")).unwrap_or_default();
    let name = href.strip_prefix(top).ok_or_else(|| format!("{href} in the listing of {top}"))?.trim_matches('/');
    let name = percent_encoding::percent_decode_str(name).decode_utf8_lossy().into_owned();
    let props =
        [('p', "p"), ('q', "q")].into_iter().filter_map(|(short, name)| Some((short, text(("urn:x", name))?.into())));
    let locks = response.descendants().filter(|node| node.has_tag_name((DAV, "activelock"))).map(|lock| {
        let has = |name| lock.descendants().any(|node| node.has_tag_name((DAV, name)));
        let within = |name: &'static str| lock.descendants().find(|node| node.has_tag_name((DAV, name)));
        let deep = within("depth").and_then(|node| node.text()) == Some("infinity");
        let token = within("locktoken").and_then(|node| node.descendants().find_map(|node| node.text()));
        (has("shared"), deep, token.map(|token| token.trim().to_owned()))
    });
    let mut locks: Vec<_> = locks.collect();
    locks.sort();
    let folder = find((DAV, "collection")).is_some();
    let seen = Seen { folder, len: number("getcontentlength"), props: props.collect(), locks };
    let etag = text((DAV, "getetag")).unwrap_or_default().to_owned();
    Ok((name, Row { seen, etag, used: number("quota-used-bytes"), available: number("quota-available-bytes") }))
}
