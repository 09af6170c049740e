//! The plan of a rewind: the steps that make a folder as it was.

use crate::model::{RelPath, Result};
use async_trait::async_trait;
use serde::{Deserialize, Serialize};
use std::collections::HashSet;
use std::fmt::Debug;
use std::time::SystemTime;

/// How many paths a rewind names that are lost.
pub const MOST_LOST: usize = 10_000;

/// What makes a part of a tree as it was; nothing of it deletes anything for good.
#[derive(Debug)]
pub struct RewindPlan {
    /// The changes, in this order.
    pub steps: Box<dyn RewindSteps>,
    /// How many they are.
    pub count: u64,
    /// Which of the [`RewindStep::Discard`], counted from 0, a [`RewindSource::Discarded`] names.
    pub needed: HashSet<usize>,
    /// The first of what was there and is not kept any more.
    pub lost: Vec<RelPath>,
    /// How many they are in all.
    pub lost_count: u64,
    /// Since when every change is known; `None` when none is.
    pub since: Option<SystemTime>,
    /// Bytes that the steps bring.
    pub grows: u64,
    /// Bytes that go.
    pub shrinks: u64,
}

/// The changes of a rewind: too many for memory at times.
#[async_trait]
pub trait RewindSteps: Debug + Send + Sync {
    /// Some hundred of them from a place on, 0 for the first, and the place of the next; none at the end.
    async fn read(&self, at: u64) -> Result<(Vec<RewindStep>, u64)>;

    /// Makes durable what was done since they were planned, if the settings want that.
    async fn sync(&self) -> Result<()>;
}

/// One change of a rewind.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum RewindStep {
    /// Move to the trash what was not there.
    Discard {
        /// What.
        #[serde(with = "as_text")]
        path: RelPath,
    },
    /// Move back what was there.
    Move {
        /// From where.
        from: RewindSource,
        /// To where it was; nothing stands there.
        #[serde(with = "as_text")]
        to: RelPath,
    },
    /// Make a folder that is no more.
    Make {
        /// Where.
        #[serde(with = "as_text")]
        path: RelPath,
    },
    /// Give a file its former content again.
    Revert {
        /// Which.
        #[serde(with = "as_text")]
        path: RelPath,
        /// The version.
        version: String,
    },
    /// Empty a file that was empty.
    Blank {
        /// Which.
        #[serde(with = "as_text")]
        path: RelPath,
    },
}

/// Where a rewind finds something.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum RewindSource {
    /// In the tree.
    Path(#[serde(with = "as_text")] RelPath),
    /// In the trash.
    Trash {
        /// The item.
        id: String,
        /// What in it; the root for the item itself.
        #[serde(with = "as_text")]
        inner: RelPath,
    },
    /// In what a step of the same rewind has moved to the trash.
    Discarded {
        /// Which of the [`RewindStep::Discard`], counted from 0.
        index: usize,
        /// What in it.
        #[serde(with = "as_text")]
        inner: RelPath,
    },
}

/// Paths that were checked, or come from the disk.
mod as_text {
    use crate::model::RelPath;
    use serde::{Deserialize, Deserializer, Serialize, Serializer};

    pub fn serialize<S: Serializer>(path: &RelPath, serializer: S) -> Result<S::Ok, S::Error> {
        path.as_str().serialize(serializer)
    }

    pub fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<RelPath, D::Error> {
        String::deserialize(deserializer).map(RelPath::from_stored)
    }
}
