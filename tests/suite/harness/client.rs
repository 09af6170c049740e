//! A client of the drive: decoded paths beneath `/dav`, one kept connection, headers in the order they are given.

use super::url::url;
use super::wire::{Connection, Reply};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::Value;
use std::cell::RefCell;
use std::net::SocketAddr;

/// The usual file name: what is not escaped somewhere breaks with it.
pub const NAME: &str = "/fi le$%<>é.txt";

/// The body of a request for an exclusive write lock.
pub const LOCK_BODY: &str = r#"<?xml version="1.0" encoding="utf-8"?><D:lockinfo xmlns:D="DAV:"><D:lockscope><D:exclusive/></D:lockscope><D:locktype><D:write/></D:locktype><D:owner><D:href>http://example.org/~ana?a=1&amp;b=2</D:href></D:owner></D:lockinfo>"#;

/// A PROPFIND body that asks for properties, written as elements (`D:` is `DAV:`).
pub fn propfind_body(elements: &str) -> String {
    format!(
        r#"<?xml version="1.0" encoding="utf-8"?><D:propfind xmlns:D="DAV:"><D:prop>{elements}</D:prop></D:propfind>"#
    )
}

/// One account (or nobody) at one server.
pub struct Client {
    address: SocketAddr,
    authorization: Option<String>,
    connection: RefCell<Option<Connection>>,
}

/// A request being built.
pub struct Request<'a> {
    client: &'a Client,
    method: String,
    target: String,
    headers: Vec<(String, Vec<u8>)>,
    body: Option<Vec<u8>>,
    chunked: bool,
}

impl Client {
    pub fn new(address: SocketAddr, account: Option<(&str, &str)>) -> Self {
        let basic =
            |(user, password)| format!("Basic {}", STANDARD.encode(format!("{user}:{password}")));
        Self {
            address,
            authorization: account.map(basic),
            connection: RefCell::default(),
        }
    }

    /// The same server with another `Authorization` header.
    pub fn authorized(&self, value: &str) -> Self {
        Self {
            address: self.address,
            authorization: Some(value.into()),
            connection: RefCell::default(),
        }
    }

    /// The same server as somebody else.
    pub fn signed_in(&self, user: &str, password: &str) -> Self {
        Self::new(self.address, Some((user, password)))
    }

    /// The `Authorization` header it sends.
    pub fn authorization(&self) -> &str {
        self.authorization.as_deref().unwrap_or("")
    }

    /// `host:port` of the server.
    pub fn host(&self) -> String {
        self.address.to_string()
    }

    /// The absolute URL of a decoded path.
    pub fn absolute(&self, path: &str) -> String {
        format!("http://{}/dav{}", self.address, url(path))
    }

    /// A request on a decoded path beneath the drive.
    pub fn request(&self, method: &str, path: &str) -> Request<'_> {
        self.raw(method, &format!("/dav{}", url(path)))
    }

    /// A request on a target exactly as written.
    pub fn raw(&self, method: &str, target: &str) -> Request<'_> {
        let (method, target) = (method.into(), target.into());
        Request {
            client: self,
            method,
            target,
            headers: Vec::new(),
            body: None,
            chunked: false,
        }
    }

    pub fn get(&self, path: &str) -> Reply {
        self.request("GET", path).send()
    }
    pub fn head(&self, path: &str) -> Reply {
        self.request("HEAD", path).send()
    }
    pub fn put(&self, path: &str, body: impl AsRef<[u8]>) -> Reply {
        self.request("PUT", path).body(body).send()
    }
    pub fn delete(&self, path: &str) -> Reply {
        self.request("DELETE", path).send()
    }
    pub fn mkcol(&self, path: &str) -> Reply {
        self.request("MKCOL", path).send()
    }

    /// A MOVE or COPY with an absolute `Destination`.
    pub fn transfer(&self, method: &str, from: &str, to: &str) -> Request<'_> {
        self.request(method, from)
            .header("Destination", self.absolute(to))
    }

    /// An allprop PROPFIND.
    pub fn propfind(&self, path: &str, depth: &str) -> Reply {
        self.request("PROPFIND", path).header("Depth", depth).send()
    }

    /// A PROPFIND for elements.
    pub fn props(&self, path: &str, depth: &str, elements: &str) -> Reply {
        self.request("PROPFIND", path)
            .header("Depth", depth)
            .xml(propfind_body(elements))
            .send()
    }

    /// A PROPPATCH with these `set` and `remove` instructions.
    pub fn proppatch(&self, path: &str, instructions: &str) -> Request<'_> {
        let body = format!(
            r#"<?xml version="1.0"?><D:propertyupdate xmlns:D="DAV:" xmlns:Z="urn:schemas-microsoft-com:" xmlns:x="http://example.org/x/">{instructions}</D:propertyupdate>"#
        );
        self.request("PROPPATCH", path).xml(body)
    }

    /// A request to the JSON API, with a body unless that is null.
    pub fn api(&self, method: &str, path: &str, body: &Value) -> Reply {
        let request = self.raw(method, &format!("/api/v1{path}"));
        if body.is_null() {
            return request.send();
        }
        request
            .header("Content-Type", "application/json")
            .body(body.to_string())
            .send()
    }

    /// An exclusive lock of depth 0.
    pub fn lock(&self, path: &str) -> Request<'_> {
        self.request("LOCK", path)
            .header("Depth", "0")
            .header("Timeout", "Second-600")
            .xml(LOCK_BODY)
    }

    pub fn unlock(&self, path: &str, token: &str) -> Reply {
        self.request("UNLOCK", path)
            .header("Lock-Token", format!("<{token}>"))
            .send()
    }

    /// Puts a file and demands success.
    #[track_caller]
    pub fn store(&self, path: &str, body: impl AsRef<[u8]>) -> Reply {
        self.put(path, body).is_any(&[201, 204])
    }

    /// Demands that a file has this content.
    #[track_caller]
    pub fn holds(&self, path: &str, body: impl AsRef<[u8]>) {
        let reply = self.get(path).is(200);
        assert!(
            reply.body == body.as_ref(),
            "{path} has another content: {reply}"
        );
    }

    /// Demands that nothing is there.
    #[track_caller]
    pub fn lacks(&self, path: &str) {
        self.propfind(path, "0").is(404);
    }
}

