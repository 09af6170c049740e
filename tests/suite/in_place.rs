//! Folders that were there before, served where they lie: with trash, versions and quota of their own, other programs beside, refused
//! where they would not be safe, and never deleted from unless their path is named.

use crate::harness::{Client, NAME, PASSWORD, Reply, TestServer};
use crate::links;
use crate::program::{self, Place, said};
use crate::shares::admin;
use sarang::app::removal::{FilesDisposal, RemovalStep};
use sarang::model::AccountName;
use serde_json::{Value, json};
use std::fs::{self, Permissions};
use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _, chown, symlink};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::Arc;
use std::thread::sleep;
use std::time::Duration;
use tempfile::TempDir;

/// As long as it may take until the server sees that a folder is another.
const SEEN: Duration = Duration::from_millis(1200);

/// A server that may serve what lies in a folder of its own, and an administrator.
struct World {
    server: TestServer,
    root: Client,
    srv: Arc<TempDir>,
}

impl World {
    fn new() -> Self {
        let srv = Arc::new(TempDir::new().unwrap());
        let allowed = srv.path().to_owned();
        let server = TestServer::with(|config| config.storage.allowed = vec![allowed]);
        let root = admin(&server);
        Self { server, root, srv }
    }

    fn restart(self) -> Self {
        let server = self.server.restart();
        let root = server.stranger().signed_in("root", PASSWORD);
        Self {
            server,
            root,
            srv: self.srv,
        }
    }

    /// A folder with a file of before.
    fn folder(&self, name: &str) -> PathBuf {
        let folder = fs::canonicalize(self.srv.path()).unwrap().join(name);
        fs::create_dir_all(&folder).unwrap();
        fs::write(folder.join("before"), "of before").unwrap();
        folder
    }

    fn add(&self, name: &str, home: &Path) -> Reply {
        let wish = json!({"name": name, "password": PASSWORD, "home": home.to_str().unwrap()});
        self.root.api("POST", "/accounts", &wish)
    }

    fn add_team(&self, name: &str, folder: &Path, member: &str) -> Reply {
        let members = json!([{"to": {"account": member}, "rights": "edit"}]);
        let wish = json!({"name": name, "members": members, "folder": folder.to_str().unwrap()});
        self.root.api("POST", "/team-folders", &wish)
    }

    fn of(&self, name: &str) -> Client {
        self.server.stranger().signed_in(name, PASSWORD)
    }

    /// Demands that a folder is refused as a home and as a team folder, with a sentence that has this in it, and stays as it was.
    #[track_caller]
    fn refuses(&self, path: &Path, sentence: &str) {
        for (reply, pointer) in [
            (self.add("eva", path), "/home"),
            (self.add_team("Eva", path, "ben"), "/folder"),
        ] {
            let reply = reply.is(422).json();
            let detail = reply["detail"].as_str().unwrap();
            assert!(detail.contains(sentence), "{detail}");
            assert_eq!(reply["errors"][0]["pointer"], pointer);
        }
        self.root.api("GET", "/accounts/eva", &Value::Null).is(404);
        let listed = self
            .root
            .api("GET", "/team-folders", &Value::Null)
            .is(200)
            .text();
        assert!(!listed.contains("Eva"), "{listed}");
    }
}

#[track_caller]
fn is_missing(reply: Reply, sentence: &str) {
    let text = reply.is(503).text();
    assert!(text.contains(sentence), "{text}");
}

fn list(client: &Client, path: &str) -> Vec<Value> {
    client.api("GET", path, &Value::Null).is(200).json()["items"]
        .as_array()
        .unwrap()
        .clone()
}

