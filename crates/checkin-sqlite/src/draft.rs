//! Files that have their name only when they are complete.

use std::fs::{self, File, OpenOptions, Permissions};
use std::io;
use std::os::unix::fs::{OpenOptionsExt, PermissionsExt};
use std::path::{Path, PathBuf};

use super::permissions::beside;

/// A file with a temporary name until it is complete. It is removed when it is dropped.
#[derive(Debug)]
pub struct Draft(PathBuf);

impl Draft {
    /// Creates an empty file beside this place, which only its owner may read.
    ///
    /// # Errors
    ///
    /// If it cannot be created.
    pub fn beside(place: &Path) -> io::Result<Self> {
        let mut name = place.as_os_str().to_owned();
        name.push(format!(".{}.draft", std::process::id()));
        let draft = PathBuf::from(name);
        let made = OpenOptions::new().write(true).create_new(true).mode(0o600).open(&draft);
        let made = made.map_err(|error| match error.kind() {
            io::ErrorKind::AlreadyExists => left_over(&draft),
            _ => error,
        })?;
        let draft = Self(draft);
        // The umask of the process may remove even the owner's rights.
        made.set_permissions(Permissions::from_mode(0o600))?;
        Ok(draft)
    }

    /// Returns where the file is.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.0
    }

    /// Opens the file to write it.
    ///
    /// # Errors
    ///
    /// If it cannot be opened.
    pub fn open(&self) -> io::Result<File> {
        OpenOptions::new().write(true).open(&self.0)
    }

    /// Gives the file its name, unless a file with this name exists.
    ///
    /// # Errors
    ///
    /// [`AlreadyExists`](io::ErrorKind::AlreadyExists); if the file cannot be synced to the disk or renamed.
    pub fn publish(self, place: &Path) -> io::Result<()> {
        self.open()?.sync_all()?;
        match fs::hard_link(&self.0, place) {
            Ok(()) => {}
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => return Err(error),
            // Some file systems have no hard links. The name is taken first, because a file would be replaced.
            Err(_) => {
                OpenOptions::new().write(true).create_new(true).open(place)?;
                fs::rename(&self.0, place).inspect_err(|_| drop(fs::remove_file(place)))?;
            }
        }
        sync_directory(place);
        Ok(())
    }

    /// Gives the file its name, in place of a file with this name.
    ///
    /// # Errors
    ///
    /// If the file cannot be synced to the disk or renamed.
    pub fn replace(self, place: &Path) -> io::Result<()> {
        self.open()?.sync_all()?;
        fs::rename(&self.0, place)?;
        sync_directory(place);
        Ok(())
    }
}

impl Drop for Draft {
    fn drop(&mut self) {
        for path in [self.0.clone(), beside(&self.0, "-journal")] {
            drop(fs::remove_file(path));
        }
    }
}

fn left_over(draft: &Path) -> io::Error {
    let what = format!("{} is left over from a killed process; remove it", draft.display());
    io::Error::new(io::ErrorKind::AlreadyExists, what)
}

fn sync_directory(place: &Path) {
    let directory = place.parent().filter(|parent| !parent.as_os_str().is_empty());
    // Some file systems cannot sync a directory.
    drop(
        File::open(directory.unwrap_or(Path::new("."))).and_then(|directory| directory.sync_all()),
    );
}

/// Returns whether a file exists, including a link to a file that does not exist.
pub(super) fn exists(path: &Path) -> bool {
    fs::symlink_metadata(path).is_ok()
}
