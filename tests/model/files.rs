//! Files and folders: PUT, PATCH, MKCOL, DELETE, PROPPATCH, GET.

use crate::operations::{Condition, Content, How, Rights, Root, Spot, Tokens, Who};
use crate::run::{Checked, Refusals, Run, said_by};
use crate::server::Ask;
use crate::world::{Node, Place};
use serde_json::json;

/// A tag that nothing has.
pub const STALE: &str = "\"1-2-3-4\"";

impl Run<'_> {
    pub fn put(
        &mut self,
        (who, at): (Who, &Spot),
        content: Content,
        (condition, how): (Condition, How),
        tokens: Tokens,
    ) -> Checked {
        let path = self.world.address(who, at);
        let terms = self.submit(who, tokens);
        let (place, mut no) = self.sit(who, &path, true);
        if let Some(place) = place.as_ref().filter(|place| place.rights == Rights::Drop) {
            return self.drop_file((&path, place), content, (condition, how));
        }
        let present = place
            .as_ref()
            .and_then(|place| self.world.at(place))
            .cloned();
        let tag = present
            .as_ref()
            .and_then(|node| node.etag.clone())
            .filter(|_| condition == Condition::Right);
        if let Some(place) = &place {
            self.refuse_writing(&mut no, (who, place), content.len.into(), &terms.tokens);
            no.add(self.unmet(&terms, place), 412);
        }
        no.add(
            match condition {
                Condition::None => false,
                Condition::Right => tag.is_none(),
                Condition::Stale => true,
                Condition::Exists => present.is_none(),
                Condition::Absent => present.is_some(),
            },
            412,
        );
        let ask = self.dav(who, "PUT", &path).with(terms.header.clone());
        let ask = ask.maybe("x-oc-mtime", how.dated.then(|| "1000000000".into()));
        let ask = match condition {
            Condition::None => ask,
            Condition::Right => ask.header("if-match", tag.as_deref().unwrap_or(STALE)),
            Condition::Stale => ask.header("if-match", STALE),
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
        let success = if present.is_some() { 204 } else { 201 };
        let said = format!(
            "{} PUT /{path} {content:?} {condition:?} {how:?}{}",
            who.name(),
            self.shown(&terms)
        );
        if self.judge(&said, &reply, success, &no)?
            && let Some(place) = place
        {
            self.world.write(place.spot(), content, true);
        }
        Ok(())
    }

    /// What refuses a file of so many bytes at a place.
    pub fn refuse_writing(
        &self,
        no: &mut Refusals,
        (who, place): (Who, &Place),
        len: u64,
        tokens: &[String],
    ) {
        let (at, present) = (place.spot(), self.world.at(place));
        no.add(
            place.path.is_empty() || present.is_some_and(Node::is_folder),
            405,
        );
        no.add(self.lacks_parent(place), 409);
        no.add(self.world.writing_barred(at, who, tokens), 423);
        no.add(
            !self
                .world
                .has_room(place.root, len, present.map_or(0, Node::len)),
            507,
        );
    }

    pub fn append(&mut self, (who, at): (Who, &Spot), content: Content, tokens: Tokens) -> Checked {
        let path = self.world.address(who, at);
        let terms = self.submit(who, tokens);
        let (place, mut no) = self.sit(who, &path, true);
        let present = place
            .as_ref()
            .and_then(|place| self.world.at(place))
            .cloned();
        let seen = present.as_ref().filter(|_| {
            place
                .as_ref()
                .is_some_and(|place| place.rights != Rights::Drop)
        });
        let old = seen.and_then(|node| node.content).unwrap_or(Content::EMPTY);
        // The model knows contents of one letter only; and to add nothing is no change.
        let letter = if old.len > 0 {
            old.letter
        } else {
            content.letter
        };
        let content = Content {
            letter,
            len: content.len.max(1),
        };
        let whole = Content {
            letter,
            len: old.len + content.len,
        };
        let append = |ask: Ask<'_>| {
            let ask = ask.header("x-update-range", "append");
            ask.header("content-type", "application/x-sabredav-partialupdate")
                .body(content.bytes())
                .send()
        };
        if let Some(place) = place.as_ref().filter(|place| place.rights == Rights::Drop) {
            // What is there cannot be added to: it becomes a file of its own.
            let no = self.refuse_drop(place, content);
            let reply = append(self.dav(who, "PATCH", &path));
            return self.dropped(
                &format!("a visitor drops /{path} {content:?} by PATCH"),
                (&reply, &no),
                place,
                content,
            );
        }
        if let Some(place) = &place {
            self.refuse_writing(&mut no, (who, place), whole.len.into(), &terms.tokens);
            no.add(self.unmet(&terms, place), 412);
        }
        let reply = append(self.dav(who, "PATCH", &path).with(terms.header.clone()));
        let said = format!(
            "{} PATCH /{path} append {content:?}{}",
            who.name(),
            self.shown(&terms)
        );
        let success = if present.is_some() { 204 } else { 201 };
        if self.judge(&said, &reply, success, &no)?
            && let Some(place) = place
        {
            self.world.write(place.spot(), whole, present.is_none());
        }
        Ok(())
    }

    pub fn mkcol(&mut self, (who, at): (Who, &Spot), (tokens, api): (Tokens, bool)) -> Checked {
        let path = self.world.address(who, at);
        let terms = self.submit_by(who, (tokens, api));
        let (place, mut no) = self.sit(who, &path, true);
        if let Some(place) = &place {
            no.add(place.path.is_empty() || self.world.at(place).is_some(), 405);
            no.add(self.lacks_parent(place), 409);
            no.add(
                self.world.writing_barred(place.spot(), who, &terms.tokens),
                423,
            );
            no.add(self.unmet(&terms, place), 412);
        }
        no.by_api(api);
        let ask = if api {
            self.server
                .ask(who, "POST", "/api/v1/files/folder")
                .json(&json!({ "path": path }))
        } else {
            self.dav(who, "MKCOL", &path)
        };
        let reply = ask.with(terms.header.clone()).send();
        let said = format!(
            "{} {} /{path}{}",
            who.name(),
            said_by("MKCOL", api),
            self.shown(&terms)
        );
        if self.judge(&said, &reply, 201, &no)?
            && let Some(place) = place
        {
            self.world.make_folder(place.root, &place.path);
        }
        Ok(())
    }

    pub fn delete(&mut self, (who, at): (Who, &Spot), (tokens, api): (Tokens, bool)) -> Checked {
        let path = self.world.address(who, at);
        let terms = self.submit_by(who, (tokens, api));
        let (place, mut no) = self.sit(who, &path, true);
        let leaves = place
            .as_ref()
            .is_some_and(|place| place.is_mount && who == Who::Ben && place.root == Root::Ana);
        match &place {
            Some(place) if leaves => {
                no = Refusals::default();
                no.add(self.unmet(&terms, place), 412);
            }
            Some(place) => {
                no.add(place.is_mount, 403);
                no.add(self.world.at(place).is_none(), 404);
                no.add(
                    self.world.taking_barred(place.spot(), who, &terms.tokens),
                    423,
                );
                no.add(self.unmet(&terms, place), 412);
            }
            None => {}
        }
        no.by_api(api);
        let reply = if api {
            let ask = self
                .server
                .ask(who, "POST", "/api/v1/files/delete")
                .json(&json!({ "paths": [path] }));
            ask.with(terms.header.clone()).send().of_item()
        } else {
            self.dav(who, "DELETE", &path)
                .with(terms.header.clone())
                .send()
        };
        let said = format!(
            "{} {} /{path}{}",
            who.name(),
            said_by("DELETE", api),
            self.shown(&terms)
        );
        if !self.judge(&said, &reply, 204, &no)? {
            return Ok(());
        }
        match (place, &mut self.world.share) {
            (Some(_), Some(share)) if leaves => {
                (share.left, share.name) = (true, None);
                self.world.release();
            }
            (Some(place), _) => self.world.discard(place.root, &place.path, who),
            (None, _) => {}
        }
        Ok(())
    }

    pub fn set_prop(
        &mut self,
        (who, at): (Who, &Spot),
        prop: (char, Option<u8>),
        tokens: Tokens,
    ) -> Checked {
        let path = self.world.address(who, at);
        let terms = self.submit(who, tokens);
        let (place, mut no) = self.sit(who, &path, true);
        // Whoever may not change what is not there hears that it is not there.
        no.add(place.is_none(), 404);
        if let Some(place) = &place {
            no.add(self.world.at(place).is_none(), 404);
            no.add(
                self.world.content_barred(place.spot(), who, &terms.tokens),
                423,
            );
            no.add(self.unmet(&terms, place), 412);
        }
        let (name, value) = prop;
        let change = match value {
            Some(value) => format!("<D:set><D:prop><x:{name}>{value}</x:{name}></D:prop></D:set>"),
            None => format!("<D:remove><D:prop><x:{name}/></D:prop></D:remove>"),
        };
        let body =
            format!("<D:propertyupdate xmlns:D='DAV:' xmlns:x='urn:x'>{change}</D:propertyupdate>");
        let reply = self
            .dav(who, "PROPPATCH", &path)
            .with(terms.header.clone())
            .body(body)
            .send();
        let said = format!(
            "{} PROPPATCH /{path} {name}={value:?}{}",
            who.name(),
            self.shown(&terms)
        );
        if self.judge(&said, &reply, 207, &no)?
            && let Some(place) = place
        {
            if !reply.text().contains("HTTP/1.1 200 OK") {
                return Err(format!("the property was refused: {}", reply.text()));
            }
            let holding = self.world.holding_mut(place.root);
            let inode = holding.tree[&place.path].inode;
            let trashed = holding
                .trash
                .iter_mut()
                .flat_map(|item| item.tree.values_mut());
            for node in holding
                .tree
                .values_mut()
                .chain(trashed)
                .filter(|node| node.inode == inode)
            {
                match value {
                    Some(value) => drop(node.props.insert(name, value)),
                    None => drop(node.props.remove(&name)),
                }
            }
        }
        Ok(())
    }

    pub fn get(&mut self, (who, at): (Who, &Spot), known: bool) -> Checked {
        let path = self.world.address(who, at);
        let (place, mut no) = self.sit(who, &path, false);
        let node = place.and_then(|place| self.world.at(&place).cloned());
        no.add(node.is_none(), 404);
        let tag = node
            .as_ref()
            .filter(|node| known && !node.is_folder())
            .and_then(|node| node.etag.clone());
        let success = if tag.is_some() { 304 } else { 200 };
        let reply = self
            .dav(who, "GET", &path)
            .maybe("if-none-match", tag)
            .send();
        let said = format!("{} GET /{path}", who.name());
        let found = self.judge(&said, &reply, success, &no)?;
        match node.and_then(|node| node.content) {
            Some(content) if found && success == 200 && reply.body != content.bytes() => {
                Err(format!(
                    "the content is {:?}, and the model says {content:?}",
                    reply.text()
                ))
            }
            _ => Ok(()),
        }
    }
}
