//! Bodies of PROPFIND and PROPPATCH as clients send them, malformed ones, limits.

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
    let prop =
        |inner: &str| format!("<D:propfind xmlns:D=\"DAV:\"><D:prop>{inner}</D:prop></D:propfind>");
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
