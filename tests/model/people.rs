//! Who asks, what there is to ask for, and the words of which steps are made.

use std::fmt;

/// Who asks. Ana has a small quota, shares one thing with ben, and gives one thing away by a link.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Who {
    Ana,
    Ben,
    /// Whoever has ana's link.
    Visitor,
}

impl Who {
    /// Those with an account.
    pub const ACCOUNTS: [Self; 2] = [Self::Ana, Self::Ben];

    pub fn name(self) -> &'static str {
        match self {
            Self::Ana => "ana",
            Self::Ben => "ben",
            Self::Visitor => "a visitor",
        }
    }

    /// Somebody else.
    pub fn other(self) -> Self {
        if self == Self::Ana {
            Self::Ben
        } else {
            Self::Ana
        }
    }

    /// Where their own paths lead.
    pub fn home(self) -> Root {
        if self == Self::Ben {
            Root::Ben
        } else {
            Root::Ana
        }
    }
}

/// Where files lie.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Root {
    Ana,
    Ben,
    Team,
}

impl Root {
    pub const ALL: [Self; 3] = [Self::Ana, Self::Ben, Self::Team];
}

/// What may be done by a link, a share or in a team folder.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Rights {
    View,
    Edit,
    /// To add, and to see nothing.
    Drop,
}

impl Rights {
    pub fn name(self) -> &'static str {
        match self {
            Self::View => "view",
            Self::Edit => "edit",
            Self::Drop => "drop",
        }
    }
}

/// Which part of a drive.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Area {
    Own,
    /// What is shared with ben.
    Shared,
    /// The team folder, where whoever asks sees it; else what is their own.
    Team,
}

/// A path in the drive of whoever asks.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Spot {
    pub area: Area,
    pub path: String,
    pub pick: Pick,
}

/// What is taken instead of a path, of what is there.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Pick {
    None,
    /// Something.
    Any(u8),
    /// A folder.
    Folder(u8),
    /// The last name of the path, in a folder.
    In(u8),
}

/// The content of a file: so many times one letter.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct Content {
    pub letter: u8,
    pub len: u16,
}

impl Content {
    pub const EMPTY: Self = Self {
        letter: b'x',
        len: 0,
    };

    pub fn bytes(self) -> Vec<u8> {
        vec![self.letter; self.len.into()]
    }

    /// Whether the bytes are the same; no bytes are, whatever they were to be.
    pub fn is(self, other: Self) -> bool {
        self == other || (self.len == 0 && other.len == 0)
    }
}

impl fmt::Debug for Content {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} x '{}'", self.len, char::from(self.letter))
    }
}

/// The condition that a PUT comes with.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Condition {
    None,
    /// If-Match with the tag of what is there.
    Right,
    /// If-Match with another tag.
    Stale,
    /// If-Match: *
    Exists,
    /// If-None-Match: *
    Absent,
}

/// The lock tokens that a request comes with.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Tokens {
    None,
    /// All of one's own, without a condition.
    Own,
    /// All of somebody else's, without a condition.
    Others,
    /// One, which must cover what the request names.
    Strict(u8),
}

/// How the bytes of a PUT come.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct How {
    /// Whether their number is said first.
    pub announced: bool,
    /// Whether the client sets the time, the same every time.
    pub dated: bool,
}

/// What becomes of the files of an account that goes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fate {
    Keep,
    Purge,
    /// They go to the other account.
    Transfer,
}
