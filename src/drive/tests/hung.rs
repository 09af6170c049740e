//! Disks that do not answer, under what others show to an account.

use super::*;

#[tokio::test(start_paused = true)]
async fn shares_from_disks_that_hang_hide_no_others() {
    let (ana, _ben, context, drive) = shared(Rights::Edit, Rights::Edit).await;
    for owner in ["cid", "dee", "eve"] {
        let new = NewShare {
            path: path(owner),
            node: ana.root.tree.keep_id(&path("docs")).await.unwrap().1,
            folder: true,
            to: name("ben").into(),
            rights: Rights::View,
            expires: None,
            note: String::new(),
        };
        context
            .sharing
            .shares
            .create(&name(owner), new)
            .await
            .unwrap();
    }
    let drive = Drive::new(
        Arc::new(drive.identity().clone()),
        drive.home.clone(),
        drive.locks.clone(),
    );
    let drive = drive.with_context(&context).await.unwrap();
    let began = tokio::time::Instant::now();
    let incoming = drive.incoming().await.unwrap();
    assert!(
        began.elapsed() <= 2 * FOREIGN_DISK_TIMEOUT,
        "{:?}",
        began.elapsed()
    );
    assert_eq!(incoming.len(), 4);
    assert!(drive.stat(&path("Shared with me/docs/a")).await.is_ok());
}
