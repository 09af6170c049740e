//! How names in `.sarang/tmp` begin: the prefix tells what a crash has left there, and which of it counts as used.

/// A staging folder, in which a copy is built.
pub(super) const STAGING_DIR: &str = "workshop-";
/// What has left its place and is not in the trash yet; the rest is its name there, and says by its note where it lay.
pub(super) const PENDING: &str = "leaving-";
/// What is being replaced and will be a version.
pub(super) const PENDING_VERSION: &str = "former-";

/// The name of what is on its way to the trash as `entry`.
pub(super) fn pending_name(entry: &str) -> String {
    format!("{PENDING}{entry}")
}

/// The name in the trash of what is called so, if it is on its way there.
pub(super) fn entry_of_pending(pending: &str) -> Option<&str> {
    pending.strip_prefix(PENDING)
}

/// The name of what is being replaced and will be this version.
pub(super) fn pending_version_name(history: &str, id: &str) -> String {
    format!("{PENDING_VERSION}{history}-{id}")
}
