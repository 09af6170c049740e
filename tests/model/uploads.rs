//! Resumable uploads of ana's, in up to three parts.

use crate::operations::{Content, Who};
use crate::run::{Checked, Refusals, Run};
use crate::server::Ask;
use crate::world::{Node, Upload};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

const ALL: &str = "/api/v1/uploads";
/// The most that are unfinished at once.
const MOST: usize = 3;

impl Run<'_> {
    pub fn begin(&mut self, path: &str, content: Content, fresh: bool, tokens: bool) -> Checked {
        if self.world.uploads.len() >= MOST {
            return Ok(());
        }
        // One without bytes would be published at once, as a PUT is.
        let content = Content { len: content.len.max(1), ..content };
        let (token, held) = self.token_for(path, tokens);
        let mut no = Refusals::default();
        self.refuse_publishing(&mut no, path, fresh, &held);
        let present = self.world.node(Who::Ana, path);
        let old = present.map_or(0, Node::len);
        no.add(!self.world.has_room(Who::Ana, content.len.into(), old), 507);
        let encode = |text: &str| STANDARD.encode(text);
        let metadata = format!("path {},overwrite {}", encode(path), encode(if fresh { "false" } else { "true" }));
        let ask = tus(self.server.ask(Who::Ana, "POST", ALL)).header("upload-length", content.len.to_string());
        let reply = ask.header("upload-metadata", metadata).maybe("lock-token", token).send();
        let said = format!("ana begins to upload {content:?} to /{path}{}", if fresh { ", a new file" } else { "" });
        if self.judge(&said, &reply, 201, &no)? {
            let at = reply.header("location").ok_or("an upload without an address")?.to_owned();
            let reserved = u64::from(content.len).saturating_sub(old);
            self.world.uploads.push(Upload { at, path: path.to_owned(), content, offset: 0, fresh, reserved });
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
        let left = upload.content.len - upload.offset;
        let count = if share.is_multiple_of(3) { left.min(upload.content.len / 3) } else { left };
        let is_last = count == left;
        let (token, held) = self.token_for(&upload.path, tokens);
        let mut no = Refusals::default();
        let old = self.world.node(Who::Ana, &upload.path).map_or(0, Node::len);
        if is_last {
            self.refuse_publishing(&mut no, &upload.path, upload.fresh, &held);
            no.add(!self.world.has_promised_room(Who::Ana, upload.content.len.into(), old), 507);
        }
        let ask =
            tus(self.server.ask(Who::Ana, "PATCH", &upload.at)).header("upload-offset", upload.offset.to_string());
        let ask = ask.header("content-type", "application/offset+octet-stream").maybe("lock-token", token);
        let reply = ask.body(Content { len: count, ..upload.content }.bytes()).send();
        let said = format!("ana uploads {count} more to /{}, {} are left", upload.path, left - count);
        let done = self.judge(&said, &reply, 204, &no)?;
        if is_last && done {
            self.world.uploads.remove(index);
            // The hash is known of what came in one part.
            self.world.write(Who::Ana, &upload.path, upload.content, upload.offset == 0);
            return Ok(());
        }
        // What has come is kept, though it could not be published.
        let offset = upload.offset + count;
        self.world.uploads[index].offset = offset;
        let reply = tus(self.server.ask(Who::Ana, "HEAD", &upload.at)).send();
        match reply.header("upload-offset") {
            Some(told) if told == offset.to_string() => Ok(()),
            told => Err(format!("the upload has come to {told:?}, and the model says {offset}")),
        }
    }

    pub fn abandon(&mut self, upload: u8) -> Checked {
        if self.world.uploads.is_empty() {
            return Ok(());
        }
        let index = usize::from(upload) % self.world.uploads.len();
        let upload = self.world.uploads.remove(index);
        let reply = tus(self.server.ask(Who::Ana, "DELETE", &upload.at)).send();
        self.judge(&format!("ana gives up the upload to /{}", upload.path), &reply, 204, &Refusals::default()).map(drop)
    }

    fn refuse_publishing(&self, no: &mut Refusals, path: &str, fresh: bool, held: &[String]) {
        let present = self.world.node(Who::Ana, path);
        no.add(present.is_some_and(Node::is_folder) || (fresh && present.is_some()), 409);
        no.add(!self.world.is_folder(Who::Ana, crate::world::parent(path)), 409);
        no.add(self.world.writing_barred((Who::Ana, path), Who::Ana, held), 423);
    }

    /// The token of a lock of ana's on a path, if there is one and it is to be sent.
    fn token_for(&self, path: &str, wanted: bool) -> (Option<String>, Vec<String>) {
        let own = |lock: &&crate::world::Lock| lock.holder == Who::Ana && lock.covers(Who::Ana, path);
        let token = self.world.locks.iter().find(own).map(|lock| lock.token.clone()).filter(|_| wanted);
        (token.as_ref().map(|token| format!("<{token}>")), token.into_iter().collect())
    }
}

fn tus(ask: Ask<'_>) -> Ask<'_> {
    ask.header("tus-resumable", "1.0.0")
}
