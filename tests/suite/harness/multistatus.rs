//! Reads a multistatus body as strict clients do, by a parser the server does not use.

use percent_encoding::percent_decode_str;
use roxmltree::{Document, Node};

pub const DAV: &str = "DAV:";

/// A multistatus answer.
#[derive(Debug)]
pub struct Multistatus {
    pub responses: Vec<Response>,
}

/// One `response` in it.
#[derive(Debug)]
pub struct Response {
    /// The `href` as sent.
    pub href: String,
    /// How many `href` elements it has, at any depth outside properties' values.
    pub hrefs: usize,
    /// Its own status, where it has one.
    pub status: Option<u16>,
    /// The statuses of its propstats, in order; 0 for a malformed line.
    pub order: Vec<u16>,
    pub props: Vec<Prop>,
}

/// One property.
#[derive(Debug)]
pub struct Prop {
    /// `{namespace}local`.
    pub name: String,
    pub status: u16,
    /// Its direct text.
    pub text: String,
    /// The element as sent.
    pub xml: String,
    /// All elements beneath, as `{namespace}local`, in order.
    pub children: Vec<String>,
}

impl Multistatus {
    pub fn parse(text: &str) -> Result<Self, String> {
        let document = Document::parse(text).map_err(|error| format!("bad XML ({error})"))?;
        let root = document.root_element();
        if !root.has_tag_name((DAV, "multistatus")) {
            return Err(format!("the root is {}", root.tag_name().name()));
        }
        Ok(Self {
            responses: elements(root, "response")
                .map(|node| Response::read(node, text))
                .collect(),
        })
    }

    /// The response for a decoded path below the drive; trailing slashes do not count.
    #[track_caller]
    pub fn at(&self, path: &str) -> &Response {
        let want = format!("/dav{}", path.trim_end_matches('/'));
        let hrefs: Vec<&str> = self.responses.iter().map(|r| r.href.as_str()).collect();
        let found = self
            .responses
            .iter()
            .find(|response| response.path() == want);
        found.unwrap_or_else(|| panic!("no response for {want} among {hrefs:?}"))
    }

    /// The only response.
    #[track_caller]
    pub fn only(&self) -> &Response {
        assert_eq!(
            self.responses.len(),
            1,
            "want one response, got {:?}",
            self.responses
        );
        &self.responses[0]
    }

    /// The decoded paths, trailing slashes removed.
    pub fn paths(&self) -> Vec<String> {
        self.responses.iter().map(Response::path).collect()
    }
}

impl Response {
    fn read(node: Node<'_, '_>, text: &str) -> Self {
        let mut props = Vec::new();
        let mut order = Vec::new();
        for propstat in elements(node, "propstat") {
            let status = elements(propstat, "status")
                .next()
                .and_then(|n| n.text())
                .map_or(0, status_of);
            order.push(status);
            for prop in
                elements(propstat, "prop").flat_map(|prop| prop.children().filter(Node::is_element))
            {
                props.push(Prop::read(prop, status, text));
            }
        }
        let hrefs = elements(node, "href");
        Self {
            href: hrefs
                .clone()
                .next()
                .and_then(|n| n.text())
                .unwrap_or("")
                .to_owned(),
            hrefs: hrefs.count(),
            status: elements(node, "status")
                .next()
                .and_then(|n| n.text())
                .map(status_of),
            order,
            props,
        }
    }

    /// The decoded path of the `href`, trailing slashes removed.
    pub fn path(&self) -> String {
        let href = self.href.trim();
        let path = href.split_once("://").map_or(href, |(_, rest)| {
            rest.find('/').map_or("/", |at| &rest[at..])
        });
        let decoded = percent_decode_str(path).decode_utf8_lossy();
        let trimmed = decoded.trim_end_matches('/');
        if trimmed.is_empty() {
            "/".into()
        } else {
            trimmed.into()
        }
    }

    /// A property by `{namespace}local`, or by its local name in `DAV:`.
    pub fn find(&self, name: &str) -> Option<&Prop> {
        let name = if name.starts_with('{') {
            name.to_owned()
        } else {
            format!("{{DAV:}}{name}")
        };
        self.props.iter().find(|prop| prop.name == name)
    }

    /// The text of a property that must be there with status 200.
    #[track_caller]
    pub fn value(&self, name: &str) -> &str {
        let prop = self
            .find(name)
            .unwrap_or_else(|| panic!("no {name} in {self:?}"));
        assert_eq!(prop.status, 200, "{name} of {}", self.href);
        &prop.text
    }

    /// The propstat status of a property; 0 when it is not mentioned.
    pub fn status_of(&self, name: &str) -> u16 {
        self.find(name).map_or(0, |prop| prop.status)
    }
}

impl Prop {
    fn read(node: Node<'_, '_>, status: u16, text: &str) -> Self {
        let beneath = node.descendants().skip(1).filter(Node::is_element);
        Self {
            name: qualified(node),
            status,
            text: node.text().unwrap_or("").to_owned(),
            xml: text[node.range()].to_owned(),
            children: beneath.map(qualified).collect(),
        }
    }
}

fn elements<'a, 'i>(
    node: Node<'a, 'i>,
    name: &'static str,
) -> impl Iterator<Item = Node<'a, 'i>> + Clone + use<'a, 'i> {
    node.children()
        .filter(move |child| child.has_tag_name((DAV, name)))
}

fn qualified(node: Node<'_, '_>) -> String {
    format!(
        "{{{}}}{}",
        node.tag_name().namespace().unwrap_or(""),
        node.tag_name().name()
    )
}

fn status_of(line: &str) -> u16 {
    let code = line
        .strip_prefix("HTTP/1.1 ")
        .and_then(|rest| rest.get(..3));
    code.and_then(|code| code.parse().ok()).unwrap_or(0)
}
