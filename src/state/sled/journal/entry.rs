//! Changes packed into the record that the journal writes.

use super::{DELETED, Generation, HEAD};

/// Changes on their way into the journal, with room for the head before them.
#[derive(Debug)]
pub(in crate::state::sled) struct JournalEntry(Vec<u8>);

impl JournalEntry {
    /// Packs changes.
    pub(in crate::state::sled) fn new<'a>(
        changes: impl Iterator<Item = (&'a str, Option<&'a str>)>,
    ) -> Self {
        let mut bytes = vec![0; HEAD];
        // keys and values are bounded far below 4 GiB before they come here
        let length = |text: &str| u32::try_from(text.len()).unwrap_or(DELETED - 1);
        for (key, value) in changes {
            bytes.extend(length(key).to_le_bytes());
            bytes.extend(value.map_or(DELETED, length).to_le_bytes());
            bytes.extend(key.as_bytes());
            bytes.extend(value.unwrap_or_default().as_bytes());
        }
        Self(bytes)
    }

    /// Bytes that it takes in the journal.
    pub(in crate::state::sled) fn len(&self) -> usize {
        self.0.len()
    }

    pub(super) fn seal(self, generation: &Generation, seq: u64) -> Vec<u8> {
        let mut record = self.0;
        let content = record.get(HEAD..).unwrap_or_default();
        let seq = seq.to_le_bytes();
        let len = u32::try_from(content.len())
            .unwrap_or(DELETED)
            .to_le_bytes();
        let tag = generation.tag();
        let sum = generation.sum(seq, len, content);
        let head = tag.iter().chain(&seq).chain(&len).chain(&sum);
        record
            .iter_mut()
            .zip(head)
            .for_each(|(to, from)| *to = *from);
        record
    }
}
