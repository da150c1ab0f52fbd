//! Volumes that can be full or lose what is not synced. They are mounted, which needs root or a mount
//! namespace.

use std::fs::{self, File};
use std::io::Write;
use std::path::{Path, PathBuf};

use tempfile::TempDir;

use super::processes::run;

/// Larger than the store of a run, and quickly filled.
const SMALL: &str = "size=64m";
const DISK_BYTES: u64 = 512 << 20;

/// Without these the system would write by itself, every few seconds, what nobody has synced.
const DISK: &str = "loop,commit=300";

/// A mounted volume. It is unmounted on drop, after the programs that use it have ended.
pub(crate) struct Volume {
    directory: TempDir,
    mount: String,
}

impl Volume {
    /// Returns a volume in memory, which is soon full.
    pub(crate) fn small() -> Self {
        let volume = Self::new();
        run(&["mount", "-t", "tmpfs", "-o", SMALL, "chaos", &volume.mount]);
        volume
    }

    /// Returns a volume with ext4.
    pub(crate) fn disk() -> Self {
        let volume = Self::new();
        File::create(volume.image()).unwrap().set_len(DISK_BYTES).unwrap();
        run(&["mkfs.ext4", "-q", volume.image().to_str().unwrap()]);
        volume.mount_disk();
        volume
    }

    pub(crate) fn path(&self) -> &str {
        &self.mount
    }

    /// Drops everything that is not on the disk yet, as a loss of power does: ext4 stops without
    /// writing anything more, not even its journal, and refuses everything from then on.
    pub(crate) fn lose_power(&self) {
        run(&["xfs_io", "-x", "-c", "shutdown", &self.mount]);
    }

    /// Mounts the disk again. No program may use it any more.
    pub(crate) fn restore_power(&self) {
        run(&["umount", &self.mount]);
        self.mount_disk();
    }

    /// Fills the volume to its last byte.
    pub(crate) fn fill(&self) {
        let mut file = File::create(self.filler()).unwrap();
        for bytes in [1 << 20, 4096, 1] {
            while file.write_all(&vec![0; bytes]).is_ok() {}
        }
    }

    pub(crate) fn empty(&self) {
        fs::remove_file(self.filler()).unwrap();
    }

    fn new() -> Self {
        let directory = tempfile::tempdir().unwrap();
        let mount = directory.path().join("volume");
        fs::create_dir(&mount).unwrap();
        Self { mount: mount.to_str().unwrap().to_owned(), directory }
    }

    fn mount_disk(&self) {
        run(&["mount", "-o", DISK, self.image().to_str().unwrap(), &self.mount]);
    }

    fn image(&self) -> PathBuf {
        self.directory.path().join("image")
    }

    fn filler(&self) -> PathBuf {
        Path::new(&self.mount).join("filler")
    }
}

impl Drop for Volume {
    fn drop(&mut self) {
        run(&["umount", "--lazy", &self.mount]);
    }
}