#[test]
fn a_folder_that_was_there_is_served_where_it_lies_with_other_programs_beside() {
    let world = World::new();
    let folder = world.folder("eva");
    let made = world.add("eva", &folder).is(201).json();
    assert_eq!(made["home"], folder.to_str().unwrap());
    let shown = world
        .root
        .api("GET", "/accounts/eva", &Value::Null)
        .is(200)
        .json();
    assert_eq!(shown["home"], made["home"]);
    assert!(
        world
            .root
            .api("GET", "/accounts/ana", &Value::Null)
            .is(200)
            .json()
            .get("home")
            .is_none()
    );
    let eva = world.of("eva");
    eva.holds("/before", "of before");
    eva.store(NAME, "first");
    eva.store(NAME, "second");
    eva.store("/gone", "x");
    eva.delete("/gone").is(204);
    assert_eq!(fs::read(folder.join(&NAME[1..])).unwrap(), b"second");
    assert!(folder.join(".sarang/home").exists() && !world.server.home("eva").exists());
    assert_eq!(
        fs::read_dir(folder.join(".sarang/trash/files"))
            .unwrap()
            .count(),
        1
    );
    assert_eq!(
        fs::read_dir(folder.join(".sarang/versions"))
            .unwrap()
            .count(),
        1
    );
    // Another program.
    fs::write(folder.join("beside"), "from beside").unwrap();
    eva.holds("/beside", "from beside");
    eva.store("/beside", "mine");
    let versions = list(&eva, "/versions?path=beside");
    let id = versions[0]["id"].as_str().unwrap();
    assert_eq!(
        eva.raw(
            "GET",
            &format!("/api/v1/versions/content?path=beside&id={id}")
        )
        .send()
        .text(),
        "from beside"
    );
    // The room that its own disk and its quota leave.
    world
        .root
        .api("PATCH", "/accounts/eva", &json!({"quota": 100}))
        .is(200);
    eva.put("/large", "x".repeat(101)).is(507);
    fs::write(folder.join("filler"), "x".repeat(90)).unwrap();
    world
        .server
        .block_on(world.server.app().recount_usage())
        .unwrap();
    eva.put("/small", "x".repeat(20)).is(507);
    fs::remove_file(folder.join("filler")).unwrap();
    world
        .server
        .block_on(world.server.app().recount_usage())
        .unwrap();
    // Shown to others.
    let wish = json!({"path": "/before", "to": {"account": "ben"}, "rights": "view"});
    eva.api("POST", "/shares", &wish).is(201);
    world
        .server
        .ben()
        .holds("/Shared with me/before", "of before");
    world
        .server
        .block_on(world.server.app().expire_history())
        .unwrap();
    world
        .server
        .block_on(world.server.app().expire_uploads())
        .unwrap();
    let world = world.restart();
    let eva = world.of("eva");
    eva.holds(NAME, "second");
    assert_eq!(list(&eva, "/trash").len(), 1);
    world
        .server
        .ben()
        .holds("/Shared with me/before", "of before");
    // Ben's first home in the data folder is not taken for missing.
    world.server.ana().put("/new", "x").is(201);
}

#[test]
fn a_home_in_the_data_folder_is_made_though_the_only_one_of_before_lies_elsewhere() {
    let world = World::new();
    world.add("eva", &world.folder("eva")).is(201);
    world.of("eva").holds("/before", "of before");
    assert!(!world.server.data().join("homes").exists());
    world.server.ana().put("/new", "x").is(201);
}

#[test]
fn a_team_folder_lies_where_it_was_too() {
    let world = World::new();
    let folder = world.folder("photos");
    let made = world.add_team("Photos", &folder, "ben").is(201).json();
    assert_eq!(made["folder"], folder.to_str().unwrap());
    let ben = world.server.ben();
    ben.holds("/Team folders/Photos/before", "of before");
    ben.put("/Team folders/Photos/new", "x").is(201);
    assert!(folder.join("new").exists() && !world.server.data().join("teams/Photos").exists());
    let remove = |query: &str| {
        world.root.api(
            "DELETE",
            &format!("/team-folders/Photos{query}"),
            &Value::Null,
        )
    };
    let refused = remove("?purge=true").is(422).json()["detail"]
        .as_str()
        .unwrap()
        .to_owned();
    assert!(
        refused.contains(folder.to_str().unwrap())
            && refused.contains("only when that path is named"),
        "{refused}"
    );
    ben.holds("/Team folders/Photos/new", "x");
    remove("").is(204);
    ben.lacks("/Team folders/Photos");
    assert!(folder.join("new").exists() && folder.join(".sarang/home").exists());
    // It may be one again, with what it had.
    world.add_team("Pictures", &folder, "ben").is(201);
    ben.holds("/Team folders/Pictures/new", "x");
    let path = folder.to_str().unwrap();
    world
        .root
        .api(
            "DELETE",
            &format!("/team-folders/Pictures?purge=true&path={path}"),
            &Value::Null,
        )
        .is(204);
    assert_eq!(
        fs::read_dir(&folder).unwrap().count(),
        0,
        "it is emptied, and stays"
    );
}

#[test]
fn without_the_setting_every_folder_is_refused_and_only_administrators_are_asked() {
    let server = TestServer::start();
    let root = admin(&server);
    let folder = TempDir::new().unwrap();
    let path = folder.path().to_str().unwrap();
    let wish = json!({"name": "eva", "password": PASSWORD, "home": path});
    let refused = root.api("POST", "/accounts", &wish).is(422).text();
    assert!(refused.contains("[storage] allowed"), "{refused}");
    let refused = root
        .api(
            "POST",
            "/team-folders",
            &json!({"name": "Photos", "folder": path}),
        )
        .is(422)
        .text();
    assert!(refused.contains("[storage] allowed"), "{refused}");
    server.ana().api("POST", "/accounts", &wish).is(403);
    server
        .ana()
        .api(
            "POST",
            "/team-folders",
            &json!({"name": "Photos", "folder": path}),
        )
        .is(403);
    assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 0);
}

