//! The names under which a receiver sees shares: each stays with its share, whatever comes and goes beside it, so that no client finds
//! another's folder where it is used to one.

use crate::harness::{Client, TestServer};
use crate::shares::{admin, names};
use sarang::model::AccountName;
use sarang::sharing::shares::Share;
use serde_json::{Value, json};

const HALL: &str = "/Shared with me";
const FIRST: &str = "/Shared with me/Scans";
const SECOND: &str = "/Shared with me/Scans (1)";

/// Shares a folder with an account or group that has a file with the owner's name in it; the id of the share.
#[track_caller]
fn share(owner: &Client, path: &str, to: &Value) -> String {
    let asked = json!({"path": path, "to": to, "rights": "edit"});
    owner.api("POST", "/shares", &asked).is(201).json()["id"]
        .as_str()
        .unwrap()
        .to_owned()
}

/// Lets ben see the share with this id no more; ana and ben.
type End = fn(&TestServer, &Client, &Client, &str);

/// Ana and then eva share a folder of the same name with ben, who has seen both; the ids of the shares.
fn prepared() -> (TestServer, [Client; 3], [String; 2]) {
    let server = TestServer::start();
    server.add_account("eva");
    let clients =
        ["ana", "eva", "ben"].map(|name| server.ana().signed_in(name, crate::harness::PASSWORD));
    let [ana, eva, ben] = &clients;
    let ids = [(ana, "ana"), (eva, "eva")].map(|(owner, name)| {
        owner.mkcol("/Scans").is(201);
        owner.store("/Scans/whose", name);
        // The order of shares is that of whole seconds.
        std::thread::sleep(std::time::Duration::from_millis(1100));
        share(owner, "/Scans", &json!({"account": "ben"}))
    });
    assert_eq!(names(ben, HALL), ["Scans", "Scans (1)"]);
    ben.holds(&format!("{FIRST}/whose"), "ana");
    ben.holds(&format!("{SECOND}/whose"), "eva");
    (server, clients, ids)
}

/// That eva's folder is where it was, and nothing where ana's was.
#[track_caller]
fn stays(eva: &Client, ben: &Client, how: &str) {
    assert_eq!(names(ben, HALL), ["Scans (1)"], "{how}");
    ben.get(&format!("{FIRST}/whose")).is(404);
    ben.put(&format!("{FIRST}/late"), "for ana")
        .is_any(&[403, 404, 409]);
    eva.lacks("/Scans/late");
    ben.holds(&format!("{SECOND}/whose"), "eva");
    let incoming = ben
        .api("GET", "/shares/incoming", &Value::Null)
        .is(200)
        .json();
    assert_eq!(incoming["items"][0]["path"], SECOND, "{how}");
}

#[test]
fn a_name_passes_to_no_other_share() {
    let ways: [(&str, End); 5] = [
        ("its owner ends it", |_, ana, _, id| {
            ana.api("DELETE", &format!("/shares/{id}"), &Value::Null)
                .is(204);
        }),
        ("it expires", |server, _, _, id| {
            let (app, owner) = (server.app(), AccountName::parse("ana").unwrap());
            let over = |share: &mut Share| share.expires = Some(1);
            let shares = &app.sharing.shares;
            server
                .block_on(shares.change(|shares| shares.made_by(&owner, id), over))
                .unwrap();
        }),
        ("its folder is deleted", |_, ana, _, _| {
            drop(ana.delete("/Scans").is(204));
        }),
        ("its folder is replaced", |_, ana, _, _| {
            ana.mkcol("/other").is(201);
            ana.transfer("MOVE", "/other", "/Scans")
                .header("Overwrite", "T")
                .send()
                .is(204);
        }),
        ("ben leaves it", |_, _, ben, id| {
            drop(
                ben.api("DELETE", &format!("/shares/{id}"), &Value::Null)
                    .is(204),
            );
        }),
    ];
    for (how, end) in ways {
        let (server, [ana, eva, ben], [of_ana, _]) = prepared();
        end(&server, &ana, &ben, &of_ana);
        stays(&eva, &ben, how);
        let server = server.restart();
        let [eva, ben] =
            ["eva", "ben"].map(|name| server.ana().signed_in(name, crate::harness::PASSWORD));
        stays(&eva, &ben, how);
    }
}

