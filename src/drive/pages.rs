//! Pages of folders, in byte order of names.

use super::access::Access;
use super::resolve::Resolved;
use super::resolved_path::authorize;
use super::{Drive, Mounts};
use crate::model::{Result, VPath};
use crate::storage::DirEntry;
use tokio::sync::Semaphore;

/// A folder with more entries than this is large.
const SMALL: usize = 256;
/// How many large folders are read at a time that have other names on the disk.
static LARGE: Semaphore = Semaphore::const_new(4);

impl Drive {
    /// At most so many entries of a folder in byte order of their names: those that follow `after`, or the first. Who goes on after the last
    /// name of a page misses nothing that was there since the first page was asked for. Those who may only add to it see nothing in it.
    pub async fn list_after(
        &self,
        path: &VPath,
        after: Option<&str>,
        most: usize,
    ) -> Result<Vec<DirEntry>> {
        let place = match self.resolve(path).await? {
            Resolved::Storage(place)
                if !place
                    .mount
                    .as_ref()
                    .is_some_and(|mount| mount.renames(&place.path)) =>
            {
                place
            }
            _ => return self.lowest(path, after, most).await,
        };
        authorize(&place, Access::Stat)?;
        if authorize(&place, Access::Read).is_err() {
            return Ok(Vec::new());
        }
        let inner = place
            .root
            .tree
            .list_after(&place.path, after.map(str::to_owned), most)
            .await?;
        let is_top = place.mount.is_none() && place.path.is_root();
        let watch = self.read_access(place.mount);
        let mut listing = watch.clone().revocable_listing(inner);
        let mut all = Vec::new();
        loop {
            let page = listing.next_page().await?;
            if page.is_empty() {
                break;
            }
            all.extend(page);
        }
        if let Some(mounts) = self.mounts.as_deref().filter(|_| is_top) {
            all = with_mounts(all, mounts, after, most).await;
        }
        watch.check()?;
        Ok(all)
    }

    /// As [`list_after`](Self::list_after), of a folder whose entries come in no order. No more of them are kept in memory than twice as many.
    async fn lowest(
        &self,
        path: &VPath,
        after: Option<&str>,
        most: usize,
    ) -> Result<Vec<DirEntry>> {
        let mut listing = self.list(path, false).await?;
        let mut lowest = LowestNames::new(most);
        let mut read = 0;
        let mut turn = None;
        loop {
            let entries = listing.next_page().await?;
            if entries.is_empty() {
                return Ok(lowest.finish());
            }
            read += entries.len();
            if read > SMALL && turn.is_none() {
                turn = LARGE.acquire().await.ok();
            }
            let later = |entry: &DirEntry| after.is_none_or(|after| entry.name.as_str() > after);
            entries
                .into_iter()
                .filter(later)
                .for_each(|entry| lowest.add(entry));
        }
    }
}

/// A page of the drive's own folder, with what is shown in it.
async fn with_mounts(
    page: Vec<DirEntry>,
    mounts: &Mounts,
    after: Option<&str>,
    most: usize,
) -> Vec<DirEntry> {
    let extra = mounts.entries().await.into_iter();
    let later = extra.filter(|entry| after.is_none_or(|after| entry.name.as_str() > after));
    let mut lowest = LowestNames::new(most);
    page.into_iter()
        .chain(later)
        .for_each(|entry| lowest.add(entry));
    lowest.finish()
}

/// The entries with the lowest names among those seen.
struct LowestNames {
    most: usize,
    kept: Vec<DirEntry>,
    /// Once there are more than wanted: what lies beyond this name does not belong to them.
    bound: Option<String>,
}

impl LowestNames {
    fn new(most: usize) -> Self {
        Self {
            most,
            kept: Vec::new(),
            bound: None,
        }
    }

    fn add(&mut self, entry: DirEntry) {
        if self.bound.as_ref().is_some_and(|bound| entry.name > *bound) {
            return;
        }
        self.kept.push(entry);
        if self.kept.len() > 2 * self.most
            && let Some(last) = self.most.checked_sub(1)
        {
            let (_, last, _) = self
                .kept
                .select_nth_unstable_by(last, |a, b| a.name.cmp(&b.name));
            self.bound = Some(last.name.clone());
            self.kept.truncate(self.most);
        }
    }

    fn finish(mut self) -> Vec<DirEntry> {
        self.kept.sort_unstable_by(|a, b| a.name.cmp(&b.name));
        self.kept.truncate(self.most);
        self.kept
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::storage::Node;

    #[test]
    fn the_lowest_join_to_the_whole_in_whatever_order_they_come() {
        let entry = |n: usize| DirEntry {
            name: format!("{n:03}"),
            node: Node::unseen(false),
            props: Vec::new(),
        };
        for (total, most) in [
            (0, 2),
            (1, 1),
            (3, 2),
            (3, 3),
            (100, 7),
            (100, 99),
            (100, 100),
        ] {
            let (mut all, mut after): (Vec<String>, Option<String>) = (Vec::new(), None);
            loop {
                let mut lowest = LowestNames::new(most);
                // 37 and 100 have no divisor in common, so that every number comes once.
                let names = (0..total).map(|n| {
                    if total == 100 {
                        n * 37 % 100
                    } else {
                        total - 1 - n
                    }
                });
                let later =
                    |entry: &DirEntry| after.as_ref().is_none_or(|after| entry.name > *after);
                names.map(entry).filter(later).for_each(|entry| {
                    lowest.add(entry);
                    assert!(lowest.kept.len() <= 2 * most);
                });
                let page = lowest.finish();
                assert!(page.len() <= most);
                all.extend(page.iter().map(|entry| entry.name.clone()));
                let Some(last) = page.last() else { break };
                after = Some(last.name.clone());
            }
            assert_eq!(
                all,
                (0..total).map(|n| format!("{n:03}")).collect::<Vec<_>>(),
                "{total} by {most}"
            );
        }
    }
}
