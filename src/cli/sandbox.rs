//! A Landlock sandbox of the server's own (`landlock(7)`): which files its process may still reach, whatever goes wrong in it.

use crate::config::Config;
use landlock::{
    ABI, Access as _, AccessFs, BitFlags, PathBeneath, PathFd, Ruleset, RulesetAttr as _,
    RulesetCreated, RulesetCreatedAttr as _, RulesetError, RulesetStatus,
};
use std::path::{Path, PathBuf};

/// The rights that are withheld elsewhere; a kernel that knows fewer withholds fewer.
const KNOWN: ABI = ABI::V5;
/// What the system's own libraries read: names and addresses of hosts, certificates of authorities, mounts and descriptors, how many
/// cores there are.
const SYSTEM: [&str; 11] = [
    "/etc",
    "/usr/lib",
    "/usr/share/ca-certificates",
    "/lib",
    "/lib64",
    "/proc",
    "/sys/fs/cgroup",
    "/sys/devices/system/cpu",
    "/run/systemd/resolve",
    "/run/resolvconf",
    "/run/NetworkManager",
];

/// How many links the system follows on the way to a file.
const MAX_LINKS: usize = 40;

/// Confines the calling thread, and every thread that it starts from now on, to the data folder and what the settings name. To be called
/// before there are others. `file` is where the settings come from. Returns what became of it, for the log.
pub(super) fn confine(config: &Config, file: &Path) -> String {
    if !config.server.sandbox {
        return "no sandbox, as server.sandbox = false says".into();
    }
    let written = written(config);
    let read = read(config, file);
    match enforce(&written, &read) {
        Ok(RulesetStatus::NotEnforced) => {
            "no sandbox: this kernel has no Landlock, or a container's engine withholds it".into()
        }
        Ok(RulesetStatus::PartiallyEnforced | RulesetStatus::FullyEnforced) => {
            let written: Vec<_> = written
                .iter()
                .map(|folder| folder.display().to_string())
                .collect();
            format!(
                "confined by Landlock: files are written in {} alone",
                written.join(", ")
            )
        }
        Err(error) => format!("no sandbox: Landlock failed: {error}"),
    }
}

fn enforce(written: &[PathBuf], read: &[PathBuf]) -> Result<RulesetStatus, RulesetError> {
    let rules = Ruleset::default()
        .handle_access(AccessFs::from_all(KNOWN))?
        .create()?;
    let rules = allow(rules, written, may_write())?;
    let rules = allow(rules, read, AccessFs::ReadFile | AccessFs::ReadDir)?;
    Ok(rules.restrict_self()?.ruleset)
}

/// All but what no drive needs: running programs and making devices.
fn may_write() -> BitFlags<AccessFs> {
    AccessFs::from_all(KNOWN)
        & !(AccessFs::Execute | AccessFs::MakeChar | AccessFs::MakeBlock | AccessFs::IoctlDev)
}

/// A rule is for what lies at a path now. So it is made for the folder above one that may be mounted later, or again.
fn written(config: &Config) -> Vec<PathBuf> {
    let allowed = config.storage.allowed.iter().map(|folder| above(folder));
    std::iter::once(there(&config.data_dir))
        .chain(allowed)
        .chain(linked(&config.data_dir))
        .collect()
}

/// Where symbolic links in the data folder lead: homes that were moved to another disk.
fn linked(data_dir: &Path) -> Vec<PathBuf> {
    let folders = [
        data_dir.to_owned(),
        data_dir.join("homes"),
        data_dir.join("teams"),
    ];
    let entries = folders
        .iter()
        .filter_map(|folder| std::fs::read_dir(folder).ok())
        .flatten()
        .flatten();
    let links = entries.filter(|entry| entry.file_type().is_ok_and(|kind| kind.is_symlink()));
    links
        .filter_map(|link| {
            std::fs::read_link(link.path())
                .ok()
                .map(|to| above(&link.path().with_file_name(to)))
        })
        .collect()
}

/// The folders of what the settings name: a file there is replaced when it changes.
fn read(config: &Config, file: &Path) -> Vec<PathBuf> {
    let certificates = config
        .tls
        .certificates
        .iter()
        .flat_map(|pair| [&pair.certificate, &pair.key]);
    let files = [
        &config.tls.acme.authority,
        &config.openid.client_secret_file,
    ];
    let named = certificates
        .chain(files)
        .map(PathBuf::as_path)
        .chain([file])
        .filter(|path| !path.as_os_str().is_empty());
    let named: Vec<&Path> = named.collect();
    let links = named.iter().flat_map(|path| above_links(path));
    let with_targets = named
        .iter()
        .flat_map(|path| [Some(path.to_path_buf()), path.canonicalize().ok()])
        .flatten();
    // Debug builds read the web app from the source.
    let app = cfg!(debug_assertions).then_some(concat!(env!("CARGO_MANIFEST_DIR"), "/web"));
    SYSTEM
        .iter()
        .copied()
        .chain(app)
        .map(PathBuf::from)
        .chain(with_targets.map(|path| above(&path)))
        .chain(links)
        .collect()
}

/// The folders above what the links on the way to a path lead to: where `certs/current` led to `certs/v1`, it may lead to
/// `certs/v2` later.
fn above_links(path: &Path) -> Vec<PathBuf> {
    let mut found = Vec::new();
    let mut path = std::path::absolute(path).unwrap_or_else(|_| path.to_owned());
    for _ in 0..MAX_LINKS {
        let Some(link) = path.ancestors().filter(|path| path.is_symlink()).last() else {
            break;
        };
        let (Ok(target), Ok(rest)) = (std::fs::read_link(link), path.strip_prefix(link)) else {
            break;
        };
        let target = link.with_file_name(target);
        found.push(above(&target));
        path = if rest.as_os_str().is_empty() {
            target
        } else {
            target.join(rest)
        };
    }
    found
}

/// The folder that a path lies in, or itself below the root: a rule for the root would confine nothing.
fn above(path: &Path) -> PathBuf {
    let path = std::path::absolute(path).unwrap_or_else(|_| path.to_owned());
    match path.parent() {
        Some(parent) if parent.parent().is_some() => parent.to_owned(),
        _ => path,
    }
}

/// The folder itself, or the nearest one above it that is there: a new server makes its own.
fn there(folder: &Path) -> PathBuf {
    let folder = std::path::absolute(folder).unwrap_or_else(|_| folder.to_owned());
    folder
        .ancestors()
        .find(|path| path.exists())
        .map_or(folder.clone(), Path::to_owned)
}

/// What is not there cannot be reached either way.
fn allow(
    rules: RulesetCreated,
    folders: &[PathBuf],
    access: BitFlags<AccessFs>,
) -> Result<RulesetCreated, RulesetError> {
    let there = folders.iter().filter_map(|folder| PathFd::new(folder).ok());
    rules.add_rules(there.map(|folder| Ok(PathBeneath::new(folder, access))))
}
