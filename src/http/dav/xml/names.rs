//! Names, attributes and namespace scopes of XML 1.0, as strict as the specifications are.

use crate::model::{Error, Result};
use std::borrow::Cow;

/// The namespace of `xml:lang`.
const XML_NS: &str = "http://www.w3.org/XML/1998/namespace";
const XMLNS_NS: &str = "http://www.w3.org/2000/xmlns/";
const MAX_ATTRIBUTES: usize = 64;
const MAX_BINDINGS: usize = 256;

/// What is said of everything that is not XML.
pub(super) const MALFORMED: Error =
    Error::BadRequest("The request body is not well-formed XML with namespaces.");

/// An attribute as it is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Attribute<'a> {
    /// The name with its prefix.
    pub name: &'a str,
    /// The value, references unresolved.
    pub value: &'a str,
    /// The value in its quotes.
    pub quoted: &'a str,
}

/// A prefix (empty for the default) bound to a namespace (empty for none).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Binding<'a> {
    /// The prefix.
    pub prefix: &'a str,
    /// The namespace.
    pub ns: Cow<'a, str>,
    depth: usize,
}

/// The namespaces in scope.
#[derive(Debug, Default)]
pub struct Scope<'a> {
    bindings: Vec<Binding<'a>>,
    /// Bindings used by the last element, or by all since `keep_uses(true)`.
    used: Vec<usize>,
    borrowed: Vec<Binding<'a>>,
    keep: bool,
}

impl<'a> Scope<'a> {
    /// How many bindings are in scope.
    pub fn count(&self) -> usize {
        self.bindings.len()
    }

    /// Begins or ends to remember uses of more than the last element.
    pub fn keep_uses(&mut self, keep: bool) {
        self.keep = keep;
        if keep {
            self.borrowed = self.bindings.clone();
        }
    }

    /// The bindings used since `keep_uses(true)` that are among the first `outer`.
    pub fn borrowed(&self, outer: usize) -> impl Iterator<Item = &Binding<'a>> {
        let mut used: Vec<usize> = self
            .used
            .iter()
            .copied()
            .filter(|&index| index < outer)
            .collect();
        used.sort_unstable();
        used.dedup();
        used.into_iter()
            .filter_map(|index| self.borrowed.get(index))
            .filter(|b| !b.ns.is_empty() || !b.prefix.is_empty())
    }

    /// Enters an element: binds what it declares and expands its name.
    pub fn enter(
        &mut self,
        depth: usize,
        name: &'a str,
        attributes: &[Attribute<'a>],
    ) -> Result<(String, &'a str)> {
        if !self.keep {
            self.used.clear();
        }
        for attribute in attributes {
            match split_name(attribute.name)? {
                ("", "xmlns") => self.bind(depth, "", attribute.value)?,
                ("xmlns", prefix) => self.bind(depth, prefix, attribute.value)?,
                _ => {}
            }
        }
        let mut expanded: Vec<(String, &str)> = Vec::new();
        for attribute in attributes {
            let (prefix, local) = split_name(attribute.name)?;
            if prefix.is_empty() || prefix == "xmlns" {
                continue;
            }
            let pair = (self.expand(prefix)?, local);
            if expanded.contains(&pair) {
                return Err(MALFORMED);
            }
            expanded.push(pair);
        }
        let (prefix, local) = split_name(name)?;
        if matches!(prefix, "xml" | "xmlns") {
            return Err(MALFORMED);
        }
        Ok((self.expand(prefix)?, local))
    }

    /// Leaves the element at `depth`.
    pub fn leave(&mut self, depth: usize) {
        while self.bindings.last().is_some_and(|b| b.depth >= depth) {
            self.bindings.pop();
        }
    }

    fn bind(&mut self, depth: usize, prefix: &'a str, value: &'a str) -> Result<()> {
        let ns = resolve(value)?;
        if (prefix == "xml") != (ns == XML_NS) || prefix == "xmlns" || ns == XMLNS_NS {
            return Err(MALFORMED);
        }
        // Written into an answer, white space would come back as something else (XML 1.0 section 3.3.3).
        if ns.contains([' ', '\t', '\r', '\n']) {
            return Err(Error::BadRequest("A namespace cannot contain white space."));
        }
        if ns.is_empty() && !prefix.is_empty() {
            return Err(Error::BadRequest(
                "A namespace prefix cannot be bound to nothing.",
            ));
        }
        if self.bindings.len() >= MAX_BINDINGS {
            return Err(Error::BadRequest(
                "The XML declares more than 256 namespaces.",
            ));
        }
        self.bindings.push(Binding { prefix, ns, depth });
        Ok(())
    }

    fn expand(&mut self, prefix: &str) -> Result<String> {
        if prefix == "xml" {
            return Ok(XML_NS.to_owned());
        }
        match self.bindings.iter().rposition(|b| b.prefix == prefix) {
            Some(index) => {
                if !self.used.contains(&index) {
                    self.used.push(index);
                }
                Ok(self
                    .bindings
                    .get(index)
                    .map(|b| b.ns.clone().into_owned())
                    .unwrap_or_default())
            }
            None if prefix.is_empty() => Ok(String::new()),
            None => Err(Error::BadRequest(
                "The XML uses a namespace prefix that it does not declare.",
            )),
        }
    }
}

