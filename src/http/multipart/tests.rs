//! Forms in pieces of every size, as browsers write them, and malformed ones.

use super::*;
use axum::body::Body;
use http::header::CONTENT_DISPOSITION;
use std::pin::pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

const KIND: &str = "multipart/form-data; boundary=x";

/// A form whose body comes in pieces; counts the bytes that were asked for.
fn form(kind: &str, body: Vec<u8>, size: usize) -> (Result<MultipartForm>, Arc<AtomicUsize>) {
    let read = Arc::new(AtomicUsize::new(0));
    let counted = read.clone();
    let pieces = stream::iter((0..body.len().div_ceil(size)).map(move |i| {
        let piece = Bytes::copy_from_slice(&body[i * size..body.len().min((i + 1) * size)]);
        counted.fetch_add(piece.len(), Ordering::Relaxed);
        Ok::<_, std::io::Error>(piece)
    }));
    let request = Request::builder()
        .header("content-type", kind)
        .body(Body::from_stream(pieces))
        .unwrap();
    (MultipartForm::of(request), read)
}

fn file_name(field: &MultipartField<'_>) -> Option<String> {
    let disposition = field.headers().get(CONTENT_DISPOSITION)?;
    String::from_utf8(parameter(disposition.as_bytes(), "filename")?).ok()
}

/// Every part's file name and content.
async fn parts(form: &mut MultipartForm) -> Result<Vec<(Option<String>, Vec<u8>)>> {
    let mut parts = Vec::new();
    while let Some(field) = form.next_field().await? {
        let name = file_name(&field);
        let mut content = pin!(field.content());
        let mut bytes = Vec::new();
        while let Some(chunk) = content.next().await {
            bytes.extend_from_slice(&chunk?);
        }
        parts.push((name, bytes));
    }
    Ok(parts)
}

fn part(name: &str, content: &str) -> String {
    format!(
        "--x\r\nContent-Disposition: form-data; name=\"f\"; filename=\"{name}\"\r\n\r\n{content}\r\n"
    )
}

#[tokio::test]
async fn parts_come_whole_however_they_are_cut() {
    let tricky = "\r\n--\r\n-x\r\n--y\r\n\r\n-";
    let body = format!(
        "preamble\r\n{}{}--x \t\r\nX: y\r\n\r\nfield\r\n--x\r\n\r\nbare\r\n--x--\r\nepilogue",
        part("a \\\"b\\\" \\c.txt", tricky),
        part("é", "")
    );
    let name = |name: &str| Some(name.to_owned());
    let expected = [
        (name("a \"b\" \\c.txt"), tricky.into()),
        (name("é"), vec![]),
        (None, b"field".to_vec()),
        (None, b"bare".to_vec()),
    ];
    for size in [1, 2, 3, 7, 64, 10_000] {
        let mut form = form(KIND, body.clone().into_bytes(), size).0.unwrap();
        assert_eq!(parts(&mut form).await.unwrap(), expected, "{size}");
    }
}

#[tokio::test]
async fn what_is_not_read_is_passed_over() {
    let body = part("a", &"1".repeat(100_000)) + &part("b", "2") + "--x--";
    let mut form = form(KIND, body.into_bytes(), 1000).0.unwrap();
    let mut names = Vec::new();
    while let Some(field) = form.next_field().await.unwrap() {
        names.push(file_name(&field).unwrap());
    }
    assert_eq!(names, ["a", "b"]);
}

#[tokio::test]
async fn what_leads_nowhere_ends_after_the_limit() {
    let head = "--x\r\nContent-Disposition: form-data; filename=\"a\"\r\n";
    let endless =
        |start: &str, filler: &str| [start.as_bytes(), filler.repeat(4 << 20).as_bytes()].concat();
    for body in [
        endless("", "a"),
        endless("", "\r"),
        endless("--y\r\n", "\n"),
        endless("--x", " "),
        endless("--x\r\n", "a"),
        endless(head, "X: y\r\n"),
        endless(&(part("a", "1") + head), "z"),
    ] {
        for size in [997, 16_384] {
            let (form, read) = form(KIND, body.clone(), size);
            assert!(matches!(
                parts(&mut form.unwrap()).await,
                Err(Error::BadRequest(_))
            ));
            assert!(
                read.load(Ordering::Relaxed) <= LIMIT + 1024 + size,
                "{}",
                read.load(Ordering::Relaxed)
            );
        }
    }
    let padded =
        |bytes: usize| format!("--x\r\nX: {}\r\n\r\n1\r\n--x--", "y".repeat(bytes)).into_bytes();
    assert_eq!(
        parts(&mut form(KIND, padded(LIMIT - 9), 5000).0.unwrap())
            .await
            .unwrap()
            .len(),
        1
    );
    assert!(
        parts(&mut form(KIND, padded(LIMIT - 8), 50_000).0.unwrap())
            .await
            .is_err()
    );
    let before = |bytes: usize| ("p".repeat(bytes) + "\r\n--x\r\n\r\n1\r\n--x--").into_bytes();
    assert_eq!(
        parts(&mut form(KIND, before(LIMIT - 2), 50_000).0.unwrap())
            .await
            .unwrap()
            .len(),
        1
    );
    assert!(
        parts(&mut form(KIND, before(LIMIT), 50_000).0.unwrap())
            .await
            .is_err()
    );
}

#[tokio::test]
async fn all_heads_have_a_limit_together() {
    let head = format!("--x\r\nX: {}\r\n\r\n\r\n", "y".repeat(15 << 10));
    let (form, read) = form(KIND, head.repeat(400).into_bytes(), 8192);
    assert!(matches!(
        parts(&mut form.unwrap()).await,
        Err(Error::BadRequest(_))
    ));
    assert!(read.load(Ordering::Relaxed) < MAX_HEADS + (64 << 10));
}

#[tokio::test]
async fn forms_that_break_off_or_are_none_are_refused() {
    for body in [
        "",
        "--x",
        "--x\r\n\r\nabc",
        "--x\r\nX: y\r\n",
        "--x\r\n\r\nabc\r\n--x",
    ] {
        let mut form = form(KIND, body.into(), 3).0.unwrap();
        assert!(
            matches!(parts(&mut form).await, Err(Error::Truncated)),
            "{body:?}"
        );
    }
    for body in [
        "--xy\r\n\r\n1\r\n--x--",
        "--x\r\nno colon\r\n\r\n1\r\n--x--",
        "--x\r\na b: c\r\n\r\n1\r\n--x--",
    ] {
        let mut form = form(KIND, body.into(), 3).0.unwrap();
        assert!(
            matches!(parts(&mut form).await, Err(Error::BadRequest(_))),
            "{body:?}"
        );
    }
    let long = format!("multipart/form-data; boundary={}", "b".repeat(71));
    let others = [
        "",
        "text/plain; boundary=x",
        "multipart/form-data",
        "multipart/form-data; boundary=\"\"",
        &long,
    ];
    for kind in others {
        assert!(form(kind, Vec::new(), 1).0.is_err(), "{kind}");
    }
    for kind in [
        "Multipart/Form-Data; charset=\"a;b\"; Boundary=\"x\"",
        "multipart/form-data;boundary=x ;y=z",
    ] {
        let mut form = form(kind, b"--x\r\n\r\n1\r\n--x--".to_vec(), 2).0.unwrap();
        assert_eq!(parts(&mut form).await.unwrap().len(), 1, "{kind}");
    }
}
