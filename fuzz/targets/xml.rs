//! Request bodies in XML: what is kept of them for others is well-formed on its own, also to another parser, and reads back the same.

#![no_main]

use libfuzzer_sys::fuzz_target;
use sarang::http::dav::lock_xml::{MAX_OWNER, parse_lockinfo};
use sarang::http::dav::requests::{
    Instruction, PropfindKind, parse_propertyupdate, parse_propfind,
};
use sarang::http::dav::xml::{CapturedElement, XmlName};

/// Around a fragment, so that mutations need not keep a whole request intact.
const FRAME: (&str, &str) = (
    "<D:propertyupdate xmlns:D='DAV:' xmlns:x='urn:x&amp;y' xmlns='urn:d'><D:set><D:prop xml:lang='de'>",
    "</D:prop></D:set></D:propertyupdate>",
);

fuzz_target!(|body: &[u8]| {
    if let Ok(PropfindKind::Named(names) | PropfindKind::All(names)) = parse_propfind(body) {
        assert!(names.len() <= 256 && names.iter().all(|name| !name.local.is_empty()));
    }
    check_lock(body);
    check_update(body);
    check_update(&[FRAME.0.as_bytes(), body, FRAME.1.as_bytes()].concat());
});

fn check_update(body: &[u8]) {
    let Ok(steps) = parse_propertyupdate(body) else {
        return;
    };
    assert!(!steps.is_empty() && steps.len() <= 256);
    for step in &steps {
        if let Instruction::Set(name, captured) = step {
            check_property(name, captured);
        }
    }
}

fn check_lock(body: &[u8]) {
    let Ok(info) = parse_lockinfo(body) else {
        return;
    };
    assert!(info.owner.len() <= MAX_OWNER);
    let scope = if info.shared { "shared" } else { "exclusive" };
    let alone = format!(
        "<L:lockinfo xmlns:L='DAV:'><L:lockscope><L:{scope}/></L:lockscope><L:locktype><L:write/></L:locktype>{}</L:lockinfo>",
        info.owner
    );
    assert_eq!(
        parse_lockinfo(alone.as_bytes()).expect("an owner kept is well-formed"),
        info
    );
    roxmltree::Document::parse(&alone).unwrap_or_else(|error| panic!("{error}: {alone}"));
}

fn check_property(name: &XmlName, captured: &CapturedElement) {
    let (head, tail) = (
        "<D:propertyupdate xmlns:D='DAV:'><D:set><D:prop>",
        "</D:prop></D:set></D:propertyupdate>",
    );
    let alone = [head, &captured.xml, tail].concat();
    if alone.len() <= 64 * 1024 {
        let again = parse_propertyupdate(alone.as_bytes()).expect("a property kept is well-formed");
        assert_eq!(again, [Instruction::Set(name.clone(), captured.clone())]);
    }
    let document =
        roxmltree::Document::parse(&alone).unwrap_or_else(|error| panic!("{error}: {alone}"));
    let element = document
        .root_element()
        .first_element_child()
        .and_then(|set| set.first_element_child())
        .unwrap()
        .first_element_child();
    let element = element.expect("the property");
    assert_eq!(element.tag_name().name(), name.local);
    assert_eq!(
        words(element.tag_name().namespace().unwrap_or_default()),
        words(&name.ns)
    );
}

/// A namespace without its white space, which our reader does not normalize (XML 1.0 section 3.3.3).
fn words(ns: &str) -> Vec<&str> {
    ns.split_ascii_whitespace().collect()
}