/// Splits a qualified name into prefix (maybe empty) and local name.
fn split_name(name: &str) -> Result<(&str, &str)> {
    let (prefix, local) = name.split_once(':').unwrap_or(("", name));
    if (prefix.is_empty() && local.len() != name.len())
        || !is_name(local)
        || !(prefix.is_empty() || is_name(prefix))
    {
        return Err(MALFORMED);
    }
    Ok((prefix, local))
}

/// Reads what follows the name in a start tag.
pub fn split_attributes(mut rest: &str) -> Result<Vec<Attribute<'_>>> {
    const BLANK: [char; 4] = [' ', '\t', '\r', '\n'];
    let mut found: Vec<Attribute<'_>> = Vec::new();
    loop {
        let next = rest.trim_start_matches(BLANK);
        if next.is_empty() {
            return Ok(found);
        }
        if next.len() == rest.len() || found.len() >= MAX_ATTRIBUTES {
            return Err(MALFORMED);
        }
        let (name, after) = next.split_once('=').ok_or(MALFORMED)?;
        let name = name.trim_end_matches(BLANK);
        let after = after.trim_start_matches(BLANK);
        let quote = after
            .chars()
            .next()
            .filter(|c| matches!(c, '"' | '\''))
            .ok_or(MALFORMED)?;
        let inner = after.get(1..).ok_or(MALFORMED)?;
        let (value, tail) = inner.split_once(quote).ok_or(MALFORMED)?;
        let quoted = after.get(..value.len() + 2).ok_or(MALFORMED)?;
        if value.contains('<') || found.iter().any(|a| a.name == name) {
            return Err(MALFORMED);
        }
        split_name(name)?;
        resolve(value)?;
        found.push(Attribute {
            name,
            value,
            quoted,
        });
        rest = tail;
    }
}

/// Resolves the references in raw text: the five entities of XML and characters that XML knows.
pub(super) fn resolve(raw: &str) -> Result<Cow<'_, str>> {
    let text = quick_xml::escape::unescape(raw).map_err(|_| MALFORMED)?;
    if text.chars().all(is_xml_char) {
        Ok(text)
    } else {
        Err(MALFORMED)
    }
}

/// Whether XML 1.0 allows a character at all.
pub fn is_xml_char(c: char) -> bool {
    matches!(c, '\t' | '\n' | '\r' | ' '..='\u{d7ff}' | '\u{e000}'..='\u{fffd}' | '\u{10000}'..)
}

/// Whether this is a name without a colon (Namespaces in XML, `NCName`).
pub fn is_name(text: &str) -> bool {
    let mut chars = text.chars();
    chars.next().is_some_and(begins_name) && chars.all(|c| begins_name(c) || continues_name(c))
}

fn begins_name(c: char) -> bool {
    matches!(c,
        'A'..='Z' | '_' | 'a'..='z' | '\u{c0}'..='\u{d6}' | '\u{d8}'..='\u{f6}' | '\u{f8}'..='\u{2ff}'
        | '\u{370}'..='\u{37d}' | '\u{37f}'..='\u{1fff}' | '\u{200c}'..='\u{200d}' | '\u{2070}'..='\u{218f}'
        | '\u{2c00}'..='\u{2fef}' | '\u{3001}'..='\u{d7ff}' | '\u{f900}'..='\u{fdcf}' | '\u{fdf0}'..='\u{fffd}'
        | '\u{10000}'..='\u{effff}')
}

fn continues_name(c: char) -> bool {
    matches!(c, '-' | '.' | '0'..='9' | '\u{b7}' | '\u{300}'..='\u{36f}' | '\u{203f}'..='\u{2040}')
}
