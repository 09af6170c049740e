//! The keeping of certificates against a directory that is made for the test, on a clock that the test turns.

use super::issuer::{CertificateIssuer, IssueError};
use super::renewer::CertificateRenewer;
use super::*;
use parking_lot::Mutex;
use rcgen::{CertificateParams, KeyPair, date_time_ymd};
use std::os::unix::fs::PermissionsExt;
use std::time::{Duration, UNIX_EPOCH};
use tokio::time::Instant;

const START: u64 = 1_796_083_200;
const DAY: u64 = 24 * 3600;

/// What a clock shows that began at [`START`] with the test.
fn clock() -> impl Fn() -> SystemTime + Clone + Send + Sync {
    let began = Instant::now();
    move || UNIX_EPOCH + Duration::from_secs(START) + began.elapsed()
}

fn seconds(time: SystemTime) -> u64 {
    time.duration_since(UNIX_EPOCH).unwrap().as_secs() - START
}

/// A certificate for a name, from a day on for ninety.
fn certificate(name: &str, from: u64) -> String {
    let mut params = CertificateParams::new(vec![name.to_owned()]).unwrap();
    params.not_before = date_time_ymd(1970, 1, 1) + Duration::from_secs(START + from);
    params.not_after = date_time_ymd(1970, 1, 1) + Duration::from_secs(START + from + 90 * DAY);
    let key = KeyPair::generate().unwrap();
    params.self_signed(&key).unwrap().pem() + &key.serialize_pem()
}

/// A directory that writes down who asks, and answers as a test says.
#[derive(Clone)]
struct FakeIssuer<A> {
    asked: Arc<Mutex<Vec<(String, u64)>>>,
    now: Arc<dyn Fn() -> u64 + Send + Sync>,
    answer: A,
}

impl<A: Fn(&str, u64) -> Result<String, IssueError> + Send + Sync> CertificateIssuer
    for FakeIssuer<A>
{
    async fn obtain(&self, domain: &str) -> Result<String, IssueError> {
        let now = (self.now)();
        self.asked.lock().push((domain.to_owned(), now));
        (self.answer)(domain, now)
    }
}

fn away(is_limit: bool) -> Result<String, IssueError> {
    Err(IssueError {
        why: "nobody answers".into(),
        is_limit,
    })
}

/// Keeps certificates for so long; returns who was asked for, and when.
async fn keep<A>(folder: &Path, domains: &[&str], long: u64, answer: A) -> Vec<(String, u64)>
where
    A: Fn(&str, u64) -> Result<String, IssueError> + Send + Sync,
{
    keep_from(clock(), folder, domains, long, answer).await
}

async fn keep_from<A>(
    clock: impl Fn() -> SystemTime + Clone + Send + Sync + 'static,
    folder: &Path,
    domains: &[&str],
    long: u64,
    answer: A,
) -> Vec<(String, u64)>
where
    A: Fn(&str, u64) -> Result<String, IssueError> + Send + Sync,
{
    let asked = Arc::default();
    let domains = domains
        .iter()
        .map(|name| (*name).to_owned())
        .collect::<Vec<_>>();
    let now = clock.clone();
    let played = FakeIssuer {
        asked: Arc::clone(&asked),
        now: Arc::new(move || seconds(now())),
        answer,
    };
    let keeper = CertificateRenewer::new(&domains, folder, played, clock, Arc::new(|| ()));
    let _ = tokio::time::timeout(Duration::from_secs(long), keeper.run(&Notify::new())).await;
    asked.lock().clone()
}

