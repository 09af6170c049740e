//! The link that ana gives away, and what its visitors may do beside what all may.

use crate::files::STALE;
use crate::operations::{Area, Condition, Content, How, Rights, Root, Spot, Who};
use crate::run::{Checked, Refusals, Run};
use crate::server::Reply;
use crate::world::{Link, Place, parent};
use serde_json::json;

const PASSWORD: &str = "of the link";
/// What carries no password.
const OUTSIDE: u16 = 401;

impl Run<'_> {
    /// Makes a link to a path, or another one when the one before has ended.
    pub fn link(&mut self, at: &Spot, rights: Rights, password: bool) -> Checked {
        if self.world.open_link().is_some() {
            return Ok(());
        }
        // What it was given for is gone.
        self.end_link()?;
        self.touch(Root::Ana);
        let path = self.world.address(
            Who::Ana,
            &Spot {
                area: Area::Own,
                ..at.clone()
            },
        );
        let node = self
            .world
            .node(Root::Ana, &path)
            .map(|node| (node.file, node.is_folder()));
        // Files are given away to be viewed; that they cannot be to be changed is tried with one of the others.
        let is_file = node.is_some_and(|(_, folder)| !folder);
        let rights = if is_file && rights == Rights::Edit {
            Rights::View
        } else {
            rights
        };
        let mut no = Refusals::default();
        match node {
            None => no.0.extend([404, 409]),
            Some((_, folder)) => no.add(!folder && rights != Rights::View, 422),
        }
        let password = password.then_some(PASSWORD);
        let mut body = json!({ "path": path, "rights": rights.name() });
        if let Some(password) = password {
            body["password"] = json!(password);
        }
        let reply = self
            .server
            .ask(Who::Ana, "POST", "/api/v1/links")
            .json(&body)
            .send();
        let said = format!(
            "ana gives /{path} away by a link to {}, password {password:?}",
            rights.name()
        );
        if self.judge(&said, &reply, 201, &no)?
            && let Some((file, folder)) = node
        {
            let answer = reply.json();
            let text = |key: &str| answer[key].as_str().unwrap_or_default().to_owned();
            let (id, token) = (text("id"), text("token"));
            self.world.link = Some(Link {
                id,
                token,
                path,
                file,
                folder,
                rights,
                password,
                ended: false,
            });
        }
        Ok(())
    }

    pub fn change_link(&mut self, rights: Rights, password: bool) -> Checked {
        let Some(link) = self.world.link.as_mut().filter(|link| !link.ended) else {
            return Ok(());
        };
        let mut no = Refusals::default();
        no.add(!link.folder && rights != Rights::View, 422);
        let mut body = json!({ "rights": rights.name() });
        if password {
            body["password"] = json!(PASSWORD);
        }
        let target = format!("/api/v1/links/{}", link.id);
        if no.0.is_empty() {
            link.rights = rights;
            link.password = if password {
                Some(PASSWORD)
            } else {
                link.password
            };
            self.world.release_visitors(!password);
        }
        self.touch(Root::Ana);
        let reply = self
            .server
            .ask(Who::Ana, "PATCH", &target)
            .json(&body)
            .send();
        let said = format!(
            "ana lets the link {}, with a new password: {password}",
            rights.name()
        );
        self.judge(&said, &reply, 200, &no).map(drop)
    }

    pub fn end_link(&mut self) -> Checked {
        let Some(link) = self.world.link.as_mut().filter(|link| !link.ended) else {
            return Ok(());
        };
        link.ended = true;
        let target = format!("/api/v1/links/{}", link.id);
        self.world.release_visitors(false);
        self.touch(Root::Ana);
        let reply = self.server.ask(Who::Ana, "DELETE", &target).send();
        self.judge("ana ends the link", &reply, 204, &Refusals::default())
            .map(drop)
    }

    /// A visitor who gives no password looks whether the link shows anything.
    pub fn knock(&mut self) -> Checked {
        let Some(link) = &self.world.link else {
            return Ok(());
        };
        let mut no = Refusals::default();
        no.add(self.world.open_link().is_none(), 404);
        no.add(no.0.is_empty() && link.password.is_some(), OUTSIDE);
        let target = format!("{}/", self.prefix(Who::Visitor));
        let reply = self
            .server
            .visit(None, "PROPFIND", &target)
            .header("depth", "0")
            .send();
        self.judge("a visitor knocks", &reply, 207, &no).map(drop)
    }

    /// What refuses a file for a folder that visitors may only add to, whatever lies there.
    pub fn refuse_drop(&self, place: &Place, content: Content) -> Refusals {
        let mut no = Refusals::default();
        let folder = parent(&place.path);
        no.add(place.below != 1, 403);
        no.0.extend([404, 405].into_iter().filter(|_| place.below == 0));
        no.add(
            self.world
                .locks
                .iter()
                .any(|lock| lock.covers(Root::Ana, folder)),
            423,
        );
        no.add(!self.world.has_room(Root::Ana, content.len.into(), 0), 507);
        no
    }

    /// Such a file gets the first name that is neither taken nor locked.
    pub fn dropped(
        &mut self,
        said: &str,
        (reply, no): (&Reply, &Refusals),
        place: &Place,
        content: Content,
    ) -> Checked {
        if !self.judge(said, reply, 201, no)? {
            return Ok(());
        }
        let free = |name: &String| {
            let at = (Root::Ana, &**name);
            self.world.node(at.0, at.1).is_none()
                && !self.world.content_barred(at, Who::Visitor, &[])
        };
        let marks = (1..).map(|n| {
            if n == 1 {
                String::new()
            } else {
                format!(" ({n})")
            }
        });
        let mut names = marks.map(|mark| format!("{}{mark}", place.path));
        let name = names.find(free).expect("names do not end");
        self.world.write((Root::Ana, &name), content, true);
        Ok(())
    }

    pub fn drop_file(
        &mut self,
        (path, place): (&str, &Place),
        content: Content,
        (condition, how): (Condition, How),
    ) -> Checked {
        let mut no = self.refuse_drop(place, content);
        no.add(
            matches!(
                condition,
                Condition::Right | Condition::Stale | Condition::Exists
            ),
            412,
        );
        let ask = self.dav(Who::Visitor, "PUT", path);
        let ask = ask.maybe("x-oc-mtime", how.dated.then(|| "1000000000".into()));
        let ask = match condition {
            Condition::None => ask,
            Condition::Right | Condition::Stale => ask.header("if-match", STALE),
            Condition::Exists => ask.header("if-match", "*"),
            Condition::Absent => ask.header("if-none-match", "*"),
        };
        let bytes = content.bytes();
        let reply = if how.announced {
            ask.body(bytes)
        } else {
            ask.unannounced(bytes)
        }
        .send();
        let said = format!("a visitor drops /{path} {content:?} {condition:?} {how:?}");
        self.dropped(&said, (&reply, &no), place, content)
    }

    /// The link as its owner sees it.
    pub fn compare_link(&self) -> Checked {
        let items = self
            .server
            .ask(Who::Ana, "GET", "/api/v1/links")
            .send()
            .json()["items"]
            .clone();
        let shown: Vec<_> = items
            .as_array()
            .into_iter()
            .flatten()
            .map(|item| {
                (
                    item["path"].as_str().unwrap_or_default().to_owned(),
                    item["rights"].clone(),
                    item["has_password"].clone(),
                )
            })
            .collect();
        let link = self.world.link.iter().filter(|link| !link.ended);
        let said: Vec<_> = link
            .map(|link| {
                (
                    link.path.clone(),
                    json!(link.rights.name()),
                    json!(link.password.is_some()),
                )
            })
            .collect();
        if shown == said {
            Ok(())
        } else {
            Err(format!(
                "the links are {shown:?}, and the model says {said:?}"
            ))
        }
    }

    /// What a visitor sees.
    pub fn compare_visit(&mut self) -> Checked {
        let Some(link) = self.world.open_link() else {
            return Ok(());
        };
        let is_drop = link.rights == Rights::Drop;
        if is_drop {
            self.compare_level(Who::Visitor, "").map(drop)
        } else {
            self.compare_folder(Who::Visitor, "")
        }
    }
}
