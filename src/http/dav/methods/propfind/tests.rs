//! Bodies of PROPFIND: whole or streamed, cut off when the listing fails.

use super::*;
use crate::http::dav::xml::XmlName;
use crate::model::{Error, time::from_unix_seconds};
use crate::storage::Etag;
use async_trait::async_trait;
use http_body::Body as _;
use http_body_util::BodyExt;
use std::time::Duration;

/// So many entries in pages of 100, and then an error if wanted.
struct Numbers {
    next: usize,
    end: usize,
    broken: bool,
}

#[async_trait]
impl Listing for Numbers {
    async fn next_page(&mut self) -> Result<Vec<DirEntry>> {
        let first = self.next;
        self.next = self.end.min(first + 100);
        if first == self.end && self.broken {
            return Err(Error::NotFound);
        }
        let modified = from_unix_seconds(1);
        let node = Node {
            folder: false,
            len: 1,
            modified,
            created: modified,
            etag: Etag([1; 4]),
        };
        Ok((first..self.next)
            .map(|n| DirEntry {
                name: format!("n {n}"),
                node: node.clone(),
                props: vec![],
            })
            .collect())
    }
}

fn pages(end: usize, broken: bool) -> PropfindBody {
    PropfindBody {
        base: b"/dav/x/".to_vec(),
        account: "ann".into(),
        prefix: "/dav".into(),
        locks: None,
        page_locks: Vec::new().into_iter(),
        writer: MultistatusWriter::new(PropfindPlan::new(PropfindKind::All(vec![]), false, "")),
        listing: Some(Box::new(Numbers {
            next: 0,
            end,
            broken,
        })),
        page: Vec::new().into_iter(),
        out: HEAD.to_vec(),
        done: false,
    }
}

#[tokio::test]
async fn small_listings_are_one_piece_with_a_length() {
    let body = pages(3, false).into_body().await.unwrap();
    assert!(body.size_hint().exact().is_some_and(|len| len > 1000));
    let text = String::from_utf8(body.collect().await.unwrap().to_bytes().to_vec()).unwrap();
    assert_eq!(text.matches("<D:response>").count(), 3);
    assert!(text.ends_with("</D:response></D:multistatus>"));
}

#[tokio::test]
async fn large_listings_come_in_frames_with_every_entry_once() {
    let mut body = pages(5_000, false).into_body().await.unwrap();
    assert_eq!(body.size_hint().exact(), None);
    let mut text = Vec::new();
    let mut frames = Vec::new();
    while let Some(frame) = body.frame().await {
        let data = frame.unwrap().into_data().unwrap();
        frames.push(data.len());
        text.extend_from_slice(&data);
    }
    assert!(frames.len() > 20);
    assert!(
        frames[..frames.len() - 1]
            .iter()
            .all(|len| (FRAME..ROOM).contains(len)),
        "{frames:?}"
    );
    let text = String::from_utf8(text).unwrap();
    assert!(text.starts_with("<?xml") && text.ends_with("</D:multistatus>"));
    let hrefs: Vec<&str> = text
        .split("<D:href>")
        .skip(1)
        .filter_map(|rest| rest.split('<').next())
        .collect();
    let expected: Vec<String> = (0..5_000).map(|n| format!("/dav/x/n%20{n}")).collect();
    assert!(
        hrefs == expected,
        "every entry once, in the order of the listing"
    );
}

#[tokio::test]
async fn a_listing_that_fails_has_no_end() {
    assert!(matches!(
        pages(3, true).into_body().await,
        Err(Error::NotFound)
    ));
    let body = pages(5_000, true).into_body().await.unwrap();
    assert!(body.collect().await.is_err());
}

#[tokio::test]
async fn locks_are_asked_for_by_name() {
    let mut pages = pages(2, false);
    pages.writer = MultistatusWriter::new(PropfindPlan::new(
        PropfindKind::Named(vec![XmlName {
            ns: "DAV:".into(),
            local: "lockdiscovery".into(),
        }]),
        false,
        "",
    ));
    let locks_on = |name: &String| {
        let lock = LockView {
            token: Some("urn:uuid:7".into()),
            root: VPath::parse(&format!("x/{name}")).unwrap(),
            root_is_folder: false,
            owner: String::new(),
            shared: false,
            deep: false,
            remaining: Duration::from_secs(9),
        };
        if name == "n 1" { vec![lock] } else { vec![] }
    };
    pages.locks = Some(Box::new(move |names| {
        let locks = names.iter().map(locks_on).collect();
        async { Ok(locks) }.boxed()
    }));
    let text = pages
        .into_body()
        .await
        .unwrap()
        .collect()
        .await
        .unwrap()
        .to_bytes();
    let text = String::from_utf8(text.to_vec()).unwrap();
    assert!(
        text.contains(
            "/dav/x/n%200</D:href><D:propstat><D:prop><D:lockdiscovery></D:lockdiscovery>"
        )
    );
    assert!(text.contains(
        "<D:href>urn:uuid:7</D:href></D:locktoken><D:lockroot><D:href>/dav/x/n%201</D:href>"
    ));
}