#[test]
fn what_is_not_safe_to_serve_is_refused_with_its_sentence() {
    let world = World::new();
    let top = fs::canonicalize(world.srv.path()).unwrap();
    world.refuses(&top.join("none"), "There is no folder");
    fs::write(top.join("file"), "").unwrap();
    world.refuses(&top.join("file"), "is no folder");
    world.refuses(Path::new("eva"), "no whole path");
    world.refuses(&top.join("a/../b"), "no whole path");
    let elsewhere = TempDir::new().unwrap();
    world.refuses(
        elsewhere.path(),
        "none of the folders that `[storage] allowed` names",
    );
    // A link of ours is followed, and counts as what it leads to.
    symlink(elsewhere.path(), top.join("out")).unwrap();
    world.refuses(
        &top.join("out"),
        "none of the folders that `[storage] allowed` names",
    );
    let real = world.folder("real/eva");
    symlink(top.join("real"), top.join("link")).unwrap();
    fs::set_permissions(&top, Permissions::from_mode(0o1777)).unwrap();
    world.refuses(&top.join("link/eva"), "leads through the link");
    fs::set_permissions(&top, Permissions::from_mode(0o755)).unwrap();
    fs::set_permissions(top.join("real"), Permissions::from_mode(0o770)).unwrap();
    world.refuses(&real, "may replace");
    fs::set_permissions(top.join("real"), Permissions::from_mode(0o1777)).unwrap();
    if rustix::process::geteuid().is_root() {
        chown(&real, Some(12345), None).unwrap();
        world.refuses(&real, "may replace"); // Whose it is may rename it.
        chown(&real, Some(0), None).unwrap();
    }
    assert!(!real.join(".sarang").exists());
    // A bad password leaves no trace there either.
    let wish = json!({"name": "eva", "password": "short", "home": real.to_str().unwrap()});
    world.root.api("POST", "/accounts", &wish).is(422);
    assert!(!real.join(".sarang").exists());
    world.add("eva", &top.join("link/eva")).is(201);
    world.of("eva").holds("/before", "of before");
}

#[test]
fn one_folder_belongs_to_one_purpose() {
    let srv = Arc::new(TempDir::new().unwrap());
    let server = TestServer::with(|config| config.storage.allowed = vec!["/".into()]);
    let world = World {
        root: admin(&server),
        server,
        srv,
    };
    let taken = world.folder("taken/eva/docs").parent().unwrap().to_owned();
    world.add("eva2", &taken).is(201);
    for path in [
        taken.clone(),
        taken.join("docs"),
        taken.parent().unwrap().to_owned(),
    ] {
        world.refuses(&path, "and the home of eva2 overlap");
    }
    // By a link, and with the disk gone.
    let link = world.folder("links").join("there");
    symlink(&taken, &link).unwrap();
    world.refuses(&link, "and the home of eva2 overlap");
    world
        .add_team("Photos", &world.folder("photos"), "ben")
        .is(201);
    world.refuses(
        &world.folder("photos/below"),
        "and the team folder Photos overlap",
    );
    let away = taken.with_extension("away");
    fs::rename(&taken, &away).unwrap();
    world.refuses(taken.parent().unwrap(), "and the home of eva2 overlap");
    fs::rename(&away, &taken).unwrap();
    // The data folder, what is in it and above it.
    let data = fs::canonicalize(world.server.data()).unwrap();
    world.server.ana().put("/docs", "x").is(201);
    for path in [
        data.clone(),
        data.join("homes/ana"),
        data.join("state"),
        data.parent().unwrap().to_owned(),
    ] {
        world.refuses(&path, "and the data folder overlap");
    }
    // A home that lies elsewhere by a link.
    let linked = world.folder("linked/ben");
    symlink(&linked, world.server.home("ben")).unwrap();
    world.refuses(&linked, "and the data folder overlap");
    world.refuses(linked.parent().unwrap(), "and the data folder overlap");
    // What is another server's, or backups.
    let other = world.folder("other");
    for (mark, sentence) in [
        ("sarang.data", "the data folder of a server"),
        (".sarang-backups", "a folder of backups"),
    ] {
        fs::write(other.join(mark), "").unwrap();
        let below = world.folder("other/below/it");
        world.refuses(&below, sentence);
        world.refuses(&other, sentence);
        world.refuses(
            &world.folder("other").parent().unwrap().join("other"),
            sentence,
        );
        fs::remove_file(other.join(mark)).unwrap();
        fs::write(other.join("below").join(mark), "").unwrap();
        world.refuses(&other, sentence);
        fs::remove_file(other.join("below").join(mark)).unwrap();
    }
    let staging = world.folder("other/.sarang/tmp");
    world.refuses(&staging, "a folder that is served");
    fs::write(other.join(".sarang/home"), "id").unwrap();
    world.refuses(&world.folder("other/within"), "a folder that is served");
    assert!(!other.join("within/.sarang").exists());
}

