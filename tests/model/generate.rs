//! How cases are made: names from so small a set that they meet.

use crate::operations::{
    Area, Condition, Content, Fate, How, Pick, Rights, Spot, Step, Tokens, Verb, Who,
};
use crate::sequence::Sequence;
use proptest::prelude::*;

/// The first steps make what the others need.
const FIRST: usize = 10;

/// So many steps.
pub fn steps(count: usize) -> impl Strategy<Value = Vec<Step>> {
    let by = |who, verb: BoxedStrategy<Verb>| verb.prop_map(move |verb| Step { who, verb });
    let first = prop_oneof![3 => by(Who::Ana, build(Who::Ana)), 1 => by(Who::Ben, build(Who::Ben))];
    let steps = prop_oneof![
        9 => by(Who::Ana, verb(Who::Ana)),
        7 => by(Who::Ben, verb(Who::Ben)),
        4 => by(Who::Visitor, visit()),
    ];
    Sequence(vec![(first.boxed(), FIRST), (steps.boxed(), count - FIRST)])
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

/// What is often there.
fn present() -> BoxedStrategy<Pick> {
    prop_oneof![1 => Just(Pick::None), 6 => any::<u8>().prop_map(Pick::Any)].boxed()
}

/// What is there or could be.
fn possible() -> BoxedStrategy<Pick> {
    prop_oneof![
        1 => Just(Pick::None),
        3 => any::<u8>().prop_map(Pick::Any),
        5 => any::<u8>().prop_map(Pick::In),
    ]
    .boxed()
}

/// What is most likely not there.
fn new() -> BoxedStrategy<Pick> {
    prop_oneof![2 => Just(Pick::None), 1 => any::<u8>().prop_map(Pick::Any), 12 => any::<u8>().prop_map(Pick::In)]
        .boxed()
}

fn folder() -> BoxedStrategy<Pick> {
    prop_oneof![1 => Just(Pick::None), 3 => any::<u8>().prop_map(Pick::Any), 6 => any::<u8>().prop_map(Pick::Folder)]
        .boxed()
}

fn spot(who: Who, pick: &BoxedStrategy<Pick>) -> BoxedStrategy<Spot> {
    let own = |area| (path(), pick.clone()).prop_map(move |(path, pick)| Spot { area, path, pick });
    let below = prop::sample::select(vec!["", "a", "a", "b", "b", "a/a", "a/b"]);
    let beneath = |area| {
        let spot = (below.clone(), pick.clone());
        spot.prop_map(move |(path, pick)| Spot {
            area,
            path: path.to_owned(),
            pick,
        })
    };
    match who {
        Who::Ana => prop_oneof![4 => own(Area::Own), 1 => own(Area::Team)].boxed(),
        Who::Ben => {
            prop_oneof![4 => own(Area::Own), 6 => beneath(Area::Shared), 2 => own(Area::Team)]
                .boxed()
        }
        Who::Visitor => beneath(Area::Own).boxed(),
    }
}

/// What is done first.
fn build(who: Who) -> BoxedStrategy<Verb> {
    let at = || spot(who, &new());
    let mkcol = at().prop_map(|at| Verb::Mkcol {
        at,
        tokens: Tokens::None,
        api: false,
    });
    let how = How {
        announced: true,
        dated: false,
    };
    let put = (at(), content()).prop_map(move |(at, content)| {
        let content = Content {
            len: content.len.min(60),
            ..content
        };
        Verb::Put {
            at,
            content,
            condition: Condition::None,
            how,
            tokens: Tokens::None,
        }
    });
    let members = prop_oneof![1 => Just((Some(true), Some(true))), 1 => Just((Some(true), None))];
    let team = members.prop_map(|(ana, ben)| Verb::Team { ana, ben });
    let share = spot(Who::Ana, &folder()).prop_map(|at| Verb::Share { at, edit: true });
    match who {
        Who::Ana => prop_oneof![5 => mkcol, 5 => put, 2 => share, 2 => link(), 1 => team].boxed(),
        _ => prop_oneof![1 => mkcol, 1 => put].boxed(),
    }
}

fn content() -> impl Strategy<Value = Content> {
    let lens = prop::sample::select(vec![30, 30, 0, 1, 60, 110, 180]);
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
    (prop::bool::weighted(0.8), prop::bool::weighted(0.4))
        .prop_map(|(announced, dated)| How { announced, dated })
}

fn by_api(who: Who) -> impl Strategy<Value = bool> {
    prop::bool::weighted(if who == Who::Visitor { 0.0 } else { 0.25 })
}

/// What accounts do.
fn verb(who: Who) -> BoxedStrategy<Verb> {
    prop_oneof![
        270 => file_verb(who),
        55 => lock_verb(who),
        70 => past_verb(who),
        18 => rewind_verb(who),
        30 => share_verb(who),
        18 => link_verb(),
        12 => team_verb(),
        30 => upload_verb(who),
        14 => beside_verb(who),
        1 => fate().prop_map(|fate| Verb::RemoveAccount { fate }),
    ]
    .boxed()
}

/// What visitors of a link do.
fn visit() -> BoxedStrategy<Verb> {
    prop_oneof![6 => file_verb(Who::Visitor), 2 => lock_verb(Who::Visitor), 1 => Just(Verb::Knock)]
        .boxed()
}

fn file_verb(who: Who) -> BoxedStrategy<Verb> {
    let at = || spot(who, &present());
    let anew = || spot(who, &possible());
    let api = || by_api(who);
    let put = (anew(), content(), condition(), how(), tokens());
    let put = put.prop_map(|(at, content, condition, how, tokens)| Verb::Put {
        at,
        content,
        condition,
        how,
        tokens,
    });
    let append = (anew(), content(), tokens()).prop_map(|(at, content, tokens)| Verb::Append {
        at,
        content,
        tokens,
    });
    let mkcol = (spot(who, &new()), tokens(), api()).prop_map(|(at, tokens, api)| Verb::Mkcol {
        at,
        tokens,
        api,
    });
    let delete =
        (at(), tokens(), api()).prop_map(|(at, tokens, api)| Verb::Delete { at, tokens, api });
    let get = (at(), any::<bool>()).prop_map(|(at, known)| Verb::Get { at, known });
    let zip = at().prop_map(|at| Verb::Zip { at });
    let shift = (at(), anew(), prop::bool::weighted(0.75), tokens(), api());
    let shift = shift.prop_map(|(from, to, overwrite, tokens, api)| Verb::Move {
        from,
        to,
        overwrite,
        tokens,
        api,
    });
    let copy = (
        at(),
        anew(),
        prop::bool::weighted(0.75),
        prop::bool::weighted(0.75),
        tokens(),
        api(),
    );
    let copy = copy.prop_map(|(from, to, overwrite, deep, tokens, api)| {
        let deep = deep || api;
        Verb::Copy {
            from,
            to,
            overwrite,
            deep,
            tokens,
            api,
        }
    });
    let prop = (
        at(),
        prop::sample::select(vec!['p', 'q']),
        prop::option::weighted(0.7, 0..3_u8),
        tokens(),
    );
    let prop = prop.prop_map(|(at, name, value, tokens)| Verb::SetProp {
        at,
        name,
        value,
        tokens,
    });
    prop_oneof![
        90 => put,
        10 => append,
        50 => mkcol,
        25 => delete,
        45 => shift,
        45 => copy,
        20 => prop,
        10 => get,
        5 => zip,
    ]
    .boxed()
}

fn lock_verb(who: Who) -> BoxedStrategy<Verb> {
    let lock = (
        spot(who, &possible()),
        any::<bool>(),
        any::<bool>(),
        tokens(),
    );
    let lock = lock.prop_map(|(at, shared, deep, tokens)| Verb::Lock {
        at,
        shared,
        deep,
        tokens,
    });
    let named = || {
        (
            prop::option::weighted(0.3, spot(who, &present())),
            any::<u8>(),
        )
    };
    let refresh = named().prop_map(|(at, lock)| Verb::Refresh { at, lock });
    let unlock = named().prop_map(|(at, lock)| Verb::Unlock { at, lock });
    prop_oneof![5 => lock, 1 => refresh, 3 => unlock].boxed()
}

fn past_verb(who: Who) -> BoxedStrategy<Verb> {
    let restore = (
        any::<u8>(),
        prop::option::weighted(0.4, spot(who, &new())),
        prop::bool::weighted(0.2),
    );
    let restore = restore.prop_map(|(item, to, team)| Verb::Restore { item, to, team });
    let purge = any::<u8>().prop_map(|item| Verb::Purge { item });
    let revert =
        (spot(who, &present()), any::<u8>()).prop_map(|(at, version)| Verb::Revert { at, version });
    let forget = (spot(who, &present()), any::<u8>())
        .prop_map(|(at, version)| Verb::PurgeVersion { at, version });
    prop_oneof![28 => restore, 6 => purge, 1 => Just(Verb::EmptyTrash), 24 => revert, 4 => forget]
        .boxed()
}

fn rewind_verb(who: Who) -> BoxedStrategy<Verb> {
    let rewind = (
        spot(who, &present()),
        any::<u8>(),
        prop::bool::weighted(0.3),
    );
    rewind
        .prop_map(|(at, moment, dry)| Verb::Rewind { at, moment, dry })
        .boxed()
}

fn share_verb(who: Who) -> BoxedStrategy<Verb> {
    let share = (spot(Who::Ana, &folder()), prop::bool::weighted(0.85))
        .prop_map(|(at, edit)| Verb::Share { at, edit });
    let rename = prop::sample::select(vec!['m', 'n']).prop_map(|name| Verb::RenameMount { name });
    match who {
        Who::Ben => rename.boxed(),
        _ => prop_oneof![6 => share, 1 => Just(Verb::Unshare)].boxed(),
    }
}

fn link() -> BoxedStrategy<Verb> {
    let link = (
        spot(Who::Ana, &folder()),
        link_rights(),
        prop::bool::weighted(0.06),
    );
    link.prop_map(|(at, rights, password)| Verb::Link {
        at,
        rights,
        password,
    })
    .boxed()
}

fn link_rights() -> impl Strategy<Value = Rights> {
    prop_oneof![1 => Just(Rights::View), 4 => Just(Rights::Edit), 1 => Just(Rights::Drop)]
}

fn link_verb() -> BoxedStrategy<Verb> {
    let change = (link_rights(), prop::bool::weighted(0.06));
    let change = change.prop_map(|(rights, password)| Verb::ChangeLink { rights, password });
    prop_oneof![8 => link(), 4 => change, 1 => Just(Verb::EndLink)].boxed()
}

fn team_verb() -> BoxedStrategy<Verb> {
    let member = || prop::option::weighted(0.85, prop::bool::weighted(0.8));
    let team = (member(), member()).prop_map(|(ana, ben)| Verb::Team { ana, ben });
    prop_oneof![7 => team, 1 => any::<bool>().prop_map(|purge| Verb::EndTeam { purge })].boxed()
}

fn upload_verb(who: Who) -> BoxedStrategy<Verb> {
    let begin = (
        spot(who, &possible()),
        content(),
        prop::bool::weighted(0.2),
        any::<bool>(),
    );
    let begin = begin.prop_map(|(at, content, fresh, tokens)| Verb::Begin {
        at,
        content,
        fresh,
        tokens,
    });
    let go_on = (any::<u8>(), any::<u8>(), any::<bool>());
    let go_on = go_on.prop_map(|(upload, share, tokens)| Verb::Continue {
        upload,
        share,
        tokens,
    });
    let abandon = any::<u8>().prop_map(|upload| Verb::Abandon { upload });
    prop_oneof![5 => begin, 9 => go_on, 1 => abandon].boxed()
}

fn beside_verb(who: Who) -> BoxedStrategy<Verb> {
    let beside = (
        spot(who, &present()),
        spot(who, &new()),
        prop::bool::weighted(0.4),
    );
    beside
        .prop_map(|(from, to, hard)| Verb::Beside { from, to, hard })
        .boxed()
}

fn fate() -> impl Strategy<Value = Fate> {
    prop_oneof![1 => Just(Fate::Keep), 1 => Just(Fate::Purge), 2 => Just(Fate::Transfer)]
}
