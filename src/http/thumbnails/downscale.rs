//! Decodes a picture and scales it down, in bounded memory: what decoding takes is estimated from the headers before it begins.

use super::decoder_memory;
use crate::model::{Error, Result};
use bytes::Bytes;
use image::codecs::gif::GifDecoder;
use image::codecs::jpeg::{JpegDecoder, JpegEncoder};
use image::codecs::png::PngDecoder;
use image::codecs::webp::WebPDecoder;
use image::{DynamicImage, ImageDecoder, ImageFormat, ImageResult, Limits};
use std::io::Cursor;

/// The largest file that is read: the JPEG decoder has a copy of it for a moment.
pub const MAX_FILE: u64 = 24 << 20;
/// What all of it may take at a time: the file, what the decoder holds, the pixels.
pub const MAX_MEMORY: u64 = 64 << 20;
/// The longest side of a picture.
const MAX_SIDE: u32 = 20_000;
const QUALITY: u8 = 80;

/// The picture of these bytes, upright, with its longest side at most `size`; of several its first. `Invalid`.
pub fn downscale(bytes: Bytes, size: u32) -> Result<Bytes> {
    shrunk(bytes, size).map_err(|_| unfit())?.ok_or_else(unfit)
}

/// What is said of a file that is none.
pub(super) fn unfit() -> Error {
    Error::Invalid {
        pointer: "/path".into(),
        why: "This is no picture that can be made smaller.".into(),
    }
}

/// `None` for what is no picture, or would take too much memory.
fn shrunk(bytes: Bytes, size: u32) -> ImageResult<Option<Bytes>> {
    // The decoder keeps the file, and some keep parts of it twice.
    let file = 2 * bytes.len() as u64;
    let limits = |left: u64| {
        let mut limits = Limits::default();
        limits.max_image_width = Some(MAX_SIDE);
        limits.max_image_height = Some(MAX_SIDE);
        limits.max_alloc = Some(left);
        limits
    };
    let Some(left) = MAX_MEMORY.checked_sub(file) else {
        return Ok(None);
    };
    let decoded = match image::guess_format(&bytes)? {
        ImageFormat::Jpeg => {
            let Some(extra) = decoder_memory::of_jpeg(&bytes) else {
                return Ok(None);
            };
            decode(JpegDecoder::new(Cursor::new(bytes))?, left, extra, limits)?
        }
        ImageFormat::Png => decode(
            PngDecoder::with_limits(Cursor::new(bytes), limits(left))?,
            left,
            0,
            limits,
        )?,
        ImageFormat::Gif => decode(GifDecoder::new(Cursor::new(bytes))?, left, 0, limits)?,
        ImageFormat::WebP => {
            let Some(extra) = decoder_memory::of_webp(&bytes) else {
                return Ok(None);
            };
            decode(WebPDecoder::new(Cursor::new(bytes))?, left, extra, limits)?
        }
        _ => None,
    };
    let Some((whole, orientation)) = decoded else {
        return Ok(None);
    };
    let mut small = if whole.width().max(whole.height()) > size {
        whole.thumbnail(size, size)
    } else {
        whole
    };
    small.apply_orientation(orientation);
    let mut out = Vec::new();
    if small.color().has_alpha() {
        small
            .to_rgba8()
            .write_to(&mut Cursor::new(&mut out), ImageFormat::Png)?;
    } else {
        small
            .to_rgb8()
            .write_with_encoder(JpegEncoder::new_with_quality(&mut out, QUALITY))?;
    }
    Ok(Some(out.into()))
}

