//! The trash and versions, by the API.

use crate::operations::{Spot, Who};
use crate::run::{Checked, Refusals, Run};
use crate::url::url;
use crate::world::{Node, Place, Version};
use serde_json::json;

impl Run<'_> {
    pub fn purge(&mut self, who: Who, item: u8) -> Checked {
        let count = self.world.holding(who.home()).trash.len();
        if count == 0 && !item.is_multiple_of(8) {
            return Ok(());
        }
        let mut no = Refusals::default();
        no.add(count == 0, 404);
        let index = usize::from(item) % count.max(1);
        let lain = self.world.holding(who.home()).trash.get(index);
        let id = lain
            .and_then(|item| item.id.clone())
            .unwrap_or_else(|| "nothing.1".to_owned());
        let path = lain.map(|item| item.path.clone()).unwrap_or_default();
        let reply = self
            .server
            .ask(who, "DELETE", &format!("/api/v1/trash/{}", url(&id)))
            .send();
        if self.judge(
            &format!("{} purges /{path} from the trash", who.name()),
            &reply,
            204,
            &no,
        )? {
            self.world.holding_mut(who.home()).trash.remove(index);
        }
        Ok(())
    }

    pub fn empty_trash(&mut self, who: Who) -> Checked {
        let count = self.world.holding(who.home()).trash.len();
        let reply = self.server.ask(who, "DELETE", "/api/v1/trash").send();
        self.judge(
            &format!("{} empties the trash", who.name()),
            &reply,
            200,
            &Refusals::default(),
        )?;
        self.world.holding_mut(who.home()).trash.clear();
        if reply.json()["items"] == count {
            Ok(())
        } else {
            Err(format!("{} items, not {count}", reply.text()))
        }
    }

    /// Gives a file a former content again.
    pub fn revert(&mut self, (who, at): (Who, &Spot), version: u8) -> Checked {
        let path = self.world.address_of_past(who, at);
        let (place, mut no) = self.sit(who, &path, true);
        let wanted = place
            .as_ref()
            .and_then(|place| self.version(place, version))
            .map(|(_, _, version)| version);
        if let Some(place) = &place {
            let present = self.world.at(place).filter(|_| !place.path.is_empty());
            no.add(place.path.is_empty(), 403);
            no.add(present.is_none() || wanted.is_none(), 404);
            no.add(present.is_some_and(Node::is_folder), 409);
            no.add(self.world.content_barred(place.spot(), who, &[]), 423);
            let (old, new) = (
                present.map_or(0, Node::len),
                wanted.as_ref().map_or(0, |w| w.content.len.into()),
            );
            no.add(!self.world.has_room(place.root, new, old), 507);
        }
        let id = wanted
            .as_ref()
            .and_then(|version| version.id.clone())
            .unwrap_or_else(|| "0.0".to_owned());
        let body = json!({ "path": path, "id": id });
        let reply = self
            .server
            .ask(who, "POST", "/api/v1/versions/restore")
            .json(&body)
            .send();
        let content = wanted.as_ref().map(|version| version.content);
        let said = format!("{} gives /{path} its version {content:?}", who.name());
        if self.judge(&said, &reply, 204, &no)?
            && let (Some(place), Some(version)) = (place, wanted)
        {
            self.world
                .write(place.spot(), version.content, version.hashed);
        }
        Ok(())
    }

    pub fn purge_version(&mut self, (who, at): (Who, &Spot), version: u8) -> Checked {
        let path = self.world.address_of_past(who, at);
        let (place, mut no) = self.sit(who, &path, true);
        let wanted = place
            .as_ref()
            .and_then(|place| self.version(place, version));
        if let Some(place) = &place {
            let present = self.world.at(place);
            no.add(place.root != who.home() || place.path.is_empty(), 403);
            no.add(wanted.is_none(), 404);
            no.add(present.is_some_and(Node::is_folder), 409);
        }
        let id = wanted
            .as_ref()
            .and_then(|wanted| wanted.2.id.clone())
            .unwrap_or_else(|| "0.0".to_owned());
        let target = format!("/api/v1/versions?path={}&id={id}", url(&path));
        let reply = self.server.ask(who, "DELETE", &target).send();
        if self.judge(
            &format!("{} purges a version of /{path}", who.name()),
            &reply,
            204,
            &no,
        )? && let (Some(place), Some((history, index, _))) = (place, wanted)
            && let Some(versions) = self
                .world
                .holding_mut(place.root)
                .versions
                .get_mut(&history)
        {
            versions.remove(index);
        }
        Ok(())
    }

    /// One of the versions of the file at a place: its history, its index there, and itself.
    fn version(&self, place: &Place, which: u8) -> Option<(u64, usize, Version)> {
        let history = self.world.at(place)?.history?;
        let versions = self
            .world
            .holding(place.root)
            .versions
            .get(&history)
            .filter(|all| !all.is_empty())?;
        let index = usize::from(which) % versions.len();
        Some((history, index, versions[index].clone()))
    }
}