#[tokio::test(start_paused = true)]
async fn a_directory_that_is_away_for_thirty_days_costs_nothing_but_tries() {
    let dir = tempfile::tempdir().unwrap();
    let path = certificate_in(dir.path(), "nest.example");
    let first = certificate("nest.example", 0);
    file::put(&path, first.as_bytes()).unwrap();
    let back = 89 * DAY;
    let seen = path.clone();
    let asked = keep(dir.path(), &["nest.example"], 95 * DAY, move |name, now| {
        assert_eq!(
            std::fs::read_to_string(&seen).unwrap(),
            first,
            "the one from before stays"
        );
        if now < back {
            away(false)
        } else {
            Ok(certificate(name, now))
        }
    })
    .await;
    let times: Vec<u64> = asked.iter().map(|(_, at)| *at).collect();
    assert_eq!(times[0], 60 * DAY, "at two thirds of its time");
    assert!(
        times.windows(2).all(|pair| pair[1] - pair[0] >= 12 * 60),
        "{times:?}"
    );
    assert!((50..90).contains(&times.len()), "{}", times.len());
    let last = *times.last().unwrap();
    assert!(
        last >= back && last < back + 15 * 3600,
        "it is renewed within hours after the directory is back: {last}"
    );
    assert!(!note_in(dir.path(), "nest.example").exists());
}

#[tokio::test(start_paused = true)]
async fn restarts_are_no_way_around_the_limits() {
    let dir = tempfile::tempdir().unwrap();
    let mut asked = Vec::new();
    let clock = clock();
    for _ in 0..180 {
        asked.extend(
            keep_from(clock.clone(), dir.path(), &["nest.example"], 60, |_, _| {
                away(false)
            })
            .await,
        );
    }
    let in_first_hour = asked.iter().filter(|(_, at)| *at < 3600).count();
    assert!((2..=5).contains(&in_first_hour), "{asked:?}");
    assert!(
        asked
            .windows(2)
            .all(|pair| pair[1].1 - pair[0].1 >= 12 * 60),
        "{asked:?}"
    );
}

#[tokio::test(start_paused = true)]
async fn a_name_that_fails_keeps_no_other_from_its_certificate_and_no_other_is_ordered() {
    let dir = tempfile::tempdir().unwrap();
    let answer = |name: &str, now| {
        if name == "lost.example" {
            away(true)
        } else {
            Ok(certificate(name, now))
        }
    };
    let asked = keep(
        dir.path(),
        &["lost.example", "Nest.example"],
        8 * 3600,
        answer,
    )
    .await;
    assert_eq!(
        asked,
        [
            ("lost.example".to_owned(), 0),
            ("Nest.example".to_owned(), 0)
        ],
        "after a rate limit nothing for hours"
    );
    let stored = certificate_in(dir.path(), "Nest.example");
    assert_eq!(stored.file_name().unwrap(), "nest.example.pem");
    assert_eq!(
        std::fs::metadata(stored).unwrap().permissions().mode() & 0o777,
        0o600
    );
}

#[tokio::test(start_paused = true)]
async fn what_is_no_certificate_for_the_name_is_not_stored() {
    for wrong in [
        certificate("other.example", 0),
        "junk".into(),
        certificate("nest.example", 0)
            .split_once("-----BEGIN PRIVATE")
            .unwrap()
            .0
            .to_owned(),
        certificate("nest.example", 0)
            .split_once("-----BEGIN PRIVATE")
            .unwrap()
            .0
            .to_owned()
            + &KeyPair::generate().unwrap().serialize_pem(),
    ] {
        let dir = tempfile::tempdir().unwrap();
        let asked = keep(dir.path(), &["nest.example"], 60, move |_, _| {
            Ok(wrong.clone())
        })
        .await;
        assert_eq!(asked.len(), 1);
        assert!(!certificate_in(dir.path(), "nest.example").exists());
    }
}

#[tokio::test(start_paused = true)]
async fn who_has_put_it_right_need_not_wait_for_long() {
    let dir = tempfile::tempdir().unwrap();
    let domains = ["nest.example".to_owned()];
    let asked = Arc::new(Mutex::new(Vec::new()));
    let clock = clock();
    let now = clock.clone();
    let played = FakeIssuer {
        asked: asked.clone(),
        now: Arc::new(move || seconds(now())),
        answer: |_: &str, _| away(true),
    };
    let notify = Arc::new(Notify::new());
    let by = notify.clone();
    let keeper = CertificateRenewer::new(&domains, dir.path(), played, clock, Arc::new(|| ()));
    let task = tokio::spawn(async move { keeper.run(&by).await });
    tokio::time::sleep(Duration::from_secs(3600)).await;
    assert_eq!(asked.lock().len(), 1);
    notify.notify_one();
    tokio::time::sleep(Duration::from_secs(60)).await;
    assert_eq!(asked.lock().len(), 2);
    notify.notify_one();
    tokio::time::sleep(Duration::from_secs(11 * 60)).await;
    assert_eq!(asked.lock().len(), 2, "not within twelve minutes");
    task.abort();
}

