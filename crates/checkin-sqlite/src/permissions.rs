//! The files of a store, as the operating system sees them.

use std::ffi::OsStr;
use std::fs::{self, Permissions};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

/// What everybody but the owner may do.
const OTHERS: u32 = 0o077;

/// Takes the rights of everybody but the owner on a file that an earlier version made, and on the
/// files beside it: they hold sessions and password hashes. New files are made that way.
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
            "other users of this machine could read the store: now only its owner may read it"
        );
    }
}

/// Whether anybody but the owner may read or write the file, if there is one.
pub(super) fn is_open_to_others(path: &Path) -> bool {
    fs::metadata(path).is_ok_and(|file| file.is_file() && file.permissions().mode() & OTHERS != 0)
}

/// The file that SQLite keeps beside the database under its name with this suffix. It follows links
/// first.
pub(super) fn beside(path: &Path, suffix: impl AsRef<OsStr>) -> PathBuf {
    let mut name = fs::canonicalize(path).unwrap_or_else(|_| path.to_owned()).into_os_string();
    name.push(suffix);
    name.into()
}
