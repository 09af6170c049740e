//! LOCK, its refresh, and UNLOCK.

use crate::operations::{Content, Spot, Tokens, Who};
use crate::run::{Checked, Run};
use crate::world::{Lock, is_within};

/// A token that no lock has.
const UNKNOWN: &str = "urn:uuid:00000000-0000-4000-8000-000000000000";
/// The most locks on one thing.
const MOST: usize = 10;

impl Run<'_> {
    pub fn lock(
        &mut self,
        (who, at): (Who, &Spot),
        (shared, deep): (bool, bool),
        tokens: Tokens,
    ) -> Checked {
        let path = self.world.address(who, at);
        let terms = self.submit(who, tokens);
        let (place, mut no) = self.sit(who, &path, true);
        let is_new = place
            .as_ref()
            .is_some_and(|place| !place.path.is_empty() && self.world.at(place).is_none());
        if let Some(place) = &place {
            let (root, path) = (place.root, &*place.path);
            let meets = |lock: &&Lock| {
                lock.covers(root, path)
                    || (deep && lock.root == root && is_within(&lock.path, path))
            };
            no.add(
                self.world
                    .locks
                    .iter()
                    .filter(meets)
                    .any(|lock| !(shared && lock.shared)),
                423,
            );
            let here = self
                .world
                .locks
                .iter()
                .filter(|lock| lock.root == root && lock.path == path);
            no.add(here.count() >= MOST, 507);
            no.add(self.unmet(&terms, place), 412);
            if is_new {
                no.add(self.lacks_parent(place), 409);
                no.add(
                    self.world.members_barred(
                        (root, crate::world::parent(path)),
                        who,
                        &terms.tokens,
                    ),
                    423,
                );
            }
        }
        let scope = if shared { "shared" } else { "exclusive" };
        let body = format!(
            "<D:lockinfo xmlns:D='DAV:'><D:lockscope><D:{scope}/></D:lockscope><D:locktype><D:write/></D:locktype></D:lockinfo>"
        );
        let depth = if deep { "infinity" } else { "0" };
        let ask = self
            .dav(who, "LOCK", &path)
            .header("depth", depth)
            .header("timeout", "Second-3600");
        let reply = ask.with(terms.header.clone()).body(body).send();
        let said = format!(
            "{} LOCK /{path} {scope}, Depth: {depth}{}",
            who.name(),
            self.shown(&terms)
        );
        if self.judge(&said, &reply, if is_new { 201 } else { 200 }, &no)?
            && let Some(place) = place
        {
            let token = reply.header("lock-token").ok_or("a LOCK without a token")?;
            let token = token.trim_matches(['<', '>']).to_owned();
            if is_new {
                self.world.write(place.spot(), Content::EMPTY, true);
            }
            self.world.locks.push(Lock {
                token,
                root: place.root,
                path: place.path,
                holder: who,
                shared,
                deep,
            });
        }
        Ok(())
    }

    pub fn refresh(&mut self, who: Who, at: Option<&Spot>, lock: u8) -> Checked {
        let (path, token) = self.aim(who, at, lock);
        let (place, mut no) = self.sit(who, &path, true);
        if let Some(place) = &place {
            let mut own = self
                .world
                .locks
                .iter()
                .filter(|lock| lock.holder == who && lock.token == token);
            no.add(!own.any(|lock| lock.covers(place.root, &place.path)), 412);
        }
        let reply = self
            .dav(who, "LOCK", &path)
            .header("if", format!("(<{token}>)"))
            .send();
        self.judge(
            &format!("{} LOCK /{path} again", who.name()),
            &reply,
            200,
            &no,
        )
        .map(drop)
    }

    pub fn unlock(&mut self, who: Who, at: Option<&Spot>, lock: u8) -> Checked {
        let (path, token) = self.aim(who, at, lock);
        let (place, mut no) = self.sit(who, &path, true);
        if let Some(place) = &place {
            let mut locks = self.world.locks.iter().filter(|lock| lock.token == token);
            let found = locks.find(|lock| lock.covers(place.root, &place.path));
            no.add(found.is_none(), 409);
            no.add(found.is_some_and(|lock| lock.holder != who), 403);
        }
        let reply = self
            .dav(who, "UNLOCK", &path)
            .header("lock-token", format!("<{token}>"))
            .send();
        if self.judge(&format!("{} UNLOCK /{path}", who.name()), &reply, 204, &no)? {
            self.world.locks.retain(|lock| lock.token != token);
        }
        Ok(())
    }

    /// A path and the token of a lock: of the one that was named, at its own place if none is said.
    fn aim(&self, who: Who, at: Option<&Spot>, lock: u8) -> (String, String) {
        let locks = &self.world.locks;
        let lock = (!locks.is_empty()).then(|| &locks[usize::from(lock) % locks.len()]);
        let token = lock.map_or_else(|| UNKNOWN.to_owned(), |lock| lock.token.clone());
        let own = lock.and_then(|lock| self.world.seen_as(who, lock.root, &lock.path));
        let path = at
            .map(|at| self.world.address(who, at))
            .or(own)
            .unwrap_or_else(|| "a".to_owned());
        (path, token)
    }
}
