//! What people do, and how cases are made of it: names from so small a set that they meet.

use crate::sequence::Sequence;
use proptest::prelude::*;
use std::fmt;

/// How often a request is for something that is there, where it is of use only then, and where it is not.
const OFTEN: f64 = 0.8;
const SELDOM: f64 = 0.4;

/// Who asks. Ana has a small quota and shares one thing with ben.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Who {
    Ana,
    Ben,
}

impl Who {
    pub const ALL: [Self; 2] = [Self::Ana, Self::Ben];

    pub fn name(self) -> &'static str {
        if self == Self::Ana { "ana" } else { "ben" }
    }

    pub fn other(self) -> Self {
        if self == Self::Ana { Self::Ben } else { Self::Ana }
    }
}

/// A path in the drive of whoever asks; for ben it may lie in what ana shares with him.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Spot {
    pub shared: bool,
    pub path: String,
    /// Instead of the path, one of those at which something is.
    pub pick: Option<u8>,
}

/// The content of a file: so many times one letter.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct Content {
    pub letter: u8,
    pub len: u16,
}

impl Content {
    pub const EMPTY: Self = Self { letter: b'x', len: 0 };

    pub fn bytes(self) -> Vec<u8> {
        vec![self.letter; self.len.into()]
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
    /// All of the other's, without a condition.
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

#[derive(Clone, Debug)]
pub enum Verb {
    Put { at: Spot, content: Content, condition: Condition, how: How, tokens: Tokens },
    Append { at: Spot, content: Content, tokens: Tokens },
    Mkcol { at: Spot, tokens: Tokens },
    Delete { at: Spot, tokens: Tokens },
    Move { from: Spot, to: Spot, overwrite: bool, tokens: Tokens },
    Copy { from: Spot, to: Spot, overwrite: bool, deep: bool, tokens: Tokens },
    SetProp { at: Spot, name: char, value: Option<u8>, tokens: Tokens },
    Lock { at: Spot, shared: bool, deep: bool, tokens: Tokens },
    Refresh { at: Option<Spot>, lock: u8 },
    Unlock { at: Option<Spot>, lock: u8 },
    Get { at: Spot, known: bool },
    Share { at: Spot, edit: bool },
    Unshare,
    RenameMount { name: char },
    Restore { item: u8, to: Option<Spot> },
    Purge { item: u8 },
    EmptyTrash,
    Revert { at: Spot, version: u8 },
    PurgeVersion { at: Spot, version: u8 },
    Begin { path: String, content: Content, fresh: bool, tokens: bool },
    Continue { upload: u8, share: u8, tokens: bool },
    Abandon { upload: u8 },
}

#[derive(Clone, Debug)]
pub struct Step {
    pub who: Who,
    pub verb: Verb,
}

/// So many steps.
pub fn steps(count: usize) -> impl Strategy<Value = Vec<Step>> {
    let by = |who| {
        verb(who).prop_map(move |verb| match verb {
            Verb::Begin { .. } | Verb::Continue { .. } | Verb::Abandon { .. } => Step { who: Who::Ana, verb },
            verb => Step { who, verb },
        })
    };
    Sequence(prop_oneof![3 => by(Who::Ana), 2 => by(Who::Ben)], count)
}

fn path() -> BoxedStrategy<String> {
    let top = || prop::sample::select(vec!["a", "b", "c"]);
    let below = || prop::sample::select(vec!["a", "b"]);
    prop_oneof![
        5 => top().prop_map(str::to_owned),
        4 => (top(), below()).prop_map(|(a, b)| format!("{a}/{b}")),
        1 => (top(), below(), below()).prop_map(|(a, b, c)| format!("{a}/{b}/{c}")),
    ]
    .boxed()
}

/// A spot at which, so often, something is.
fn spot(who: Who, taken: f64) -> BoxedStrategy<Spot> {
    let pick = || prop::option::weighted(taken, any::<u8>());
    let own = (path(), pick()).prop_map(|(path, pick)| Spot { shared: false, path, pick });
    let below = prop::sample::select(vec!["", "a", "a", "b", "b", "a/a", "a/b"]);
    let shared = (below, pick()).prop_map(|(path, pick)| Spot { shared: true, path: path.to_owned(), pick });
    match who {
        Who::Ana => own.boxed(),
        Who::Ben => prop_oneof![2 => own, 3 => shared].boxed(),
    }
}

fn content() -> impl Strategy<Value = Content> {
    let lens = prop::sample::select(vec![30, 0, 1, 60, 110, 180]);
    (prop::sample::select(vec![b'k', b'l']), lens).prop_map(|(letter, len)| Content { letter, len })
}

fn tokens() -> impl Strategy<Value = Tokens> {
    prop_oneof![
        4 => Just(Tokens::None),
        5 => Just(Tokens::Own),
        1 => Just(Tokens::Others),
        1 => any::<u8>().prop_map(Tokens::Strict),
    ]
}

fn condition() -> impl Strategy<Value = Condition> {
    use Condition::{Absent, Exists, None, Right, Stale};
    prop_oneof![12 => Just(None), 2 => Just(Right), 1 => Just(Stale), 1 => Just(Exists), 1 => Just(Absent)]
}

fn how() -> impl Strategy<Value = How> {
    (prop::bool::weighted(0.8), prop::bool::weighted(0.4)).prop_map(|(announced, dated)| How { announced, dated })
}

fn verb(who: Who) -> BoxedStrategy<Verb> {
    let at = || spot(who, OFTEN);
    let anew = || spot(who, SELDOM);
    let put = (anew(), content(), condition(), how(), tokens());
    let put = put.prop_map(|(at, content, condition, how, tokens)| Verb::Put { at, content, condition, how, tokens });
    let append = (anew(), content(), tokens()).prop_map(|(at, content, tokens)| Verb::Append { at, content, tokens });
    let mkcol = (spot(who, 0.1), tokens()).prop_map(|(at, tokens)| Verb::Mkcol { at, tokens });
    let delete = (at(), tokens()).prop_map(|(at, tokens)| Verb::Delete { at, tokens });
    let get = (at(), any::<bool>()).prop_map(|(at, known)| Verb::Get { at, known });
    let shift = (at(), anew(), prop::bool::weighted(0.75), tokens());
    let shift = shift.prop_map(|(from, to, overwrite, tokens)| Verb::Move { from, to, overwrite, tokens });
    let copy = (at(), anew(), prop::bool::weighted(0.75), prop::bool::weighted(0.75), tokens());
    let copy = copy.prop_map(|(from, to, overwrite, deep, tokens)| Verb::Copy { from, to, overwrite, deep, tokens });
    let prop = (at(), prop::sample::select(vec!['p', 'q']), prop::option::weighted(0.7, 0..3_u8), tokens());
    let prop = prop.prop_map(|(at, name, value, tokens)| Verb::SetProp { at, name, value, tokens });
    prop_oneof![
        18 => put,
        2 => append,
        10 => mkcol,
        5 => delete,
        9 => shift,
        9 => copy,
        4 => prop,
        2 => get,
        11 => lock_verb(who),
        14 => past_verb(who),
        6 => share_verb(who),
        6 => upload_verb(),
    ]
    .boxed()
}

fn lock_verb(who: Who) -> BoxedStrategy<Verb> {
    let lock = (spot(who, SELDOM), any::<bool>(), any::<bool>(), tokens());
    let lock = lock.prop_map(|(at, shared, deep, tokens)| Verb::Lock { at, shared, deep, tokens });
    let named = || (prop::option::weighted(0.3, spot(who, OFTEN)), any::<u8>());
    let refresh = named().prop_map(|(at, lock)| Verb::Refresh { at, lock });
    let unlock = named().prop_map(|(at, lock)| Verb::Unlock { at, lock });
    prop_oneof![5 => lock, 1 => refresh, 3 => unlock].boxed()
}

fn past_verb(who: Who) -> BoxedStrategy<Verb> {
    let restore = (any::<u8>(), prop::option::weighted(0.4, spot(who, 0.2)));
    let restore = restore.prop_map(|(item, to)| Verb::Restore { item, to });
    let purge = any::<u8>().prop_map(|item| Verb::Purge { item });
    let revert = (spot(who, OFTEN), any::<u8>()).prop_map(|(at, version)| Verb::Revert { at, version });
    let forget = (spot(who, OFTEN), any::<u8>()).prop_map(|(at, version)| Verb::PurgeVersion { at, version });
    prop_oneof![28 => restore, 6 => purge, 1 => Just(Verb::EmptyTrash), 24 => revert, 4 => forget].boxed()
}

fn share_verb(who: Who) -> BoxedStrategy<Verb> {
    let share = (spot(Who::Ana, OFTEN), prop::bool::weighted(0.85)).prop_map(|(at, edit)| Verb::Share { at, edit });
    let rename = prop::sample::select(vec!['m', 'n']).prop_map(|name| Verb::RenameMount { name });
    match who {
        Who::Ana => prop_oneof![6 => share, 1 => Just(Verb::Unshare)].boxed(),
        Who::Ben => rename.boxed(),
    }
}

fn upload_verb() -> BoxedStrategy<Verb> {
    let begin = (path(), content(), prop::bool::weighted(0.2), any::<bool>());
    let begin = begin.prop_map(|(path, content, fresh, tokens)| Verb::Begin { path, content, fresh, tokens });
    let go_on = (any::<u8>(), any::<u8>(), any::<bool>());
    let go_on = go_on.prop_map(|(upload, share, tokens)| Verb::Continue { upload, share, tokens });
    let abandon = any::<u8>().prop_map(|upload| Verb::Abandon { upload });
    prop_oneof![5 => begin, 9 => go_on, 1 => abandon].boxed()
}
