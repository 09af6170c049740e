//! What must be done so that a folder is again as it was: found by comparing the tree as it is with the tree as it was.
//! Nothing is deleted for good: what was not there goes to the trash, contents that are replaced become versions.

use super::chronicle::{self, Before, TRASH, is_own};
use super::os::{self, Kind, Lookup, fd};
use super::past::{Item, Past, What, joined, split};
use super::root::{Root, explain};
use super::{tally, versions};
use crate::content::history::{Found, Rewind, Step};
use crate::model::{Error, RelPath, Result};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

/// Where the plan keeps in mind what its steps have moved to the trash.
const PARKED: &str = ".sarang/parked";

struct Plan<'r> {
    root: &'r Root,
    now: Past<'r>,
    /// Where things have come to lie by the steps so far, in order.
    moves: Vec<(String, String)>,
    steps: Vec<Step>,
    parked: usize,
    lost: Vec<RelPath>,
    /// Bytes that come and that go.
    growth: (u64, u64),
}

/// What makes the items `only` of `folder`, or all of it, as they were at `moment`. `NotFound` when it was not there.
pub(super) fn plan(root: &Root, folder: &RelPath, moment: SystemTime, only: &[RelPath]) -> Result<Rewind> {
    let (events, since) = chronicle::since(root, chronicle::nanos(moment))?;
    let mut then = Past::before(root, &events)?;
    if then.find(folder.as_str())?.is_none() {
        return Err(Error::NotFound);
    }
    let mut plan = Plan {
        root,
        now: Past::now(root)?,
        moves: Vec::new(),
        steps: Vec::new(),
        parked: 0,
        lost: Vec::new(),
        growth: (0, 0),
    };
    let all = [folder.clone()];
    let mut chosen: Vec<&RelPath> = if only.is_empty() { all.iter().collect() } else { only.iter().collect() };
    chosen.sort_by_key(|path| path.names().count());
    let mut done: Vec<&RelPath> = Vec::new();
    for path in chosen {
        if done.iter().any(|wider| path.is_within(wider)) {
            continue;
        }
        done.push(path);
        match then.find(path.as_str())?.cloned() {
            Some(want) => {
                plan.make_way(split(path.as_str()).0)?;
                plan.move_free(path.as_str(), &want)?;
                plan.settle(path.as_str(), &want)?;
            }
            None if plan.now.find(path.as_str())?.is_some() => plan.discard(path.as_str())?,
            None => {}
        }
    }
    let known = |nanos: u64| UNIX_EPOCH + Duration::from_nanos(nanos);
    let (grows, shrinks) = plan.growth;
    Ok(Rewind { steps: plan.steps, lost: plan.lost, since: since.map(known), grows, shrinks })
}

