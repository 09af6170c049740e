//! Resumable uploads, in up to three parts: into one's own drive, through the share and into the team folder.

use crate::operations::{Content, Rights, Root, Spot, Who};
use crate::run::{Checked, Refusals, Run};
use crate::server::Ask;
use crate::world::{Node, Place, Seat, Upload, parent};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

const ALL: &str = "/api/v1/uploads";
/// The most that are unfinished at once.
const MOST: usize = 3;

impl Run<'_> {
    pub fn begin(
        &mut self,
        (who, at): (Who, &Spot),
        content: Content,
        fresh: bool,
        tokens: bool,
    ) -> Checked {
        if self.world.uploads.len() >= MOST {
            return Ok(());
        }
        let path = &*self.world.address(who, at);
        // One without bytes would be published at once, as a PUT is.
        let content = Content {
            len: content.len.max(1),
            ..content
        };
        let (place, mut no) = self.sit(who, path, true);
        let (token, held) = self.token_for(who, place.as_ref(), tokens);
        let old = place
            .as_ref()
            .and_then(|place| self.world.at(place))
            .map_or(0, Node::len);
        if let Some(place) = &place {
            self.refuse_publishing(&mut no, (who, place), fresh, &held);
            no.add(
                !self.world.has_room(place.root, content.len.into(), old),
                507,
            );
        }
        let encode = |text: &str| STANDARD.encode(text);
        let metadata = format!(
            "path {},overwrite {}",
            encode(path),
            encode(if fresh { "false" } else { "true" })
        );
        let ask =
            tus(self.server.ask(who, "POST", ALL)).header("upload-length", content.len.to_string());
        let reply = ask
            .header("upload-metadata", metadata)
            .maybe("lock-token", token)
            .send();
        let new = if fresh { ", a new file" } else { "" };
        let said = format!(
            "{} begins to upload {content:?} to /{path}{new}",
            who.name()
        );
        if self.judge(&said, &reply, 201, &no)?
            && let Some(Place { root, .. }) = place
        {
            let at = reply
                .header("location")
                .ok_or("an upload without an address")?
                .to_owned();
            let reserved = u64::from(content.len).saturating_sub(old);
            let path = path.to_owned();
            self.world.uploads.push(Upload {
                who,
                at,
                path,
                root,
                content,
                offset: 0,
                fresh,
                reserved,
            });
        }
        Ok(())
    }

    /// Sends a part: a third, another third, or all that is left.
    pub fn go_on(&mut self, upload: u8, share: u8, tokens: bool) -> Checked {
        if self.world.uploads.is_empty() {
            return Ok(());
        }
        let index = usize::from(upload) % self.world.uploads.len();
        let upload = self.world.uploads[index].clone();
        let who = upload.who;
        let left = upload.content.len - upload.offset;
        let count = if share.is_multiple_of(3) {
            left.min(upload.content.len / 3)
        } else {
            left
        };
        let is_last = count == left;
        let (place, mut no) = self.find_again(&upload);
        let may_go_on = no.0.is_empty();
        let (token, held) = self.token_for(who, place.as_ref(), tokens);
        if let Some(place) = &place {
            self.refuse_resuming(&mut no, place);
            let old = self.world.at(place).map_or(0, Node::len);
            if is_last {
                self.refuse_publishing(&mut no, (who, place), upload.fresh, &held);
                no.add(
                    !self
                        .world
                        .has_promised_room(place.root, upload.content.len.into(), old),
                    507,
                );
            }
        }
        let ask = tus(self.server.ask(who, "PATCH", &upload.at))
            .header("upload-offset", upload.offset.to_string());
        let ask = ask
            .header("content-type", "application/offset+octet-stream")
            .maybe("lock-token", token);
        let reply = ask
            .body(
                Content {
                    len: count,
                    ..upload.content
                }
                .bytes(),
            )
            .send();
        let said = format!(
            "{} uploads {count} more to /{}, {} are left",
            who.name(),
            upload.path,
            left - count
        );
        let done = self.judge(&said, &reply, 204, &no)?;
        let Some(place) = place.filter(|_| may_go_on && !self.is_closed_to(&upload)) else {
            return Ok(());
        };
        if is_last && done {
            self.world.uploads.remove(index);
            // The hash is known of what came in one part.
            self.world
                .write(place.spot(), upload.content, upload.offset == 0);
            return Ok(());
        }
        // What has come is kept, though it could not be published.
        let offset = upload.offset + count;
        self.world.uploads[index].offset = offset;
        self.look_how_far(&upload, offset)
    }

    fn look_how_far(&self, upload: &Upload, offset: u16) -> Checked {
        let reply = tus(self.server.ask(upload.who, "HEAD", &upload.at)).send();
        match reply.header("upload-offset") {
            Some(told) if told == offset.to_string() => Ok(()),
            told => Err(format!(
                "the upload has come to {told:?} ({}), and the model says {offset}",
                reply.status
            )),
        }
    }

    pub fn abandon(&mut self, upload: u8) -> Checked {
        if self.world.uploads.is_empty() {
            return Ok(());
        }
        let index = usize::from(upload) % self.world.uploads.len();
        let upload = self.world.uploads[index].clone();
        // Whose path leads elsewhere now may still give it up: what is gone for them is nothing to them. Only who lost the
        // right to write there has no say any more.
        let (place, mut no) = self.find_again(&upload);
        no.0.retain(|status| *status != 404);
        if let Some(place) = &place {
            self.refuse_resuming(&mut no, place);
            no.0.retain(|status| *status != 404);
        }
        let reply = tus(self.server.ask(upload.who, "DELETE", &upload.at)).send();
        let said = format!(
            "{} gives up the upload to /{}",
            upload.who.name(),
            upload.path
        );
        if self.judge(&said, &reply, 204, &no)? {
            self.world.uploads.remove(index);
        }
        Ok(())
    }

    /// Where the path of an upload leads by now; why it cannot be gone on with.
    fn find_again(&self, upload: &Upload) -> (Option<Place>, Refusals) {
        let (place, mut no) = self.sit(upload.who, &upload.path, true);
        let is_there = place
            .as_ref()
            .is_some_and(|place| place.root == upload.root);
        no.add(place.is_some() && !is_there, 404);
        (place.filter(|_| is_there), no)
    }

    /// Whether the path of an upload leads where it may not be gone on with.
    fn is_closed_to(&self, upload: &Upload) -> bool {
        match self.world.seat(upload.who, &upload.path) {
            Seat::Place(place) => {
                let mut no = Refusals::default();
                self.refuse_resuming(&mut no, &place);
                place.root != upload.root || place.rights != Rights::Edit || !no.0.is_empty()
            }
            Seat::Nowhere | Seat::Gone => true,
        }
    }

    /// What is all that a mount shows can be written to, but not made; and it must be a file.
    fn refuse_resuming(&self, no: &mut Refusals, place: &Place) {
        if place.is_mount {
            let node = self.world.at(place);
            no.add(node.is_none(), 404);
            no.add(
                place.path.is_empty() || node.is_some_and(Node::is_folder),
                409,
            );
        }
    }

    fn refuse_publishing(
        &self,
        no: &mut Refusals,
        (who, place): (Who, &Place),
        fresh: bool,
        held: &[String],
    ) {
        let present = self.world.at(place);
        no.add(
            place.path.is_empty()
                || present.is_some_and(Node::is_folder)
                || (fresh && present.is_some()),
            409,
        );
        no.add(!self.world.is_folder(place.root, parent(&place.path)), 409);
        no.add(self.world.writing_barred(place.spot(), who, held), 423);
    }

    /// The token of a lock of one's own on a path, if there is one and it is to be sent.
    fn token_for(
        &self,
        who: Who,
        place: Option<&Place>,
        wanted: bool,
    ) -> (Option<String>, Vec<String>) {
        let covers =
            |(root, path): (Root, &str), lock: &crate::world::Lock| lock.covers(root, path);
        let own = |lock: &&crate::world::Lock| {
            lock.holder == who && place.is_some_and(|place| covers(place.spot(), lock))
        };
        let token = self
            .world
            .locks
            .iter()
            .find(own)
            .map(|lock| lock.token.clone())
            .filter(|_| wanted);
        (
            token.as_ref().map(|token| format!("<{token}>")),
            token.into_iter().collect(),
        )
    }
}

fn tus(ask: Ask<'_>) -> Ask<'_> {
    ask.header("tus-resumable", "1.0.0")
}
