//! Groups, invites, team folders, shares and links by command, with a running server and without one.

use crate::harness::{Client, PASSWORD};
use crate::program::{Place, SARANG, Serving, said};
use serde_json::{Value, json};
use std::process::Output;

struct Desk {
    place: Place,
    serving: Option<Serving>,
}

impl Desk {
    /// With the administrator zoe, and ana and ben.
    fn new(is_running: bool) -> Self {
        let place = Place::new();
        let mut desk = Self {
            place,
            serving: None,
        };
        desk.ran("user add zoe --admin --password-stdin");
        desk.ran("user add ana --password-stdin");
        desk.ran("user add ben --password-stdin");
        if is_running {
            desk.serving = Some(desk.place.serve());
        }
        desk
    }

    fn run(&self, line: &str) -> Output {
        let arguments: Vec<&str> = line.split(' ').collect();
        let asks = arguments.contains(&"--password-stdin");
        self.place.run(&arguments, if asks { PASSWORD } else { "" })
    }

    #[track_caller]
    fn ran(&self, line: &str) -> String {
        let output = self.run(line);
        assert!(output.status.success(), "{line}: {output:?}");
        String::from_utf8(output.stdout).unwrap()
    }

    /// Somebody at the running server.
    fn signed_in(&self, name: &str) -> Client {
        let serving = self.serving.as_ref().expect("a server");
        Client::new(serving.address, Some((name, PASSWORD)))
    }

    #[track_caller]
    fn read(&self, line: &str) -> Value {
        serde_json::from_str(&self.ran(line)).unwrap()
    }

    #[track_caller]
    fn refused(&self, line: &str, why: &str) {
        let output = self.run(line);
        assert_eq!(output.status.code(), Some(1), "{line}: {output:?}");
        assert!(said(&output).contains(why), "{line}: {output:?}");
    }

    /// That a line is not understood at all.
    #[track_caller]
    fn unread(&self, line: &str) {
        let output = self.run(line);
        assert_eq!(output.status.code(), Some(2), "{line}: {output:?}");
    }

    #[track_caller]
    fn told(&self, kind: &str, what: &str) {
        let log = self.ran(&format!("audit --kind {kind}"));
        assert!(
            log.contains("by the command line") && log.contains(what),
            "{log}"
        );
    }
}

fn names(list: &Value) -> Vec<&str> {
    let items = list.as_array().unwrap().iter();
    items.map(|item| item["name"].as_str().unwrap()).collect()
}

#[test]
fn a_command_where_no_data_folder_is_makes_none() {
    let place = Place::new();
    for line in [
        "user list",
        "user disable ana",
        "team list",
        "group list",
        "link list",
        "lock list",
        "removed list",
        "overview",
        "audit",
        "trash list ana",
    ] {
        let arguments: Vec<&str> = line.split(' ').collect();
        let output = place.command(SARANG).args(arguments).output().unwrap();
        let text = said(&output);
        assert!(
            output.status.code() == Some(1)
                && text.contains("There is no data folder sarang-data: SARANG_DATA_DIR"),
            "{line}: {text}"
        );
        assert!(!place.path().join("sarang-data").exists(), "{line}");
    }
}

#[test]
fn groups_by_command() {
    for is_running in [false, true] {
        let desk = Desk::new(is_running);
        assert!(desk.ran("group list").contains("sarang group add NAME"));
        assert_eq!(
            desk.ran("group add crew --member ana"),
            "Added the group crew.\n"
        );
        desk.ran("group add empty");
        let groups = desk.read("group list --json");
        assert_eq!(names(&groups), ["crew", "empty"]);
        assert_eq!(groups[0]["members"], json!(["ana"]));
        assert_eq!(
            desk.ran("group list"),
            "NAME   MEMBERS\ncrew   ana\nempty  none\n"
        );
        assert_eq!(
            desk.ran("group member-add crew ben zoe"),
            "Members of the group crew: ana, ben, zoe.\n"
        );
        assert_eq!(
            desk.ran("group member-remove crew ana zoe"),
            "Members of the group crew: ben.\n"
        );
        desk.told("group-changed", "members ben");
        desk.refused("group add crew", "There is already a group crew.");
        desk.refused(
            "group add new --member nobody",
            "There is no account nobody.",
        );
        desk.refused(
            "group member-add crew nobody",
            "There is no account nobody.",
        );
        desk.refused("group member-add none ana", "There is no group none.");
        desk.refused(
            "group member-remove crew ana",
            "There is no ana among the members.",
        );
        desk.refused("group remove none", "There is no group none.");
        desk.unread("group add ../x");
        desk.unread("group member-add crew");
        assert!(
            desk.ran("group remove crew")
                .contains("Removed the group crew")
        );
        desk.told("group-removed", "crew");
        assert_eq!(names(&desk.read("group list --json")), ["empty"]);
    }
}

