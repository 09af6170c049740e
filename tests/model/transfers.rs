//! COPY and MOVE, within a drive and from one to the other.

use crate::operations::{Root, Spot, Tokens, Who};
use crate::run::{Checked, If, Refusals, Run, said_by};
use crate::server::Reply;
use crate::world::{HALL, Node, Place, Seat, Tree, is_within, parent};
use serde_json::json;

/// The two ends of a transfer.
struct Ends {
    from: Place,
    to: Place,
}

impl Ends {
    fn is_far(&self) -> bool {
        self.from.root != self.to.root
    }
}

impl Run<'_> {
    pub fn shift(
        &mut self,
        who: Who,
        (from, to): (&Spot, &Spot),
        overwrite: bool,
        by: (Tokens, bool),
    ) -> Checked {
        let (from, to) = (self.world.address(who, from), self.world.address(who, to));
        let terms = self.submit_by(who, by);
        if let Seat::Place(place) = self.world.seat(who, &from)
            && place.is_mount
            && who == Who::Ben
            && place.root == Root::Ana
        {
            return self.move_mount((&from, &to), by.1);
        }
        let (ends, mut no) = self.sit_at_both(who, (&from, true), &to, overwrite);
        if let Some(ends) = &ends {
            self.refuse_transfer(&mut no, ends, (who, &terms), overwrite);
            no.add(ends.from.is_mount, 403);
            no.add(
                self.world
                    .taking_barred(ends.from.spot(), who, &terms.tokens),
                423,
            );
            no.add(ends.is_far() && !self.has_room_for(ends, true), 507);
        }
        no.by_api(by.1);
        let (reply, said) =
            self.ask_transfer("MOVE", (who, &terms, by.1), (&from, &to), (overwrite, true));
        let there = ends
            .as_ref()
            .is_some_and(|ends| self.world.at(&ends.to).is_some());
        if self.judge(&said, &reply, if there { 204 } else { 201 }, &no)?
            && let Some(ends) = ends
        {
            self.carry_out_move(&ends, who);
        }
        Ok(())
    }

    fn carry_out_move(&mut self, ends: &Ends, who: Who) {
        let Ends { from, to } = ends;
        if ends.is_far() {
            let tree = self.brought(ends, true);
            // It goes out of sight before it comes to its new place.
            self.world.discard(from.root, &from.path, who);
            self.replace(to, who);
            self.world.graft(to.root, &to.path, tree);
            return;
        }
        let inode = |place| self.world.at(place).map(|node| node.inode);
        if inode(from) == inode(to) {
            // Two names of one file: one of them goes, and nothing is deleted.
            self.end_share_at(to);
            self.world.follow(from.root, &from.path, &to.path);
            self.world
                .locks
                .retain(|lock| !lock.is_within(to.root, &to.path));
            self.world.cut(from.root, &from.path);
            // The chronicle tells only of names that something else has had since.
            self.world.holding_mut(to.root).moments.clear();
            return;
        }
        self.replace(to, who);
        let tree = self.world.cut(from.root, &from.path);
        self.world.graft(to.root, &to.path, tree);
        self.world.follow(from.root, &from.path, &to.path);
    }

    fn end_share_at(&mut self, place: &Place) {
        if self
            .world
            .share
            .as_ref()
            .is_some_and(|share| place.root == Root::Ana && is_within(&share.path, &place.path))
        {
            self.world.share = None;
        }
    }

    pub fn copy(
        &mut self,
        who: Who,
        (from, to): (&Spot, &Spot),
        (overwrite, deep): (bool, bool),
        by: (Tokens, bool),
    ) -> Checked {
        let (from, to) = (self.world.address(who, from), self.world.address(who, to));
        let terms = self.submit_by(who, by);
        let (ends, mut no) = self.sit_at_both(who, (&from, false), &to, overwrite);
        if let Some(ends) = &ends {
            self.refuse_transfer(&mut no, ends, (who, &terms), overwrite);
            no.add(!self.has_room_for(ends, deep), 507);
        }
        no.by_api(by.1);
        let (reply, said) =
            self.ask_transfer("COPY", (who, &terms, by.1), (&from, &to), (overwrite, deep));
        let old = ends
            .as_ref()
            .and_then(|ends| self.world.at(&ends.to))
            .cloned();
        if self.judge(&said, &reply, if old.is_some() { 204 } else { 201 }, &no)?
            && let Some(ends) = ends
        {
            let source = self
                .world
                .at(&ends.from)
                .cloned()
                .expect("judged to be there");
            let onto = source.is_folder() && old.is_some_and(|old| old.is_folder());
            if onto && !deep {
                // Only the folder itself is copied: what is in the other one stays.
                let target = self
                    .world
                    .holding_mut(ends.to.root)
                    .tree
                    .get_mut(&ends.to.path)
                    .expect("there");
                target.props = source.props;
            } else {
                self.replace(&ends.to, who);
                self.bring(&ends, deep);
            }
        }
        Ok(())
    }

    /// Where both ends are, and what refuses the transfer there; `changes` tells whether it changes the source.
    fn sit_at_both(
        &self,
        who: Who,
        (from, changes): (&str, bool),
        to: &str,
        overwrite: bool,
    ) -> (Option<Ends>, Refusals) {
        let (source, mut no) = self.sit(who, from, changes);
        let (target, more) = self.sit(who, to, true);
        no.0.extend(more.0);
        no.add(from == to, 403);
        no.add(from == to && !overwrite, 412);
        (source.zip(target).map(|(from, to)| Ends { from, to }), no)
    }

    /// What refuses a transfer of either kind.
    fn refuse_transfer(
        &self,
        no: &mut Refusals,
        ends: &Ends,
        (who, terms): (Who, &If),
        overwrite: bool,
    ) {
        let Ends { from, to } = ends;
        let there = self.world.at(to).is_some();
        no.add(self.world.at(from).is_none(), 404);
        no.add(self.lacks_parent(to), 409);
        no.add(there && !overwrite, 412);
        no.add(to.is_mount, 403);
        let overlap = is_within(&from.path, &to.path) || is_within(&to.path, &from.path);
        no.add(!ends.is_far() && overlap, 403);
        no.add(self.world.taking_barred(to.spot(), who, &terms.tokens), 423);
        no.add(self.unmet(terms, from), 412);
    }

    /// Whether the copy has room beside what is there; a file that it replaces makes room.
    fn has_room_for(&self, ends: &Ends, deep: bool) -> bool {
        let Ends { from, to } = ends;
        let top = self.world.at(from);
        let is_shallow = !deep && top.is_some_and(Node::is_folder);
        let new = if is_shallow {
            0
        } else {
            self.world
                .subtree(from.root, &from.path)
                .values()
                .map(Node::len)
                .sum()
        };
        let replaced = self.world.at(to);
        let builds = ends.is_far() && top.is_some_and(Node::is_folder);
        let old = replaced.filter(|_| !builds).map_or(0, Node::len);
        self.world.has_room(to.root, new, old)
    }

    fn ask_transfer(
        &self,
        method: &str,
        (who, terms, api): (Who, &If, bool),
        (from, to): (&str, &str),
        (overwrite, deep): (bool, bool),
    ) -> (Reply, String) {
        let how = match (overwrite, deep) {
            (true, true) => "",
            (false, true) => " Overwrite: F",
            (true, false) => " Depth: 0",
            (false, false) => " Overwrite: F, Depth: 0",
        };
        let said = said_by(method, api);
        let said = format!(
            "{} {said} /{from} to /{to}{how}{}",
            who.name(),
            self.shown(terms)
        );
        if api {
            let target = format!("/api/v1/files/{}", method.to_lowercase());
            let body = json!({ "items": [{ "from": from, "to": to }], "overwrite": overwrite });
            return (
                self.server
                    .ask(who, "POST", &target)
                    .json(&body)
                    .with(terms.header.clone())
                    .send()
                    .of_item(),
                said,
            );
        }
        let ask = self
            .dav(who, method, from)
            .header("destination", self.destination(who, to));
        let ask = ask.header("overwrite", if overwrite { "T" } else { "F" });
        let ask = ask
            .header("depth", if deep { "infinity" } else { "0" })
            .with(terms.header.clone());
        (ask.send(), said)
    }

    /// Moves to the trash what a transfer replaces.
    fn replace(&mut self, to: &Place, who: Who) {
        if self.world.at(to).is_some() {
            self.world.discard(to.root, &to.path, who);
        }
    }

    /// Makes the copy.
    fn bring(&mut self, ends: &Ends, deep: bool) {
        let tree = self.brought(ends, deep);
        self.world.graft(ends.to.root, &ends.to.path, tree);
    }

    /// What comes to the target: other files with the same content and properties, and no past.
    fn brought(&mut self, ends: &Ends, deep: bool) -> Tree {
        let mut tree: Tree = self.world.subtree(ends.from.root, &ends.from.path);
        tree.retain(|at, _| deep || at.is_empty());
        self.world.copied(tree, ends.is_far())
    }

    /// MOVE of what is shared itself: ben sees it under another name.
    fn move_mount(&mut self, (from, to): (&str, &str), api: bool) -> Checked {
        let mut no = Refusals::default();
        self.touch(Root::Ana);
        let is_free = matches!(self.world.seat(Who::Ben, to), Seat::Nowhere) && parent(to) == HALL;
        no.add(!is_free, 403);
        let (reply, said) = self.ask_transfer(
            "MOVE",
            (Who::Ben, &If::default(), api),
            (from, to),
            (true, true),
        );
        if self.judge(&said, &reply, 201, &no)?
            && let Some(share) = &mut self.world.share
        {
            share.name = Some(crate::world::leaf(to).to_owned());
        }
        Ok(())
    }

    pub fn rename_mount(&mut self, name: char) -> Checked {
        let Some(share) = self.world.shown() else {
            return Ok(());
        };
        let (from, to) = (share.mount(), format!("{HALL}/{name}"));
        self.move_mount((&from, &to), false)
    }
}
