//! Reads request XML in one pass: namespaces, limits and well-formedness beyond what quick-xml checks itself,
//! because what clients store as properties is later written verbatim into answers for others.

use super::names::{Binding, MALFORMED, Scope, is_name, is_xml_char, resolve, split_attributes};
use super::text::XmlText;
use crate::model::{Error, Result};
use quick_xml::Reader;
use quick_xml::events::Event;
use std::borrow::Cow;

/// The most levels of elements.
const MAX_DEPTH: usize = 64;
/// What comes next in a document.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum XmlEvent<'a> {
    /// An element begins.
    Open(XmlName),
    /// Text, references resolved.
    Text(Cow<'a, str>),
    /// The innermost open element ends.
    Close,
}

/// An expanded element name.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct XmlName {
    /// Namespace, may be empty.
    pub ns: String,
    /// Local name.
    pub local: String,
}

impl XmlName {
    /// Whether this is `local` in the namespace `DAV:`.
    pub fn is_dav(&self, local: &str) -> bool {
        self.ns == "DAV:" && self.local == local
    }
}

/// An element cut out of its document.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CapturedElement {
    /// The element verbatim, with the declarations and `xml:lang` it had from its ancestors (RFC 4918 section 4.3).
    pub xml: String,
    /// Its text.
    pub text: String,
}

/// A document being read.
pub struct XmlDocument<'a> {
    source: &'a XmlText<'a>,
    text: &'a str,
    reader: Reader<&'a [u8]>,
    scope: Scope<'a>,
    /// `xml:lang` attributes in force: depth and quoted value as written.
    langs: Vec<(usize, &'a str)>,
    depth: usize,
    rooted: bool,
    /// The last piece was an empty element, whose end comes next.
    closing: bool,
    opened: OpenElement,
}

/// Where the element opened last began.
#[derive(Clone, Copy, Default)]
struct OpenElement {
    start: usize,
    name_end: usize,
    /// Bindings in scope outside of it.
    outer: usize,
}

impl<'a> XmlDocument<'a> {
    /// Begins to read a body.
    pub fn new(source: &'a XmlText<'a>) -> Result<Self> {
        let text = source.text();
        if !text.chars().all(is_xml_char) {
            return Err(MALFORMED);
        }
        let mut reader = Reader::from_reader(text.as_bytes());
        reader.config_mut().check_comments = true;
        Ok(Self {
            source,
            text,
            reader,
            scope: Scope::default(),
            langs: Vec::new(),
            depth: 0,
            rooted: false,
            closing: false,
            opened: OpenElement::default(),
        })
    }

