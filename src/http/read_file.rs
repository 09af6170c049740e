//! Reads a small file whole into memory.

use crate::model::Error;
use crate::storage::Reader;

/// All bytes of a file that has at most so many; else `TooLarge`.
pub async fn read_whole(reader: &dyn Reader, most: u64) -> Result<Vec<u8>, Error> {
    let len = reader.node().len;
    if len > most {
        return Err(Error::TooLarge);
    }
    // At once: growing would take as much again for a moment.
    let mut bytes = Vec::with_capacity(usize::try_from(len).unwrap_or_default());
    while (bytes.len() as u64) < len {
        let left = usize::try_from(len - bytes.len() as u64).unwrap_or(usize::MAX);
        let piece = reader
            .read_at(bytes.len() as u64, left.min(1 << 20))
            .await?;
        if piece.is_empty() {
            break;
        }
        bytes.extend_from_slice(&piece);
    }
    Ok(bytes)
}
