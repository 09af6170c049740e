//! Memory that picture decoders take beyond the file and the pixels, estimated from the headers: the decoders bound nothing of it
//! themselves (zune-jpeg 0.5, image-webp 0.2).

/// Bytes that rows under way take: some of a fixed size, some for each pixel of a row.
const ROWS: (u64, u64) = (2 << 20, 400);
/// How often larger than its code the tables of a lossless WebP can be: 4 KiB from 10 bytes.
const TABLES: u64 = 400;
/// What the tables take at most of each block of 4 x 4 pixels, the least that have tables of their own.
const TABLES_OF_BLOCK: u64 = 5 * 16 * 1024;

/// Bytes for what goes with the width of a picture.
pub(super) fn of_rows(width: u32) -> u64 {
    ROWS.0 + ROWS.1 * u64::from(width)
}

/// Bytes that the coefficients of a JPEG take where it has more than one scan: all of them are kept until the last. `None` for what has
/// no one frame before its first scan.
pub(super) fn of_jpeg(bytes: &[u8]) -> Option<u64> {
    let mut rest = bytes.get(2..)?;
    let mut frame = None;
    loop {
        let (marker, body) = next_segment(&mut rest)?;
        match marker {
            // Start of frame; the others of this row are tables.
            0xc0..=0xcf if !matches!(marker, 0xc4 | 0xc8 | 0xcc) => {
                let is_second = frame.replace((marker, body)).is_some();
                if is_second {
                    return None;
                }
            }
            // Start of scan.
            0xda => {
                let (marker, frame) = frame?;
                let has_one_scan = marker != 0xc2 && body.first() == frame.get(5);
                return if has_one_scan {
                    Some(0)
                } else {
                    coefficients(frame)
                };
            }
            _ => {}
        }
    }
}

/// The next marker, and its body; `None` for one that has none: before the first scan it would be odd, and decoders differ.
fn next_segment<'a>(rest: &mut &'a [u8]) -> Option<(u8, &'a [u8])> {
    // What lies between segments is passed over, and so are bytes that fill, as decoders do.
    let at = rest.iter().position(|byte| *byte == 0xff)?;
    let fill = rest
        .get(at..)?
        .iter()
        .position(|byte| !matches!(byte, 0x00 | 0xff))?;
    *rest = rest.get(at + fill..)?;
    let marker = *rest.first()?;
    if matches!(marker, 0x01 | 0xd0..=0xd9) {
        return None;
    }
    let len = usize::from(u16::from_be_bytes([*rest.get(1)?, *rest.get(2)?]));
    let body = rest.get(3..len.checked_add(1)?)?;
    *rest = rest.get(len + 1..)?;
    Some((marker, body))
}

fn coefficients(frame: &[u8]) -> Option<u64> {
    let side = |at: usize| {
        Some(u64::from(u16::from_be_bytes([
            *frame.get(at)?,
            *frame.get(at + 1)?,
        ])))
    };
    let height = side(1)?;
    let width = side(3)?;
    let samples: Vec<(u64, u64)> = frame
        .get(6..)?
        .chunks_exact(3)
        .filter_map(|part| {
            part.get(1)
                .map(|of| (u64::from(of >> 4).max(1), u64::from(of & 15).max(1)))
        })
        .collect();
    let across = samples.iter().map(|of| of.0).max()?;
    let down = samples.iter().map(|of| of.1).max()?;
    let units = width.div_ceil(8 * across) * height.div_ceil(8 * down);
    // Blocks of 64, two bytes each.
    Some(
        samples
            .iter()
            .map(|(across, down)| units * across * down * 128)
            .sum(),
    )
}

