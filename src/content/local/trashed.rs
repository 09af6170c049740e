//! What lies in the trash: listed newest first, put back, deleted for good. The names' ends (stamps) tell the order.

use super::chronicle::{self, TRASH};
use super::inventory::{self, Filter};
use super::ledger::Growth;
use super::os::{self, Kind, Lookup, fd};
use super::reservation::Reservation;
use super::root::{Place, Root, change, checked, existing, explain, replaceable, stat_name};
use super::stuck::Stuck;
use super::trash::At;
use super::{change as changes, depth, stage, tally, walk};
use crate::content::Commit;
use crate::content::history::{Retention, Trashed};
use crate::model::{AccountName, Error, RelPath, Result, time};
use percent_encoding::percent_decode_str;
use std::io::Read;
use std::os::fd::BorrowedFd;
use std::sync::Arc;
use std::time::SystemTime;

pub(super) const NOTE: &str = ".trashinfo";
/// The most bytes a note may have: far more than a path percent-encoded.
pub(super) const NOTE_LIMIT: u64 = 64 << 10;

/// What lies in the trash, newest first.
pub(super) fn list(root: &Root) -> Result<Vec<Trashed>> {
    let all = Filter {
        below: &RelPath::root(),
        who: None,
    };
    inventory::page(root, all, None, usize::MAX)
}

/// One item.
pub(super) fn one(root: &Root, id: String) -> Result<Trashed> {
    find(root, &id)?;
    item(root, id)?.ok_or(Error::NotFound)
}

/// Moves an item, or what lies at a path in it, back to where nothing stands.
pub(super) fn restore(
    root: &Arc<Root>,
    (id, inner): (&str, &RelPath),
    to: &RelPath,
    commit: &Commit,
) -> Result<()> {
    find(root, id)?;
    root.check_new_name(to)?;
    let mut place = root.place(to)?;
    let from = RelPath::restore(format!("{TRASH}/{id}"));
    let from = inner.beneath(&from);
    let is_whole = inner.is_root();
    let source = root.place_of(&from)?;
    if !commit.fits {
        check_depth(root, (id, inner), (&source, &from), (to, commit))?;
    }
    let bytes = if is_whole {
        bytes_of(root, id)?
    } else {
        weigh(root, &source)?
    };
    // What was promised to uploads is not free. An item that is on the books still is taken off them where it would count twice.
    let mut reservation = Reservation::new(root, commit.limit, 0).of_history();
    reservation.grow(bytes)?;
    {
        let _guard = root.guard();
        place.refresh()?;
        let (old_name, found) = source.find_existing()?;
        let (name, there) = place.find()?;
        let there = replaceable(there)?.map(|there| there.node);
        change(commit, there.as_ref(), &mut || {
            if there.is_some() {
                return Err(Error::Exists);
            }
            // What is still on the books comes back without growth. A part of it is measured first.
            let on_books = is_whole && root.ledger.take_unmeasured(id);
            let growth = Growth {
                new: if on_books { 0 } else { bytes },
                old: 0,
            };
            let moved = root
                .ledger
                .admit(root, growth, commit.limit)
                .and_then(|()| {
                    let here = At {
                        dir: source.dir(),
                        name: &old_name,
                        path: from.as_str(),
                    };
                    let there = At {
                        dir: place.dir(),
                        name: &name,
                        path: to.as_str(),
                    };
                    root.rename_at(found.kind, here, there).map_err(|e| {
                        if e == os::Errno::EXIST {
                            Error::Exists
                        } else {
                            explain("put it back", e)
                        }
                    })
                });
            if let (Err(_), true) = (&moved, on_books) {
                root.ledger.note_buried(id);
            }
            moved?;
            changes::note_if_folder(root, &found);
            root.ledger.note(root, growth);
            root.pen.note(root, &[chronicle::moved(&from, to)]);
            Ok(())
        })?;
    }
    root.settle(place.dir())?;
    root.settle(source.dir())?;
    root.pen.settle(root, commit)?;
    if is_whole { forget(root, id) } else { Ok(()) }
}