impl Plan<'_> {
    /// Makes the folders on a path that are not there.
    fn make_way(&mut self, path: &str) -> Result<()> {
        let mut way = String::new();
        for name in path.split('/').filter(|name| !name.is_empty()) {
            way = joined(&way, name);
            if self.now.find(&way)?.is_none() {
                self.make_folder(&way)?;
            }
        }
        Ok(())
    }

    fn make_folder(&mut self, path: &str) -> Result<()> {
        self.steps.push(Step::Make { path: path_of(path) });
        self.now.place(path, Item::missing_folder(split(path).1))
    }

    /// Moves back what was elsewhere, where its old place is free: locks aside, that is all a rename needs undone.
    fn move_free(&mut self, at: &str, want: &Item) -> Result<()> {
        if let (None, Some(source)) = (self.now.find(at)?, &want.source) {
            let from = self.whereabouts(source);
            if !is_own(&from) && self.now.find(&from)?.is_some() {
                self.shift(&from, at, source)?;
            }
        }
        if let What::Folder(Some(members)) = &want.what
            && self.stands(at, want)?
        {
            for member in members.values().filter(|member| !is_own(&joined(at, &member.name))) {
                self.move_free(&joined(at, &member.name), member)?;
            }
        }
        Ok(())
    }

    /// Makes what stands at a path as it was.
    fn settle(&mut self, at: &str, want: &Item) -> Result<()> {
        if matches!(want.what, What::Gone) {
            self.lost.push(path_of(at));
            return Ok(());
        }
        if !self.stands(at, want)? && !self.bring(at, want)? {
            return Ok(());
        }
        match &want.what {
            What::Folder(Some(members)) => {
                let present = self.now.members(at)?;
                for (key, member) in present.iter().filter(|(key, _)| !members.contains_key(*key)) {
                    if !is_own(&joined(at, key)) {
                        self.discard(&joined(at, &member.name))?;
                    }
                }
                for member in members.values().filter(|member| !is_own(&joined(at, &member.name))) {
                    self.settle(&joined(at, &member.name), member)?;
                }
                Ok(())
            }
            What::File(Some(before)) => self.rewrite(at, want, before),
            _ => Ok(()),
        }
    }

    /// Whether what stands at a path now is what stood there.
    fn stands(&mut self, at: &str, want: &Item) -> Result<bool> {
        let Some(now) = self.now.find(at)? else { return Ok(false) };
        let is_folder = matches!((&now.what, &want.what), (What::Folder(_), What::Folder(_)));
        Ok(now.source == want.source || (want.source.is_none() && is_folder))
    }

    /// Brings what stood at a path there; `false` when it is not kept.
    fn bring(&mut self, at: &str, want: &Item) -> Result<bool> {
        let Some(source) = &want.source else {
            if self.now.find(at)?.is_some() {
                self.discard(at)?;
            }
            return self.make_folder(at).map(|()| true);
        };
        if self.now.find(&self.whereabouts(source))?.is_none() {
            self.lost.push(path_of(at));
            return Ok(false);
        }
        if self.now.find(at)?.is_some() {
            self.discard(at)?;
        }
        self.shift(&self.whereabouts(source), at, source)?;
        Ok(true)
    }

    fn discard(&mut self, at: &str) -> Result<()> {
        let Some(item) = self.now.take(at)? else { return Ok(()) };
        if let Some(source) = &item.source {
            self.growth.1 = self.growth.1.saturating_add(self.weigh(source)?);
        }
        let parked = format!("{PARKED}/{}", self.parked);
        self.parked += 1;
        self.now.place(&parked, item)?;
        self.moves.push((at.to_owned(), parked));
        self.steps.push(Step::Discard { path: path_of(at) });
        Ok(())
    }

    fn shift(&mut self, from: &str, to: &str, source: &str) -> Result<()> {
        let Some(item) = self.now.take(from)? else { return Ok(()) };
        if is_own(from) {
            self.growth.0 = self.growth.0.saturating_add(self.weigh(source)?);
        }
        self.now.place(to, item)?;
        self.moves.push((from.to_owned(), to.to_owned()));
        self.steps.push(Step::Move { from: found_at(from), to: path_of(to) });
        Ok(())
    }

    /// Gives a file the content it had, unless it has it.
    fn rewrite(&mut self, at: &str, want: &Item, before: &Before) -> Result<()> {
        let source = want.source.as_deref().unwrap_or_default();
        let present = self.weigh(source)?;
        let (step, len) = match before {
            Before::Version(history, id) => {
                let Some(len) = versions::differing(self.root, source, (history, id))? else { return Ok(()) };
                (Step::Revert { path: path_of(at), version: id.clone() }, len)
            }
            Before::Empty | Before::Unkept if present == 0 => return Ok(()),
            Before::Empty | Before::Unkept => (Step::Blank { path: path_of(at) }, 0),
        };
        self.growth = (self.growth.0.saturating_add(len), self.growth.1.saturating_add(present));
        self.steps.push(step);
        Ok(())
    }

    /// Where something lies after the steps so far, that lies at `source` on the disk now.
    fn whereabouts(&self, source: &str) -> String {
        self.moves.iter().fold(source.to_owned(), |at, (from, to)| match at.strip_prefix(from.as_str()) {
            Some("") => to.clone(),
            Some(rest) if rest.starts_with('/') => format!("{to}{rest}"),
            _ => at,
        })
    }

    /// Bytes of a file, or of all files in a folder.
    fn weigh(&self, source: &str) -> Result<u64> {
        let found = os::open_any(fd(&self.root.dir), source, Lookup::Full).and_then(|file| os::stat_fd(fd(&file)));
        match found {
            Ok(found) if found.kind == Kind::Folder => tally::bytes_in(fd(&self.root.dir), source),
            Ok(found) => Ok(found.node.len),
            Err(os::Errno::NOENT | os::Errno::NOTDIR | os::Errno::LOOP) => Ok(0),
            Err(e) => Err(explain("measure it", e)),
        }
    }
}

/// Where a path of the plan is found when it is carried out.
fn found_at(path: &str) -> Found {
    let beneath = |folder: &str| path.strip_prefix(folder).and_then(|rest| rest.strip_prefix('/'));
    let parts = |rest: &str| {
        let (first, inner) = rest.split_once('/').unwrap_or((rest, ""));
        (first.to_owned(), path_of(inner))
    };
    if let Some((index, inner)) = beneath(PARKED).map(parts) {
        return Found::Discarded { index: index.parse().unwrap_or(usize::MAX), inner };
    }
    match beneath(TRASH).map(parts) {
        Some((id, inner)) => Found::Trash { id, inner },
        None => Found::Path(path_of(path)),
    }
}

/// The names come from the disk or from paths that were checked.
fn path_of(path: &str) -> RelPath {
    RelPath::restore(path.to_owned())
}
