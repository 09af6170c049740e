//! Shares and the team folder, by the API.

use crate::operations::{Area, Root, Spot, Who};
use crate::run::{Checked, Refusals, Run};
use crate::world::{Node, Share, TEAM, Team};
use serde_json::json;

impl Run<'_> {
    /// Shares a path with ben, or says anew what he may do with what is shared.
    pub fn share(&mut self, at: &Spot, edit: bool) -> Checked {
        // Only what is her own.
        let path = &*self.world.address(
            Who::Ana,
            &Spot {
                area: Area::Own,
                ..at.clone()
            },
        );
        self.touch(Root::Ana);
        let rights = if edit { "edit" } else { "view" };
        if let Some(share) = &mut self.world.share {
            let ask = self
                .server
                .ask(Who::Ana, "PATCH", &format!("/api/v1/shares/{}", share.id));
            let reply = ask.json(&json!({ "rights": rights })).send();
            share.edit = edit;
            self.world.release();
            return self
                .judge(
                    &format!("ana shares to {rights}"),
                    &reply,
                    204,
                    &Refusals::default(),
                )
                .map(drop);
        }
        let is_there = self.world.node(Root::Ana, path).is_some();
        let mut no = Refusals::default();
        no.add(!is_there, 422);
        let body = json!({ "path": path, "to": { "account": "ben" }, "rights": rights });
        let reply = self
            .server
            .ask(Who::Ana, "POST", "/api/v1/shares")
            .json(&body)
            .send();
        if self.judge(&format!("ana shares /{path} to {rights}"), &reply, 201, &no)? {
            let id = reply.json()["id"].as_str().unwrap_or_default().to_owned();
            self.world.share = Some(Share {
                id,
                path: path.to_owned(),
                edit,
                name: None,
                left: false,
            });
        }
        Ok(())
    }

    pub fn unshare(&mut self) -> Checked {
        self.touch(Root::Ana);
        let Some(share) = &mut self.world.share else {
            return Ok(());
        };
        let reply = self
            .server
            .ask(Who::Ana, "DELETE", &format!("/api/v1/shares/{}", share.id))
            .send();
        share.edit = false;
        self.world.release();
        self.world.share = None;
        self.judge("ana ends the share", &reply, 204, &Refusals::default())
            .map(drop)
    }

    /// Makes the team folder, or says who is in it from now on.
    pub fn team(&mut self, ana: Option<bool>, ben: Option<bool>) -> Checked {
        let rights = |edit| if edit { "edit" } else { "view" };
        let member =
            |who: Who, edit| json!({ "to": { "account": who.name() }, "rights": rights(edit) });
        let members = [(Who::Ana, ana), (Who::Ben, ben)].into_iter();
        let members: Vec<_> = members
            .filter_map(|(who, edit)| Some(member(who, edit?)))
            .collect();
        self.touch(Root::Team);
        let said = format!("the team folder has ana {ana:?} and ben {ben:?}");
        if self.world.team.replace(Team { ana, ben }).is_some() {
            let ask = self.server.administer("PATCH", "/api/v1/team-folders/T");
            let reply = ask.json(&json!({ "members": members })).send();
            self.world.release_team();
            return self
                .judge(&said, &reply, 200, &Refusals::default())
                .map(drop);
        }
        let body = json!({ "name": TEAM, "members": members, "quota": crate::server::TEAM_QUOTA });
        let reply = self
            .server
            .administer("POST", "/api/v1/team-folders")
            .json(&body)
            .send();
        let top = Node::new(self.world.new_id(), None, false);
        self.world
            .holding_mut(Root::Team)
            .tree
            .insert(String::new(), top);
        self.judge(&said, &reply, 201, &Refusals::default())
            .map(drop)
    }

    /// Removes the team folder: the next one begins with nothing.
    pub fn end_team(&mut self, purge: bool) -> Checked {
        if self.world.team.take().is_none() {
            return Ok(());
        }
        let (kept, is_made) = (self.server.kept().len(), self.is_made(Root::Team));
        let target = format!("/api/v1/team-folders/T?purge={purge}");
        let reply = self.server.administer("DELETE", &target).send();
        let tree = std::mem::take(self.world.holding_mut(Root::Team)).tree;
        self.world.release_team();
        self.world
            .uploads
            .retain(|upload| upload.root != Root::Team);
        self.judge(
            &format!("the team folder goes, and its files are purged: {purge}"),
            &reply,
            204,
            &Refusals::default(),
        )?;
        self.compare_kept(kept, (is_made && !purge).then_some(&tree))
    }
}