/// Refuses to put a folder back to where something in it would be too deep. What comes to where it lay, or no further down, is not looked over.
fn check_depth(
    root: &Root,
    (id, inner): (&str, &RelPath),
    (source, from): (&Place<'_>, &RelPath),
    (to, commit): (&RelPath, &Commit),
) -> Result<()> {
    let lay = origin(root, id)?.map(|(path, _)| inner.beneath(&path));
    if lay.is_some_and(|lay| !depth::is_further(&lay, to))
        || source.find_existing()?.1.kind != Kind::Folder
    {
        return Ok(());
    }
    depth::check_below(root, from, to.left()?, commit.judge.as_ref())
}

/// Bytes of a part of an item. The item is taken off the books first, so that what it holds is not on them twice.
fn weigh(root: &Root, part: &Place<'_>) -> Result<u64> {
    root.ledger.count(root)?;
    let (name, found) = part.find_existing()?;
    if found.kind != Kind::Folder {
        return Ok(found.node.len);
    }
    tally::bytes_in(part.dir(), &name)
}

/// Deletes an item for good. It leaves the trash in one step; what a crash leaves of it is swept at the next start.
pub(super) fn purge(root: &Root, id: &str) -> Result<()> {
    let found = find(root, id)?;
    root.ledger.measure_one(root, id)?;
    let gone = stage::take_out(root, (fd(&root.trash_files), id))?;
    root.settle(fd(&root.trash_files))?;
    forget(root, id)?;
    let cleared = stage::clear(root, gone, found.kind == Kind::Folder)
        .map_err(|e| explain("delete it for good", e));
    root.overflow.note_loose();
    root.total.note_purged();
    cleared
}

/// Deletes for good what has lain long enough; what does not say since when is kept. Returns how many.
pub(super) fn expire(root: &Root, retention: Retention, now: SystemTime) -> Result<u64> {
    let Some(limit) = retention.trash else {
        return Ok(0);
    };
    let (mut count, mut stuck) = (0, Stuck::default());
    for id in ids(root)? {
        let item = item(root, id)?;
        let old = |when: SystemTime| now.duration_since(when).is_ok_and(|age| age >= limit);
        if let Some(item) = item.filter(|item| item.when.is_some_and(old)) {
            match purge(root, &item.id) {
                Ok(()) => count += 1,
                // Somebody was faster.
                Err(Error::NotFound) => {}
                Err(error) => stuck.pass(error)?,
            }
        }
    }
    Ok(count)
}

fn ids(root: &Root) -> Result<Vec<String>> {
    let notes = walk::names(fd(&root.trash_info)).map_err(|e| explain("read the trash", e))?;
    Ok(notes
        .iter()
        .filter_map(|name| name.strip_suffix(NOTE))
        .map(str::to_owned)
        .collect())
}

/// The item called `id`; `None` for a note without a thing, and for what does not exist for us.
pub(super) fn item(root: &Root, id: String) -> Result<Option<Trashed>> {
    let Some(found) =
        stat_name(fd(&root.trash_files), &id)?.filter(|found| found.kind != Kind::Other)
    else {
        return Ok(None);
    };
    let note = read_note(root, &id).map_err(|e| explain("read the trash", e))?;
    let Some((text, path)) = note.and_then(|text| path_in(&text).map(|path| (text, path))) else {
        return Ok(None);
    };
    let who = who_in(&text);
    let when =
        field(&text, "DeletionDate").and_then(|date| time::parse_iso_date(&format!("{date}Z")));
    Ok(Some(Trashed {
        id,
        path,
        who,
        when,
        node: found.node,
    }))
}

/// Where an item lay and who deleted or replaced it, as its note says; `None` where it does not say.
pub(super) fn origin(root: &Root, id: &str) -> Result<Option<(RelPath, Option<AccountName>)>> {
    let note = read_note(root, id).map_err(|e| explain("read the trash", e))?;
    Ok(note.and_then(|text| path_in(&text).map(|path| (path, who_in(&text)))))
}

fn who_in(note: &str) -> Option<AccountName> {
    field(note, "X-Sarang-Who").and_then(|who| AccountName::parse(who).ok())
}

/// What the note about an item says; `None` where there is none.
pub(super) fn read_note(root: &Root, id: &str) -> os::Outcome<Option<String>> {
    note_in(fd(&root.trash_info), id)
}

/// As [`read_note`], in an open folder of notes.
pub(super) fn note_in(info: BorrowedFd<'_>, id: &str) -> os::Outcome<Option<String>> {
    let note = match os::open_read(info, &format!("{id}{NOTE}"), Lookup::Full) {
        Err(os::Errno::NOENT | os::Errno::LOOP | os::Errno::NAMETOOLONG) => return Ok(None),
        note => note?,
    };
    let mut text = Vec::new();
    let read = std::fs::File::from(note)
        .take(NOTE_LIMIT)
        .read_to_end(&mut text);
    read.map_err(|e| os::Errno::from_io_error(&e).unwrap_or(os::Errno::IO))?;
    Ok(Some(String::from_utf8_lossy(&text).into_owned()))
}

/// Where a note says that its thing lay.
pub(super) fn path_in(note: &str) -> Option<RelPath> {
    let path = field(note, "Path").and_then(|path| percent_decode_str(path).decode_utf8().ok())?;
    RelPath::of_existing(&path)
        .ok()
        .filter(|path| !path.is_root())
}

fn field<'a>(note: &'a str, key: &str) -> Option<&'a str> {
    note.lines()
        .find_map(|line| line.strip_prefix(key)?.strip_prefix('='))
}

fn find(root: &Root, id: &str) -> Result<os::Found> {
    checked(id)?;
    existing(stat_name(fd(&root.trash_files), id)?.ok_or(Error::NotFound)?)
}

/// Bytes of an item, whole.
fn bytes_of(root: &Root, id: &str) -> Result<u64> {
    let found = find(root, id)?;
    if found.kind == os::Kind::Folder {
        tally::trashed(root, id)
    } else {
        Ok(found.node.len)
    }
}

fn forget(root: &Root, id: &str) -> Result<()> {
    root.inventory.note_gone(id);
    match os::unlink_file(fd(&root.trash_info), &format!("{id}{NOTE}")) {
        Ok(()) | Err(os::Errno::NOENT) => Ok(()),
        Err(e) => Err(explain("forget the note in the trash", e)),
    }
}