#[test]
fn team_folders_by_command() {
    for is_running in [false, true] {
        let desk = Desk::new(is_running);
        desk.ran("group add crew --member ben");
        desk.ran("team add Plans --member ana=view --quota 1K");
        assert_eq!(
            desk.ran("team member-add Plans group:crew ana"),
            "Members of the team folder Plans: group crew (edit), ana (edit).\n"
        );
        desk.ran("team quota Plans none");
        let teams = desk.read("team list --json");
        assert_eq!(
            (&teams[0]["name"], &teams[0]["quota"]),
            (&json!("Plans"), &Value::Null)
        );
        assert_eq!(
            desk.ran("team quota Plans 2K"),
            "Set the quota of Plans: 2 KiB.\n"
        );
        assert_eq!(desk.read("team list --json")[0]["quota"], 2048);
        if is_running {
            desk.signed_in("ben").store("/Team folders/Plans/x", "x");
        }
        assert_eq!(
            desk.ran("team member-remove Plans group:crew"),
            "Members of the team folder Plans: ana (edit).\n"
        );
        if is_running {
            desk.signed_in("ben").get("/Team folders/Plans/x").is(404);
        }
        desk.told("team-folder-changed", "ana edit; quota 2048 bytes");
        desk.refused("team add Plans", "There is already a team folder Plans.");
        desk.refused("team add Other --member nobody", "There is no nobody.");
        desk.refused("team member-add Plans nobody", "There is no nobody.");
        desk.refused(
            "team member-add Plans group:none",
            "There is no group none.",
        );
        desk.refused("team member-add None ana", "There is no team folder None.");
        desk.refused(
            "team member-remove Plans ben",
            "There is no ben among the members.",
        );
        desk.refused("team quota None 1K", "There is no team folder None.");
        desk.refused(
            "team remove None --keep-files",
            "There is no team folder None.",
        );
        desk.unread("team quota Plans much");
        let removed = desk.ran("team remove Plans --keep-files");
        assert!(
            removed.contains(if is_running {
                "Its files are in"
            } else {
                "Removed the team folder Plans."
            }),
            "{removed}"
        );
    }
}

#[test]
fn invites_by_command() {
    for is_running in [false, true] {
        let mut desk = Desk::new(is_running);
        desk.ran("group add crew");
        assert_eq!(desk.ran("invite list"), "There are no open invites.\n");
        let made = desk.read("invite create --by zoe --note Cleo --group crew --quota 1K --json");
        let (id, secret) = (
            made["id"].as_str().unwrap(),
            made["invite"].as_str().unwrap(),
        );
        desk.told("invite-created", "into crew; Cleo");
        let open = desk.read("invite list --json");
        assert_eq!(
            (
                &open[0]["id"],
                &open[0]["by"],
                &open[0]["quota"],
                &open[0]["groups"]
            ),
            (&json!(id), &json!("zoe"), &json!(1024), &json!(["crew"]))
        );
        assert!(
            desk.ran("invite list").contains("1 KiB") && !desk.ran("invite list").contains(secret)
        );
        if !is_running {
            desk.serving = Some(desk.place.serve());
        }
        let nobody = Client::new(desk.serving.as_ref().unwrap().address, None);
        let body = json!({"name": "cleo", "password": PASSWORD, "invite": secret});
        let request = nobody.raw("POST", "/api/v1/register");
        let request = request.header("Content-Type", "application/json");
        request.body(body.to_string()).send().is(201);
        assert_eq!(
            desk.read("group list --json")[0]["members"],
            json!(["cleo"])
        );
        if !is_running {
            desk.serving = None;
        }
        let told = desk.ran("invite create --by zoe --expires 2100-01-01");
        assert!(told.contains("it is not shown again"), "{told}");
        let open = desk.read("invite list --json");
        assert_eq!(open[0]["expires"], "2100-01-01T00:00:00Z");
        let id = open[0]["id"].as_str().unwrap();
        assert_eq!(
            desk.ran(&format!("invite withdraw {id}")),
            format!("Withdrew the invite {id}.\n")
        );
        desk.told("invite-removed", id);
        desk.refused(&format!("invite withdraw {id}"), "There is no invite");
        desk.refused("invite create --by nobody", "There is no account nobody.");
        desk.refused("invite create --by ana", "in the name of an administrator");
        desk.refused(
            "invite create --by zoe --group none",
            "There is no group none.",
        );
        desk.refused(
            "invite create --by zoe --expires 2001-01-01",
            "a time to come",
        );
        desk.unread("invite create");
    }
}

