//! Shares, the trash and versions, by the API.

use crate::operations::{Spot, Who};
use crate::run::{Checked, Refusals, Run};
use crate::url::url;
use crate::world::{Node, Place, Share, Version, join, leaf, parent};
use serde_json::json;

impl Run<'_> {
    /// Shares a path with ben, or says anew what he may do with what is shared.
    pub fn share(&mut self, at: &Spot, edit: bool) -> Checked {
        let path = &*self.world.address(Who::Ana, at);
        let rights = if edit { "edit" } else { "view" };
        if let Some(share) = &mut self.world.share {
            let ask = self.server.ask(Who::Ana, "PATCH", &format!("/api/v1/shares/{}", share.id));
            let reply = ask.json(&json!({ "rights": rights })).send();
            share.edit = edit;
            self.world.release();
            return self.judge(&format!("ana shares to {rights}"), &reply, 204, &Refusals::default()).map(drop);
        }
        let node = self.world.node(Who::Ana, path).map(|node| node.id);
        let mut no = Refusals::default();
        no.add(node.is_none(), 422);
        let body = json!({ "path": path, "to": { "account": "ben" }, "rights": rights });
        let reply = self.server.ask(Who::Ana, "POST", "/api/v1/shares").json(&body).send();
        if self.judge(&format!("ana shares /{path} to {rights}"), &reply, 201, &no)?
            && let Some(node) = node
        {
            let id = reply.json()["id"].as_str().unwrap_or_default().to_owned();
            self.world.share = Some(Share { id, path: path.to_owned(), node, edit, name: None, left: false });
        }
        Ok(())
    }

    pub fn unshare(&mut self) -> Checked {
        let Some(share) = &mut self.world.share else { return Ok(()) };
        let reply = self.server.ask(Who::Ana, "DELETE", &format!("/api/v1/shares/{}", share.id)).send();
        share.edit = false;
        self.world.release();
        self.world.share = None;
        self.judge("ana ends the share", &reply, 204, &Refusals::default()).map(drop)
    }

    /// Puts something back from the trash: to a path, or to where it lay, or beside that.
    pub fn restore(&mut self, who: Who, item: u8, to: Option<&Spot>) -> Checked {
        // Where nothing is shared, the folder of shares would be made as a folder of ben's, and hide the name.
        let to = to.filter(|to| !to.shared || self.world.shown().is_some()).map(|to| self.world.address(who, to));
        let count = self.world.root(who).trash.len();
        let index = (count > 0).then(|| usize::from(item) % count);
        let lain = index.map(|index| self.world.root(who).trash[index].clone());
        let (place, mut no) = self.sit(who, to.as_deref().unwrap_or("a"), true);
        let mut path = match (place, &lain) {
            (Some(place), _) if to.is_some() => {
                no.add(place.root != who, 403);
                if place.root == who { place.path } else { String::new() }
            }
            (None, _) => String::new(),
            (_, lain) => lain.as_ref().map(|item| item.path.clone()).unwrap_or_default(),
        };
        no.add(lain.is_none(), 404);
        if to.is_none() {
            let lost_its_folder = self.is_beneath_a_file(who, &path);
            path = self.beside(who, if lost_its_folder { leaf(&path).to_owned() } else { path });
        }
        let makes_way = no.0.is_empty();
        if makes_way {
            self.refuse_way(&mut no, who, &path);
            no.add(self.world.node(who, &path).is_some(), 409);
            no.add(self.world.writing_barred((who, &path), who, &[]), 423);
        }
        let may_make_way = no.0.is_empty();
        let bytes = lain.iter().flat_map(|item| item.tree.values()).map(Node::len).sum();
        no.add(!self.world.has_room(who, bytes, 0), 507);
        let id = lain.as_ref().and_then(|item| item.id.clone()).unwrap_or_else(|| "nothing.1".to_owned());
        let ask = self.server.ask(who, "POST", &format!("/api/v1/trash/{}/restore", url(&id)));
        let reply = ask.json(&to.as_ref().map_or_else(|| json!({}), |to| json!({ "to": to }))).send();
        let lay = lain.as_ref().map(|item| item.path.clone()).unwrap_or_default();
        let said = format!("{} restores /{lay} from the trash to {to:?}", who.name());
        let restored = self.judge(&said, &reply, 200, &no)?;
        if may_make_way {
            // The folders on the way are made before it is known whether there is room.
            self.make_way(who, &path);
        }
        if let (true, Some(index)) = (restored, index) {
            let item = self.world.root_mut(who).trash.remove(index);
            self.world.graft(who, &path, item.tree);
            let told = reply.json()["path"].as_str().unwrap_or_default().to_owned();
            if told != format!("/{path}") {
                return Err(format!("it is said to be at {told}, and the model says /{path}"));
            }
        }
        Ok(())
    }

    /// Whether one of the folders that should hold a path is a file: what lay there comes back at the top.
    fn is_beneath_a_file(&self, who: Who, path: &str) -> bool {
        let mut above = parent(path);
        while !above.is_empty() {
            match self.world.node(who, above) {
                Some(node) => return !node.is_folder(),
                None => above = parent(above),
            }
        }
        false
    }

    /// The first path beside one at which nothing stands.
    fn beside(&self, who: Who, path: String) -> String {
        let marks = (0..).map(|n| match n {
            0 => String::new(),
            1 => " (restored)".to_owned(),
            n => format!(" (restored {n})"),
        });
        let mut paths = marks.map(|mark| join(parent(&path), &format!("{}{mark}", leaf(&path))));
        paths.find(|path| self.world.node(who, path).is_none()).unwrap_or(path)
    }

    /// What refuses to make the folders on the way to a path.
    fn refuse_way(&self, no: &mut Refusals, who: Who, path: &str) {
        let mut way = String::new();
        for name in parent(path).split('/').filter(|name| !name.is_empty()) {
            way = join(&way, name);
            match self.world.node(who, &way) {
                Some(node) => no.add(!node.is_folder(), 409),
                None => no.add(self.world.writing_barred((who, &way), who, &[]), 423),
            }
        }
    }

    fn make_way(&mut self, who: Who, path: &str) {
        let mut way = String::new();
        for name in parent(path).split('/').filter(|name| !name.is_empty()) {
            way = join(&way, name);
            if self.world.node(who, &way).is_none() {
                self.world.make_folder(who, &way);
            }
        }
    }

    pub fn purge(&mut self, who: Who, item: u8) -> Checked {
        let count = self.world.root(who).trash.len();
        let mut no = Refusals::default();
        no.add(count == 0, 404);
        let index = usize::from(item) % count.max(1);
        let lain = self.world.root(who).trash.get(index);
        let id = lain.and_then(|item| item.id.clone()).unwrap_or_else(|| "nothing.1".to_owned());
        let path = lain.map(|item| item.path.clone()).unwrap_or_default();
        let reply = self.server.ask(who, "DELETE", &format!("/api/v1/trash/{}", url(&id))).send();
        if self.judge(&format!("{} purges /{path} from the trash", who.name()), &reply, 204, &no)? {
            self.world.root_mut(who).trash.remove(index);
        }
        Ok(())
    }

    pub fn empty_trash(&mut self, who: Who) -> Checked {
        let count = self.world.root(who).trash.len();
        let reply = self.server.ask(who, "DELETE", "/api/v1/trash").send();
        self.judge(&format!("{} empties the trash", who.name()), &reply, 200, &Refusals::default())?;
        self.world.root_mut(who).trash.clear();
        if reply.json()["items"] == count { Ok(()) } else { Err(format!("{} items, not {count}", reply.text())) }
    }

    /// Gives a file a former content again.
    pub fn revert(&mut self, (who, at): (Who, &Spot), version: u8) -> Checked {
        let path = self.world.address_of_past(who, at);
        let (place, mut no) = self.sit(who, &path, true);
        let wanted = place.as_ref().and_then(|place| self.version(place, version)).map(|(_, _, version)| version);
        if let Some(place) = &place {
            let present = self.world.node(place.root, &place.path);
            no.add(present.is_none() || wanted.is_none(), 404);
            no.add(present.is_some_and(Node::is_folder), 409);
            no.add(self.world.content_barred((place.root, &place.path), who, &[]), 423);
            let (old, new) = (present.map_or(0, Node::len), wanted.as_ref().map_or(0, |w| w.content.len.into()));
            no.add(!self.world.has_room(place.root, new, old), 507);
        }
        let id = wanted.as_ref().and_then(|version| version.id.clone()).unwrap_or_else(|| "0.0".to_owned());
        let body = json!({ "path": path, "id": id });
        let reply = self.server.ask(who, "POST", "/api/v1/versions/restore").json(&body).send();
        let content = wanted.as_ref().map(|version| version.content);
        let said = format!("{} gives /{path} its version {content:?}", who.name());
        if self.judge(&said, &reply, 204, &no)?
            && let (Some(place), Some(version)) = (place, wanted)
        {
            self.world.write(place.root, &place.path, version.content, version.hashed);
        }
        Ok(())
    }

    pub fn purge_version(&mut self, (who, at): (Who, &Spot), version: u8) -> Checked {
        let path = self.world.address_of_past(who, at);
        let (place, mut no) = self.sit(who, &path, true);
        let wanted = place.as_ref().and_then(|place| self.version(place, version));
        if let Some(place) = &place {
            let present = self.world.node(place.root, &place.path);
            no.add(place.root != who, 403);
            no.add(wanted.is_none(), 404);
            no.add(present.is_some_and(Node::is_folder), 409);
        }
        let id = wanted.as_ref().and_then(|wanted| wanted.2.id.clone()).unwrap_or_else(|| "0.0".to_owned());
        let target = format!("/api/v1/versions?path={}&id={id}", url(&path));
        let reply = self.server.ask(who, "DELETE", &target).send();
        if self.judge(&format!("{} purges a version of /{path}", who.name()), &reply, 204, &no)?
            && let (Some(place), Some((history, index, _))) = (place, wanted)
            && let Some(versions) = self.world.root_mut(place.root).versions.get_mut(&history)
        {
            versions.remove(index);
        }
        Ok(())
    }

    /// One of the versions of the file at a place: its history, its index there, and itself.
    fn version(&self, place: &Place, which: u8) -> Option<(u64, usize, Version)> {
        let history = self.world.node(place.root, &place.path)?.history?;
        let versions = self.world.root(place.root).versions.get(&history).filter(|all| !all.is_empty())?;
        let index = usize::from(which) % versions.len();
        Some((history, index, versions[index].clone()))
    }
}
