//! What the server shows of the past, and of what is shared, against the model.

use crate::operations::{Root, Who};
use crate::run::{Checked, Run};
use crate::url::url;
use crate::world::in_team;
use serde_json::json;

impl Run<'_> {
    pub fn compare_trash(&mut self, who: Who, root: Root) -> Checked {
        let folder = if root == Root::Team {
            format!("&folder={}", url(&in_team("")))
        } else {
            String::new()
        };
        let reply = self
            .server
            .ask(who, "GET", &format!("/api/v1/trash?limit=1000{folder}"))
            .send()
            .json();
        let items = reply["items"].as_array().cloned().unwrap_or_default();
        let told = |item: &serde_json::Value| {
            let text = |key: &str| item[key].as_str().unwrap_or_default().to_owned();
            (
                text("path"),
                text("kind"),
                item["size"].as_u64(),
                text("by"),
            )
        };
        let shown = |path: &str| {
            if root == Root::Team {
                in_team(path)
            } else {
                path.to_owned()
            }
        };
        let trash = &mut self.world.holding_mut(root).trash;
        let expected = trash.iter().rev().map(|item| {
            let top = &item.tree[""];
            let kind = if top.is_folder() { "folder" } else { "file" };
            (
                format!("/{}", shown(&item.path)),
                kind.to_owned(),
                Some(top.len()),
                item.by.to_owned(),
            )
        });
        let (found, expected): (Vec<_>, Vec<_>) =
            (items.iter().map(told).collect(), expected.collect());
        if found != expected {
            return Err(format!(
                "the trash of {root:?} holds {found:?}, and the model says {expected:?}"
            ));
        }
        for (lain, item) in trash.iter_mut().rev().zip(&items) {
            let id = item["id"].as_str().unwrap_or_default().to_owned();
            if lain.id.get_or_insert_with(|| id.clone()) != &id {
                return Err(format!(
                    "what lay at /{} is called {id} in the trash now",
                    lain.path
                ));
            }
        }
        Ok(())
    }

    /// The versions of the files that have a past.
    pub fn compare_versions(&mut self, who: Who, root: Root) -> Checked {
        let tree = self.world.holding(root).tree.iter();
        let files: Vec<_> = tree
            .filter_map(|(path, node)| Some((path.clone(), node.history?)))
            .collect();
        files.into_iter().try_for_each(|(path, history)| {
            let path = self.world.seen_as(who, root, &path).unwrap_or_default();
            self.compare_history(who, (root, &path), history)
        })
    }

    fn compare_history(&mut self, who: Who, (root, path): (Root, &str), history: u64) -> Checked {
        let reply = self
            .server
            .ask(who, "GET", &format!("/api/v1/versions?path={}", url(path)))
            .send()
            .json();
        let items = reply["items"].as_array().cloned().unwrap_or_default();
        let mut none = Vec::new();
        let versions = self
            .world
            .holding_mut(root)
            .versions
            .get_mut(&history)
            .unwrap_or(&mut none);
        let shown: Vec<_> = items
            .iter()
            .map(|item| item["size"].as_u64().unwrap_or_default())
            .collect();
        let expected: Vec<u64> = versions
            .iter()
            .rev()
            .map(|version| version.content.len.into())
            .collect();
        if shown != expected {
            return Err(format!(
                "/{path} has versions of {shown:?} bytes, and the model says {expected:?}"
            ));
        }
        for (version, item) in versions.iter_mut().rev().zip(&items) {
            let id = item["id"].as_str().unwrap_or_default().to_owned();
            if version.id.as_ref().is_some_and(|known| *known != id) {
                return Err(format!("a version of /{path} is called {id} now"));
            }
            if version.id.replace(id.clone()).is_none() {
                let target = format!("/api/v1/versions/content?path={}&id={id}", url(path));
                let body = self.server.ask(who, "GET", &target).send().body;
                if body != version.content.bytes() {
                    return Err(format!(
                        "a version of /{path} is {body:?}, and the model says {:?}",
                        version.content
                    ));
                }
            }
        }
        Ok(())
    }

    /// The share as ana and as ben see it.
    pub fn compare_shares(&self) -> Checked {
        let list = |who: Who, target: &str| {
            let items = self.server.ask(who, "GET", target).send().json()["items"].clone();
            let told = |item: &serde_json::Value| {
                (
                    item["path"]
                        .as_str()
                        .unwrap_or_default()
                        .trim_start_matches('/')
                        .to_owned(),
                    item["rights"].clone(),
                )
            };
            items
                .as_array()
                .into_iter()
                .flatten()
                .map(told)
                .collect::<Vec<_>>()
        };
        let rights = |edit| json!(if edit { "edit" } else { "view" });
        let outgoing: Vec<_> = self
            .world
            .share
            .iter()
            .map(|share| (share.path.clone(), rights(share.edit)))
            .collect();
        let incoming: Vec<_> = self
            .world
            .shown()
            .into_iter()
            .map(|share| (share.mount(), rights(share.edit)))
            .collect();
        let (found_out, found_in) = (
            list(Who::Ana, "/api/v1/shares"),
            list(Who::Ben, "/api/v1/shares/incoming"),
        );
        if (&found_out, &found_in) == (&outgoing, &incoming) {
            return Ok(());
        }
        Err(format!(
            "the shares are {found_out:?} and {found_in:?}, and the model says {outgoing:?} and {incoming:?}"
        ))
    }
}
