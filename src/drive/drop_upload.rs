//! Uploads into a folder that may only be added to. A name that is taken, or locked, gets a number: neither a status nor what becomes of
//! what was sent tells whether something lies there. The name is chosen in the step that publishes the file.

use super::resolved_path::ResolvedPath;
use super::upload::{DriveUpload, UploadOptions};
use super::{Drive, RequestPreconditions, resolved_preconditions};
use crate::model::{Error, RelPath, Result, before_extension};
use crate::storage::{Expect, InitialContent, SpaceRequest, WriteOptions};
use std::borrow::Cow;
use std::hash::{BuildHasher, RandomState};

/// The highest number that a name gets; beyond it comes one that nobody has.
const MAX_NUMBER: u32 = 20;

impl Drive {
    /// Begins an upload into the folder of `place`: refused is what would be so whatever lies there.
    pub(super) async fn begin_drop_upload(
        &self,
        place: &ResolvedPath<'_>,
        announced: UploadOptions,
        preconditions: RequestPreconditions,
    ) -> Result<DriveUpload> {
        // As far as whoever asks can see, nothing is there.
        if matches!(preconditions.expect, Expect::Exists | Expect::Etag(_)) {
            return Err(Error::PreconditionFailed);
        }
        let preconditions = RequestPreconditions {
            expect: Expect::Absent,
            ..preconditions
        };
        let tree = &place.root.tree;
        tree.check_inodes().await?;
        match tree
            .begin_upload(&place.path, InitialContent::Empty, SpaceRequest::of(0))
            .await
        {
            Ok(_) | Err(Error::IsFolder) => {}
            Err(error) => return Err(error),
        }
        let (room, promise) = self
            .space_to_promise(place, announced.len.or(announced.estimate))
            .await?;
        let mut ways = Vec::new();
        for path in candidate_names(&place.path)? {
            let way = ResolvedPath {
                path: Cow::Owned(path),
                ..place.clone()
            };
            let commit = self
                .write_options(
                    &way,
                    preconditions.clone(),
                    resolved_preconditions::scopes_to_create(&way),
                )
                .await?;
            let commit = WriteOptions {
                len: announced.len,
                modified: announced.modified,
                limit: place.quota,
                ..commit
            };
            ways.push((way, commit));
        }
        let Some((fresh, commit)) = ways.last() else {
            return Err(Error::NotFound);
        };
        self.check_early(fresh, commit).await?;
        let upload = tree
            .begin_upload(&fresh.path, InitialContent::Empty, room)
            .await?;
        let upload = DriveUpload::new(upload, commit.clone(), place.root.clone(), self.clone());
        let ways = ways
            .into_iter()
            .map(|(way, commit)| (way.path.into_owned(), commit))
            .collect();
        Ok(upload.with_alternatives(ways, announced.checksum, promise))
    }
}

/// The names that a file may get, in order; the last is nobody's.
fn candidate_names(path: &RelPath) -> Result<Vec<RelPath>> {
    let name = path.name().unwrap_or_default();
    let parent = path.parent().unwrap_or_default();
    let numbers = (2..=MAX_NUMBER).map(|number| number.to_string());
    let fresh = format!("{:016x}", RandomState::new().hash_one(name));
    // Cut in two, some names are none.
    let numbered = |mark: String| parent.join(&before_extension(name, &format!(" ({mark})")));
    let others = numbers
        .chain([fresh])
        .map(|mark| numbered(mark.clone()).or_else(|_| parent.join(&format!("({mark})"))));
    std::iter::once(Ok(path.clone())).chain(others).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_get_numbers_and_stay_names() {
        let named =
            |name: &str| candidate_names(&RelPath::parse(&format!("in/{name}")).unwrap()).unwrap();
        let plain = named("a.tar.gz");
        let texts: Vec<_> = plain.iter().map(RelPath::as_str).collect();
        assert_eq!(
            texts[..3],
            ["in/a.tar.gz", "in/a.tar (2).gz", "in/a.tar (3).gz"]
        );
        assert_eq!(texts.len(), 21);
        assert_ne!(named("x").last(), named("x").last());
        for name in [
            "x".repeat(255),
            "\u{e9}".repeat(127) + "x",
            "y".repeat(250) + ".jpeg",
            "z.".to_owned() + &"e".repeat(253),
        ] {
            assert_eq!(named(&name).len(), 21, "{name}");
        }
    }
}
