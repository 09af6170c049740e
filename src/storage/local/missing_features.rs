//! What a file system may lack of what a tree makes use of, and what becomes of that.

/// Something that not every file system has.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum MissingFeature {
    /// Renames that replace nothing.
    NoReplace,
    /// Renames that let two names change places.
    Exchange,
    /// Files without a name that get one later.
    TmpFile,
    /// Extended attributes of users.
    Xattrs,
    /// The time when a file was made.
    BirthTime,
    /// Second names of files.
    HardLinks,
    /// Times in steps of less than a second.
    SubsecondTimes,
    /// Names that differ in upper and lower case only.
    CaseSensitivity,
    /// Room that is taken before anything is written.
    Fallocate,
}

/// All that there is.
pub const ALL: [MissingFeature; 9] = [
    MissingFeature::NoReplace,
    MissingFeature::Exchange,
    MissingFeature::TmpFile,
    MissingFeature::Xattrs,
    MissingFeature::BirthTime,
    MissingFeature::HardLinks,
    MissingFeature::SubsecondTimes,
    MissingFeature::CaseSensitivity,
    MissingFeature::Fallocate,
];

impl MissingFeature {
    /// What is missing and what that means, as the rest of a sentence that begins "It has no".
    pub fn describe(self) -> &'static str {
        match self {
            Self::NoReplace => {
                "rename that replaces nothing: new files are linked to their names instead, and folders moved after a look"
            }
            Self::Exchange => {
                "exchange of two names: what replaces a folder takes two steps, between which neither is there for a moment"
            }
            Self::TmpFile => "files without a name: what is uploaded gets one in .sarang/tmp first",
            Self::Xattrs => {
                "extended attributes of users: overwritten files leave no version, properties cannot be set, shares and links of \
                 a file end when it is saved, and unfinished uploads begin again after a restart"
            }
            Self::BirthTime => {
                "times at which files were made: those of their last change are shown instead"
            }
            Self::HardLinks => {
                "hard links: versions are copies, and a file that another program makes under the very name, in the moment in \
                 which one is moved there, is lost"
            }
            Self::SubsecondTimes => {
                "fractions of a second in times: where it does not tell when files were made either, an overwritten file gets a \
                 time that is at least two seconds later"
            }
            Self::CaseSensitivity => {
                "difference between upper and lower case in names: each folder is read to find the spelling"
            }
            Self::Fallocate => {
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
pub struct MissingFeatureSet(u16);

impl MissingFeatureSet {
    /// Lacks all of these.
    pub fn of(these: &[MissingFeature]) -> Self {
        these
            .iter()
            .fold(Self::default(), |lacks, lack| lacks.with(*lack, true))
    }

    /// The same, and this if it is so.
    #[must_use]
    pub const fn with(self, lack: MissingFeature, is_so: bool) -> Self {
        if is_so {
            Self(self.0 | lack.bit())
        } else {
            self
        }
    }

    /// Whether it lacks this.
    pub const fn has(self, lack: MissingFeature) -> bool {
        self.0 & lack.bit() != 0
    }

    /// What is missing and what that means, each as the rest of a sentence that begins "It has no".
    pub fn describe(self) -> Vec<&'static str> {
        ALL.iter()
            .filter(|lack| self.has(**lack))
            .map(|lack| lack.describe())
            .collect()
    }
}
