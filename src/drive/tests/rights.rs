//! Shares in any combination: nobody may more than some share and the sign-in grant together, and what is revoked only takes away.

use super::*;
use std::collections::BTreeSet;

/// What ben may do with one thing of ana's.
type Allowed = BTreeSet<(String, &'static str)>;

const FOLDERS: [&str; 3] = ["docs", "docs/in", "docs-private"];
const ALL: [&str; 7] = [
    "docs",
    "docs/in",
    "docs-private",
    "docs/a",
    "docs/in/b",
    "docs-private/c",
    "top",
];
const ACCESSES: [(&str, Access); 4] = [
    ("stat", Access::Stat),
    ("read", Access::Read),
    ("create", Access::Create),
    ("change", Access::Change),
];

/// A share of a case: which of `ALL`, to whom, and what it grants.
#[derive(Clone, Debug)]
struct GivenShare {
    at: usize,
    to: Grantee,
    rights: Rights,
}

fn group(name: &str) -> GroupName {
    GroupName::parse(name).unwrap()
}

fn any_given() -> impl Strategy<Value = GivenShare> {
    let to = prop_oneof![
        Just(Grantee::Account(name("ben"))),
        Just(Grantee::Group(group("his"))),
        Just(Grantee::Group(group("others"))),
        Just(Grantee::Account(name("eva"))),
    ];
    let rights = prop_oneof![Just(Rights::View), Just(Rights::Edit)];
    (0..ALL.len(), to, rights).prop_map(|(at, to, rights)| GivenShare { at, to, rights })
}

/// What the shares and the sign-in grant, by the words of the rules alone.
fn granted(given: &[GivenShare], own: Rights) -> Allowed {
    let mut allowed = Allowed::new();
    for GivenShare { at, to, rights } in given {
        let reaches = matches!(to, Grantee::Account(to) if *to == name("ben"))
            || *to == Grantee::Group(group("his"));
        if !reaches || own == Rights::Drop {
            continue;
        }
        let shown = ALL[*at];
        for file in ALL
            .iter()
            .filter(|file| **file == shown || file.starts_with(&format!("{shown}/")))
        {
            let edits = *rights == Rights::Edit && own == Rights::Edit;
            allowed.extend(["stat", "read"].map(|access| ((*file).to_owned(), access)));
            allowed.extend(
                ["create", "change"]
                    .iter()
                    .filter(|_| edits)
                    .map(|access| ((*file).to_owned(), *access)),
            );
        }
    }
    allowed
}

/// What a drive lets ben do in fact, on every way that ever led to something of ana's.
async fn allowed(drive: &Drive, ways: &[(VPath, String)]) -> Allowed {
    let mut allowed = Allowed::new();
    for (at, shown) in ways {
        for file in ALL
            .iter()
            .filter_map(|file| path(file).after(&path(shown)).map(|rest| (*file, rest)))
        {
            let there = file.1.beneath(at);
            for (word, access) in ACCESSES {
                if drive.resolve_authorized(&there, access).await.is_ok() {
                    allowed.insert((file.0.to_owned(), word));
                }
            }
        }
    }
    allowed
}

/// Ana's and ben's homes, used by all cases.
struct RightsFixture {
    ana: TestHome,
    ben: Arc<NamedTree>,
    _dir: TestHome,
}

impl RightsFixture {
    async fn new() -> Self {
        let ana = TestHome::new().await;
        let home = TestHome::new().await;
        Self {
            ana,
            ben: Arc::new(NamedTree::new("home/ben".into(), home.root.tree.clone())),
            _dir: home,
        }
    }

    async fn context(&self, given: &[GivenShare]) -> Arc<DriveContext> {
        let context = context_of(&self.ana, &self.ben).await;
        context
            .sharing
            .groups
            .create(&group("his"), [name("ben")].into())
            .await
            .unwrap();
        context
            .sharing
            .groups
            .create(&group("others"), [name("eva")].into())
            .await
            .unwrap();
        for GivenShare { at, to, rights } in given {
            let path = path(ALL[*at]);
            let to = context.sharing.groups.bind(to).unwrap();
            let rights = *rights;
            let (_, node) = self.ana.root.tree.keep_id(&path).await.unwrap();
            let folder = FOLDERS.contains(&ALL[*at]);
            let new = NewShare {
                path,
                node,
                folder,
                to,
                rights,
                expires: None,
                note: String::new(),
            };
            // The same with the same once more is refused.
            let _ = context.sharing.shares.create(&name("ana"), new).await;
        }
        context
    }

    async fn drive(&self, context: &Arc<DriveContext>, rights: Rights) -> Drive {
        let identity = Identity {
            rights,
            ..Identity::whole(name("ben"), Role::User, None, Arc::new(Irrevocable))
        };
        let drive = Drive::new(Arc::new(identity), self.ben.clone(), self.ana.locks.clone());
        drive.with_context(context).await.unwrap()
    }
}

/// The ways that lead from a drive to what ana shares.
async fn ways(drive: &Drive) -> Vec<(VPath, String)> {
    let incoming = drive.incoming().await.unwrap();
    incoming
        .into_iter()
        .map(|(share, at)| (at, share.path().as_str().to_owned()))
        .collect()
}

/// The shares as they stand, in the words of a case.
fn standing(context: &DriveContext) -> Vec<GivenShare> {
    let of = |share: &Arc<Share>| {
        let at = ALL
            .iter()
            .position(|path| *path == share.path().as_str())
            .unwrap();
        GivenShare {
            at,
            to: share.to.named.clone(),
            rights: share.rights,
        }
    };
    context
        .sharing
        .shares
        .of(&name("ana"))
        .iter()
        .map(of)
        .collect()
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn nobody_may_more_than_is_granted_and_revoking_only_takes_away(
        given in prop::collection::vec(any_given(), 0..6),
        own in any_rights(),
        order in prop::collection::vec(any::<prop::sample::Index>(), 6),
    ) {
        let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_time().build().unwrap();
        runtime.block_on(async {
            let stage = RightsFixture::new().await;
            let context = stage.context(&given).await;
            let held = stage.drive(&context, own).await;
            let known = ways(&held).await;
            let mut before = allowed(&held, &known).await;
            prop_assert_eq!(&before, &granted(&standing(&context), own));
            let owners: Allowed =
                ALL.iter().flat_map(|file| ACCESSES.map(|(word, _)| ((*file).to_owned(), word))).collect();
            prop_assert!(before.is_subset(&owners));
            for index in order {
                let shares = context.sharing.shares.of(&name("ana"));
                let Some(share) = shares.get(index.index(shares.len().max(1))) else { break };
                context.sharing.shares.revoke(&name("ana"), &share.id).await.unwrap();
                // A drive that was there before, and one that is opened now.
                let now = stage.drive(&context, own).await;
                let after = allowed(&held, &known).await;
                prop_assert!(after.is_subset(&before), "{:?} were refused before", after.difference(&before));
                prop_assert_eq!(&after, &granted(&standing(&context), own));
                prop_assert_eq!(&allowed(&now, &ways(&now).await).await, &after);
                before = after;
            }
            prop_assert!(!context.sharing.shares.of(&name("ana")).is_empty() || before.is_empty());
            Ok(())
        })?;
    }
}