#[test]
fn of_two_folders_that_overlap_one_is_refused_though_both_come_at_once() {
    let world = World::new();
    for round in 0..8 {
        let outer = world.folder(&format!("{round}"));
        let inner = world.folder(&format!("{round}/inner"));
        let add = |name: String, path: &Path| {
            let wish = json!({"name": name, "password": PASSWORD, "home": path.to_str().unwrap()});
            world
                .server
                .stranger()
                .signed_in("root", PASSWORD)
                .api("POST", "/accounts", &wish)
                .status
        };
        let statuses: Vec<u16> = std::thread::scope(|scope| {
            let adding = [
                (format!("out{round}"), &outer),
                (format!("in{round}"), &inner),
                (format!("too{round}"), &outer),
            ]
            .map(|(name, path)| scope.spawn(move || add(name, path)));
            adding
                .into_iter()
                .map(|adding| adding.join().unwrap())
                .collect()
        });
        assert_eq!(
            statuses.iter().filter(|status| **status == 201).count(),
            1,
            "{statuses:?}"
        );
    }
}

#[test]
fn a_link_that_is_planted_later_ends_the_serving_and_is_named() {
    let world = World::new();
    let folder = world.folder("above/eva");
    world.add("eva", &folder).is(201);
    world.folder("secret/eva");
    let eva = world.of("eva");
    eva.holds("/before", "of before");
    // Somebody is let in to the folder above, and leads it elsewhere.
    let above = folder.parent().unwrap();
    let away = above.with_extension("away");
    fs::rename(above, &away).unwrap();
    symlink(above.parent().unwrap().join("secret"), above).unwrap();
    fs::set_permissions(above.parent().unwrap(), Permissions::from_mode(0o1777)).unwrap();
    sleep(SEEN);
    is_missing(eva.get("/before"), "cannot be served for now");
    is_missing(eva.put("/new", "x"), "cannot be served for now");
    assert_eq!(
        world
            .root
            .api("GET", "/overview", &Value::Null)
            .is(200)
            .json()["missing"],
        json!(["home/eva"])
    );
    assert!(
        world
            .server
            .block_on(world.server.app().expire_history())
            .is_err()
    );
    let world = world.restart();
    is_missing(world.of("eva").get("/before"), "cannot be served for now");
    assert!(!world.srv.path().join("secret/eva/.sarang").exists());
    // A link of ours to another folder: the way is safe, and it is not hers.
    let above = world.srv.path().join("above");
    fs::set_permissions(world.srv.path(), Permissions::from_mode(0o755)).unwrap();
    is_missing(world.of("eva").get("/before"), "not mounted");
    fs::remove_file(&above).unwrap();
    fs::rename(&away, &above).unwrap();
    world.of("eva").holds("/before", "of before");
    assert_eq!(
        world
            .root
            .api("GET", "/overview", &Value::Null)
            .is(200)
            .json()["missing"],
        json!([])
    );
}

#[test]
fn a_folder_that_comes_to_overlap_with_another_later_is_served_no_more() {
    let world = World::new();
    let (one, two) = (world.folder("eva"), world.folder("zoe"));
    world.add("eva", &one).is(201);
    world.add("zoe", &two).is(201);
    for name in ["eva", "zoe"] {
        world.of(name).holds("/before", "of before");
    }
    world.server.ana().put("/hers", "x").is(201);
    let away = two.with_extension("away");
    fs::rename(&two, &away).unwrap();
    for other in [
        one.clone(),
        one.join(".sarang"),
        fs::canonicalize(world.server.home("ana")).unwrap(),
    ] {
        // A copy of what says which tree it is: only where it lies tells.
        fs::create_dir_all(other.join(".sarang")).unwrap();
        let marker = other.join(".sarang/home");
        let kept = fs::read(&marker).ok();
        fs::copy(away.join(".sarang/home"), &marker).unwrap();
        symlink(&other, &two).unwrap();
        sleep(SEEN);
        is_missing(world.of("zoe").get("/before"), "cannot be served for now");
        fs::remove_file(&two).unwrap();
        match kept {
            Some(kept) => fs::write(&marker, kept).unwrap(),
            None => fs::remove_dir_all(other.join(".sarang")).unwrap(),
        }
    }
    fs::rename(&away, &two).unwrap();
    for name in ["eva", "zoe"] {
        world.of(name).holds("/before", "of before");
    }
}

#[test]
fn a_folder_whose_disk_is_gone_is_missing_and_not_empty() {
    let world = World::new();
    let folder = world.folder("eva");
    world.add("eva", &folder).is(201);
    let eva = world.of("eva");
    eva.put("/new", "x").is(201);
    let away = folder.with_extension("away");
    fs::rename(&folder, &away).unwrap();
    sleep(SEEN);
    is_missing(eva.get("/before"), "not mounted");
    fs::create_dir(&folder).unwrap(); // the mount point
    is_missing(eva.propfind("/", "1"), "not mounted");
    is_missing(eva.put("/lost", "x"), "not mounted");
    for files in [
        format!("purge&path={}", folder.display()),
        "transfer&to=ben".to_owned(),
    ] {
        let removed = world.root.api(
            "DELETE",
            &format!("/accounts/eva?files={files}"),
            &Value::Null,
        );
        is_missing(removed, "not mounted");
    }
    let world = world.restart();
    is_missing(world.of("eva").get("/before"), "not mounted");
    assert_eq!(fs::read_dir(&folder).unwrap().count(), 0);
    fs::remove_dir(&folder).unwrap();
    fs::rename(&away, &folder).unwrap();
    world.of("eva").holds("/new", "x");
}

