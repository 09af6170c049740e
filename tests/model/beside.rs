//! What others do to the files beside the server: copies with all that they carry, and second names.

use crate::operations::{Spot, Who};
use crate::run::{Checked, Run};
use crate::world::{Node, Place, Seat, is_within, parent};
use rustix::fs::{XattrFlags, getxattr, listxattr, setxattr};
use std::fs;
use std::path::Path;

/// More than any attribute has here.
const MOST: usize = 64 << 10;

impl Run<'_> {
    /// Copies a file or folder as `cp -a` does, or gives a file a second name, where that is possible.
    pub fn beside_server(&mut self, who: Who, (from, to): (&Spot, &Spot), hard: bool) -> Checked {
        let place = |spot| match self.world.seat(who, &self.world.address(who, spot)) {
            Seat::Place(place) if !place.path.is_empty() => Some(place),
            _ => None,
        };
        let (Some(from), Some(to)) = (place(from), place(to)) else {
            return Ok(());
        };
        let Some(node) = self.world.at(&from).cloned() else {
            return Ok(());
        };
        let is_new =
            self.world.at(&to).is_none() && self.world.is_folder(to.root, parent(&to.path));
        let hard = hard && from.root == to.root && !node.is_folder();
        if !is_new
            || !self.is_made(to.root)
            || (from.root == to.root && is_within(&to.path, &from.path))
        {
            return Ok(());
        }
        let at = |place: &Place| self.server.folder(place.root).join(&place.path);
        let (source, target) = (at(&from), at(&to));
        let how = if hard {
            "a second name of"
        } else {
            "a copy of"
        };
        self.log.push(format!(
            "beside the server, /{} in {:?} is {how} /{} in {:?}",
            to.path, to.root, from.path, from.root
        ));
        let done = if hard {
            fs::hard_link(&source, &target)
        } else {
            copy(&source, &target)
        };
        done.map_err(|error| format!("it cannot be done: {error}"))?;
        let tree = if hard {
            let id = self.world.new_id();
            [(String::new(), Node { id, ..node })].into()
        } else {
            let tree = self.world.subtree(from.root, &from.path);
            self.world.copied(tree, false)
        };
        self.world.graft(to.root, &to.path, tree);
        self.world.holding_mut(to.root).moments.clear();
        self.touch(to.root);
        self.server.count_anew();
        Ok(())
    }
}

fn copy(from: &Path, to: &Path) -> std::io::Result<()> {
    let facts = fs::metadata(from)?;
    if facts.is_dir() {
        fs::create_dir(to)?;
        for entry in fs::read_dir(from)? {
            let name = entry?.file_name();
            copy(&from.join(&name), &to.join(&name))?;
        }
    } else {
        fs::copy(from, to)?;
    }
    copy_attributes(from, to)?;
    fs::File::open(to)?.set_modified(facts.modified()?)
}

fn copy_attributes(from: &Path, to: &Path) -> std::io::Result<()> {
    let (mut names, mut value) = (vec![0; MOST], vec![0; MOST]);
    let count = listxattr(from, &mut names[..])?;
    for name in names[..count]
        .split(|byte| *byte == 0)
        .filter(|name| name.starts_with(b"user."))
    {
        let count = getxattr(from, name, &mut value[..])?;
        setxattr(to, name, &value[..count], XattrFlags::empty())?;
    }
    Ok(())
}