#[tokio::test(start_paused = true)]
async fn a_certificate_that_is_lost_or_damaged_is_ordered_anew() {
    let dir = tempfile::tempdir().unwrap();
    let domains = ["nest.example".to_owned()];
    let path = certificate_in(dir.path(), "nest.example");
    let asked = Arc::new(Mutex::new(Vec::new()));
    let clock = clock();
    let now = clock.clone();
    let answer = |name: &str, now| Ok(certificate(name, now));
    let played = FakeIssuer {
        asked: asked.clone(),
        now: Arc::new(move || seconds(now())),
        answer,
    };
    let notify = Arc::new(Notify::new());
    let by = notify.clone();
    let keeper = CertificateRenewer::new(&domains, dir.path(), played, clock, Arc::new(|| ()));
    let task = tokio::spawn(async move { keeper.run(&by).await });
    tokio::time::sleep(Duration::from_secs(5)).await;
    assert_eq!(asked.lock().len(), 1);
    std::fs::remove_file(&path).unwrap();
    tokio::time::sleep(Duration::from_secs(11 * 60)).await;
    assert_eq!(asked.lock().len(), 1, "not within twelve minutes");
    tokio::time::sleep(Duration::from_secs(2 * 60)).await;
    assert_eq!((asked.lock().len(), path.exists()), (2, true));
    tokio::time::sleep(Duration::from_secs(3600)).await;
    assert_eq!(asked.lock().len(), 2, "what is sound is left alone");
    std::fs::write(&path, "torn").unwrap();
    tokio::time::sleep(Duration::from_secs(61)).await;
    assert_eq!(asked.lock().len(), 3);
    tokio::time::sleep(Duration::from_secs(3601)).await;
    std::fs::remove_file(&path).unwrap();
    notify.notify_one();
    tokio::time::sleep(Duration::from_secs(1)).await;
    assert_eq!(asked.lock().len(), 4, "at once when somebody asks");
    task.abort();
}

#[tokio::test(start_paused = true)]
async fn a_clock_that_is_ahead_orders_no_certificate_after_the_other() {
    // At once due, and due within a minute.
    for ahead in [70 * DAY, 60 * DAY - 60] {
        let dir = tempfile::tempdir().unwrap();
        let clock = clock();
        let clock = move || clock() + Duration::from_secs(ahead);
        let answer = move |name: &str, now| Ok(certificate(name, now - ahead));
        let asked = keep_from(clock, dir.path(), &["nest.example"], 3600, answer).await;
        assert!((2..=5).contains(&asked.len()), "{asked:?}");
        assert!(
            asked
                .windows(2)
                .all(|pair| pair[1].1 - pair[0].1 >= 12 * 60),
            "{asked:?}"
        );
    }
}

#[test]
fn a_proof_is_shown_for_its_name_while_the_order_runs() {
    use x509_parser::prelude::{FromDer, X509Certificate};
    let challenges = Challenges::default();
    let shown = challenges.show("Nest.example", &[7; 32]).unwrap();
    let proof = challenges.find("nest.EXAMPLE").unwrap();
    let (_, parsed) = X509Certificate::from_der(&proof.certificate).unwrap();
    let identifier = parsed
        .extensions()
        .iter()
        .find(|it| it.oid.to_id_string() == "1.3.6.1.5.5.7.1.31")
        .unwrap();
    assert!(identifier.critical && identifier.value == [&[4, 32][..], &[7; 32]].concat());
    assert_eq!(
        crate::certs::authority::names_of(&parsed),
        ["nest.example".to_owned()].into()
    );
    assert!(challenges.find("other.example").is_none());
    drop(shown);
    assert!(challenges.find("nest.example").is_none());
    assert!(challenges.show("nest.example", &[7; 31]).is_err());
}
