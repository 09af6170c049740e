//! Back from the trash.

use crate::operations::{Area, Pick, Root, Spot, Who};
use crate::run::{Checked, Refusals, Run};
use crate::server::Reply;
use crate::url::url;
use crate::world::{Node, Trashed, in_team, join, leaf, parent};
use serde_json::json;

impl Run<'_> {
    /// Puts something back from the trash: to a path, or to where it lay, or beside that.
    pub fn restore(&mut self, who: Who, item: u8, to: Option<&Spot>, team: bool) -> Checked {
        let root = if team && self.world.in_team(who) == Some(true) {
            Root::Team
        } else {
            who.home()
        };
        // Where nothing is shared, the folder of shares would be made as a folder of ben's, and hide the name.
        let hides = |to: &Spot| {
            to.area == Area::Shared && to.pick == Pick::None && self.world.shown().is_none()
        };
        let to = to.filter(|to| !hides(to));
        let to = to.map(|to| self.world.address(who, to));
        let count = self.world.holding(root).trash.len();
        if count == 0 && !item.is_multiple_of(8) {
            return Ok(());
        }
        let index = (count > 0).then(|| usize::from(item) % count);
        let lain = index.map(|index| self.world.holding(root).trash[index].clone());
        let home = if root == Root::Team {
            in_team("a")
        } else {
            "a".to_owned()
        };
        let (place, mut no) = self.sit(who, to.as_deref().unwrap_or(&home), true);
        let mut path = match (place, &lain) {
            (Some(place), _) if to.is_some() => {
                no.add(place.root != root, 403);
                if place.root == root {
                    place.path
                } else {
                    String::new()
                }
            }
            (None, _) => String::new(),
            (_, lain) => lain
                .as_ref()
                .map(|item| item.path.clone())
                .unwrap_or_default(),
        };
        no.add(lain.is_none(), 404);
        if to.is_none() {
            let lost_its_folder = self.world.is_beneath_a_file(root, &path);
            path = self.beside(
                root,
                if lost_its_folder {
                    leaf(&path).to_owned()
                } else {
                    path
                },
            );
        }
        let makes_way = no.0.is_empty();
        if makes_way {
            self.refuse_way(&mut no, (who, root), &path);
            no.add(self.world.node(root, &path).is_some(), 409);
            no.add(self.world.writing_barred((root, &path), who, &[]), 423);
        }
        let may_make_way = no.0.is_empty();
        let bytes = lain
            .iter()
            .flat_map(|item| item.tree.values())
            .map(Node::len)
            .sum();
        no.add(!self.world.has_room(root, bytes, 0), 507);
        let reply = self.ask_restore((who, root), lain.as_ref(), to.as_deref());
        let lay = lain
            .as_ref()
            .map(|item| item.path.clone())
            .unwrap_or_default();
        let said = format!(
            "{} restores /{lay} from the trash of {root:?} to {to:?}",
            who.name()
        );
        let restored = self.judge(&said, &reply, 200, &no)?;
        self.touch(root);
        if may_make_way {
            // The folders on the way are made before it is known whether there is room.
            self.make_way(root, &path);
        }
        if let (true, Some(index)) = (restored, index) {
            let item = self.world.holding_mut(root).trash.remove(index);
            self.world.graft(root, &path, item.tree);
            let told = reply.json()["path"].as_str().unwrap_or_default().to_owned();
            let shown = self.world.seen_as(who, root, &path).unwrap_or_default();
            if told != format!("/{shown}") {
                return Err(format!(
                    "it is said to be at {told}, and the model says /{shown}"
                ));
            }
        }
        Ok(())
    }

    fn ask_restore(
        &self,
        (who, root): (Who, Root),
        lain: Option<&Trashed>,
        to: Option<&str>,
    ) -> Reply {
        let id = lain
            .and_then(|item| item.id.clone())
            .unwrap_or_else(|| "nothing.1".to_owned());
        let mut body = json!({});
        if let Some(to) = to {
            body["to"] = json!(to);
        }
        if root == Root::Team {
            body["folder"] = json!(in_team(""));
        }
        self.server
            .ask(who, "POST", &format!("/api/v1/trash/{}/restore", url(&id)))
            .json(&body)
            .send()
    }

    /// The first path beside one at which nothing stands.
    fn beside(&self, root: Root, path: String) -> String {
        let marks = (0..).map(|n| match n {
            0 => String::new(),
            1 => " (restored)".to_owned(),
            n => format!(" (restored {n})"),
        });
        let mut paths = marks.map(|mark| join(parent(&path), &format!("{}{mark}", leaf(&path))));
        paths
            .find(|path| self.world.node(root, path).is_none())
            .unwrap_or(path)
    }

    /// What refuses to make the folders on the way to a path.
    fn refuse_way(&self, no: &mut Refusals, (who, root): (Who, Root), path: &str) {
        let mut way = String::new();
        for name in parent(path).split('/').filter(|name| !name.is_empty()) {
            way = join(&way, name);
            match self.world.node(root, &way) {
                Some(node) => no.add(!node.is_folder(), 409),
                None => no.add(self.world.writing_barred((root, &way), who, &[]), 423),
            }
        }
    }

    pub fn make_way(&mut self, root: Root, path: &str) {
        let mut way = String::new();
        for name in parent(path).split('/').filter(|name| !name.is_empty()) {
            way = join(&way, name);
            if self.world.node(root, &way).is_none() {
                self.world.make_folder(root, &way);
            }
        }
    }
}