/// Bytes that planes, frames and tables of a WebP take. `None` for what is not made of chunks, or has a frame larger than itself, which
/// decoders make room for before they compare.
pub(super) fn of_webp(bytes: &[u8]) -> Option<u64> {
    let mut parts = WebpLayout::default();
    parts.read(bytes.get(12..)?, false)?;
    let canvas = parts.canvas.or(parts.frame)?;
    let is_fitting = parts
        .frame
        .is_none_or(|frame| frame.0 <= canvas.0 && frame.1 <= canvas.1);
    let pixels = canvas.0 * canvas.1;
    let planes = match (parts.is_animated, parts.has_alpha) {
        (true, _) => 16,
        (false, true) => 8,
        (false, false) => 4,
    };
    let blocks = (canvas.0.div_ceil(4) * canvas.1.div_ceil(4)).min(1 << 16);
    let tables = (parts.lossless * TABLES).min(blocks * TABLES_OF_BLOCK);
    is_fitting.then_some(pixels * planes + tables)
}

/// What a WebP is made of.
#[derive(Default)]
struct WebpLayout {
    /// Width and height as the file says.
    canvas: Option<(u64, u64)>,
    /// The greatest of all frames.
    frame: Option<(u64, u64)>,
    is_animated: bool,
    has_alpha: bool,
    /// Bytes of lossless code.
    lossless: u64,
}

impl WebpLayout {
    /// Looks through chunks; within a frame of an animation there are others.
    fn read(&mut self, mut rest: &[u8], is_within: bool) -> Option<()> {
        while let Some((kind, body)) = chunk(&mut rest)? {
            match kind {
                b"VP8X" => {
                    self.canvas = Some((
                        little_endian(body, 4, 3)? + 1,
                        little_endian(body, 7, 3)? + 1,
                    ));
                }
                b"ANMF" if !is_within => {
                    self.is_animated = true;
                    self.read(body.get(16..)?, true)?;
                }
                b"VP8 " => {
                    let sides = (
                        little_endian(body, 6, 2)? & 0x3fff,
                        little_endian(body, 8, 2)? & 0x3fff,
                    );
                    self.add_frame(sides);
                }
                b"VP8L" => {
                    let sides = little_endian(body, 1, 4)?;
                    self.add_frame(((sides & 0x3fff) + 1, ((sides >> 14) & 0x3fff) + 1));
                    self.lossless = self.lossless.max(body.len() as u64);
                }
                b"ALPH" => {
                    self.has_alpha = true;
                    self.lossless = self.lossless.max(body.len() as u64);
                }
                _ => {}
            }
        }
        Some(())
    }

    fn add_frame(&mut self, sides: (u64, u64)) {
        let (width, height) = self.frame.unwrap_or_default();
        self.frame = Some((width.max(sides.0), height.max(sides.1)));
    }
}

/// The next chunk; `Some(None)` at the end, `None` where what is left is none.
#[expect(
    clippy::option_option,
    reason = "an end that is meant and one that is not"
)]
fn chunk<'a>(rest: &mut &'a [u8]) -> Option<Option<(&'a [u8; 4], &'a [u8])>> {
    let Some((kind, after)) = rest.split_first_chunk::<4>() else {
        return Some(None);
    };
    let len = usize::try_from(little_endian(after, 0, 4)?).ok()?;
    let body = after.get(4..len.checked_add(4)?)?;
    *rest = after.get(4 + len + len % 2..).unwrap_or_default();
    Some(Some((kind, body)))
}