#[test]
fn the_name_of_an_ended_share_is_free_for_a_new_one() {
    let (_server, [ana, eva, ben], [of_ana, of_eva]) = prepared();
    ana.api("DELETE", &format!("/shares/{of_ana}"), &Value::Null)
        .is(204);
    ana.mkcol("/new").is(201);
    ana.mkcol("/new/scans").is(201);
    share(&ana, "/new/scans", &json!({"account": "ben"}));
    assert_eq!(names(&ben, HALL), ["Scans (1)", "scans"]);
    // The receiver may give it to the share that was numbered, once it is free.
    ana.delete("/new").is(204);
    ben.api(
        "PATCH",
        &format!("/shares/{of_eva}"),
        &json!({"name": "Scans"}),
    )
    .is(204);
    assert_eq!(names(&ben, HALL), ["Scans"]);
    ben.holds(&format!("{FIRST}/whose"), "eva");
    eva.transfer("MOVE", "/Scans", "/Paper").send().is(201);
    assert_eq!(
        names(&ben, HALL),
        ["Scans"],
        "a name of the receiver's own stays through the owner's"
    );
}

#[test]
fn a_share_that_comes_late_takes_no_name_however_old_it_is() {
    let server = TestServer::start();
    server.add_account("eva");
    let (ana, ben, root) = (server.ana(), server.ben(), admin(&server));
    let eva = ana.signed_in("eva", crate::harness::PASSWORD);
    root.api(
        "POST",
        "/groups",
        &json!({"name": "crew", "members": ["eva"]}),
    )
    .is(201);
    for (owner, name) in [(&ana, "ana"), (&eva, "eva")] {
        owner.mkcol("/Scans").is(201);
        owner.store("/Scans/whose", name);
    }
    share(&ana, "/Scans", &json!({"group": "crew"}));
    std::thread::sleep(std::time::Duration::from_millis(1100));
    share(&eva, "/Scans", &json!({"account": "ben"}));
    ben.holds(&format!("{FIRST}/whose"), "eva");
    root.api("PATCH", "/groups/crew", &json!({"members": ["ben", "eva"]}))
        .is(200);
    assert_eq!(names(&ben, HALL), ["Scans", "Scans (1)"]);
    ben.holds(&format!("{FIRST}/whose"), "eva");
    ben.holds(&format!("{SECOND}/whose"), "ana");
    // Whoever is out for a while finds it under its name again.
    root.api("PATCH", "/groups/crew", &json!({"members": ["eva"]}))
        .is(200);
    assert_eq!(names(&ben, HALL), ["Scans"]);
    root.api("PATCH", "/groups/crew", &json!({"members": ["ben", "eva"]}))
        .is(200);
    ben.holds(&format!("{SECOND}/whose"), "ana");
}

#[test]
fn a_share_that_its_owner_renames_changes_the_name_of_no_other() {
    let (_server, [ana, _eva, ben], _) = prepared();
    ana.transfer("MOVE", "/Scans", "/Paper").send().is(201);
    assert_eq!(names(&ben, HALL), ["Paper", "Scans (1)"]);
    ana.transfer("MOVE", "/Paper", "/Scans (1)").send().is(201);
    assert_eq!(names(&ben, HALL), ["Scans (1)", "Scans (1) (1)"]);
    ben.holds(&format!("{SECOND}/whose"), "eva");
    ben.holds("/Shared with me/Scans (1) (1)/whose", "ana");
}

#[test]
fn a_receiver_gives_no_name_that_another_share_shows_under() {
    let (_server, [_ana, _eva, ben], [of_ana, of_eva]) = prepared();
    let rename =
        |id: &str, name: &str| ben.api("PATCH", &format!("/shares/{id}"), &json!({"name": name}));
    let shift = |to: &str| ben.transfer("MOVE", SECOND, &format!("{HALL}/{to}"));
    for taken in ["SCANS", "scans"] {
        let refused = rename(&of_eva, taken).is(409).json();
        assert_eq!(refused["code"], "exists");
        shift(taken).header("Overwrite", "F").send().is(412);
        shift(taken).header("Overwrite", "T").send().is(403);
        let moved = json!({"items": [{"from": SECOND, "to": format!("{HALL}/{taken}")}]});
        let result = ben.api("POST", "/files/move", &moved).is(200).json();
        assert_eq!(result["results"][0]["code"], "exists");
    }
    rename(&of_ana, "scans (1)").is(409);
    assert_eq!(names(&ben, HALL), ["Scans", "Scans (1)"]);
    ben.holds(&format!("{SECOND}/whose"), "eva");
    // The same share may be written otherwise.
    shift("SCANS (1)").send().is(201);
    rename(&of_ana, "SCANS").is(204);
    assert_eq!(names(&ben, HALL), ["SCANS", "SCANS (1)"]);
    ben.holds(&format!("{HALL}/SCANS/whose"), "ana");
    ben.holds(&format!("{HALL}/SCANS (1)/whose"), "eva");
}
