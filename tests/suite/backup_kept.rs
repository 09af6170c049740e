//! What a backup keeps whatever goes wrong.

use crate::backup::{DATA, backup, generations, place, ran};
use serde_json::Value;
use std::fs;

#[test]
fn a_backup_from_a_time_that_is_yet_to_come_is_not_the_newest() {
    for numbered in [true, false] {
        let (around, place) = place();
        backup(&place, &[]);
        let made = generations(&around).pop().unwrap();
        if !numbered {
            let mut header: Value = serde_json::from_slice(&fs::read(made.join("backup.json")).unwrap()).unwrap();
            header.as_object_mut().unwrap().remove("number");
            fs::write(made.join("backup.json"), header.to_string()).unwrap();
        }
        let ahead = made.with_file_name("2099-01-01T000000Z");
        fs::rename(&made, &ahead).unwrap();
        let file = place.path().join(DATA).join("homes/ana/file");
        fs::create_dir_all(file.parent().unwrap()).unwrap();
        fs::write(&file, "two").unwrap();
        let told = ran(&place, &["backup", "../backups"]);
        assert!(told.contains("2099-01-01T000000Z lies in the future"), "{told}");
        ran(&place, &["restore", "../backups", "--to", "restored"]);
        assert_eq!(fs::read_to_string(place.path().join("restored/homes/ana/file")).unwrap(), "two");
        fs::write(&file, "three").unwrap();
        let told = ran(&place, &["backup", "../backups", "--keep", "1"]);
        assert!(told.contains("Removed 2 older backups"), "{told}");
        let left = generations(&around);
        assert_eq!(left.len(), 1, "{left:?}");
        assert_eq!(fs::read_to_string(left[0].join("files/homes/ana/file")).unwrap(), "three");
    }
}
