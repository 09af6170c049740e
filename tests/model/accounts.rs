//! An account goes, and another of the same name comes: nothing of the first is the second's.

use crate::operations::{Content, Fate, Root, Who};
use crate::run::{Checked, Refusals, Run};
use crate::world::{Trashed, Tree, is_within, join};
use std::path::{Path, PathBuf};

impl Run<'_> {
    /// Whoever asks is removed, and made anew.
    pub fn remove_account(&mut self, who: Who, fate: Fate) -> Checked {
        let (heir, kept, is_made) = (
            who.other(),
            self.server.kept().len(),
            self.is_made(who.home()),
        );
        let how = match fate {
            Fate::Keep => "files=keep".to_owned(),
            Fate::Purge => "files=purge".to_owned(),
            Fate::Transfer => format!("files=transfer&to={}", heir.name()),
        };
        for root in Root::ALL {
            self.touch(root);
        }
        let target = format!("/api/v1/accounts/{}?{how}", who.name());
        let reply = self.server.administer("DELETE", &target).send();
        self.judge(
            &format!("{} is removed, {how}, and made anew", who.name()),
            &reply,
            200,
            &Refusals::default(),
        )?;
        self.end_records(who);
        let left = std::mem::take(self.world.holding_mut(who.home()));
        match fate {
            Fate::Transfer if is_made => self.inherit(heir, left, who)?,
            Fate::Keep if is_made => self.compare_kept(kept, Some(&left.tree))?,
            _ => self.compare_kept(kept, None)?,
        }
        self.server.make_account(who);
        Ok(())
    }

    /// Whether the folder of a root is there: it is made at the first use.
    pub fn is_made(&self, root: Root) -> bool {
        self.server.folder(root).is_dir()
    }

    /// Ends all that is keyed by a name.
    fn end_records(&mut self, who: Who) {
        let world = &mut self.world;
        world.share = None;
        world
            .uploads
            .retain(|upload| upload.who != who && upload.root != who.home());
        world
            .locks
            .retain(|lock| lock.holder != who && lock.root != who.home());
        if who == Who::Ana {
            world.link = None;
            world.locks.retain(|lock| lock.holder != Who::Visitor);
        }
        if let Some(team) = &mut world.team {
            *if who == Who::Ana {
                &mut team.ana
            } else {
                &mut team.ben
            } = None;
        }
        world.release_team();
    }

    /// The files of one become a folder of the other's, their trash and versions a part of the other's.
    fn inherit(&mut self, heir: Who, left: crate::world::Holding, who: Who) -> Checked {
        let to = heir.home();
        let title = format!("Files of {}", who.name());
        let mut names = (1..).map(|n| {
            if n == 1 {
                title.clone()
            } else {
                format!("{title} ({n})")
            }
        });
        let top = names
            .find(|name| self.world.node(to, name).is_none())
            .ok_or("names do not end")?;
        self.world.make_folder(to, &top);
        self.world.graft(to, &top, left.tree);
        let holding = self.world.holding_mut(to);
        holding.versions.extend(left.versions);
        let moved = |item: Trashed| Trashed {
            path: join(&top, &item.path),
            id: None,
            ..item
        };
        holding.trash.extend(left.trash.into_iter().map(moved));
        holding.trash.sort_by_key(|item| item.stamp);
        holding.moments.clear();
        self.log.push(format!("  into /{top} of {}", heir.name()));
        Ok(())
    }

    /// Files that were kept lie aside, those that were not are gone.
    pub fn compare_kept(&self, before: usize, expected: Option<&Tree>) -> Checked {
        let places = self.server.kept();
        if places.len() != before + usize::from(expected.is_some()) {
            return Err(format!("{places:?} lie aside, and {before} did before"));
        }
        let Some(expected) = expected else {
            return Ok(());
        };
        let wanted: Vec<_> = expected
            .iter()
            .filter(|(path, _)| !path.is_empty())
            .collect();
        let wanted: Vec<_> = wanted
            .iter()
            .map(|(path, node)| ((*path).clone(), node.content.map(Content::bytes)))
            .collect();
        let is_kept = |place: &PathBuf| files_in(place, "").is_ok_and(|found| found == wanted);
        if places.iter().any(is_kept) {
            return Ok(());
        }
        Err(format!(
            "what lies aside is not what there was: {:?}",
            expected.keys()
        ))
    }
}

type Files = Vec<(String, Option<Vec<u8>>)>;

/// What lies in a folder on the disk, in the order of paths.
fn files_in(top: &Path, at: &str) -> std::io::Result<Files> {
    let mut found = Files::new();
    for entry in std::fs::read_dir(top.join(at))? {
        let path = join(at, &entry?.file_name().to_string_lossy());
        if is_within(&path, ".sarang") {
            continue;
        }
        if top.join(&path).is_dir() {
            found.push((path.clone(), None));
            found.extend(files_in(top, &path)?);
        } else {
            found.push((path.clone(), Some(std::fs::read(top.join(&path))?)));
        }
    }
    found.sort();
    Ok(found)
}
