//! Tests of password.

use super::*;

fn secret(text: &str) -> Secret {
    Secret::new(text.as_bytes().to_vec())
}

async fn any_turn(hasher: &Arc<HashQueue>) -> HashPermit {
    hasher
        .acquire(
            HashPriority::Known,
            Instant::now() + Duration::from_secs(60),
        )
        .await
        .unwrap()
}

#[test]
fn weak_passwords_are_refused_with_a_sentence() {
    let name = AccountName::parse("longest.name").unwrap();
    let refusal = |password: &str| match check_strength(&name, password.as_bytes(), 10) {
        Err(Error::BadRequest(sentence)) => sentence,
        other => panic!("{password:?}: {other:?}"),
    };
    assert!(refusal("ninechars").contains("at least 10"));
    assert!(
        refusal("ééééééééé").contains("too short"),
        "characters are counted, not bytes"
    );
    assert!(refusal("Longest.Name").contains("name"));
    assert!(refusal("Qwertyuiop123").contains("common"));
    assert!(refusal(&"x".repeat(1025)).contains("too long"));
    assert!(refusal("tabs\tand others").contains("control"));
    assert!(check_strength(&name, "blue-kettle 77".as_bytes(), 10).is_ok());
    assert!(check_strength(&name, b"ninechars", 9).is_ok());
}

#[tokio::test]
async fn a_hash_is_salted_phc_and_verifies_only_its_password() {
    let hasher = HashQueue::with_permits(HashCost::default(), 1);
    let one = any_turn(&hasher)
        .await
        .hash(secret("blue kettle"))
        .await
        .unwrap();
    let two = any_turn(&hasher)
        .await
        .hash(secret("blue kettle"))
        .await
        .unwrap();
    assert!(one.starts_with("$argon2id$v=19$m=19456,t=2,p=1$"), "{one}");
    assert_ne!(one, two);
    let right = any_turn(&hasher)
        .await
        .verify(one.clone(), secret("blue kettle"))
        .await
        .unwrap();
    assert!(right.matches && right.renewed.is_none());
    assert!(
        !any_turn(&hasher)
            .await
            .verify(one, secret("blue kettl"))
            .await
            .unwrap()
            .matches
    );
    assert_eq!(hasher.hashes.load(Ordering::Relaxed), 4);
}

#[tokio::test]
async fn an_old_hash_is_renewed_when_it_matches_only() {
    let hasher = HashQueue::with_permits(HashCost::default(), 1);
    let old = old_hash(b"blue kettle");
    let wrong = any_turn(&hasher)
        .await
        .verify(old.clone(), secret("red kettle"))
        .await
        .unwrap();
    assert!(!wrong.matches && wrong.renewed.is_none());
    let renewed = any_turn(&hasher)
        .await
        .verify(old, secret("blue kettle"))
        .await
        .unwrap()
        .renewed
        .unwrap();
    assert!(
        any_turn(&hasher)
            .await
            .verify(renewed, secret("blue kettle"))
            .await
            .unwrap()
            .matches
    );
}

#[tokio::test]
async fn the_dummy_hash_has_the_cost_of_a_real_one_and_never_matches() {
    let hasher = HashQueue::with_permits(HashCost::default(), 1);
    let dummy = dummy_hash(HashCost::default()).unwrap();
    assert!(dummy.starts_with("$argon2id$v=19$m=19456,t=2,p=1$"));
    let verdict = any_turn(&hasher)
        .await
        .verify(dummy, secret(""))
        .await
        .unwrap();
    assert!(!verdict.matches);
    assert_eq!(hasher.hashes.load(Ordering::Relaxed), 1);
}

#[tokio::test]
async fn memory_is_kept_while_somebody_waits_for_it_and_else_given_back() {
    let hasher = HashQueue::with_permits(HashCost::default(), 1);
    let old = old_hash(b"blue kettle");
    hasher.verify(&old, b"red kettle").unwrap();
    assert!(hasher.spare.lock().is_empty());
    let place = hasher.enqueue(HashPriority::Known).unwrap();
    for _ in 0..2 {
        hasher.verify(&old, b"red kettle").unwrap();
        assert_eq!(
            hasher.spare.lock().len(),
            1,
            "one for each turn, however often it is used"
        );
    }
    drop(place);
    hasher.verify(&old, b"red kettle").unwrap();
    assert!(hasher.spare.lock().is_empty());
}

#[tokio::test]
async fn a_broken_hash_is_reported_not_matched() {
    let hasher = HashQueue::with_permits(HashCost::default(), 1);
    for broken in [
        "",
        "plain",
        "$argon2id$v=19$m=19456,t=2,p=1",
        "$argon2id$v=19$m=19456,t=2,p=1$c2FsdHNhbHQ",
    ] {
        let outcome = any_turn(&hasher)
            .await
            .verify(broken.into(), secret("x"))
            .await;
        assert!(matches!(outcome, Err(Error::Corrupt(_))), "{broken}");
    }
}

#[tokio::test]
async fn the_queue_is_bounded_and_keeps_places_for_the_known() {
    let hasher = HashQueue::with_permits(HashCost::default(), 1);
    let held = any_turn(&hasher).await;
    let far = Instant::now() + Duration::from_secs(60);
    let join = |lane| {
        let hasher = Arc::clone(&hasher);
        tokio::spawn(async move { hasher.acquire(lane, far).await.map(drop) })
    };
    let mut waiting: Vec<_> = (0..QUEUE_FOR_STRANGERS)
        .map(|_| join(HashPriority::Stranger))
        .collect();
    while hasher.waiting.load(Ordering::Relaxed) < QUEUE_FOR_STRANGERS {
        tokio::task::yield_now().await;
    }
    assert!(matches!(
        hasher.acquire(HashPriority::Stranger, far).await,
        Err(Error::Busy { .. })
    ));
    waiting.extend((QUEUE_FOR_STRANGERS..QUEUE).map(|_| join(HashPriority::Known)));
    while hasher.waiting.load(Ordering::Relaxed) < QUEUE {
        tokio::task::yield_now().await;
    }
    assert!(matches!(
        hasher.acquire(HashPriority::Known, far).await,
        Err(Error::Busy { .. })
    ));
    drop(held);
    for waiter in waiting {
        waiter.await.unwrap().unwrap();
    }
    assert_eq!(hasher.waiting.load(Ordering::Relaxed), 0);
}

#[tokio::test]
async fn who_waits_beyond_the_deadline_is_told_to_come_back() {
    let hasher = HashQueue::with_permits(HashCost::default(), 1);
    let _held = any_turn(&hasher).await;
    let outcome = hasher.acquire(HashPriority::Known, Instant::now()).await;
    assert!(matches!(outcome, Err(Error::Busy { retry_after }) if retry_after == RETRY_AFTER));
    assert_eq!(hasher.waiting.load(Ordering::Relaxed), 0);
}
