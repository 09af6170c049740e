//! Small pictures of pictures. What decoding costs is known from the header of a file before it begins; at most so many are made at a
//! time as leave a core for everybody else, and a decoder that fails or panics fails one request.

use super::Tag;
use super::caller::Member;
use super::files::whole;
use super::json::Query;
use super::problem::{Failures, Problem};
use crate::content::Node;
use crate::http::dav::conditional::{Verdict, judge};
use crate::model::{Error, Result, VPath};
use axum::response::{IntoResponse, Response};
use bytes::Bytes;
use http::header::{CONTENT_TYPE, ETAG, IF_NONE_MATCH};
use http::{HeaderMap, HeaderValue, StatusCode};
use image::codecs::jpeg::JpegEncoder;
use image::{DynamicImage, ImageDecoder, ImageFormat, ImageReader, Limits};
use parking_lot::Mutex;
use serde::Deserialize;
use std::collections::{HashMap, VecDeque};
use std::io::Cursor;
use std::sync::LazyLock;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread::available_parallelism;
use std::time::Duration;
use tokio::sync::Semaphore;
use utoipa::IntoParams;

/// The largest file that is read.
const MAX_FILE: u64 = 32 << 20;
/// The most bytes that the pixels of a picture may have: 21 million of three bytes.
const MAX_PIXELS: u64 = 64 << 20;
/// The longest side of a picture.
const MAX_SIDE: u32 = 20_000;
const QUALITY: u8 = 80;
/// How many may wait.
const MAX_WAITING: usize = 256;
/// How many bytes of small pictures are kept in memory.
const MAX_KEPT: usize = 32 << 20;

static TURNS: LazyLock<Semaphore> =
    LazyLock::new(|| Semaphore::new(available_parallelism().map_or(1, |cores| (cores.get() - 1).max(1))));
static WAITING: AtomicUsize = AtomicUsize::new(0);
static KEPT: LazyLock<Mutex<Kept>> = LazyLock::new(Mutex::default);

/// Of which file, and how large.
#[derive(Clone, Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub struct ThumbnailQuery {
    /// The picture.
    path: String,
    /// The longest side in pixels, 320 if not said.
    #[param(minimum = 32, maximum = 1024)]
    size: Option<u32>,
}

/// A small picture of a JPEG, PNG, WebP or GIF (its first), upright. 422 for what is none, or is too large to be looked at:
/// 32 MiB, or 64 MiB of pixels.
#[utoipa::path(get, path = "/api/v1/files/thumbnail", tag = Tag::FILES, operation_id = "showThumbnail", params(ThumbnailQuery),
    responses((status = 200, body = Vec<u8>, content_type = "image/jpeg"), (status = 304, description = "It is as `If-None-Match` has it."), Failures))]
pub async fn show(
    member: Member,
    Query(query): Query<ThumbnailQuery>,
    headers: HeaderMap,
) -> Result<Response, Problem> {
    let size = query.size.unwrap_or(320);
    if !(32..=1024).contains(&size) {
        return Err(Error::Invalid { pointer: "/size".into(), why: "A side has 32 to 1024 pixels.".into() }.into());
    }
    let path = VPath::parse(&query.path)?;
    let reader = member.drive().await?.open(&path).await?;
    let key = key(reader.node(), size);
    let etag = format!("\"{key}\"");
    let is_known =
        headers.contains_key(IF_NONE_MATCH) && judge(&headers, &etag, reader.node().modified)? == Verdict::NotModified;
    let mut response = if is_known {
        StatusCode::NOT_MODIFIED.into_response()
    } else {
        let kept = KEPT.lock().get(&key);
        let picture = match kept {
            Some(picture) => picture,
            None => make(&*reader, size, key).await?,
        };
        // A PNG begins with this byte, a JPEG with another.
        let kind = if picture.first() == Some(&0x89) { "image/png" } else { "image/jpeg" };
        ([(CONTENT_TYPE, kind)], picture).into_response()
    };
    response.headers_mut().extend(HeaderValue::try_from(etag).ok().map(|etag| (ETAG, etag)));
    Ok(response)
}

/// What stands for a picture of this size of this content.
fn key(node: &Node, size: u32) -> String {
    format!("{}-{size}", node.etag.to_string().trim_matches('"'))
}

/// Makes a small picture when it is its turn, and keeps it. `Busy`, `Invalid`.
async fn make(reader: &dyn crate::content::Reader, size: u32, key: String) -> Result<Bytes> {
    let _place = Place::take()?;
    let _turn = TURNS.acquire().await.map_err(|_| busy())?;
    let bytes = whole(reader, MAX_FILE)
        .await
        .map_err(|error| if matches!(error, Error::TooLarge) { unfit() } else { error })?;
    let made = tokio::task::spawn_blocking(move || shrink(&bytes, size)).await;
    // A decoder that panics has told its own task.
    let picture = made.map_err(|_| unfit())??;
    KEPT.lock().put(key, picture.clone());
    Ok(picture)
}