/// Eva, whose files lie in a folder of before, with a share, a link, trash and versions.
fn settled(world: &World) -> (PathBuf, links::Shared) {
    let folder = world.folder("eva");
    world.add("eva", &folder).is(201);
    let eva = world.of("eva");
    eva.mkcol("/docs").is(201);
    for path in ["/docs/a", "/gone"] {
        eva.store(path, "first");
        eva.store(path, "second");
    }
    eva.delete("/gone").is(204);
    let wish = json!({"path": "/docs", "to": {"account": "ben"}, "rights": "edit"});
    eva.api("POST", "/shares", &wish).is(201);
    world.server.ben().holds("/Shared with me/docs/a", "second");
    let link = links::share(&eva, &json!({"path": "docs"}));
    links::page(&world.server, &link, "").is(200);
    (folder, link)
}

#[test]
fn a_removed_account_leaves_its_folder_where_it_lies() {
    let world = World::new();
    let (folder, link) = settled(&world);
    let remove = |query: &str| {
        world
            .root
            .api("DELETE", &format!("/accounts/eva?{query}"), &Value::Null)
    };
    let path = folder.to_str().unwrap();
    for (query, sentence) in [
        ("files=purge".to_owned(), "only when that path is named"),
        (format!("files=purge&path={path}2"), "nothing was removed"),
        (
            format!("files=keep&path={path}"),
            "Only files that are deleted",
        ),
        (
            format!("files=transfer&to=ben&path={path}"),
            "Only files that are deleted",
        ),
    ] {
        let refused = remove(&query).is(422).text();
        assert!(refused.contains(sentence), "{query}: {refused}");
    }
    let refused = world
        .root
        .api(
            "DELETE",
            &format!("/accounts/ana?files=purge&path={path}"),
            &Value::Null,
        )
        .is(422);
    assert!(refused.text().contains("data folder"));
    world.of("eva").holds("/docs/a", "second");
    let removed = remove("files=keep").is(200).json();
    assert_eq!(removed["kept"], path);
    assert_eq!(fs::read(folder.join("docs/a")).unwrap(), b"second");
    assert!(folder.join(".sarang/home").exists());
    world.server.ben().lacks("/Shared with me/docs");
    links::page(&world.server, &link, "").is(404);
    assert_eq!(list(&world.root, "/removed-files"), Vec::<Value>::new());
    // The next of the name begins with nothing, in the data folder.
    let wish = json!({"name": "eva", "password": PASSWORD});
    world.root.api("POST", "/accounts", &wish).is(201);
    world.of("eva").lacks("/docs");
    world.of("eva").put("/mine", "x").is(201);
    assert!(world.server.home("eva").join("mine").exists() && !folder.join("mine").exists());
    // Whoever is given the folder has its history.
    let world = world.restart();
    world.add("zoe", &folder).is(201);
    let zoe = world.of("zoe");
    zoe.holds("/docs/a", "second");
    assert_eq!(
        (
            list(&zoe, "/trash").len(),
            list(&zoe, "/versions?path=docs/a").len()
        ),
        (1, 1)
    );
    world.server.ben().lacks("/Shared with me/docs");
}

#[test]
fn a_folder_is_emptied_for_whoever_names_it() {
    let world = World::new();
    let (folder, _) = settled(&world);
    fs::create_dir_all(folder.join("deep/er")).unwrap();
    let kept = world.folder("kept");
    symlink(&kept, folder.join("link")).unwrap();
    let query = format!("files=purge&path={}/", folder.display());
    world
        .root
        .api("DELETE", &format!("/accounts/eva?{query}"), &Value::Null)
        .is(200);
    assert_eq!(fs::read_dir(&folder).unwrap().count(), 0);
    assert!(kept.join("before").exists(), "a link was followed");
    world.add("zoe", &folder).is(201);
}

#[test]
fn files_in_place_go_to_another_account_with_their_history() {
    let world = World::new();
    let (folder, _) = settled(&world);
    let to = world.folder("zoe");
    world.add("zoe", &to).is(201);
    let moved = world
        .root
        .api(
            "DELETE",
            "/accounts/eva?files=transfer&to=zoe",
            &Value::Null,
        )
        .is(200)
        .json();
    assert_eq!(moved["folder"], "/Files of eva");
    let zoe = world.of("zoe");
    zoe.holds("/Files of eva/docs/a", "second");
    zoe.holds("/Files of eva/before", "of before");
    assert!(to.join("Files of eva/docs/a").exists());
    assert_eq!(list(&zoe, "/trash").len(), 1);
    assert_eq!(
        list(&zoe, "/versions?path=Files%20of%20eva/docs/a").len(),
        1
    );
    assert_eq!(fs::read_dir(&folder).unwrap().count(), 0);
    assert_eq!(list(&world.root, "/removed-files"), Vec::<Value>::new());
    // And from the data folder into one that lies in place.
    world.server.ana().put("/mine", "x").is(201);
    world
        .root
        .api("DELETE", "/accounts/ana?files=keep", &Value::Null)
        .is(200);
    let removed = list(&world.root, "/removed-files");
    let id = removed[0]["id"].as_str().unwrap();
    let bring = |to: Value| {
        world.root.api(
            "POST",
            &format!("/removed-files/{id}/restore"),
            &json!({"to": to}),
        )
    };
    world
        .add("kim", &{
            let kim = world.folder("kim");
            fs::remove_file(kim.join("before")).unwrap();
            kim
        })
        .is(201);
    assert!(
        bring(json!({"home": "kim"}))
            .is(403)
            .text()
            .contains("outside the data folder")
    );
    bring(json!({"folder": "zoe"})).is(200);
    zoe.holds("/Files of ana/mine", "x");
}

