//! Tests of credential cache.

use super::super::accounts::{AccountRecord, Accounts};
use super::*;
use crate::model::{AccountName, Role};
use crate::state::memory::MemoryStore;

const HERE: ClientNetwork = ClientNetwork::V4(1);

struct Fixture {
    cache: CredentialCache,
    accounts: Arc<Accounts>,
    account: Arc<Account>,
    generation: u64,
    start: Instant,
}

impl Fixture {
    async fn new() -> Self {
        let accounts = Accounts::open(MemoryStore::new()).await.unwrap();
        let ana = AccountName::parse("ana").unwrap();
        let record = AccountRecord::new("hash".into(), Role::User, None, 0).unwrap();
        accounts
            .insert(&ana, record, crate::state::Batch::new())
            .await
            .unwrap();
        let account = accounts.find(&ana).unwrap();
        let generation = account.credentials().unwrap().0;
        Self {
            cache: CredentialCache::new().unwrap(),
            accounts,
            account,
            generation,
            start: Instant::now(),
        }
    }

    fn verify(&self, key: &CredentialKey, now: Instant) {
        self.cache
            .remember_right(key, Arc::clone(&self.account), self.generation, now);
    }

    fn is_right(&self, key: &CredentialKey, now: Instant) -> bool {
        self.cache.get(key, now).is_some()
    }

    fn is_wrong(&self, key: &CredentialKey, now: Instant) -> bool {
        self.cache.is_wrong(key, self.accounts.changes(), now)
    }
}

fn seconds(n: u64) -> Duration {
    Duration::from_secs(n)
}

#[tokio::test]
async fn keys_differ_by_header_network_and_process() {
    let one = CredentialCache::new().unwrap();
    let two = CredentialCache::new().unwrap();
    assert_eq!(one.key(HERE, b"Basic YTpi"), one.key(HERE, b"Basic YTpi"));
    assert_ne!(one.key(HERE, b"Basic YTpi"), one.key(HERE, b"Basic YTpj"));
    assert_ne!(
        one.key(HERE, b"Basic YTpi"),
        one.key(ClientNetwork::V4(2), b"Basic YTpi")
    );
    assert_ne!(
        one.key(HERE, b"Basic YTpi"),
        one.key(ClientNetwork::V6(1), b"Basic YTpi")
    );
    assert_ne!(one.key(HERE, b"Basic YTpi"), two.key(HERE, b"Basic YTpi"));
    assert_eq!(one.fingerprint(b"ana", b"x"), one.fingerprint(b"ana", b"x"));
    assert_ne!(one.fingerprint(b"ana", b"x"), one.fingerprint(b"an", b"ax"));
    let tried = |door, name: &[u8], secret: &[u8]| one.attempt_key(HERE, door, (name, secret));
    assert_eq!(tried("a", b"ana", b"x"), tried("a", b"ana", b"x"));
    assert_ne!(tried("a", b"ana", b"x"), tried("b", b"ana", b"x"));
    assert_ne!(tried("a", b"ana", b"x"), tried("a", b"an", b"ax"));
}

#[tokio::test]
async fn a_right_credential_holds_five_idle_minutes_and_an_hour_in_all() {
    let f = Fixture::new().await;
    let key = f.cache.key(HERE, b"a");
    f.verify(&key, f.start);
    assert!(!f.is_right(&f.cache.key(HERE, b"b"), f.start));
    let mut now = f.start;
    while now + seconds(299) < f.start + LIFE {
        now += seconds(299);
        assert!(f.is_right(&key, now));
    }
    assert!(!f.is_right(&key, f.start + LIFE), "an hour is over");
    f.verify(&key, f.start);
    assert!(
        !f.is_right(&key, f.start + IDLE),
        "five idle minutes are over"
    );
    assert!(
        !f.is_right(&key, f.start + seconds(1)),
        "what has expired is gone"
    );
}

#[tokio::test]
async fn a_wrong_credential_is_answered_for_30_seconds_and_known_for_ten_minutes() {
    let f = Fixture::new().await;
    let key = f.cache.key(HERE, b"a");
    let changes = f.accounts.changes();
    assert!(!f.cache.remember_wrong(&key, changes, f.start));
    assert!(f.is_wrong(&key, f.start + seconds(29)));
    assert!(!f.is_wrong(&key, f.start + seconds(30)));
    assert!(
        f.cache.remember_wrong(&key, changes, f.start + seconds(31)),
        "a repetition"
    );
    assert!(
        !f.cache
            .remember_wrong(&key, changes, f.start + seconds(31) + REPEAT),
        "long forgotten"
    );
    f.verify(&key, f.start);
    assert!(f.is_right(&key, f.start), "right replaces wrong");
}

#[tokio::test]
async fn any_change_to_accounts_voids_wrong_verdicts() {
    let f = Fixture::new().await;
    let key = f.cache.key(HERE, b"a");
    f.cache.remember_wrong(&key, f.accounts.changes(), f.start);
    assert!(f.is_wrong(&key, f.start));
    f.accounts
        .change(&AccountName::parse("ana").unwrap(), |r| r.quota = Some(1))
        .await
        .unwrap();
    assert!(!f.is_wrong(&key, f.start));
}

#[tokio::test]
async fn a_new_quota_is_seen_and_a_new_generation_ends_the_verdict() {
    let f = Fixture::new().await;
    let key = f.cache.key(HERE, b"a");
    let ana = AccountName::parse("ana").unwrap();
    f.verify(&key, f.start);
    f.accounts
        .change(&ana, |r| r.quota = Some(5))
        .await
        .unwrap();
    assert_eq!(f.cache.get(&key, f.start).unwrap().quota, Some(5));
    f.accounts
        .change(&ana, |r| r.generation += 1)
        .await
        .unwrap();
    assert!(!f.is_right(&key, f.start));
}

#[tokio::test]
async fn memory_is_bounded_and_the_longest_unused_goes_first() {
    let f = Fixture::new().await;
    let count = u32::try_from(MAX_PER_SHARD).unwrap() + 1;
    let key = |n: u32| {
        let mut key = [0; 32];
        key[1..5].copy_from_slice(&n.to_le_bytes());
        key
    };
    for n in 0..count {
        let now = f.start + Duration::from_millis(u64::from(n));
        f.verify(&key(n), now);
        f.cache
            .remember_wrong(&key(n + count), f.accounts.changes(), now);
        assert!(f.is_right(&key(0), now), "used all the time");
    }
    let sizes = {
        let shard = f.cache.shards[0].lock();
        [shard.right.len(), shard.wrong.len()]
    };
    let now = f.start + seconds(2);
    assert_eq!(sizes, [MAX_PER_SHARD; 2]);
    assert!(!f.is_right(&key(1), now) && f.is_right(&key(2), now));
    assert!(!f.is_wrong(&key(count), now) && f.is_wrong(&key(count + 1), now));
}
