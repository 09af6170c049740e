//! Where the steps of a rewind find things.

use crate::model::RelPath;
use crate::storage::history::RewindSource;
use crate::storage::local::internal_dirs::TRASH_FILES;

/// Where the plan keeps in mind what its steps have moved to the trash.
pub(super) const PARKED: &str = ".sarang/parked";

/// Where a path of the plan is found when it is carried out.
pub(super) fn found_at(path: &str) -> RewindSource {
    let beneath = |folder: &str| {
        path.strip_prefix(folder)
            .and_then(|rest| rest.strip_prefix('/'))
    };
    let parts = |rest: &str| {
        let (first, inner) = rest.split_once('/').unwrap_or((rest, ""));
        (first.to_owned(), path_of(inner))
    };
    if let Some((index, inner)) = beneath(PARKED).map(parts) {
        return RewindSource::Discarded {
            index: index.parse().unwrap_or(usize::MAX),
            inner,
        };
    }
    match beneath(TRASH_FILES).map(parts) {
        Some((id, inner)) => RewindSource::Trash { id, inner },
        None => RewindSource::Path(path_of(path)),
    }
}

/// The names come from the disk or from paths that were checked.
pub(super) fn path_of(path: &str) -> RelPath {
    RelPath::from_stored(path.to_owned())
}
