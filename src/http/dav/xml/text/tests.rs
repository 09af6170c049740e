//! Encodings of request XML: all that are read, and all that are refused.

use super::*;
use crate::http::dav::requests::{PropfindKind, parse_propfind};
use proptest::prelude::*;

fn find(declared: &str, name: &str) -> String {
    let declaration = if declared.is_empty() {
        String::new()
    } else {
        format!("<?xml version='1.0' encoding='{declared}'?>")
    };
    format!("{declaration}<propfind xmlns='DAV:'><prop><{name} xmlns='u'/></prop></propfind>")
}

fn utf16(text: &str, unit: fn(u16) -> [u8; 2]) -> Vec<u8> {
    ["\u{feff}", text]
        .concat()
        .encode_utf16()
        .flat_map(unit)
        .collect()
}

fn asked(body: &[u8]) -> Result<String> {
    match parse_propfind(body)? {
        PropfindKind::Named(names) => Ok(names.into_iter().map(|name| name.local).collect()),
        other => panic!("{other:?}"),
    }
}

#[test]
fn every_encoding_says_the_same() {
    for declared in ["", "UTF-16", "utf-16le"] {
        assert_eq!(
            asked(&utf16(&find(declared, "größe\u{20000}"), u16::to_le_bytes)).unwrap(),
            "größe\u{20000}"
        );
    }
    for declared in ["", "utf-16", "UTF-16BE"] {
        assert_eq!(
            asked(&utf16(&find(declared, "größe"), u16::to_be_bytes)).unwrap(),
            "größe"
        );
    }
    assert_eq!(asked(find("UTF-8", "größe").as_bytes()).unwrap(), "größe");
    assert_eq!(
        asked(["\u{feff}", &find("utf-8", "a")].concat().as_bytes()).unwrap(),
        "a"
    );
    for declared in ["ISO-8859-1", "windows-1252"] {
        assert_eq!(asked(find(declared, "a").as_bytes()).unwrap(), "a");
        let latin: Vec<u8> = find(declared, "gr@@e")
            .bytes()
            .map(|b| if b == b'@' { 0xf6 } else { b })
            .collect();
        assert_eq!(asked(&latin).unwrap(), "grööe");
    }
}

#[test]
fn what_is_in_another_encoding_than_it_says_is_refused() {
    let le = |text: &str| utf16(text, u16::to_le_bytes);
    let be = |text: &str| utf16(text, u16::to_be_bytes);
    let plain = find("", "a");
    let mut cases = vec![
        find("UTF-16", "a").into_bytes(),
        le(&find("utf-8", "a")),
        le(&find("utf-16be", "a")),
        be(&find("utf-16le", "a")),
        le(&find("ISO-8859-1", "a")),
        ["\u{feff}", &find("ISO-8859-1", "a")].concat().into_bytes(),
        find("utf-7", "a").into_bytes(),
        find("utf-32", "a").into_bytes(),
        // No byte-order mark, two of them, one of the other order, of UTF-32.
        le(&find("UTF-16", "a")).split_off(2),
        be(&plain).split_off(2),
        le(&["\u{feff}", &plain].concat()),
        [&[0xfe, 0xff], &le(&plain)[..]].concat(),
        [&[0xff, 0xfe, 0, 0], &le(&plain)[2..]].concat(),
        vec![0xff, 0xfe],
        vec![0xef, 0xbb, 0xbf],
    ];
    let whole = le(&plain);
    cases.push(whole[..whole.len() - 1].to_vec());
    for lone in [[0x00, 0xd8], [0x00, 0xdc]] {
        let at = (whole.len() / 2) & !1;
        cases.push([&whole[..at], &lone, &whole[at..]].concat());
    }
    cases.push(
        find("ISO-8859-1", "a@")
            .bytes()
            .map(|b| if b == b'@' { 0x81 } else { b })
            .collect(),
    );
    for body in cases {
        assert!(
            matches!(asked(&body), Err(Error::BadRequest(_))),
            "{}",
            String::from_utf8_lossy(&body)
        );
    }
}

#[test]
fn no_encoding_hides_a_document_type() {
    let bomb = "<!DOCTYPE p [<!ENTITY a \"x\"><!ENTITY b \"&a;&a;\">]><propfind xmlns='DAV:'><prop><b>&b;</b></prop></propfind>";
    let latin = format!("<?xml version='1.0' encoding='ISO-8859-1'?>{bomb}");
    for body in [
        utf16(bomb, u16::to_le_bytes),
        utf16(bomb, u16::to_be_bytes),
        latin.into_bytes(),
        bomb.into(),
    ] {
        let refused = asked(&body);
        assert!(
            matches!(refused, Err(Error::BadRequest(text)) if text.contains("document type")),
            "{refused:?}"
        );
    }
}

#[test]
fn the_limit_counts_decoded_bytes() {
    let long = |letter: &str, count| find("", "a") + "<!--" + &letter.repeat(count) + "-->";
    assert!(
        asked(&utf16(&long("x", 60_000), u16::to_le_bytes)).is_ok(),
        "120 KB of UTF-16 are 60 KB of text"
    );
    assert!(matches!(
        asked(&utf16(&long("x", 66_000), u16::to_le_bytes)),
        Err(Error::TooLarge)
    ));
    assert!(matches!(
        asked(&utf16(&long("€", 25_000), u16::to_be_bytes)),
        Err(Error::TooLarge)
    ));
    let latin: Vec<u8> = [
        find("ISO-8859-1", "a").as_bytes(),
        b"<!--",
        &vec![0x80; 25_000],
        b"-->",
    ]
    .concat();
    assert!(matches!(asked(&latin), Err(Error::TooLarge)));
}

proptest! {
    #[test]
    fn no_bytes_make_it_panic(bytes: Vec<u8>, mark in 0..4_usize) {
        let marks: [&[u8]; 4] = [b"", b"\xff\xfe", b"\xfe\xff", b"<?xml version='1.0' encoding='ISO-8859-1'?>"];
        let body = [marks[mark], &bytes].concat();
        let _ = parse_propfind(&body);
    }

    #[test]
    fn text_comes_back(text in "\\PC{0,40}") {
        for unit in [u16::to_le_bytes, u16::to_be_bytes] {
            let bytes = utf16(&text, unit);
            let decoded = XmlText::decode(&bytes).unwrap();
            prop_assert_eq!(decoded.text(), text.as_str());
        }
    }
}
