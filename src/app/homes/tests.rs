//! Homes on disks that do not answer.

use super::*;
use crate::app::App;
use crate::app::usage::COUNT_TIMEOUT;
use crate::config::Durability;
use crate::model::Role;
use tempfile::TempDir;

fn name(text: &str) -> AccountName {
    AccountName::parse(text).unwrap()
}

async fn app() -> (TempDir, Arc<App>) {
    let dir = tempfile::tempdir().unwrap();
    let mut config = Config {
        data_dir: dir.path().to_owned(),
        ..Config::default()
    };
    (config.drive.durability, config.drive.reserve) = (Durability::Relaxed, 0);
    let app = App::open(config).await.unwrap();
    for account in ["ana", "ben"] {
        app.auth
            .create(&name(account), b"orange teapot 77", Role::User, None)
            .await
            .unwrap();
    }
    (dir, app)
}

#[tokio::test]
async fn a_home_that_hangs_at_opening_closes_no_others_and_is_not_waited_for_long() {
    let (_dir, app) = app().await;
    let homes = app.homes.clone();
    drop(homes.home_of(&name("ben")).await.unwrap());
    let hung = homes.trees.entry(TreeKind::Home, "ana");
    let opening = tokio::spawn(async move {
        hung.cell
            .get_or_try_init(std::future::pending::<Result<OpenTree>>)
            .await
            .map(drop)
    });
    homes.opener.known.note_made("home/ana", "1");
    tokio::task::yield_now().await;
    tokio::time::pause();
    let began = tokio::time::Instant::now();
    assert!(matches!(
        homes.home_of(&name("ana")).await,
        Err(Error::Busy { .. })
    ));
    assert!(
        began.elapsed() < 2 * DISK_TIMEOUT,
        "it is tried once: {:?}",
        began.elapsed()
    );
    assert!(homes.trees.is_open(TreeKind::Home, "ben"));
    let began = tokio::time::Instant::now();
    assert!(matches!(
        app.usage(&name("ana")).await,
        Err(Error::Busy { .. })
    ));
    assert!(began.elapsed() < 2 * COUNT_TIMEOUT, "{:?}", began.elapsed());
    assert_eq!(app.usage_of_open_homes().await.unwrap(), 0);
    opening.abort();
}