fn little_endian(bytes: &[u8], at: usize, len: usize) -> Option<u64> {
    Some(
        bytes
            .get(at..at + len)?
            .iter()
            .rev()
            .fold(0, |sum, byte| (sum << 8) | u64::from(*byte)),
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A JPEG as far as its first scan: a frame of this kind with these samples, and so many components in the scan.
    fn jpeg(kind: u8, (width, height): (u16, u16), samples: &[u8], scanned: u8) -> Vec<u8> {
        let mut bytes = vec![0xff, 0xd8, 0xff, 0xe0, 0, 4, 0xff, 0xda];
        bytes.extend([
            0xff,
            kind,
            0,
            u8::try_from(8 + 3 * samples.len()).unwrap(),
            8,
        ]);
        bytes.extend(height.to_be_bytes());
        bytes.extend(width.to_be_bytes());
        bytes.push(u8::try_from(samples.len()).unwrap());
        samples
            .iter()
            .zip(1..)
            .for_each(|(of, id)| bytes.extend([id, *of, 0]));
        bytes.extend([0xff, 0xda, 0, 3, scanned]);
        bytes
    }

    #[test]
    fn the_coefficients_of_a_progressive_jpeg_are_reckoned() {
        let size = (4000, 3000);
        assert_eq!(of_jpeg(&jpeg(0xc0, size, &[0x22, 0x11, 0x11], 3)), Some(0));
        assert_eq!(
            of_jpeg(&jpeg(0xc2, size, &[0x11, 0x11, 0x11], 3)),
            Some(4000 * 3000 * 6)
        );
        let subsampled = of_jpeg(&jpeg(0xc2, size, &[0x22, 0x11, 0x11], 3)).unwrap();
        assert!(
            (4000 * 3000 * 3..4000 * 3000 * 3 + 200_000).contains(&subsampled),
            "{subsampled}"
        );
        assert_eq!(
            of_jpeg(&jpeg(0xc0, size, &[0x11, 0x11, 0x11], 1)),
            Some(4000 * 3000 * 6),
            "a scan for each"
        );
        let mut two = jpeg(0xc0, size, &[0x11], 1);
        two.splice(
            2..2,
            jpeg(0xc2, size, &[0x11], 1)[2..].iter().take(21).copied(),
        );
        assert_eq!(of_jpeg(&two), None, "two frames");
        assert_eq!(of_jpeg(&jpeg(0xc0, size, &[0x11], 1)[..20]), None);
    }

    fn webp(chunks: &[(&[u8; 4], &[u8])]) -> Vec<u8> {
        let mut bytes = b"RIFF\0\0\0\0WEBP".to_vec();
        for (kind, body) in chunks {
            bytes.extend(*kind);
            bytes.extend(u32::try_from(body.len()).unwrap().to_le_bytes());
            bytes.extend(*body);
            bytes.extend(std::iter::repeat_n(0, body.len() % 2));
        }
        bytes
    }

    fn lossy(width: u16, height: u16) -> Vec<u8> {
        let start = [0, 0, 0, 0x9d, 1, 0x2a];
        [&start[..], &width.to_le_bytes(), &height.to_le_bytes()].concat()
    }

    /// `VP8X` of 16 x 16.
    const CANVAS: (&[u8; 4], &[u8]) = (b"VP8X", &[0, 0, 0, 0, 15, 0, 0, 15, 0, 0]);

    #[test]
    fn a_frame_of_a_webp_is_no_larger_than_itself() {
        assert_eq!(
            of_webp(&webp(&[(b"VP8 ", &lossy(100, 50))])),
            Some(100 * 50 * 4)
        );
        assert_eq!(
            of_webp(&webp(&[CANVAS, (b"VP8 ", &lossy(16, 16))])),
            Some(16 * 16 * 4)
        );
        assert_eq!(
            of_webp(&webp(&[CANVAS, (b"VP8 ", &lossy(16383, 16383))])),
            None
        );
        let within = [
            vec![0; 16],
            webp(&[(b"VP8 ", &lossy(16383, 16))])[12..].to_vec(),
        ]
        .concat();
        assert_eq!(of_webp(&webp(&[CANVAS, (b"ANMF", &within)])), None);
        assert_eq!(
            of_webp(&webp(&[
                CANVAS,
                (b"ICCP", b"odd"),
                (b"VP8 ", &lossy(16383, 1))
            ])),
            None
        );
        assert_eq!(of_webp(&webp(&[(b"VP8 ", &lossy(16, 16))])[..25]), None);
    }

    #[test]
    fn the_tables_of_a_lossless_webp_are_reckoned_by_its_code() {
        // 1024 x 1024.
        let code = |len: usize| [vec![0x2f, 0xff, 0xc3, 0xff, 0], vec![0; len - 5]].concat();
        let cost = |len| of_webp(&webp(&[(b"VP8L", &code(len))])).unwrap() - 1024 * 1024 * 4;
        assert_eq!((cost(1000), cost(100_000)), (400_000, 40_000_000));
    }
}