#[test]
fn a_stop_between_the_steps_of_a_removal_leaves_nothing_half_done() {
    let eva = AccountName::parse("eva").unwrap();
    let ben = AccountName::parse("ben").unwrap();
    for stop in 0..=RemovalStep::ALL.len() {
        for fate in ["keep", "purge", "transfer"] {
            let world = World::new();
            let (folder, _) = settled(&world);
            let files = match fate {
                "keep" => FilesDisposal::Keep,
                "purge" => FilesDisposal::PurgeAt(folder.to_str().unwrap().to_owned()),
                _ => FilesDisposal::Transfer(ben.clone()),
            };
            let app = world.server.app();
            let id = world
                .server
                .block_on(app.begin_removal(&eva, files))
                .unwrap();
            for step in RemovalStep::ALL.into_iter().take(stop) {
                world.server.block_on(app.take_step(&id, step)).unwrap();
            }
            if stop < RemovalStep::ALL.len() {
                world.add("eva", &world.folder("other")).is(409);
            }
            drop(app);
            let world = world.restart();
            let is_empty = || fs::read_dir(&folder).unwrap().count() == 0;
            match fate {
                "keep" => assert!(
                    folder.join("docs/a").exists() && folder.join(".sarang/home").exists(),
                    "{stop}"
                ),
                "purge" => assert!(
                    crate::harness::poll(Duration::from_secs(10), is_empty),
                    "{stop}"
                ),
                _ => {
                    world.server.ben().holds("/Files of eva/docs/a", "second");
                    assert!(is_empty(), "{stop}");
                }
            }
            assert!(crate::harness::poll(Duration::from_secs(10), || list(
                &world.root,
                "/removed-files"
            )
            .is_empty()));
            world.add("eva", &folder).is(201);
        }
    }
}

/// The program with a folder that it may serve.
fn place() -> (Place, PathBuf) {
    let place = Place::new();
    let top = fs::canonicalize(place.path()).unwrap();
    fs::set_permissions(&top, Permissions::from_mode(0o755)).unwrap();
    fs::create_dir_all(top.join("srv/eva")).unwrap();
    fs::write(top.join("srv/eva/before"), "of before").unwrap();
    fs::write(
        top.join("config.toml"),
        format!("[storage]\nallowed = [\"{}\"]\n", top.join("srv").display()),
    )
    .unwrap();
    (place, top.join("srv"))
}

fn add(place: &Place, name: &str, home: &Path) -> std::process::Output {
    place.run(
        &[
            "user",
            "add",
            name,
            "--password-stdin",
            "--home",
            home.to_str().unwrap(),
        ],
        program::PASSWORD,
    )
}

#[test]
fn the_command_line_does_the_same_beside_a_server_and_without_one() {
    let (place, srv) = place();
    place.add_ana();
    assert!(add(&place, "eva", &srv.join("eva")).status.success());
    assert!(said(&add(&place, "zoe", &srv.join("eva"))).contains("the home of eva overlap"));
    assert!(said(&add(&place, "zoe", &srv.join("none"))).contains("There is no folder"));
    let serving = place.serve();
    let eva = serving.ana().signed_in("eva", program::PASSWORD);
    eva.holds("/before", "of before");
    assert!(said(&add(&place, "zoe", &srv.join("eva"))).contains("the home of eva overlap"));
    fs::create_dir(srv.join("photos")).unwrap();
    let photos = srv.join("photos");
    let photos = photos.to_str().unwrap();
    let team = [
        "team", "add", "Photos", "--folder", photos, "--member", "ana", "--member", "eva=view",
    ];
    let added = place.run(&team, "");
    assert!(added.status.success(), "{}", said(&added));
    assert!(
        said(&place.run(&["team", "add", "X", "--member", "nobody"], ""))
            .contains("There is no nobody")
    );
    serving.ana().put("/Team folders/Photos/a", "x").is(201);
    assert!(Path::new(photos).join("a").exists());
    eva.holds("/Team folders/Photos/a", "x");
    eva.put("/Team folders/Photos/b", "x").is(403);
    let listed = String::from_utf8(place.run(&["team", "list"], "").stdout).unwrap();
    assert!(
        listed.contains("Photos") && listed.contains(photos) && listed.contains("eva (view)"),
        "{listed}"
    );
    let path = srv.join("eva");
    let remove = |choice: &[&str]| place.run(&[&["user", "remove", "eva"], choice].concat(), "");
    let refused = said(&remove(&["--purge-files"]));
    assert!(
        refused.contains("only when that path is named"),
        "{refused}"
    );
    let kept = remove(&["--keep-files"]);
    let text = String::from_utf8_lossy(&kept.stdout).into_owned();
    assert!(
        kept.status.success()
            && text.contains(&format!("stay where they are, in {}", path.display())),
        "{kept:?}"
    );
    assert!(path.join("before").exists());
    assert!(
        said(&place.run(&["team", "remove", "Photos", "--purge-files"], ""))
            .contains("that path is named")
    );
    assert!(
        place
            .run(&["team", "remove", "Photos", "--purge", photos], "")
            .status
            .success()
    );
    assert_eq!(fs::read_dir(photos).unwrap().count(), 0);
    drop(serving);
    assert!(add(&place, "eva", &path).status.success());
    let purged = remove(&["--purge", path.to_str().unwrap()]);
    assert!(
        purged.status.success() && fs::read_dir(&path).unwrap().count() == 0,
        "{purged:?}"
    );
}

