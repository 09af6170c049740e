//! Archives: what lies at a path and below it, as one file.

use crate::operations::{Content, Spot, Who};
use crate::run::{Checked, Run};
use crate::url::url;
use crate::world::{after, join, leaf};
use std::collections::BTreeMap;

/// Names, those of folders with a slash, and contents.
type Members = BTreeMap<String, Vec<u8>>;

impl Run<'_> {
    pub fn zip(&mut self, (who, at): (Who, &Spot)) -> Checked {
        if who == Who::Visitor {
            return Ok(());
        }
        let path = self.world.address(who, at);
        let (place, mut no) = self.sit(who, &path, false);
        no.add(
            place
                .as_ref()
                .is_none_or(|place| self.world.at(place).is_none()),
            404,
        );
        let reply = self
            .server
            .ask(who, "GET", &format!("/api/v1/zip?path={}", url(&path)))
            .send();
        if !self.judge(
            &format!("{} takes an archive of /{path}", who.name()),
            &reply,
            200,
            &no,
        )? {
            return Ok(());
        }
        let Some(place) = place else { return Ok(()) };
        let mut expected = Members::new();
        for (at, node) in &self.world.holding(place.root).tree {
            let Some(rest) = after(at, &place.path) else {
                continue;
            };
            let name = join(leaf(&path), rest) + if node.is_folder() { "/" } else { "" };
            expected.insert(name, node.content.map_or_else(Vec::new, Content::bytes));
        }
        let found = members(&reply.body).ok_or("the archive cannot be read")?;
        if found == expected {
            return Ok(());
        }
        Err(format!(
            "the archive holds {:?}, and the model says {:?}",
            found.keys(),
            expected.keys()
        ))
    }
}

/// What the directory of an archive says, and what lies where it says.
fn members(archive: &[u8]) -> Option<Members> {
    let number = |at: usize, len: usize| {
        let bytes = archive.get(at..at + len)?;
        Some(
            bytes
                .iter()
                .rev()
                .fold(0_usize, |sum, byte| sum << 8 | usize::from(*byte)),
        )
    };
    let end = archive
        .len()
        .checked_sub(22)
        .filter(|end| number(*end, 4) == Some(0x0605_4b50))?;
    let (count, mut at) = (number(end + 10, 2)?, number(end + 16, 4)?);
    let mut found = Members::new();
    for _ in 0..count {
        let (size, head) = (number(at + 20, 4)?, number(at + 42, 4)?);
        let lens = [
            number(at + 28, 2)?,
            number(at + 30, 2)?,
            number(at + 32, 2)?,
        ];
        let name = String::from_utf8(archive.get(at + 46..at + 46 + lens[0])?.to_vec()).ok()?;
        let content = head + 30 + number(head + 26, 2)? + number(head + 28, 2)?;
        found.insert(name, archive.get(content..content + size)?.to_vec());
        at += 46 + lens.iter().sum::<usize>();
    }
    Some(found)
}
