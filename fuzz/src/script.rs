//! Requests out of bytes: one a line, a letter for the method, one for the path, then one for each header or body.
//! Every byte means something, so that mutations do too; files in corpus/handler/ stay readable.

use bytes::Bytes;
use http::{HeaderName, HeaderValue, Method, Request};
use sarang::http::request_body::RequestBody;

const METHODS: [(u8, &str); 15] = [
    (b'g', "GET"),
    (b'h', "HEAD"),
    (b'p', "PUT"),
    (b'a', "PATCH"),
    (b'k', "MKCOL"),
    (b'd', "DELETE"),
    (b'c', "COPY"),
    (b'm', "MOVE"),
    (b'l', "LOCK"),
    (b'u', "UNLOCK"),
    (b'f', "PROPFIND"),
    (b's', "PROPPATCH"),
    (b'o', "OPTIONS"),
    (b't', "POST"),
    (b'r', "REPORT"),
];

const PATHS: [(u8, &str); 18] = [
    (b'0', "/dav/"),
    (b'a', "/dav/a"),
    (b'b', "/dav/b"),
    (b'A', "/dav/a/"),
    (b'x', "/dav/a/x"),
    (b'y', "/dav/a/y"),
    (b'X', "/dav/a/x/z"),
    (b'B', "/dav/b/x"),
    (b'h', "/dav/fi%20le$%25%3C%3E%C3%A9.txt"),
    (b'n', "/dav/cafe%CC%81"),
    (b'N', "/dav/caf%C3%A9"),
    (b'.', "/dav/a/../b"),
    (b's', "/dav/.sarang/tmp"),
    (b'^', "/dav/../etc/passwd"),
    (b'/', "/"),
    (b'd', "/dav"),
    (b'o', "/other"),
    (b'l', "/dav/%E2%80%AEx"),
];

const BODIES: [(u8, &str); 14] = [
    (b'0', ""),
    (b'1', "0123456789"),
    (b'2', "two"),
    (
        b'x',
        "<lockinfo xmlns='DAV:'><lockscope><exclusive/></lockscope><locktype><write/></locktype><owner>me</owner></lockinfo>",
    ),
    (
        b's',
        "<lockinfo xmlns='DAV:'><lockscope><shared/></lockscope><locktype><write/></locktype></lockinfo>",
    ),
    (
        b'a',
        "<propfind xmlns='DAV:'><allprop/><include><quota-used-bytes/></include></propfind>",
    ),
    (b'n', "<propfind xmlns='DAV:'><propname/></propfind>"),
    (
        b'p',
        "<propfind xmlns='DAV:'><prop><getetag/><lockdiscovery/><p xmlns='urn:x'/><nothing/></prop></propfind>",
    ),
    (
        b'u',
        "<propertyupdate xmlns='DAV:'><set><prop><p xmlns='urn:x'>v<b/>&amp;</p></prop></set></propertyupdate>",
    ),
    (
        b'v',
        "<propertyupdate xmlns='DAV:'><remove><prop><p xmlns='urn:x'/></prop></remove></propertyupdate>",
    ),
    (
        b'w',
        "<propertyupdate xmlns='DAV:'><set><prop><q xmlns='urn:x'/><getetag>no</getetag></prop></set></propertyupdate>",
    ),
    (
        b'W',
        "<D:propertyupdate xmlns:D='DAV:' xmlns:Z='urn:schemas-microsoft-com:'><D:set><D:prop><Z:Win32LastModifiedTime>Wed, 01 Jan 2025 00:00:00 GMT</Z:Win32LastModifiedTime></D:prop></D:set></D:propertyupdate>",
    ),
    (b'<', "<a"),
    (b'!', "<!DOCTYPE a [<!ENTITY b 'c'>]><a>&b;</a>"),
];

/// What earlier answers said that later requests repeat.
#[derive(Default)]
pub struct Memory {
    /// The lock token granted last.
    pub token: String,
    /// The entity tag seen last.
    pub etag: String,
}

/// One line of a script.
pub struct Line<'a>(pub &'a [u8]);

