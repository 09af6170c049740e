//! Forms with files (`multipart/form-data`, RFC 7578), read as they come: no more of the body is asked for than the next step
//! needs, and what leads to no content is refused after [`LIMIT`] bytes. So memory does not grow with what a client sends.

use crate::model::{Error, Result};
use axum::body::BodyDataStream;
use axum::extract::Request;
use bytes::{Buf, Bytes, BytesMut};
use futures_util::{Stream, StreamExt, stream};
use http::header::CONTENT_TYPE;
use http::{HeaderMap, HeaderName, HeaderValue};
use memchr::memmem::{self, Finder};

/// The most bytes before the first part, and of the head of one part.
pub const LIMIT: usize = 16 << 10;
/// The most bytes of all heads: names are told again in the answer.
const MAX_HEADS: usize = 1 << 20;
/// The longest boundary (RFC 2046 section 5.1.1).
const MAX_BOUNDARY: usize = 70;

const NO_FORM: Error = Error::BadRequest(
    "The body must be a form with files, with Content-Type: multipart/form-data and a boundary.",
);
const MALFORMED: Error = Error::BadRequest("The parts of the form are malformed.");
const ENDLESS: Error = Error::BadRequest(
    "The form has no part where one must begin, or a head of a part that is too long.",
);

/// A form being read.
pub struct MultipartForm {
    body: BodyDataStream,
    buffer: BytesMut,
    /// What stands before each part: a line end, two dashes, the boundary.
    delimiter: Finder<'static>,
    place: MultipartState,
    heads: usize,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum MultipartState {
    Preamble,
    Head,
    Content,
    End,
}

/// A part of a form, whose content is read or passed over.
pub struct MultipartField<'f> {
    form: &'f mut MultipartForm,
    headers: HeaderMap,
}

impl MultipartForm {
    /// The form in a request.
    pub fn of(request: Request) -> Result<Self> {
        let kind = request
            .headers()
            .get(CONTENT_TYPE)
            .map(HeaderValue::as_bytes)
            .unwrap_or_default();
        let essence = kind
            .split(|byte| *byte == b';')
            .next()
            .unwrap_or_default()
            .trim_ascii();
        let boundary =
            parameter(kind, "boundary").filter(|it| (1..=MAX_BOUNDARY).contains(&it.len()));
        let boundary = boundary
            .filter(|_| essence.eq_ignore_ascii_case(b"multipart/form-data"))
            .ok_or(NO_FORM)?;
        let delimiter = [b"\r\n--", boundary.as_slice()].concat();
        Ok(Self {
            body: request.into_body().into_data_stream(),
            // The first delimiter may stand at the beginning, where no line has ended.
            buffer: BytesMut::from(&b"\r\n"[..]),
            delimiter: Finder::new(&delimiter).into_owned(),
            place: MultipartState::Preamble,
            heads: 0,
        })
    }

    /// The next part; what is left of the one before is passed over.
    pub async fn next_field(&mut self) -> Result<Option<MultipartField<'_>>> {
        let mut passed = 0;
        while matches!(
            self.place,
            MultipartState::Preamble | MultipartState::Content
        ) {
            let bytes = self.chunk().await?.map_or(0, |chunk| chunk.len());
            passed += if self.place == MultipartState::Preamble {
                bytes
            } else {
                0
            };
            if passed > LIMIT {
                return Err(ENDLESS);
            }
        }
        if self.place == MultipartState::End {
            return Ok(None);
        }
        let Some(head) = self.head().await? else {
            self.place = MultipartState::End;
            return Ok(None);
        };
        self.place = MultipartState::Content;
        let headers = parse_head(&head)?;
        Ok(Some(MultipartField {
            form: self,
            headers,
        }))
    }

    /// What comes next before the next delimiter; `None` once that is passed.
    async fn chunk(&mut self) -> Result<Option<Bytes>> {
        let kept = self.delimiter.needle().len() - 1;
        loop {
            match self.delimiter.find(&self.buffer) {
                Some(0) => {
                    self.buffer.advance(kept + 1);
                    self.place = MultipartState::Head;
                    return Ok(None);
                }
                Some(length) => return Ok(Some(self.buffer.split_to(length).freeze())),
                None if self.buffer.len() > kept => {
                    let length = self.buffer.len() - kept;
                    return Ok(Some(self.buffer.split_to(length).freeze()));
                }
                None => self.fill().await?,
            }
        }
    }

    /// The rest of a delimiter's line and the lines of the part's head; `None` behind the last delimiter.
    async fn head(&mut self) -> Result<Option<Bytes>> {
        let mut seen = 0;
        loop {
            if self.buffer.starts_with(b"--") {
                return Ok(None);
            }
            let end = memmem::find(self.buffer.get(seen..).unwrap_or_default(), b"\r\n\r\n")
                .map(|at| seen + at + 4);
            if end.unwrap_or(self.buffer.len()) > LIMIT {
                return Err(ENDLESS);
            }
            if let Some(end) = end {
                self.heads += end;
                return if self.heads > MAX_HEADS {
                    Err(ENDLESS)
                } else {
                    Ok(Some(self.buffer.split_to(end).freeze()))
                };
            }
            seen = self.buffer.len().saturating_sub(3);
            self.fill().await?;
        }
    }

    async fn fill(&mut self) -> Result<()> {
        let bytes = self
            .body
            .next()
            .await
            .and_then(Result::ok)
            .ok_or(Error::Truncated)?;
        self.buffer.extend_from_slice(&bytes);
        Ok(())
    }
}