impl Request<'_> {
    #[must_use]
    pub fn header(mut self, name: &str, value: impl AsRef<[u8]>) -> Self {
        self.headers.push((name.into(), value.as_ref().to_vec()));
        self
    }
    #[must_use]
    pub fn body(mut self, body: impl AsRef<[u8]>) -> Self {
        self.body = Some(body.as_ref().to_vec());
        self
    }
    /// A body of XML, with its type.
    #[must_use]
    pub fn xml(self, body: impl AsRef<[u8]>) -> Self {
        self.header("Content-Type", "application/xml; charset=utf-8")
            .body(body)
    }
    /// Sends the body in chunks, without a length.
    #[must_use]
    pub fn chunked(mut self) -> Self {
        self.chunked = true;
        self
    }

    /// The request as it goes over the wire.
    pub fn bytes(&self) -> Vec<u8> {
        let has = |name: &str| {
            self.headers
                .iter()
                .any(|(n, _)| n.eq_ignore_ascii_case(name))
        };
        let mut out = format!("{} {} HTTP/1.1\r\n", self.method, self.target).into_bytes();
        let mut add = |name: &str, value: &[u8]| {
            out.extend_from_slice(name.as_bytes());
            out.extend_from_slice(b": ");
            out.extend_from_slice(value);
            out.extend_from_slice(b"\r\n");
        };
        if !has("host") {
            add("Host", self.client.address.to_string().as_bytes());
        }
        if let Some(value) = self
            .client
            .authorization
            .as_ref()
            .filter(|_| !has("authorization"))
        {
            add("Authorization", value.as_bytes());
        }
        for (name, value) in &self.headers {
            add(name, value);
        }
        if self.chunked && !has("transfer-encoding") {
            add("Transfer-Encoding", b"chunked");
        }
        let length = self.body.as_ref().map_or(0, Vec::len);
        if !self.chunked && !has("content-length") && (self.body.is_some() || self.method == "PUT")
        {
            add("Content-Length", length.to_string().as_bytes());
        }
        out.extend_from_slice(b"\r\n");
        let body = self.body.as_deref().unwrap_or_default();
        if self.chunked {
            for part in body.chunks(32 << 10) {
                out.extend_from_slice(format!("{:x}\r\n", part.len()).as_bytes());
                out.extend_from_slice(part);
                out.extend_from_slice(b"\r\n");
            }
            out.extend_from_slice(b"0\r\n\r\n");
        } else {
            out.extend_from_slice(body);
        }
        out
    }

    /// Sends it on the kept connection; a connection that was closed while idle is replaced once.
    pub fn send(self) -> Reply {
        let bytes = self.bytes();
        let asked = format!("{} {}", self.method, self.target);
        let kept = self.client.connection.borrow_mut().take();
        let reused = kept.is_some();
        let mut connection = kept.unwrap_or_else(|| Connection::open(self.client.address));
        let mut outcome = self.exchange(&mut connection, &bytes, &asked);
        if outcome.is_err() && reused {
            connection = Connection::open(self.client.address);
            outcome = self.exchange(&mut connection, &bytes, &asked);
        }
        let reply = outcome.unwrap_or_else(|error| panic!("no reply to `{asked}`: {error}"));
        if !reply
            .header("connection")
            .is_some_and(|v| v.eq_ignore_ascii_case("close"))
        {
            *self.client.connection.borrow_mut() = Some(connection);
        }
        reply
    }

    fn exchange(
        &self,
        connection: &mut Connection,
        bytes: &[u8],
        asked: &str,
    ) -> std::io::Result<Reply> {
        let written = connection.write(bytes);
        let reply = connection.read_reply(self.method == "HEAD", asked);
        if reply.is_err() {
            written.and(reply)
        } else {
            reply
        }
    }
}
