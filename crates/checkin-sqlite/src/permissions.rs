//! The files of a store, as the operating system sees them.

use std::ffi::OsStr;
use std::fs::{self, Permissions};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

/// The permission bits of all users except the owner.
const OTHERS: u32 = 0o077;

/// Removes the permissions of all users except the owner from a file that an earlier version made, and
/// from the files beside it, because they contain sessions and password hashes. New files are created
/// without these permissions.
pub(super) fn make_private(path: &Path) {
    let files = [path.to_owned(), beside(path, "-wal"), beside(path, "-shm")];
    let open: Vec<_> = files.iter().filter(|path| is_open_to_others(path)).collect();
    for file in &open {
        if let Err(cause) = fs::set_permissions(file, Permissions::from_mode(0o600)) {
            return tracing::warn!(%cause, "other users of this machine may read the store");
        }
    }
    if !open.is_empty() {
        tracing::warn!(
            "other users of this machine could read the store; now only its owner may read it"
        );
    }
}

/// Returns whether other users than the owner may read or write the file, if it exists.
pub(super) fn is_open_to_others(path: &Path) -> bool {
    fs::metadata(path).is_ok_and(|file| file.is_file() && file.permissions().mode() & OTHERS != 0)
}

/// Returns the file that SQLite keeps beside the database, whose name ends with this suffix. Links are
/// resolved first.
pub(super) fn beside(path: &Path, suffix: impl AsRef<OsStr>) -> PathBuf {
    let mut name = fs::canonicalize(path).unwrap_or_else(|_| path.to_owned()).into_os_string();
    name.push(suffix);
    name.into()
}