#[test]
fn a_folder_that_the_servers_user_may_not_write_is_refused() {
    let (place, srv) = place();
    place.add_ana();
    let folder = srv.join("eva");
    if rustix::process::geteuid().is_root() {
        // The command acts as the owner of the data folder.
        let data = place.path().join("sarang-data");
        assert!(
            Command::new("chown")
                .args(["-R", "12345:12345"])
                .arg(&data)
                .status()
                .unwrap()
                .success()
        );
    }
    fs::set_permissions(&folder, Permissions::from_mode(0o500)).unwrap();
    let refused = said(&add(&place, "eva", &folder));
    assert!(
        refused.contains("may not read and write in") && refused.contains("ReadWritePaths="),
        "{refused}"
    );
    fs::set_permissions(&folder, Permissions::from_mode(0o777)).unwrap();
    let added = add(&place, "eva", &folder);
    assert!(added.status.success(), "{}", said(&added));
    let owner = fs::metadata(folder.join(".sarang")).unwrap().uid();
    assert_eq!(
        owner,
        fs::metadata(place.path().join("sarang-data"))
            .unwrap()
            .uid()
    );
}

#[test]
fn bind_mounts_are_seen_through() {
    let (place, srv) = place();
    place.add_ana();
    fs::create_dir_all(srv.join("other/deep")).unwrap();
    fs::create_dir_all(srv.join("mounted")).unwrap();
    fs::create_dir_all(srv.join("free")).unwrap();
    assert!(add(&place, "eva", &srv.join("eva")).status.success());
    let data = place.path().join("sarang-data");
    fs::create_dir_all(data.join("homes/ben")).unwrap();
    let mounting = |mount: (&Path, &Path), then: &str| {
        let (from, to) = (mount.0.display(), mount.1.display());
        let line = format!("mount --bind '{from}' '{to}' || exit 77; {then}");
        let mut command = place.command("unshare");
        command
            .args(["-m", "sh", "-c", &line])
            .stdin(std::process::Stdio::piped());
        let mut child = command
            .stderr(std::process::Stdio::piped())
            .spawn()
            .unwrap();
        std::io::Write::write_all(
            &mut child.stdin.take().unwrap(),
            program::PASSWORD.as_bytes(),
        )
        .unwrap();
        child.wait_with_output().unwrap()
    };
    let within = |mount: (&Path, &Path), home: &Path| {
        let add = format!(
            "exec {} user add zoe --password-stdin --home '{}'",
            program::SARANG,
            home.display()
        );
        mounting(mount, &add)
    };
    let mounted = srv.join("mounted");
    let cases = [
        // The folder of another account, what is below it, what is above it.
        (
            (srv.join("eva"), mounted.clone()),
            mounted.clone(),
            "the home of eva overlap",
        ),
        ((srv.clone(), mounted.clone()), mounted.clone(), "overlap"),
        // The data folder by another way, also below what is to be served.
        (
            (data.clone(), mounted.clone()),
            mounted.clone(),
            "the data folder overlap",
        ),
        (
            (data.join("homes"), mounted.clone()),
            mounted.clone(),
            "the data folder overlap",
        ),
        (
            (data.clone(), srv.join("other/deep")),
            srv.join("other"),
            "the data folder overlap",
        ),
        // A home in the data folder that is mounted from there, or from below there.
        (
            (srv.join("other"), data.join("homes/ben")),
            srv.join("other"),
            "the data folder overlap",
        ),
        (
            (srv.join("other/deep"), data.join("homes/ben")),
            srv.join("other"),
            "the data folder overlap",
        ),
        (
            (srv.join("other"), data.join("homes/ben")),
            srv.join("other/deep"),
            "the data folder overlap",
        ),
    ];
    for ((from, to), home, sentence) in cases {
        let output = within((&from, &to), &home);
        if output.status.code() == Some(77) || said(&output).contains("unshare") {
            println!("skipped: nothing can be mounted here: {}", said(&output));
            return;
        }
        let text = said(&output);
        assert!(
            !output.status.success() && text.contains(sentence),
            "{} on {}: {text}",
            from.display(),
            to.display()
        );
    }
    assert!(
        within((&srv.join("eva"), &mounted), &srv.join("other"))
            .status
            .success()
    );
    // A backup and a check only read, as in a sandbox; the server has to write.
    let here = srv.display();
    let read_only = |command: &str| {
        mounting(
            (&srv, &srv),
            &format!("mount -o remount,bind,ro '{here}'; {command}"),
        )
    };
    let sarang = program::SARANG;
    let around = TempDir::new().unwrap();
    let backed_up = read_only(&format!(
        "{sarang} backup '{}' && {sarang} check",
        around.path().display()
    ));
    assert!(backed_up.status.success(), "{}", said(&backed_up));
    assert!(
        around
            .path()
            .read_dir()
            .unwrap()
            .flatten()
            .any(|made| made.path().join("files/homes/eva/before").exists())
    );
    let refused = said(&read_only(&format!(
        "{sarang} user add kim --password-stdin --home '{here}/free'"
    )));
    assert!(refused.contains("may not read and write"), "{refused}");
}