    /// The next piece; `None` after the whole document.
    pub fn next_piece(&mut self) -> Result<Option<XmlEvent<'a>>> {
        if std::mem::take(&mut self.closing) {
            return Ok(Some(self.leave()));
        }
        loop {
            let start = self.position();
            let event = self.reader.read_event().map_err(|_| MALFORMED)?;
            let raw = self.text.get(start..self.position()).ok_or(MALFORMED)?;
            return Ok(Some(match event {
                Event::Start(_) => self.enter(start, cut(raw, "<", ">")?)?,
                Event::Empty(_) => {
                    self.closing = true;
                    self.enter(start, cut(raw, "<", "/>")?)?
                }
                Event::End(_) => self.leave(),
                Event::Text(_) if raw.contains("]]>") => return Err(MALFORMED),
                Event::Text(_) if self.depth == 0 && is_blank(raw) => continue,
                Event::Text(_) => self.inside(Cow::Borrowed(raw))?,
                Event::CData(_) => self.inside(Cow::Borrowed(cut(raw, "<![CDATA[", "]]>")?))?,
                Event::GeneralRef(_) => self.inside(resolve(raw)?)?,
                Event::Comment(_) => continue,
                Event::PI(_) => {
                    check_instruction(raw)?;
                    continue;
                }
                Event::Decl(_) if start == 0 => {
                    check_declaration(raw, self.source)?;
                    continue;
                }
                Event::DocType(_) => {
                    return Err(Error::BadRequest(
                        "A document type declaration is not allowed.",
                    ));
                }
                Event::Eof if self.depth == 0 && self.rooted => return Ok(None),
                Event::Decl(_) | Event::Eof => return Err(MALFORMED),
            }));
        }
    }

    /// The root element's name.
    pub fn root(&mut self) -> Result<XmlName> {
        match self.next_piece()? {
            Some(XmlEvent::Open(name)) => Ok(name),
            _ => Err(MALFORMED),
        }
    }

    /// The name of the next child of the open element; `None` once that has ended. Text is passed over.
    pub fn child(&mut self) -> Result<Option<XmlName>> {
        loop {
            match self.next_piece()? {
                Some(XmlEvent::Open(name)) => return Ok(Some(name)),
                Some(XmlEvent::Text(_)) => {}
                Some(XmlEvent::Close) => return Ok(None),
                None => return Err(MALFORMED),
            }
        }
    }

    /// Passes over the rest of the element opened last.
    pub fn skip(&mut self) -> Result<()> {
        self.drain().map(drop)
    }

    /// Reads on to the end of the document, whose root has ended.
    pub fn finish(&mut self) -> Result<()> {
        match self.next_piece()? {
            None => Ok(()),
            Some(_) => Err(MALFORMED),
        }
    }

    /// Cuts out the element opened last, whose content has not been read yet.
    pub fn capture(&mut self) -> Result<CapturedElement> {
        let OpenElement {
            start,
            name_end,
            outer,
        } = self.opened;
        let lang = self
            .langs
            .last()
            .filter(|(depth, _)| *depth < self.depth)
            .map(|(_, value)| *value);
        self.scope.keep_uses(true);
        let text = self.drain();
        self.scope.keep_uses(false);
        let text = text?;
        let head = self.text.get(start..name_end);
        let tail = self.text.get(name_end..self.position());
        let (head, tail) = head.zip(tail).ok_or(MALFORMED)?;
        let mut xml = String::with_capacity(head.len() + tail.len() + 64);
        xml.push_str(head);
        for binding in self.scope.borrowed(outer) {
            declare(&mut xml, binding);
        }
        if let Some(value) = lang {
            xml.push_str(" xml:lang=");
            xml.push_str(value);
        }
        xml.push_str(tail);
        Ok(CapturedElement { xml, text })
    }

    /// Reads to the end of the element opened last; returns all text in it.
    fn drain(&mut self) -> Result<String> {
        let floor = self.depth;
        let mut text = String::new();
        while self.depth >= floor {
            match self.next_piece()? {
                Some(XmlEvent::Text(more)) => text.push_str(&more),
                Some(_) => {}
                None => return Err(MALFORMED),
            }
        }
        Ok(text)
    }

    fn position(&self) -> usize {
        usize::try_from(self.reader.buffer_position()).unwrap_or(usize::MAX)
    }

    fn inside(&self, text: Cow<'a, str>) -> Result<XmlEvent<'a>> {
        if self.depth == 0 {
            Err(MALFORMED)
        } else {
            Ok(XmlEvent::Text(text))
        }
    }

    fn enter(&mut self, start: usize, tag: &'a str) -> Result<XmlEvent<'a>> {
        if self.depth == 0 && std::mem::replace(&mut self.rooted, true) {
            return Err(MALFORMED);
        }
        self.depth += 1;
        if self.depth > MAX_DEPTH {
            return Err(Error::BadRequest("The XML has more than 64 levels."));
        }
        let name_len = tag.find([' ', '\t', '\r', '\n']).unwrap_or(tag.len());
        let (name, rest) = tag.split_at_checked(name_len).ok_or(MALFORMED)?;
        self.opened = OpenElement {
            start,
            name_end: start + 1 + name_len,
            outer: self.scope.count(),
        };
        let attributes = split_attributes(rest)?;
        self.langs.extend(
            attributes
                .iter()
                .filter(|a| a.name == "xml:lang")
                .map(|a| (self.depth, a.quoted)),
        );
        let (ns, local) = self.scope.enter(self.depth, name, &attributes)?;
        Ok(XmlEvent::Open(XmlName {
            ns,
            local: local.to_owned(),
        }))
    }

    fn leave(&mut self) -> XmlEvent<'a> {
        self.scope.leave(self.depth);
        while self
            .langs
            .last()
            .is_some_and(|(depth, _)| *depth >= self.depth)
        {
            self.langs.pop();
        }
        self.depth = self.depth.saturating_sub(1);
        XmlEvent::Close
    }
}

/// Writes a namespace declaration.
fn declare(xml: &mut String, binding: &Binding<'_>) {
    xml.push_str(" xmlns");
    if !binding.prefix.is_empty() {
        xml.push(':');
        xml.push_str(binding.prefix);
    }
    xml.push_str("=\"");
    xml.push_str(&quick_xml::escape::escape(binding.ns.as_ref()));
    xml.push('"');
}

/// What stands between `head` and `tail`.
fn cut<'a>(raw: &'a str, head: &str, tail: &str) -> Result<&'a str> {
    raw.strip_prefix(head)
        .and_then(|rest| rest.strip_suffix(tail))
        .ok_or(MALFORMED)
}

fn is_blank(text: &str) -> bool {
    text.bytes()
        .all(|b| matches!(b, b' ' | b'\t' | b'\r' | b'\n'))
}

fn check_instruction(raw: &str) -> Result<()> {
    let inner = cut(raw, "<?", "?>")?;
    let target = inner
        .split([' ', '\t', '\r', '\n'])
        .next()
        .unwrap_or_default();
    if is_name(target) && !target.eq_ignore_ascii_case("xml") {
        Ok(())
    } else {
        Err(MALFORMED)
    }
}

/// The XML declaration: version 1.x, and no encoding but the one that the body has.
fn check_declaration(raw: &str, source: &XmlText<'_>) -> Result<()> {
    let attributes = split_attributes(cut(raw, "<?xml", "?>")?.trim_end())?;
    let mut versioned = false;
    for attribute in &attributes {
        match attribute.name {
            "version" => versioned = attribute.value.starts_with("1."),
            "encoding" => source.check_encoding(attribute.value)?,
            "standalone" => {}
            _ => return Err(MALFORMED),
        }
    }
    if versioned { Ok(()) } else { Err(MALFORMED) }
}
