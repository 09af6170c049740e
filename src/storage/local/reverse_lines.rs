//! A file of lines, read from its end backwards, a piece at a time: however long it is, what is kept of it is one piece.

use super::sys;
use std::os::fd::BorrowedFd;

/// How many bytes are read at a time.
const PIECE: u64 = 64 << 10;
/// What is longer is no line of ours.
const LONGEST: usize = 256 << 10;

/// The lines before some place in a file, last first.
#[derive(Debug)]
pub(super) struct ReverseLines<'f> {
    file: BorrowedFd<'f>,
    /// Where `rest` begins.
    at: u64,
    /// What was read and not given out.
    rest: Vec<u8>,
    is_over: bool,
    /// Bytes that were read.
    #[cfg(test)]
    pub read: u64,
}

impl<'f> ReverseLines<'f> {
    /// The lines before `end`.
    pub fn new(file: BorrowedFd<'f>, end: u64) -> Self {
        Self {
            file,
            at: end,
            rest: Vec::new(),
            is_over: false,
            #[cfg(test)]
            read: 0,
        }
    }

    /// The line before, without its end; `None` before the first.
    pub fn next(&mut self) -> sys::SysResult<Option<Vec<u8>>> {
        loop {
            if let Some(end) = memchr::memrchr(b'\n', &self.rest) {
                let line = self.rest.split_off(end + 1);
                self.rest.truncate(end);
                return Ok(Some(line));
            }
            if self.at == 0 {
                let is_first = !std::mem::replace(&mut self.is_over, true);
                return Ok(is_first.then(|| std::mem::take(&mut self.rest)));
            }
            if self.rest.len() > LONGEST {
                self.rest.clear();
            }
            self.read_piece()?;
        }
    }

    fn read_piece(&mut self) -> sys::SysResult<()> {
        let begin = self.at.saturating_sub(PIECE);
        let mut piece = vec![0; usize::try_from(self.at - begin).unwrap_or_default()];
        let mut filled = 0;
        while let Some(room) = piece.get_mut(filled..).filter(|room| !room.is_empty()) {
            match sys::read(self.file, room, begin + filled as u64)? {
                // It was shortened by somebody else.
                0 => break,
                count => filled += count,
            }
        }
        piece.truncate(filled);
        #[cfg(test)]
        {
            self.read += filled as u64;
        }
        piece.append(&mut self.rest);
        (self.rest, self.at) = (piece, begin);
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::Write as _;

    fn lines(text: &[u8]) -> Vec<Vec<u8>> {
        let mut file = tempfile::tempfile().unwrap();
        file.write_all(text).unwrap();
        let mut lines = ReverseLines::new(sys::fd(&file), text.len() as u64);
        std::iter::from_fn(|| lines.next().unwrap()).collect()
    }

    #[test]
    fn lines_come_last_first_whatever_their_length() {
        let mut text = Vec::new();
        for length in [0, 1, 70_000, 3, 65_535, 65_536, 0, 200_000, 5] {
            text.extend(std::iter::repeat_n(b'x', length));
            text.push(b'\n');
        }
        for text in [&text[..], &text[..text.len() - 1], b"", b"\n", b"a"] {
            let mut expected: Vec<Vec<u8>> = text
                .split(|byte| *byte == b'\n')
                .map(<[u8]>::to_vec)
                .collect();
            expected.reverse();
            assert!(lines(text) == expected);
        }
    }

    #[test]
    fn of_a_line_that_is_none_little_is_kept() {
        let mut text = b"first\n".to_vec();
        text.extend(std::iter::repeat_n(b'x', 5 << 20));
        text.extend(b"\nlast");
        let found = lines(&text);
        assert!(
            found[0] == b"last" && found[2] == b"first" && found[1].len() <= LONGEST + 2 * 65_536
        );
    }
}
