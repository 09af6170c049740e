//! What the program is on its machine: for whom it makes files, as whom, and how many it may have open.

use anyhow::{Context, Result, anyhow, bail};
use rustix::fs::Mode;
use rustix::process::{Gid, Resource, Rlimit, Uid, geteuid, getrlimit, setrlimit, umask};
use rustix::thread::{set_thread_groups, set_thread_res_gid, set_thread_res_uid};
use std::io::ErrorKind;
use std::os::unix::fs::MetadataExt;
use std::path::Path;

/// The user and group that a data folder belongs to: those that its server runs as.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct DataOwner {
    uid: u32,
    gid: u32,
}

impl DataOwner {
    /// Whom the state belongs to, or the data folder while the state is not to be seen; `None` while there is neither.
    fn of(data_dir: &Path) -> Result<Option<Self>> {
        let facts =
            std::fs::metadata(data_dir.join("state")).or_else(|_| std::fs::metadata(data_dir));
        match facts {
            Err(error) if error.kind() == ErrorKind::NotFound => Ok(None),
            facts => {
                let facts = facts.with_context(|| {
                    format!("The data folder {} cannot be reached", data_dir.display())
                })?;
                Ok(Some(Self {
                    uid: facts.uid(),
                    gid: facts.gid(),
                }))
            }
        }
    }

    /// Makes the calling thread, and every thread that it starts from now on, act as this user with no other groups.
    fn become_on_this_thread(self) -> Result<()> {
        let uid = Uid::from_raw(self.uid);
        let gid = Gid::from_raw(self.gid);
        set_thread_groups(&[gid])
            .and_then(|()| set_thread_res_gid(gid, gid, gid))
            .and_then(|()| set_thread_res_uid(uid, uid, uid))
            .with_context(|| {
                format!(
                    "Root could not become the user with id {} that owns the data folder",
                    self.uid
                )
            })
    }
}

/// Keeps what is made from now on from other users: password hashes lie in the data folder.
pub(super) fn keep_files_private() {
    umask(Mode::RWXG | Mode::RWXO);
}

/// Takes as many descriptors as the system allows: the usual 1024 are fewer than the connections that are let in. Returns how many;
/// `None` for no limit.
pub(super) fn raise_open_files() -> Option<usize> {
    let limit = getrlimit(Resource::Nofile);
    if let Err(error) = setrlimit(
        Resource::Nofile,
        Rlimit {
            current: limit.maximum,
            ..limit
        },
    ) {
        tracing::debug!(%error, "the number of open files stays as it is");
    }
    getrlimit(Resource::Nofile)
        .current
        .map(|limit| usize::try_from(limit).unwrap_or(usize::MAX))
}

/// Refuses to serve a data folder that belongs to another user: what the one makes there the other could not read.
pub(super) fn refuse_other_owner(data_dir: &Path) -> Result<()> {
    let (Some(DataOwner { uid, gid }), me) = (DataOwner::of(data_dir)?, geteuid().as_raw()) else {
        return Ok(());
    };
    let folder = data_dir.display();
    // Written out: sudo does not pass the environment on, in which the folder may be said, and has a folder of its own to be in.
    let whole = std::path::absolute(data_dir).unwrap_or_else(|_| data_dir.to_owned());
    let has_no_state = std::fs::symlink_metadata(data_dir.join("state"))
        .is_err_and(|error| error.kind() == ErrorKind::NotFound);
    match me {
        _ if uid == me => Ok(()),
        0 => bail!(
            "The data folder {folder} belongs to the user with id {uid}. Start its service, or run this as that user: \
             sudo -u '#{uid}' -g '#{gid}' SARANG_DATA_DIR='{}' sarang serve",
            whole.display()
        ),
        // Without a state in it yet, all that is needed is that files can be made there.
        _ if has_no_state => Ok(()),
        _ => bail!(
            "The data folder {folder} belongs to the user with id {uid}, and this runs as the user with id {me}. \
             Run it as that user, or give the folder to this one: sudo chown -R {me} '{}'",
            whole.display()
        ),
    }
}

/// Does work that opens a data folder. Root does it as the user whom the folder belongs to, so that the server can read what is
/// made there: on a thread of its own, since the system keeps credentials by thread; the rest of the program stays root.
pub(super) async fn as_owner_of<T: Send + 'static, F: Future<Output = Result<T>>>(
    data_dir: &Path,
    work: impl FnOnce() -> F + Send + 'static,
) -> Result<T> {
    let Some(owner) =
        DataOwner::of(data_dir)?.filter(|owner| geteuid().is_root() && owner.uid != 0)
    else {
        return work().await;
    };
    let as_owner = move || {
        owner.become_on_this_thread()?;
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()?;
        runtime.block_on(work())
    };
    let (done, outcome) = tokio::sync::oneshot::channel();
    // The sender is dropped without a word only when the thread panicked.
    std::thread::Builder::new()
        .name("owner".into())
        .spawn(move || done.send(as_owner()).is_ok())?;
    outcome
        .await
        .unwrap_or_else(|_| Err(anyhow!("The command failed; what it said is above.")))
}