#[test]
fn a_backup_has_them_and_a_restore_leaves_their_places_alone() {
    let (place, srv) = place();
    place.add_ana();
    assert!(add(&place, "eva", &srv.join("eva")).status.success());
    let serving = place.serve();
    let eva = serving.ana().signed_in("eva", program::PASSWORD);
    eva.store("/a", "first");
    eva.store("/a", "second");
    eva.api(
        "POST",
        "/shares",
        &json!({"path": "/a", "to": {"account": "ana"}, "rights": "view"}),
    )
    .is(201);
    for dir in [srv.join("eva/backups"), srv.join("eva/docs/backups")] {
        let refused = said(&place.run(&["backup", dir.to_str().unwrap()], ""));
        assert!(
            refused.contains("within a home or team folder"),
            "{refused}"
        );
    }
    let around = TempDir::new().unwrap();
    let (backups, restored) = (
        around.path().join("backups"),
        around.path().join("restored"),
    );
    let (backups, restored) = (backups.to_str().unwrap(), restored.to_str().unwrap());
    let summary =
        |output: &std::process::Output| serde_json::from_slice::<Value>(&output.stdout).unwrap();
    let first = summary(&place.run(&["backup", backups, "--json"], ""));
    sleep(Duration::from_millis(50));
    let second = summary(&place.run(&["backup", backups, "--json"], ""));
    assert_eq!(
        (&first["tally"]["failures"], &second["tally"]["failures"]),
        (&json!([]), &json!([]))
    );
    let checked = place.run(&["check"], "");
    assert!(
        checked.status.success(),
        "{}",
        String::from_utf8_lossy(&checked.stdout)
    );
    // Its disk is gone, or led elsewhere: the next backup has what this one has, and check says so.
    let (folder, away) = (srv.join("eva"), srv.join("away"));
    fs::rename(&folder, &away).unwrap();
    for planted in [false, true] {
        if planted {
            symlink(&away, &folder).unwrap();
            fs::set_permissions(&srv, Permissions::from_mode(0o777)).unwrap();
        }
        let made = place.run(&["backup", backups], "");
        let text = String::from_utf8_lossy(&made.stdout).into_owned();
        assert!(
            !made.status.success() && text.contains("homes/eva: it is missing"),
            "{text}"
        );
        let checked = String::from_utf8(place.run(&["check"], "").stdout).unwrap();
        let sentence = if planted {
            "homes/eva: it is not served: The path leads through the link"
        } else {
            "it is missing"
        };
        assert!(checked.contains(sentence), "{checked}");
    }
    fs::remove_file(&folder).unwrap();
    fs::set_permissions(&srv, Permissions::from_mode(0o755)).unwrap();
    fs::rename(&away, &folder).unwrap();
    drop(serving);
    let restore = place.run(&["restore", backups, "--to", restored], "");
    let text = String::from_utf8_lossy(&restore.stdout).into_owned();
    assert!(
        restore.status.success() && text.contains("homes/eva lay in"),
        "{text}{}",
        said(&restore)
    );
    fs::write(folder.join("a"), "of the living").unwrap();
    let serving = place.serve_by(&format!(
        "SARANG_DATA_DIR={restored} exec {} serve",
        program::SARANG
    ));
    let eva = serving.ana().signed_in("eva", program::PASSWORD);
    eva.holds("/a", "second");
    assert_eq!(list(&eva, "/versions?path=a").len(), 1);
    eva.put("/new", "x").is(201);
    serving.ana().holds("/Shared with me/a", "second");
    assert!(!folder.join("new").exists() && Path::new(restored).join("homes/eva/new").exists());
}