/// The picture of these bytes with its longest side at most this long.
fn shrink(bytes: &[u8], size: u32) -> Result<Bytes> {
    let mut reader = ImageReader::new(Cursor::new(bytes)).with_guessed_format().map_err(|_| unfit())?;
    let known = [ImageFormat::Jpeg, ImageFormat::Png, ImageFormat::WebP, ImageFormat::Gif];
    if !reader.format().is_some_and(|format| known.contains(&format)) {
        return Err(unfit());
    }
    let mut limits = Limits::default();
    limits.max_image_width = Some(MAX_SIDE);
    limits.max_image_height = Some(MAX_SIDE);
    limits.max_alloc = Some(MAX_PIXELS);
    reader.limits(limits);
    let mut decoder = reader.into_decoder().map_err(|_| unfit())?;
    if decoder.total_bytes() > MAX_PIXELS {
        return Err(unfit());
    }
    let orientation = decoder.orientation().map_err(|_| unfit())?;
    let whole = DynamicImage::from_decoder(decoder).map_err(|_| unfit())?;
    let mut small = if whole.width().max(whole.height()) > size { whole.thumbnail(size, size) } else { whole };
    small.apply_orientation(orientation);
    let mut out = Vec::new();
    let written = if small.color().has_alpha() {
        small.to_rgba8().write_to(&mut Cursor::new(&mut out), ImageFormat::Png)
    } else {
        small.to_rgb8().write_with_encoder(JpegEncoder::new_with_quality(&mut out, QUALITY))
    };
    written.map_err(|_| unfit())?;
    Ok(out.into())
}

fn unfit() -> Error {
    Error::Invalid { pointer: "/path".into(), why: "This is no picture that can be made smaller.".into() }
}

fn busy() -> Error {
    Error::Busy { retry_after: Duration::from_secs(1) }
}

/// A place among those who wait.
struct Place;

impl Place {
    fn take() -> Result<Self> {
        let place = Self;
        if WAITING.fetch_add(1, Ordering::Relaxed) >= MAX_WAITING { Err(busy()) } else { Ok(place) }
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        WAITING.fetch_sub(1, Ordering::Relaxed);
    }
}

/// The pictures made last, oldest first out.
#[derive(Default)]
struct Kept {
    pictures: HashMap<String, Bytes>,
    order: VecDeque<String>,
    bytes: usize,
}

impl Kept {
    fn get(&self, key: &str) -> Option<Bytes> {
        self.pictures.get(key).cloned()
    }

    fn put(&mut self, key: String, picture: Bytes) {
        if picture.len() > MAX_KEPT / 8 || self.pictures.contains_key(&key) {
            return;
        }
        self.bytes += picture.len();
        self.pictures.insert(key.clone(), picture);
        self.order.push_back(key);
        while self.bytes > MAX_KEPT {
            let Some(oldest) = self.order.pop_front() else { return };
            self.bytes -= self.pictures.remove(&oldest).map_or(0, |gone| gone.len());
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn encoded(width: u32, height: u32, format: ImageFormat) -> Vec<u8> {
        let mut out = Vec::new();
        let picture = DynamicImage::new_rgb8(width, height);
        picture.write_to(&mut Cursor::new(&mut out), format).unwrap();
        out
    }

    fn size_of(bytes: &[u8]) -> (u32, u32) {
        let picture = image::load_from_memory(bytes).unwrap();
        (picture.width(), picture.height())
    }

    #[test]
    fn pictures_become_smaller_and_never_larger() {
        for format in [ImageFormat::Jpeg, ImageFormat::Png, ImageFormat::Gif, ImageFormat::WebP] {
            assert_eq!(size_of(&shrink(&encoded(800, 400, format), 320).unwrap()), (320, 160), "{format:?}");
        }
        assert_eq!(size_of(&shrink(&encoded(40, 20, ImageFormat::Png), 320).unwrap()), (40, 20));
    }

    #[test]
    fn a_bomb_is_refused_by_its_header() {
        let mut png = encoded(8, 8, ImageFormat::Png);
        // Width and height stand behind the signature and the name of the first chunk, whose checksum follows.
        png[16..24].copy_from_slice(&[0, 1, 0x86, 0xa0, 0, 1, 0x86, 0xa0]);
        let crc = crc32fast::hash(&png[12..29]);
        png[29..33].copy_from_slice(&crc.to_be_bytes());
        assert!(matches!(shrink(&png, 320), Err(Error::Invalid { .. })));
        png[16..24].copy_from_slice(&[0, 0, 0x4e, 0x20, 0, 0, 0x4e, 0x20]);
        let crc = crc32fast::hash(&png[12..29]);
        png[29..33].copy_from_slice(&crc.to_be_bytes());
        assert!(matches!(shrink(&png, 320), Err(Error::Invalid { .. })), "20,000 x 20,000");
    }

    #[test]
    fn what_is_broken_or_no_picture_is_refused() {
        let whole = encoded(64, 64, ImageFormat::Png);
        for bytes in [&b""[..], b"text", b"<svg xmlns='http://www.w3.org/2000/svg'/>", &whole[..whole.len() / 2]] {
            assert!(matches!(shrink(bytes, 320), Err(Error::Invalid { .. })));
        }
        // Cut and changed anywhere: refused or shown, never a panic.
        let jpeg = encoded(64, 64, ImageFormat::Jpeg);
        for at in 0..jpeg.len() {
            let mut broken = jpeg.clone();
            broken[at] ^= 0x55;
            let _ = shrink(&broken, 32);
            let _ = shrink(&jpeg[..at], 32);
        }
    }

    #[test]
    fn the_oldest_go_when_there_are_too_many() {
        let mut kept = Kept::default();
        for n in 0..100 {
            kept.put(n.to_string(), Bytes::from(vec![0; MAX_KEPT / 50]));
        }
        assert!(kept.bytes <= MAX_KEPT && kept.get("0").is_none() && kept.get("99").is_some());
        kept.put("large".into(), Bytes::from(vec![0; MAX_KEPT]));
        assert!(kept.get("large").is_none());
    }
}
