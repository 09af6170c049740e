//! Parses the bodies of PROPFIND and PROPPATCH (RFC 4918 sections 14.19, 14.20).

use super::xml::{CapturedElement, XmlDocument, XmlName, XmlText};
use crate::model::{Error, Result};

/// The most properties that one request may name.
pub const MAX_PROPERTIES: usize = 256;
/// The most bytes that they may have with their namespaces: a long namespace declared once is written for each of them.
const MAX_EXPANDED: usize = 128 * 1024;

/// What a PROPFIND asks for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum PropfindKind {
    /// These properties.
    Named(Vec<XmlName>),
    /// All that RFC 4918 defines, all dead ones, and these.
    All(Vec<XmlName>),
    /// The names of all.
    Names,
}

/// One step of a PROPPATCH.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Instruction {
    /// Sets a property to this element.
    Set(XmlName, CapturedElement),
    /// Removes a property.
    Remove(XmlName),
}

impl Instruction {
    /// The property.
    pub fn name(&self) -> &XmlName {
        match self {
            Self::Set(name, _) | Self::Remove(name) => name,
        }
    }
}

/// Reads the body of a PROPFIND; none means all properties.
pub fn parse_propfind(body: &[u8]) -> Result<PropfindKind> {
    if body.iter().all(u8::is_ascii_whitespace) {
        return Ok(PropfindKind::All(Vec::new()));
    }
    let text = XmlText::decode(body)?;
    let mut document = XmlDocument::new(&text)?;
    if !document.root()?.is_dav("propfind") {
        return Err(Error::BadRequest(
            "The body of a PROPFIND is a propfind element.",
        ));
    }
    let mut find = None;
    let mut include = Vec::new();
    while let Some(name) = document.child()? {
        let asked = if name.is_dav("prop") {
            PropfindKind::Named(names(&mut document)?)
        } else if name.is_dav("include") {
            include = names(&mut document)?;
            continue;
        } else {
            document.skip()?;
            match () {
                () if name.is_dav("allprop") => PropfindKind::All(Vec::new()),
                () if name.is_dav("propname") => PropfindKind::Names,
                () => continue,
            }
        };
        if find.replace(asked).is_some() {
            return Err(Error::BadRequest(
                "A propfind element has one of prop, allprop and propname.",
            ));
        }
    }
    document.finish()?;
    match find {
        Some(PropfindKind::All(_)) => Ok(PropfindKind::All(include)),
        Some(find) => Ok(find),
        None => Err(Error::BadRequest(
            "A propfind element has one of prop, allprop and propname.",
        )),
    }
}

/// The names of the children of the element opened last.
fn names(document: &mut XmlDocument<'_>) -> Result<Vec<XmlName>> {
    let mut names = Vec::new();
    let mut budget = PropertyLimits::default();
    while let Some(name) = document.child()? {
        budget.spend(name.ns.len() + name.local.len())?;
        document.skip()?;
        names.push(name);
    }
    Ok(names)
}

/// Reads the body of a PROPPATCH: its steps in order.
pub fn parse_propertyupdate(body: &[u8]) -> Result<Vec<Instruction>> {
    let text = XmlText::decode_properties(body)?;
    let mut document = XmlDocument::new(&text)?;
    if !document.root()?.is_dav("propertyupdate") {
        return Err(Error::BadRequest(
            "The body of a PROPPATCH is a propertyupdate element.",
        ));
    }
    let mut steps = Vec::new();
    let mut budget = PropertyLimits::default();
    while let Some(name) = document.child()? {
        if !name.is_dav("set") && !name.is_dav("remove") {
            document.skip()?;
            continue;
        }
        while let Some(holder) = document.child()? {
            if holder.is_dav("prop") {
                read_steps(&mut document, name.is_dav("set"), &mut budget, &mut steps)?;
            } else {
                document.skip()?;
            }
        }
    }
    document.finish()?;
    if steps.is_empty() {
        return Err(Error::BadRequest(
            "The propertyupdate element changes nothing.",
        ));
    }
    Ok(steps)
}

/// Reads the properties in one `set` or `remove`.
fn read_steps(
    document: &mut XmlDocument<'_>,
    set: bool,
    budget: &mut PropertyLimits,
    steps: &mut Vec<Instruction>,
) -> Result<()> {
    while let Some(name) = document.child()? {
        budget.spend(name.ns.len() + name.local.len())?;
        if set {
            let captured = document.capture()?;
            budget.bytes += captured.xml.len();
            steps.push(Instruction::Set(name, captured));
        } else {
            document.skip()?;
            steps.push(Instruction::Remove(name));
        }
    }
    Ok(())
}

/// What a request has used of its limits.
#[derive(Debug, Default)]
struct PropertyLimits {
    properties: usize,
    bytes: usize,
}

impl PropertyLimits {
    /// Counts one property of so many bytes.
    fn spend(&mut self, bytes: usize) -> Result<()> {
        self.properties += 1;
        self.bytes += bytes;
        if self.properties > MAX_PROPERTIES {
            return Err(Error::BadRequest(
                "The request names more than 256 properties.",
            ));
        }
        if self.bytes > MAX_EXPANDED {
            Err(Error::TooLarge)
        } else {
            Ok(())
        }
    }
}

#[cfg(test)]
mod tests;