impl Line<'_> {
    /// The request; `None` for what HTTP does not allow.
    pub fn request(&self, memory: &Memory, host: &str) -> Option<(Request<RequestBody>, Bytes)> {
        let mut rest = self.0.iter().copied();
        let method = Method::from_bytes(pick(&METHODS, rest.next()?).as_bytes()).ok()?;
        let path = path(&mut rest)?;
        let mut request = Request::builder()
            .method(method)
            .uri(path)
            .header("host", host);
        let mut body = Bytes::new();
        while let Some(letter) = rest.next() {
            match letter {
                b'B' => body = Bytes::from_static(pick(&BODIES, rest.next()?).as_bytes()),
                b'=' => body = rest.by_ref().collect::<Vec<_>>().into(),
                b'!' => {
                    let line: Vec<u8> = rest.by_ref().collect();
                    let colon = line.iter().position(|&b| b == b':')?;
                    request = request.header(&line[..colon], line[colon + 1..].trim_ascii());
                }
                _ => {
                    for (name, value) in header(letter, &mut rest, memory) {
                        request = request.header(
                            HeaderName::from_static(name),
                            HeaderValue::try_from(value).ok()?,
                        );
                    }
                }
            }
        }
        let announced = request.headers_ref()?.contains_key("content-length");
        if !body.is_empty() && !announced {
            request = request.header("content-length", body.len());
        }
        Some((request.body(RequestBody::from(body.clone())).ok()?, body))
    }
}

fn pick<'a>(table: &[(u8, &'a str)], letter: u8) -> &'a str {
    let known = table.iter().find(|(name, _)| *name == letter);
    known.unwrap_or(&table[usize::from(letter) % table.len()]).1
}

/// A path from the table, or after `%` as it is written up to a space.
fn path(rest: &mut impl Iterator<Item = u8>) -> Option<String> {
    match rest.next()? {
        b'%' => Some(format!(
            "/dav/{}",
            String::from_utf8(rest.take_while(|&b| b != b' ').collect()).ok()?
        )),
        letter => Some(pick(&PATHS, letter).to_owned()),
    }
}

fn header(
    letter: u8,
    rest: &mut impl Iterator<Item = u8>,
    memory: &Memory,
) -> Vec<(&'static str, String)> {
    let Memory { token, etag } = memory;
    let one = |name, value: &str| vec![(name, value.to_owned())];
    match letter {
        b'>' => path(rest)
            .map(|path| ("destination", path))
            .into_iter()
            .collect(),
        b')' => path(rest)
            .map(|path| ("destination", format!("https://nest.example{path}")))
            .into_iter()
            .collect(),
        b'0' => one("depth", "0"),
        b'1' => one("depth", "1"),
        b'i' => one("depth", "infinity"),
        b'F' => one("overwrite", "F"),
        b'L' => one("if", &format!("(<{token}>)")),
        b'K' => path(rest)
            .map(|path| ("if", format!("<{path}> (<{token}>)")))
            .into_iter()
            .collect(),
        b'J' => one(
            "if",
            &format!("(<{token}> [{etag}]) (Not <DAV:no-lock> [{etag}])"),
        ),
        b'N' => one("if", &format!("(Not <{token}>)")),
        b'U' => one("lock-token", &format!("<{token}>")),
        b'M' => one("if-match", etag),
        b'Q' => one("if-none-match", etag),
        b'*' => one("if-none-match", "*"),
        b'E' => one("if-match", "*"),
        b'r' => one("range", "bytes=0-3"),
        b'R' => one("range", "bytes=2-3,-1,5-"),
        b'G' => one("if-range", etag),
        b'w' => update("bytes=2-4"),
        b'W' => update("append"),
        b't' => one("timeout", "Second-5"),
        b'q' => one("x-oc-mtime", "1405056447.5"),
        b'D' => one("user-agent", "Microsoft-WebDAV-MiniRedir/10.0.19045"),
        _ => Vec::new(),
    }
}

fn update(range: &str) -> Vec<(&'static str, String)> {
    vec![
        ("x-update-range", range.to_owned()),
        (
            "content-type",
            "application/x-sabredav-partialupdate".to_owned(),
        ),
    ]
}
