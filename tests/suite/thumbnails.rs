//! Small pictures: for members and visitors of links, with the rights of a download; kept beside the files; bombs cost little.

use crate::harness::{Reply, TestServer};
use crate::links::{Shared, api, page, server, share};
use crate::program::Place;
use image::codecs::gif::GifEncoder;
use image::{DynamicImage, Frame, ImageFormat, RgbaImage};
use serde_json::{Value, json};
use std::fs;
use std::io::Cursor;
use std::path::PathBuf;
use std::time::{Duration, Instant};

fn picture(format: ImageFormat, (width, height): (u32, u32)) -> Vec<u8> {
    let mut out = Vec::new();
    DynamicImage::new_rgb8(width, height)
        .write_to(&mut Cursor::new(&mut out), format)
        .unwrap();
    out
}

fn size_of(reply: &Reply) -> (u32, u32) {
    let picture = image::load_from_memory(&reply.body).unwrap();
    (picture.width(), picture.height())
}

fn kept(server: &TestServer) -> Vec<PathBuf> {
    let all = fs::read_dir(server.home("ana").join(".sarang/thumbnails"))
        .into_iter()
        .flatten();
    all.map(|entry| entry.unwrap().path()).collect()
}

fn counted(server: &TestServer, shared: &Shared) -> Value {
    api(
        &server.ana(),
        "GET",
        &format!("/{}", shared.id),
        &Value::Null,
    )
    .is(200)
    .json()["downloads"]
        .clone()
}

#[test]
fn a_small_picture_is_kept_beside_its_file_and_shows_nowhere() {
    let server = TestServer::start();
    let ana = server.ana();
    ana.store("/a.jpg", picture(ImageFormat::Jpeg, (800, 400)));
    let target = "/api/v1/files/thumbnail?path=a.jpg";
    let made = ana.raw("GET", target).send().is(200);
    assert_eq!(
        (size_of(&made), made.header("content-type")),
        ((320, 160), Some("image/jpeg"))
    );
    let files = kept(&server);
    assert_eq!(files.len(), 1);
    let again = ana.raw("GET", target).send().is(200);
    assert!(again.body == made.body && again.header("etag") == made.header("etag"));
    ana.raw("GET", target)
        .header("If-None-Match", made.header("etag").unwrap())
        .send()
        .is(304);
    assert_eq!(
        ana.propfind("/", "1").multistatus().paths().len(),
        2,
        "the drive and the file"
    );
    for hidden in ["/.sarang/thumbnails", "/.sarang"] {
        ana.propfind(hidden, "1").is(404);
    }
    // Another content has another picture, in the place of the one before.
    ana.store("/a.jpg", picture(ImageFormat::Jpeg, (400, 800)));
    assert_eq!(size_of(&ana.raw("GET", target).send().is(200)), (160, 320));
    assert_eq!(kept(&server), files);
    // What is in the way of keeping it is in nobody else's.
    fs::remove_dir_all(server.home("ana").join(".sarang/thumbnails")).unwrap();
    fs::write(server.home("ana").join(".sarang/thumbnails"), "").unwrap();
    assert_eq!(size_of(&ana.raw("GET", target).send().is(200)), (160, 320));
}

#[test]
fn visitors_of_a_link_see_small_pictures_as_far_as_they_may_download() {
    let server = server();
    let ana = server.ana();
    ana.store("/shared/a.png", picture(ImageFormat::Png, (640, 320)));
    ana.store("/shared-not/b.png", picture(ImageFormat::Png, (640, 320)));
    ana.store("/inbox/c.png", picture(ImageFormat::Png, (640, 320)));
    let shared = share(&ana, &json!({"path": "shared"}));
    let made = page(&server, &shared, "/thumbnail?path=a.png").is(200);
    assert_eq!(
        (size_of(&made), made.header("content-type")),
        ((320, 160), Some("image/jpeg"))
    );
    let client = server.stranger();
    let known = client.raw("GET", &format!("/s/{}/thumbnail?path=a.png", shared.token));
    known
        .header("If-None-Match", made.header("etag").unwrap())
        .send()
        .is(304);
    assert_eq!(counted(&server, &shared), 0, "it is no download");
    page(&server, &shared, "/thumbnail?path=a.txt").is(422);
    for nothing in [
        "",
        "?path=",
        "?path=sub",
        "?path=none.png",
        "?path=../shared-not/b.png",
        "?path=.sarang/home",
    ] {
        page(&server, &shared, &format!("/thumbnail{nothing}")).is(404);
    }
    let file = share(&ana, &json!({"path": "shared/a.png"}));
    page(&server, &file, "/thumbnail").is(200);
    let (drop, limited) = (
        json!({"path": "inbox", "rights": "drop"}),
        json!({"path": "shared", "max_downloads": 5}),
    );
    page(&server, &share(&ana, &drop), "/thumbnail?path=c.png").is(404);
    page(&server, &share(&ana, &limited), "/thumbnail?path=a.png").is(404);
    let closed = share(&ana, &json!({"path": "shared", "password": "seaside"}));
    page(&server, &closed, "/thumbnail?path=a.png").is(401);
    let form = client
        .raw("POST", &format!("/s/{}/password", closed.token))
        .body("password=seaside")
        .send()
        .is(303);
    let pass = form
        .header("set-cookie")
        .unwrap()
        .split(';')
        .next()
        .unwrap()
        .to_owned();
    let target = format!("/s/{}/thumbnail?path=a.png", closed.token);
    client
        .raw("GET", &target)
        .header("Cookie", pass)
        .send()
        .is(200);
    // Also what is kept ends with the link.
    api(&ana, "DELETE", &format!("/{}", shared.id), &Value::Null).is(204);
    page(&server, &shared, "/thumbnail?path=a.png").is(404);
}