#[test]
fn shares_and_links_by_command() {
    let mut desk = Desk::new(true);
    let post = |desk: &Desk, path: &str, body: &Value| {
        let ana = desk.signed_in("ana");
        let request = ana.raw("POST", &format!("/api/v1/{path}"));
        let request = request.header("Content-Type", "application/json");
        request.body(body.to_string()).send().is(201).json()
    };
    desk.signed_in("ana").store("/x", "shared");
    for is_running in [true, false] {
        // Without one, it only runs for what accounts make themselves.
        desk.serving = None;
        desk.serving = Some(desk.place.serve());
        let share = json!({"path": "/x", "to": {"account": "ben"}, "rights": "view"});
        post(&desk, "shares", &share);
        let link = post(&desk, "links", &json!({"path": "/x"}));
        if !is_running {
            desk.serving = None;
        }
        let shares = desk.read("share list --json");
        assert_eq!(
            (&shares[0]["owner"], &shares[0]["path"], &shares[0]["to"]),
            (&json!("ana"), &json!("/x"), &json!({"account": "ben"}))
        );
        let shown = desk.ran("share list --account ana");
        assert!(
            shown.contains("ana    ben  view    never    /x\n"),
            "{shown}"
        );
        assert_eq!(
            desk.ran("share list --account ben"),
            "There are no shares.\n"
        );
        let links = desk.read("link list --json");
        assert_eq!(
            (&links[0]["owner"], &links[0]["id"]),
            (&json!("ana"), &link["id"])
        );
        let shown = desk.ran("link list --account ana");
        assert!(
            shown.contains("/x") && !shown.contains(link["token"].as_str().unwrap()),
            "{shown}"
        );
        assert_eq!(desk.ran("link list --account ben"), "There are no links.\n");
        for (what, list) in [("share", &shares), ("link", &links)] {
            let id = list[0]["id"].as_str().unwrap();
            assert_eq!(
                desk.ran(&format!("{what} end {id}")),
                format!("Ended the {what} {id}.\n")
            );
            desk.told(&format!("{what}-ended"), id);
            desk.refused(
                &format!("{what} end {id}"),
                &format!("There is no {what} {id}."),
            );
            desk.refused(
                &format!("{what} list --account nobody"),
                "There is no account nobody.",
            );
            assert_eq!(
                desk.ran(&format!("{what} list")),
                format!("There are no {what}s.\n")
            );
        }
    }
}

#[test]
fn refusals_name_what_was_meant() {
    for is_running in [false, true] {
        let desk = Desk::new(is_running);
        for (line, why) in [
            ("user enable nobody", "There is no account nobody."),
            ("user two-factor-off nobody", "There is no account nobody."),
            (
                "user two-factor-off ana",
                "The sign-in of ana asks for no code.",
            ),
            ("user unlink ana", "ana is linked to nobody."),
            (
                "user add ana --password-stdin",
                "There is already an account ana.",
            ),
            (
                "user remove ana --transfer-to ana",
                "must go to another account",
            ),
            ("trash list nobody", "There is no account nobody."),
            (
                "trash purge ana none",
                "There is no such thing in the past of ana.",
            ),
            (
                "versions list ana /none",
                "There is no such thing in the past of ana.",
            ),
            ("rewind ana / --to never", "Write a time as"),
            (
                "new-home homes/nobody",
                "There is no account or team folder with \"homes/nobody\".",
            ),
            (
                "removed purge none",
                "There are no files \"none\" that lie aside",
            ),
        ] {
            desk.refused(line, why);
        }
    }
}
