//! What a file system may lack of what a tree makes use of, and what becomes of that.

/// Something that not every file system has.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Lack {
    /// Renames that replace nothing.
    NoReplace,
    /// Renames that let two names change places.
    Exchange,
    /// Files without a name that get one later.
    Unnamed,
    /// Extended attributes of users.
    Attributes,
    /// The time when a file was made.
    Birth,
    /// Second names of files.
    Links,
    /// Times in steps of less than a second.
    Fractions,
    /// Names that differ in upper and lower case only.
    Case,
    /// Room that is taken before anything is written.
    Room,
}

/// All that there is.
pub const ALL: [Lack; 9] = [
    Lack::NoReplace,
    Lack::Exchange,
    Lack::Unnamed,
    Lack::Attributes,
    Lack::Birth,
    Lack::Links,
    Lack::Fractions,
    Lack::Case,
    Lack::Room,
];

impl Lack {
    /// What is missing and what that means, as the rest of a sentence that begins "It has no".
    pub fn tell(self) -> &'static str {
        match self {
            Self::NoReplace => {
                "rename that replaces nothing: new files are linked to their names instead, and folders moved after a look"
            }
            Self::Exchange => {
                "exchange of two names: what replaces a folder takes two steps, between which neither is there for a moment"
            }
            Self::Unnamed => "files without a name: what is uploaded gets one in .sarang/tmp first",
            Self::Attributes => {
                "extended attributes of users: overwritten files leave no version, properties cannot be set, shares and links of \
                 a file end when it is saved, and unfinished uploads begin again after a restart"
            }
            Self::Birth => {
                "times at which files were made: those of their last change are shown instead"
            }
            Self::Links => {
                "hard links: versions are copies, and a file that another program makes under the very name, in the moment in \
                 which one is moved there, is lost"
            }
            Self::Fractions => {
                "fractions of a second in times: where it does not tell when files were made either, an overwritten file gets a \
                 time that is at least two seconds later"
            }
            Self::Case => {
                "difference between upper and lower case in names: each folder is read to find the spelling"
            }
            Self::Room => {
                "room that is taken beforehand: an upload may find the disk full in its middle"
            }
        }
    }

    const fn bit(self) -> u16 {
        1 << self as u16
    }
}

/// What a file system lacks.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct Lacks(u16);

impl Lacks {
    /// Lacks all of these.
    pub fn of(these: &[Lack]) -> Self {
        these
            .iter()
            .fold(Self::default(), |lacks, lack| lacks.and(*lack, true))
    }

    /// The same, and this if it is so.
    #[must_use]
    pub const fn and(self, lack: Lack, is_so: bool) -> Self {
        if is_so {
            Self(self.0 | lack.bit())
        } else {
            self
        }
    }

    /// Whether it lacks this.
    pub const fn has(self, lack: Lack) -> bool {
        self.0 & lack.bit() != 0
    }

    /// What is missing and what that means, each as the rest of a sentence that begins "It has no".
    pub fn tell(self) -> Vec<&'static str> {
        ALL.iter()
            .filter(|lack| self.has(**lack))
            .map(|lack| lack.tell())
            .collect()
    }
}