#[test]
fn a_page_of_a_link_offers_small_pictures_unless_downloads_are_limited() {
    let server = server();
    let ana = server.ana();
    ana.store("/shared/a.png", picture(ImageFormat::Png, (640, 320)));
    let free = page(&server, &share(&ana, &json!({"path": "shared"})), "")
        .is(200)
        .text();
    assert!(free.contains("data-file=\"a.png\""), "{free}");
    let limited = page(
        &server,
        &share(&ana, &json!({"path": "shared", "max_downloads": 5})),
        "",
    )
    .is(200)
    .text();
    assert!(!limited.contains("data-file"), "{limited}");
}

/// A PNG whose header says so many pixels.
fn png_bomb(side: u32) -> Vec<u8> {
    let mut png = picture(ImageFormat::Png, (8, 8));
    png[16..20].copy_from_slice(&side.to_be_bytes());
    png[20..24].copy_from_slice(&side.to_be_bytes());
    let crc = crc32fast::hash(&png[12..29]);
    png[29..33].copy_from_slice(&crc.to_be_bytes());
    png
}

fn gif(frames: usize) -> Vec<u8> {
    let mut out = Vec::new();
    let mut encoder = GifEncoder::new_with_speed(&mut out, 30);
    for _ in 0..frames {
        encoder
            .encode_frame(Frame::new(RgbaImage::new(16, 16)))
            .unwrap();
    }
    drop(encoder);
    out
}

/// 16 x 16 by its outer header, 16383 x 16383 by its inner.
fn webp_bomb() -> Vec<u8> {
    let canvas = b"VP8X\x0a\0\0\0\0\0\0\0\x0f\0\0\x0f\0\0";
    let frame = b"VP8 \x14\0\0\0\x10\0\0\x9d\x01\x2a\xff\x3f\xff\x3f\0\0\0\0\0\0\0\0\0\0";
    let chunks = [b"WEBP".as_slice(), canvas, frame].concat();
    [
        b"RIFF".as_slice(),
        &u32::try_from(chunks.len()).unwrap().to_le_bytes(),
        &chunks,
    ]
    .concat()
}

/// In KiB, a line of `/proc/<pid>/status`.
fn memory(pid: u32, what: &str) -> u64 {
    let status = fs::read_to_string(format!("/proc/{pid}/status")).unwrap();
    let line = status.lines().find(|line| line.starts_with(what)).unwrap();
    line.split_whitespace().nth(1).unwrap().parse().unwrap()
}

#[test]
fn bombs_and_the_largest_pictures_cost_at_most_64_mib_and_2_seconds() {
    let place = Place::new();
    place.add_ana();
    let serving = place.serve();
    let (ana, pid) = (serving.ana(), serving.pid());
    let mut large = Vec::new();
    DynamicImage::new_rgba8(3800, 3800)
        .write_to(&mut Cursor::new(&mut large), ImageFormat::Png)
        .unwrap();
    let mut frame = gif(1);
    let at = frame.iter().rposition(|byte| *byte == b',').unwrap();
    frame[at + 5..at + 9].copy_from_slice(&[0xff; 4]);
    let cases = [
        ("warm.png", picture(ImageFormat::Png, (64, 64)), 200),
        ("large.png", large, 200),
        ("photo.jpg", picture(ImageFormat::Jpeg, (5000, 4000)), 200),
        (
            "lossless.webp",
            picture(ImageFormat::WebP, (3000, 2000)),
            200,
        ),
        ("frames.gif", gif(10_000), 200),
        ("bomb.png", png_bomb(100_000), 422),
        ("square.png", png_bomb(20_000), 422),
        ("frame.gif", frame, 422),
        ("bomb.webp", webp_bomb(), 422),
    ];
    let mut base = 0;
    for (name, bytes, status) in cases {
        ana.store(&format!("/{name}"), bytes);
        let (target, began) = (
            format!("/api/v1/files/thumbnail?path={name}"),
            Instant::now(),
        );
        ana.raw("GET", &target).send().is(status);
        let took = began.elapsed();
        // The allocator keeps what it had: all is measured against what there was at first.
        if base == 0 {
            base = memory(pid, "VmRSS");
            fs::write(format!("/proc/{pid}/clear_refs"), "5").unwrap();
        }
        let grown = memory(pid, "VmHWM").saturating_sub(base);
        println!("{name}: {grown} KiB, {} ms", took.as_millis());
        assert!(grown <= 64 << 10, "{name}: {grown} KiB");
        assert!(took < Duration::from_secs(2), "{name}: {took:?}");
    }
}
