//! One file of the app in its content codings: as it is, gzip and brotli. Gzip is for plain HTTP, where browsers do not offer brotli.

use bytes::Bytes;
use http::HeaderMap;
use http::header::ACCEPT_ENCODING;
use std::io::Write as _;

/// The best there is, 8 % smaller than 9: each file is compressed once.
const QUALITY: i32 = 11;

/// A file as it is, and smaller where that is possible.
pub(super) struct Asset {
    plain: Bytes,
    brotli: Bytes,
    gzip: Bytes,
}

impl Asset {
    pub(super) fn new(data: &[u8], compressed: bool) -> Self {
        let (brotli, gzip) = if compressed {
            (brotli(data), gzip(data))
        } else {
            (Bytes::new(), Bytes::new())
        };
        Self {
            plain: Bytes::copy_from_slice(data),
            brotli,
            gzip,
        }
    }

    /// The smallest form that a client takes, and its coding.
    pub(super) fn best(&self, headers: &HeaderMap) -> (Option<&'static str>, &Bytes) {
        let is_smaller = |bytes: &Bytes| !bytes.is_empty() && bytes.len() < self.plain.len();
        if is_smaller(&self.brotli) && accepts(headers, "br") {
            return (Some("br"), &self.brotli);
        }
        if is_smaller(&self.gzip) && accepts(headers, "gzip") {
            return (Some("gzip"), &self.gzip);
        }
        (None, &self.plain)
    }
}

/// Whether a client names a coding and does not refuse it (RFC 9110 section 12.5.3).
fn accepts(headers: &HeaderMap, coding: &str) -> bool {
    let lines = headers
        .get_all(ACCEPT_ENCODING)
        .iter()
        .filter_map(|line| line.to_str().ok());
    lines.flat_map(|line| line.split(',')).any(|item| {
        let (name, weight) = item.split_once(';').unwrap_or((item, "q=1"));
        let weight = weight
            .trim()
            .strip_prefix("q=")
            .and_then(|q| q.parse::<f32>().ok());
        name.trim().eq_ignore_ascii_case(coding) && weight.is_some_and(|q| q > 0.0)
    })
}

fn brotli(data: &[u8]) -> Bytes {
    let params = brotli::enc::BrotliEncoderParams {
        quality: QUALITY,
        ..Default::default()
    };
    let mut out = Vec::new();
    let done = brotli::BrotliCompress(&mut std::io::Cursor::new(data), &mut out, &params);
    done.map(|_| Bytes::from(out)).unwrap_or_default()
}

fn gzip(data: &[u8]) -> Bytes {
    let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::best());
    let written = encoder.write_all(data).and_then(|()| encoder.finish());
    written.map(Bytes::from).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;
    use http::HeaderValue;

    fn accepting(text: &str) -> HeaderMap {
        HeaderMap::from_iter([(ACCEPT_ENCODING, HeaderValue::from_str(text).unwrap())])
    }

    #[test]
    fn the_smallest_form_that_is_taken_is_sent() {
        let asset = Asset::new(&b"words ".repeat(100), true);
        let coding = |text| asset.best(&accepting(text)).0;
        assert_eq!(coding("gzip, deflate, br"), Some("br"));
        assert_eq!(coding("gzip, deflate"), Some("gzip"));
        assert_eq!(coding("br;q=0, GZIP;q=0.5"), Some("gzip"));
        assert_eq!(coding("identity"), None);
        assert_eq!(
            Asset::new(b"x", true).best(&accepting("br, gzip")).0,
            None,
            "nothing grows"
        );
        assert_eq!(
            Asset::new(b"words words words", false)
                .best(&accepting("br"))
                .0,
            None
        );
    }
}