impl<'f> MultipartField<'f> {
    /// The lines of its head.
    pub fn headers(&self) -> &HeaderMap {
        &self.headers
    }

    /// Its content.
    pub fn content(self) -> impl Stream<Item = Result<Bytes>> + use<'f> {
        stream::try_unfold(self.form, |form| async move {
            if form.place != MultipartState::Content {
                return Ok(None);
            }
            Ok(form.chunk().await?.map(|chunk| (chunk, form)))
        })
    }
}

fn parse_head(head: &[u8]) -> Result<HeaderMap> {
    let text = head.strip_suffix(b"\r\n\r\n").unwrap_or(head);
    let mut headers = HeaderMap::new();
    let mut rest = Some(text);
    let mut first = true;
    while let Some(text) = rest {
        let end = memmem::find(text, b"\r\n");
        let (line, more) = text.split_at(end.unwrap_or(text.len()));
        rest = end.and_then(|_| more.get(2..));
        if std::mem::take(&mut first) {
            // Only blanks may follow a delimiter in its line.
            if !line.trim_ascii().is_empty() {
                return Err(MALFORMED);
            }
            continue;
        }
        let colon = line
            .iter()
            .position(|byte| *byte == b':')
            .ok_or(MALFORMED)?;
        let (name, value) = line.split_at(colon);
        let value = value.get(1..).unwrap_or_default().trim_ascii();
        let name = HeaderName::from_bytes(name).map_err(|_| MALFORMED)?;
        headers.append(name, HeaderValue::from_bytes(value).map_err(|_| MALFORMED)?);
    }
    Ok(headers)
}

/// The value of a parameter of a header. In quotes a backslash counts only before a quote: browsers write the others as they are.
fn parameter(header: &[u8], wanted: &str) -> Option<Vec<u8>> {
    let mut rest = header.get(header.iter().position(|byte| *byte == b';')?..)?;
    while let Some(equals) = rest.iter().position(|byte| *byte == b'=') {
        let name = rest.get(..equals)?;
        let value = rest.get(equals + 1..)?.trim_ascii_start();
        let name = name
            .rsplit(|byte| *byte == b';')
            .next()
            .unwrap_or_default()
            .trim_ascii();
        let (text, after) = if let Some(quoted) = value.strip_prefix(b"\"") {
            unquote(quoted)?
        } else {
            let end = value
                .iter()
                .position(|byte| *byte == b';')
                .unwrap_or(value.len());
            let (token, after) = value.split_at(end);
            (token.trim_ascii().to_vec(), after)
        };
        if name.eq_ignore_ascii_case(wanted.as_bytes()) {
            return Some(text);
        }
        rest = after;
    }
    None
}

/// Text up to the closing quote, and what follows that.
fn unquote(mut quoted: &[u8]) -> Option<(Vec<u8>, &[u8])> {
    let mut text = Vec::new();
    loop {
        let (byte, rest) = match quoted {
            [b'\\', b'"', rest @ ..] => (b'"', rest),
            [b'"', rest @ ..] => return Some((text, rest)),
            [byte, rest @ ..] => (*byte, rest),
            [] => return None,
        };
        text.push(byte);
        quoted = rest;
    }
}

#[cfg(test)]
mod tests;
