//! The permissions that files and folders are made with.

use serde::{Deserialize, Serialize};

/// Permissions as people write them: `0640`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Mode(u16);

impl Mode {
    /// For nobody but the server: of a file.
    pub const PRIVATE_FILE: Self = Self(0o600);
    /// The same of a folder.
    pub const PRIVATE_FOLDER: Self = Self(0o700);

    /// The permission bits.
    pub const fn bits(self) -> u16 {
        self.0
    }
}

impl TryFrom<String> for Mode {
    type Error = String;

    fn try_from(text: String) -> Result<Self, String> {
        let is_octal = (3..=4).contains(&text.len())
            && text.bytes().all(|digit| (b'0'..=b'7').contains(&digit));
        let bits = u16::from_str_radix(&text, 8)
            .ok()
            .filter(|bits| is_octal && *bits <= 0o777);
        bits.map(Self).ok_or_else(|| {
            format!(
                "{text:?} are no permissions: write three octal digits for owner, group and others, such as \"0640\""
            )
        })
    }
}

impl From<Mode> for String {
    fn from(mode: Mode) -> Self {
        format!("{:04o}", mode.0)
    }
}
