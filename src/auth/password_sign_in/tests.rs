//! Tests of password sign in.

use super::*;

#[test]
fn windows_and_mail_forms_name_the_account() {
    for user in [
        "ana",
        "ANA",
        "CORP\\ana",
        "drive.example\\Ana",
        "ana@drive.example",
        "CORP\\ana@drive.example",
    ] {
        assert_eq!(account_in(user).unwrap().as_str(), "ana", "{user}");
    }
    for user in ["", "CORP\\", "@host", "a b", "ana%40host", "ana/"] {
        assert_eq!(account_in(user), None, "{user}");
    }
}