/// The whole picture and which way is up, if there is memory `left` for its pixels, for `extra` and for what goes with its width.
fn decode(
    mut decoder: impl ImageDecoder,
    left: u64,
    extra: u64,
    limits: impl Fn(u64) -> Limits,
) -> ImageResult<Option<(DynamicImage, image::metadata::Orientation)>> {
    let wanted = [
        decoder.total_bytes(),
        extra,
        decoder_memory::of_rows(decoder.dimensions().0),
    ];
    let wanted = wanted
        .iter()
        .fold(0_u64, |sum, part| sum.saturating_add(*part));
    let Some(spare) = left.checked_sub(wanted) else {
        return Ok(None);
    };
    decoder.set_limits(limits(spare))?;
    let orientation = decoder.orientation()?;
    DynamicImage::from_decoder(decoder).map(|picture| Some((picture, orientation)))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn encoded(width: u32, height: u32, format: ImageFormat) -> Vec<u8> {
        let mut out = Vec::new();
        let picture = DynamicImage::new_rgb8(width, height);
        picture
            .write_to(&mut Cursor::new(&mut out), format)
            .unwrap();
        out
    }

    fn size_of(bytes: &[u8]) -> (u32, u32) {
        let picture = image::load_from_memory(bytes).unwrap();
        (picture.width(), picture.height())
    }

    fn made(bytes: impl Into<Bytes>) -> Result<Bytes> {
        downscale(bytes.into(), 320)
    }

    #[test]
    fn pictures_become_smaller_and_never_larger() {
        for format in [
            ImageFormat::Jpeg,
            ImageFormat::Png,
            ImageFormat::Gif,
            ImageFormat::WebP,
        ] {
            assert_eq!(
                size_of(&made(encoded(800, 400, format)).unwrap()),
                (320, 160),
                "{format:?}"
            );
        }
        assert_eq!(
            size_of(&made(encoded(40, 20, ImageFormat::Png)).unwrap()),
            (40, 20)
        );
    }

    /// What fuzzing begins with is worth something only where it is decoded.
    #[test]
    fn the_corpus_of_the_fuzz_target_is_made() {
        let corpus = concat!(env!("CARGO_MANIFEST_DIR"), "/fuzz/corpus/thumbnail");
        for file in std::fs::read_dir(corpus)
            .unwrap()
            .map(|entry| entry.unwrap().path())
        {
            let outcome = made(std::fs::read(&file).unwrap());
            assert_eq!(
                outcome.is_ok(),
                !file.ends_with("frame-too-large.webp"),
                "{}",
                file.display()
            );
        }
    }

    #[test]
    fn a_photo_of_12_megapixels_is_made_and_one_beyond_the_memory_refused() {
        assert_eq!(
            size_of(&made(encoded(4000, 3000, ImageFormat::Jpeg)).unwrap()),
            (320, 240)
        );
        for format in [ImageFormat::Jpeg, ImageFormat::Png] {
            assert!(
                made(encoded(5000, 4600, format)).is_err(),
                "{format:?} of 23 megapixels"
            );
        }
    }

    #[test]
    fn a_bomb_is_refused_by_its_header() {
        let mut png = encoded(8, 8, ImageFormat::Png);
        for side in [100_000_u32, 20_000] {
            // Width and height stand behind the signature and the name of the first chunk, whose checksum follows.
            png[16..20].copy_from_slice(&side.to_be_bytes());
            png[20..24].copy_from_slice(&side.to_be_bytes());
            let crc = crc32fast::hash(&png[12..29]);
            png[29..33].copy_from_slice(&crc.to_be_bytes());
            assert!(
                matches!(made(png.clone()), Err(Error::Invalid { .. })),
                "{side}"
            );
        }
        let mut gif = encoded(8, 8, ImageFormat::Gif);
        gif[6..10].copy_from_slice(&[0xff; 4]);
        assert!(made(gif).is_err());
    }

    #[test]
    fn a_frame_larger_than_its_gif_is_refused() {
        let mut gif = encoded(8, 8, ImageFormat::Gif);
        let frame = gif.iter().rposition(|byte| *byte == b',').unwrap();
        gif[frame + 5..frame + 9].copy_from_slice(&[0xff; 4]);
        assert!(made(gif).is_err());
    }

    #[test]
    fn what_is_broken_or_no_picture_is_refused() {
        let whole = encoded(64, 64, ImageFormat::Png);
        let half = whole[..whole.len() / 2].to_vec();
        for bytes in [
            Vec::new(),
            b"text".to_vec(),
            b"<svg xmlns='http://www.w3.org/2000/svg'/>".to_vec(),
            half,
        ] {
            assert!(matches!(made(bytes), Err(Error::Invalid { .. })));
        }
        // Cut and changed anywhere: refused or shown, never a panic.
        for format in [ImageFormat::Jpeg, ImageFormat::WebP, ImageFormat::Gif] {
            let picture = encoded(64, 64, format);
            for at in 0..picture.len() {
                let mut broken = picture.clone();
                broken[at] ^= 0x55;
                let _ = downscale(broken.into(), 32);
                let _ = downscale(picture[..at].to_vec().into(), 32);
            }
        }
    }
}
