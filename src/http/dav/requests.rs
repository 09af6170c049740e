//! What PROPFIND and PROPPATCH bodies ask for (RFC 4918 sections 14.19, 14.20).

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
    let (mut find, mut include) = (None, Vec::new());
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
    let (mut names, mut budget) = (Vec::new(), PropertyLimits::default());
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
    let (mut steps, mut budget) = (Vec::new(), PropertyLimits::default());
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
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn name(ns: &str, local: &str) -> XmlName {
        XmlName {
            ns: ns.into(),
            local: local.into(),
        }
    }

    fn refused(body: &str) -> bool {
        matches!(parse_propfind(body.as_bytes()), Err(Error::BadRequest(_)))
    }

    fn set_one(body: &str) -> CapturedElement {
        let steps = parse_propertyupdate(body.as_bytes()).unwrap();
        let [Instruction::Set(_, captured)] = steps.as_slice() else {
            panic!("{steps:?}")
        };
        captured.clone()
    }

    #[test]
    fn propfinds_of_clients_are_understood() {
        for empty in ["", "  \r\n"] {
            assert_eq!(
                parse_propfind(empty.as_bytes()).unwrap(),
                PropfindKind::All(vec![])
            );
        }
        let finder = "\u{feff}<?xml version=\"1.0\" encoding=\"utf-8\"?>\n<D:propfind xmlns:D=\"DAV:\">\n<D:prop>\n\
            <D:getlastmodified/><x xmlns=\"urn:&amp;\"></x>\n<y/></D:prop>\n</D:propfind>\n";
        let expected = vec![
            name("DAV:", "getlastmodified"),
            name("urn:&", "x"),
            name("", "y"),
        ];
        assert_eq!(
            parse_propfind(finder.as_bytes()).unwrap(),
            PropfindKind::Named(expected)
        );
        let include = "<propfind xmlns='DAV:'><allprop/><include><a/></include></propfind>";
        assert_eq!(
            parse_propfind(include.as_bytes()).unwrap(),
            PropfindKind::All(vec![name("DAV:", "a")])
        );
        let names =
            "<?xml version='1.0'?><!-- c --><p:propfind xmlns:p='DAV:'><p:propname/></p:propfind>";
        assert_eq!(
            parse_propfind(names.as_bytes()).unwrap(),
            PropfindKind::Names
        );
        let extended = "<D:propfind xmlns:D=\"DAV:\"><foobar/><D:allprop/></D:propfind>";
        assert_eq!(
            parse_propfind(extended.as_bytes()).unwrap(),
            PropfindKind::All(vec![])
        );
    }

    #[test]
    fn bad_xml_is_refused() {
        let prop = |inner: &str| {
            format!("<D:propfind xmlns:D=\"DAV:\"><D:prop>{inner}</D:prop></D:propfind>")
        };
        assert!(parse_propfind(prop("<a/>").as_bytes()).is_ok());
        for inner in [
            "<bar:foo xmlns:bar=\"\"/>",
            "<u:x/>",
            "<a>",
            "<a></b>",
            "</a>",
            "<a b/>",
            "<a b=c/>",
            "<a b='1' b='2'/>",
            "<a b='1'c='2'/>",
            "<a b='<'/>",
            "<a b='&x;'/>",
            "<a>&undefined;</a>",
            "<a>& </a>",
            "<a>&#0;</a>",
            "<a>\u{1}</a>",
            "<a>]]></a>",
            "<a\"b/>",
            "<1/>",
            "<a:b:c/>",
            "<:a/>",
            "<a:/>",
            "<xmlns:a/>",
            "<a xmlns:xmlns='x'/>",
            "<a xmlns:p='u' xmlns:q='u' p:z='' q:z=''/>",
            "<a><!-- -- --></a>",
            "<a><?xml version='1.0'?></a>",
            "<a xmlns:xml='u'/>",
            "<a>&#xFFFF;</a>",
            "<a / >",
            "<a xmlns:p='http://www.w3.org/XML/1998/namespace'/>",
            "<a xmlns='u\nv'/>",
            "<a xmlns:p='u v'/>",
            "<a xmlns='u&#10;'/>",
            "<a xmlns='&#x9;u'/>",
        ] {
            assert!(refused(&prop(inner)), "{inner}");
        }
        for body in [
            "<foo>",
            "<propfind xmlns='DAV:'/>",
            "<D:propfind xmlns:D='DAV:'><D:prop/><D:allprop/></D:propfind>",
            "x",
            "<!-- -->",
            "<propfind><allprop/></propfind>",
            "<!DOCTYPE a><propfind xmlns='DAV:'><allprop/></propfind>",
            "<propfind xmlns='DAV:'><allprop/></propfind><x/>",
            "<propfind xmlns='DAV:'><allprop/></propfind>x",
            " <?xml version='1.0'?><propfind xmlns='DAV:'><allprop/></propfind>",
            "<?xml version='1.0' encoding='latin1'?><propfind xmlns='DAV:'><allprop/></propfind>",
        ] {
            assert!(refused(body), "{body}");
        }
        assert!(parse_propfind(b"\xff\xfe<").is_err());
    }

    #[test]
    fn limits_hold() {
        let nested = |n: usize| prop_body(&format!("{}{}", "<a>".repeat(n), "</a>".repeat(n)));
        assert!(parse_propfind(nested(62).as_bytes()).is_ok());
        assert!(refused(&nested(63)));
        assert!(parse_propfind(prop_body(&"<a/>".repeat(256)).as_bytes()).is_ok());
        assert!(refused(&prop_body(&"<a/>".repeat(257))));
        let long = format!(
            "<D:prop xmlns:n='{}'>{}</D:prop>",
            "n".repeat(60_000),
            "<n:a/>".repeat(3)
        );
        let find = format!("<D:propfind xmlns:D='DAV:'>{long}</D:propfind>");
        assert!(matches!(
            parse_propfind(find.as_bytes()),
            Err(Error::TooLarge)
        ));
        let update =
            format!("<D:propertyupdate xmlns:D='DAV:'><D:set>{long}</D:set></D:propertyupdate>");
        assert!(matches!(
            parse_propertyupdate(update.as_bytes()),
            Err(Error::TooLarge)
        ));
        let large = " ".repeat(70_000) + "<a/>";
        assert!(matches!(
            parse_propfind(large.as_bytes()),
            Err(Error::TooLarge)
        ));
    }

    fn prop_body(inner: &str) -> String {
        format!("<D:propfind xmlns:D=\"DAV:\"><D:prop>{inner}</D:prop></D:propfind>")
    }

    #[test]
    fn captured_elements_stand_alone() {
        let update = |inner: &str| {
            format!(
                "<D:propertyupdate xmlns:D='DAV:' xmlns:x='urn:x&amp;y' xmlns:un='u' xmlns='def'><D:set><D:prop xml:lang='de'>{inner}</D:prop></D:set></D:propertyupdate>"
            )
        };
        let cases = [
            (
                "<x:a>v</x:a>",
                "<x:a xmlns:x=\"urn:x&amp;y\" xml:lang='de'>v</x:a>",
            ),
            (
                "<x:a xmlns:x='own' xml:lang=\"en\"/>",
                "<x:a xmlns:x='own' xml:lang=\"en\"/>",
            ),
            (
                "<a><x:b D:c='1'/></a>",
                "<a xmlns:D=\"DAV:\" xmlns:x=\"urn:x&amp;y\" xmlns=\"def\" xml:lang='de'><x:b D:c='1'/></a>",
            ),
            (
                "<n xmlns=''> <i/>&#65536;<![CDATA[<]]></n >",
                "<n xml:lang='de' xmlns=''> <i/>&#65536;<![CDATA[<]]></n >",
            ),
            (
                "<p:a xmlns:p='q'><b xmlns='r'/><!-- c --></p:a>",
                "<p:a xml:lang='de' xmlns:p='q'><b xmlns='r'/><!-- c --></p:a>",
            ),
        ];
        for (inner, expected) in cases {
            let captured = set_one(&update(inner));
            assert_eq!(captured.xml, expected);
            let again = format!(
                "<D:propertyupdate xmlns:D='DAV:'><D:set><D:prop>{expected}</D:prop></D:set></D:propertyupdate>"
            );
            assert_eq!(set_one(&again).xml, expected, "stands alone");
        }
        assert_eq!(
            set_one(&update("<n>a<i>b</i>&amp;<![CDATA[<]]>&#65536;</n>")).text,
            "ab&<\u{10000}"
        );
    }

    #[test]
    fn steps_keep_their_order() {
        let body = b"<D:propertyupdate xmlns:D='DAV:'><D:remove><D:prop><a/><b/></D:prop></D:remove><D:set><D:prop><a>1</a></D:prop></D:set></D:propertyupdate>";
        let steps = parse_propertyupdate(body).unwrap();
        let shown: Vec<_> = steps
            .iter()
            .map(|s| (matches!(s, Instruction::Set(..)), s.name().local.as_str()))
            .collect();
        assert_eq!(shown, [(false, "a"), (false, "b"), (true, "a")]);
        for bad in [
            "",
            "<D:propertyupdate xmlns:D='DAV:'/>",
            "<D:propfind xmlns:D='DAV:'/>",
        ] {
            assert!(parse_propertyupdate(bad.as_bytes()).is_err(), "{bad}");
        }
    }

    proptest! {
        #[test]
        fn nothing_makes_the_reader_panic(body in "(<|>|/|a|D:|xmlns|:|=|'|\"| |&|;|#|x|<!--|-->|<!\\[CDATA\\[|\\]\\]>|<\\?|é|<a>|</a>|<b/>){0,40}") {
            let wrapped = format!("<D:propertyupdate xmlns:D='DAV:'><D:set><D:prop>{body}</D:prop></D:set></D:propertyupdate>");
            let _ = parse_propfind(body.as_bytes());
            if let Ok(steps) = parse_propertyupdate(wrapped.as_bytes()) {
                for step in steps {
                    if let Instruction::Set(name, captured) = step {
                        let alone = format!("<D:propertyupdate xmlns:D='DAV:'><D:set><D:prop>{}</D:prop></D:set></D:propertyupdate>", captured.xml);
                        let again = parse_propertyupdate(alone.as_bytes()).unwrap();
                        prop_assert_eq!(&again, &vec![Instruction::Set(name, captured)]);
                    }
                }
            }
        }
    }
}
