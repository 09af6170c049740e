//! What people do.

pub use crate::people::{
    Area, Condition, Content, Fate, How, Pick, Rights, Root, Spot, Tokens, Who,
};

/// `api` is whether the change comes through the JSON API, where visitors of a link have none.
#[derive(Clone, Debug)]
pub enum Verb {
    Put {
        at: Spot,
        content: Content,
        condition: Condition,
        how: How,
        tokens: Tokens,
    },
    Append {
        at: Spot,
        content: Content,
        tokens: Tokens,
    },
    Mkcol {
        at: Spot,
        tokens: Tokens,
        api: bool,
    },
    Delete {
        at: Spot,
        tokens: Tokens,
        api: bool,
    },
    Move {
        from: Spot,
        to: Spot,
        overwrite: bool,
        tokens: Tokens,
        api: bool,
    },
    Copy {
        from: Spot,
        to: Spot,
        overwrite: bool,
        deep: bool,
        tokens: Tokens,
        api: bool,
    },
    SetProp {
        at: Spot,
        name: char,
        value: Option<u8>,
        tokens: Tokens,
    },
    Lock {
        at: Spot,
        shared: bool,
        deep: bool,
        tokens: Tokens,
    },
    Refresh {
        at: Option<Spot>,
        lock: u8,
    },
    Unlock {
        at: Option<Spot>,
        lock: u8,
    },
    Get {
        at: Spot,
        known: bool,
    },
    Zip {
        at: Spot,
    },
    Share {
        at: Spot,
        edit: bool,
    },
    Unshare,
    RenameMount {
        name: char,
    },
    Link {
        at: Spot,
        rights: Rights,
        password: bool,
    },
    ChangeLink {
        rights: Rights,
        password: bool,
    },
    EndLink,
    Knock,
    /// Whether ana and ben are members, and may edit.
    Team {
        ana: Option<bool>,
        ben: Option<bool>,
    },
    EndTeam {
        purge: bool,
    },
    Restore {
        item: u8,
        to: Option<Spot>,
        team: bool,
    },
    Purge {
        item: u8,
    },
    EmptyTrash,
    Revert {
        at: Spot,
        version: u8,
    },
    PurgeVersion {
        at: Spot,
        version: u8,
    },
    Rewind {
        at: Spot,
        moment: u8,
        dry: bool,
    },
    Begin {
        at: Spot,
        content: Content,
        fresh: bool,
        tokens: bool,
    },
    Continue {
        upload: u8,
        share: u8,
        tokens: bool,
    },
    Abandon {
        upload: u8,
    },
    /// What somebody does in the folder of files itself: a copy with all attributes, or for a file a second name.
    Beside {
        from: Spot,
        to: Spot,
        hard: bool,
    },
    RemoveAccount {
        fate: Fate,
    },
}

#[derive(Clone, Debug)]
pub struct Step {
    pub who: Who,
    pub verb: Verb,
}
