//! Rows 104-123: MKCOL, COPY, MOVE, DELETE.

use crate::harness::{NAME, TestServer};

#[test]
fn row_106_mkcol_with_a_type_and_no_body() {
    let server = TestServer::start();
    let ana = server.ana();
    ana.request("MKCOL", "/d")
        .header("Content-Type", "text/xml")
        .header("Content-Length", "0")
        .send()
        .is(201);
    ana.request("MKCOL", "/e").xml("<x/>").send().is(415);
}

#[test]
fn row_107_userinfo_in_a_destination_is_passed_over() {
    let server = TestServer::start();
    let ana = server.ana();
    ana.store(NAME, "x");
    let destination = ana
        .absolute("/new")
        .replace("http://", "http://ana:secret@");
    ana.request("MOVE", NAME)
        .header("Destination", destination)
        .send()
        .is(201);
    ana.holds("/new", "x");
}

#[test]
fn row_108_a_webdav_destination_is_the_own_host() {
    let server = TestServer::start();
    let ana = server.ana();
    for scheme in ["webdav", "webdavs"] {
        ana.store(NAME, scheme);
        let destination = ana.absolute("/new").replacen("http", scheme, 1);
        ana.request("MOVE", NAME)
            .header("Destination", destination)
            .send()
            .is_any(&[201, 204]);
        ana.holds("/new", scheme);
    }
}

#[test]
fn row_109_a_destination_may_name_the_other_scheme() {
    let server = TestServer::start();
    let ana = server.ana();
    ana.store(NAME, "x");
    let destination = ana.absolute("/new").replacen("http", "https", 1);
    ana.request("MOVE", NAME)
        .header("Destination", destination)
        .send()
        .is(201);
}

#[test]
fn row_110_a_destination_may_be_a_path() {
    let server = TestServer::start();
    let ana = server.ana();
    ana.store(NAME, "x");
    ana.request("COPY", NAME)
        .header("Destination", "/dav/new%20name")
        .send()
        .is(201);
    ana.holds("/new name", "x");
}

#[test]
fn row_111_a_destination_elsewhere_is_refused() {
    let server = TestServer::start();
    let ana = server.ana();
    ana.store(NAME, "x");
    ana.request("MOVE", NAME)
        .header("Destination", "http://elsewhere.example/dav/new")
        .send()
        .is_any(&[403, 502]);
    ana.holds(NAME, "x");
}

#[test]
fn row_115_a_folder_moves_with_and_without_slashes() {
    let server = TestServer::start();
    let ana = server.ana();
    ana.mkcol("/0").is(201);
    ana.store("/0/f", "x");
    for (from, to) in [("/0", "/1"), ("/1/", "/2"), ("/2", "/3/"), ("/3/", "/4/")] {
        ana.transfer("MOVE", from, to).send().is(201);
        ana.holds(&format!("{}/f", to.trim_end_matches('/')), "x");
        ana.lacks(from);
    }
}

#[test]
fn row_117_a_change_of_case_or_spelling_is_one_file() {
    let server = TestServer::start();
    let ana = server.ana();
    ana.store("/readme", "x");
    ana.transfer("MOVE", "/readme", "/README")
        .header("Overwrite", "F")
        .send()
        .is(201);
    assert_eq!(
        ana.propfind("/", "1").multistatus().paths(),
        ["/dav", "/dav/README"]
    );
    ana.transfer("MOVE", "/README", "/caf\u{e9}").send().is(201);
    ana.transfer("MOVE", "/caf\u{e9}", "/cafe\u{301}")
        .send()
        .is_any(&[201, 204]);
    ana.holds("/caf\u{e9}", "x");
    assert_eq!(ana.propfind("/", "1").multistatus().paths().len(), 2);
}

#[test]
fn row_118_the_office_safe_save() {
    let server = TestServer::start();
    let ana = server.ana();
    ana.store("/doc.docx", "old");
    let lock = ana.lock("/doc.docx").send().is(200).token();
    let owner = ana.lock("/~$doc.docx").send().is(201).token();
    let temporary = ana.lock("/A1B2C3D4.tmp").send().is(201).token();
    let held = format!("(<{temporary}>)");
    ana.request("PUT", "/A1B2C3D4.tmp")
        .header("If", held)
        .body("new")
        .send()
        .is(204);
    ana.unlock("/A1B2C3D4.tmp", &temporary).is(204);
    ana.unlock("/doc.docx", &lock).is(204);
    ana.transfer("MOVE", "/doc.docx", "/E5F6.tmp")
        .header("Overwrite", "F")
        .send()
        .is(201);
    ana.transfer("MOVE", "/A1B2C3D4.tmp", "/doc.docx")
        .header("Overwrite", "F")
        .send()
        .is(201);
    ana.delete("/E5F6.tmp").is(204);
    ana.request("DELETE", "/~$doc.docx")
        .header("If", format!("(<{owner}>)"))
        .send()
        .is(204);
    ana.holds("/doc.docx", "new");
    ana.put("/doc.docx", "no lock is left").is(204);
    assert_eq!(
        ana.propfind("/", "1").multistatus().paths(),
        ["/dav", "/dav/doc.docx"]
    );
}

#[test]
fn row_119_copy_is_deep_by_default_and_keeps_to_overwrite() {
    let server = TestServer::start();
    let ana = server.ana();
    ana.mkcol("/d").is(201);
    ana.store("/d/f", "x");
    ana.transfer("COPY", "/d/", "/e").send().is(201);
    ana.holds("/e/f", "x");
    ana.transfer("COPY", "/d", "/e")
        .header("Overwrite", "F")
        .send()
        .is(412);
    ana.transfer("COPY", "/d", "/e")
        .header("Depth", "infinity")
        .send()
        .is(204);
}

#[test]
fn row_122_nothing_moves_onto_or_into_itself() {
    let server = TestServer::start();
    let ana = server.ana();
    ana.mkcol("/d").is(201);
    ana.store("/d/f", "x");
    for method in ["MOVE", "COPY"] {
        for (from, to) in [
            ("/d", "/d"),
            ("/d/", "/d/"),
            ("/d", "/d/e"),
            ("/d/f", "/d/f"),
            ("/d/f", "/d//f"),
        ] {
            ana.transfer(method, from, to).send().is(403);
        }
    }
    ana.holds("/d/f", "x");
}
