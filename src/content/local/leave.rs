//! What is on its way to the trash in more than one step, as `leaving-<its name there>` in `.sarang/tmp`: a file that another one takes
//! the place of. Its note in the trash says where it lay, so that a start can finish or take back what a crash has cut.

use super::os::{self, Errno, Lookup, fd};
use super::root::{Root, explain};
use super::trash::{Name, tomb_of};
use super::trashed::{self, NOTE};
use super::walk;
use crate::model::Result;

/// Finishes or takes back what a crash has cut; runs before `.sarang/tmp` is swept.
pub(super) fn finish(root: &Root) -> Result<()> {
    let doing = "finish what a crash has cut";
    for name in walk::names(fd(&root.tmp)).map_err(|e| explain(doing, e))? {
        if let Some(tomb) = tomb_of(&name) {
            go_back(root, (fd(&root.tmp), &name), tomb).map_err(|e| explain(doing, e))?;
        }
    }
    Ok(())
}

/// What still stands at its place under its first name never left it; else it belongs into the trash.
fn go_back(root: &Root, aside: Name<'_>, tomb: &str) -> os::Outcome<()> {
    let left = os::stat_at(aside.0, aside.1)?;
    let note = trashed::read_note(root, tomb)?;
    let path = note.as_deref().and_then(trashed::path_in).unwrap_or_default();
    let parent = path.parent().unwrap_or_default();
    let stands = os::open_folder(fd(&root.dir), parent.as_str(), Lookup::Full)
        .and_then(|dir| os::stat_at(fd(&dir), path.name().unwrap_or_default()));
    match stands {
        Ok(there) if there.inode == left.inode => {
            os::unlink_file(aside.0, aside.1)?;
            os::unlink_file(fd(&root.trash_info), &format!("{tomb}{NOTE}"))
        }
        Ok(_) | Err(Errno::NOENT | Errno::NOTDIR | Errno::LOOP) => os::rename_new(aside, (fd(&root.trash_files), tomb)),
        Err(e) => Err(e),
    }
}
