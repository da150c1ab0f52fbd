//! The file system that holds the store, as `checkin doctor` sees it.

use std::path::Path;

use checkin_storage::Finding;

/// The space that the write-ahead log needs: it is moved into the file when it has 16 MiB, and the file may grow by as
/// much.
const NEEDED_BYTES: u64 = 32 << 20;

/// What is known of a file system.
struct Volume {
    /// `None` if it does not count its space.
    available_bytes: Option<u64>,
    medium: Medium,
}

#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum Medium {
    /// Anything that is not named below: mostly a disk of this machine.
    Local,
    /// Gone when the machine restarts.
    Memory,
    /// On other machines, under this name.
    Network(&'static str),
    /// A program on this machine, which may use the network.
    Fuse,
}

impl Medium {
    /// Returns the medium for the type that `statfs` returns, as `linux/magic.h` and the manual page `statfs(2)` name
    /// them.
    fn of_type(magic: u32) -> Self {
        match magic {
            0x0102_1994 | 0x8584_58F6 => Self::Memory,
            0x0000_6969 => Self::Network("NFS"),
            0x0000_517B | 0xFE53_4D42 | 0xFF53_4D42 => Self::Network("SMB"),
            0x0102_1997 => Self::Network("9p"),
            0x00C3_6400 => Self::Network("Ceph"),
            0x5346_414F | 0x6B41_4653 => Self::Network("AFS"),
            0x0BD0_0BD0 => Self::Network("Lustre"),
            0x6573_5546 => Self::Fuse,
            _ => Self::Local,
        }
    }
}

/// Returns what is found about the file system of the store. Nothing is found if the system does not tell.
pub(super) fn volume_findings(path: &Path) -> Vec<Finding> {
    let volume = Volume::of(path);
    volume.map_or_else(Vec::new, |volume| volume.findings(path))
}

impl Volume {
    fn of(path: &Path) -> Option<Self> {
        let space = rustix::fs::statvfs(path).ok()?;
        let counts = space.f_blocks > 0;
        let available_bytes = counts.then(|| space.f_bavail.saturating_mul(space.f_frsize));
        Some(Self { available_bytes, medium: medium(path) })
    }

    fn findings(&self, path: &Path) -> Vec<Finding> {
        let name = path.display();
        let space = self.available_bytes.map(|bytes| {
            if bytes >= NEEDED_BYTES {
                return Finding::fine("the file system has the space that the write-ahead log needs");
            }
            let left = bytes >> 20;
            Finding::problem(
                format!("the file system of {name} has {left} MiB left, and the write-ahead log needs 32 MiB"),
                "make space on it: when it is full, changes get 503",
            )
        });
        let medium = match self.medium {
            Medium::Local => None,
            Medium::Memory => Some(Finding::warning(
                format!("{name} is in memory (tmpfs): it is gone when the machine restarts"),
                "move the store to a disk, unless it is for a trial",
            )),
            Medium::Network(kind) => Some(Finding::problem(
                format!(
                    "{name} is on a network file system ({kind}): two machines that use it may damage it"
                ),
                "move the store to a disk of this machine, or use Redis",
            )),
            Medium::Fuse => Some(Finding::warning(
                format!(
                    "{name} is on a file system in user space (FUSE), which may be one of a network"
                ),
                "if it is, move the store to a disk of this machine, or use Redis",
            )),
        };
        [space, medium].into_iter().flatten().collect()
    }
}

#[cfg(target_os = "linux")]
#[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "a type has 32 bits")]
fn medium(path: &Path) -> Medium {
    rustix::fs::statfs(path).map_or(Medium::Local, |found| Medium::of_type(found.f_type as u32))
}

#[cfg(not(target_os = "linux"))]
fn medium(_: &Path) -> Medium {
    Medium::Local
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use checkin_storage::Severity;

    use super::{Medium, NEEDED_BYTES, Volume, volume_findings};

    fn found(available: u64, medium: Medium) -> Vec<(Severity, String)> {
        let findings =
            Volume { available_bytes: Some(available), medium }.findings(Path::new("checkin.db"));
        findings.into_iter().map(|finding| (finding.severity, finding.what)).collect()
    }

    #[test]
    fn space_is_needed_for_the_write_ahead_log() {
        let enough = found(NEEDED_BYTES, Medium::Local);
        let text = "the file system has the space that the write-ahead log needs".to_owned();
        assert_eq!(enough, [(Severity::Fine, text)]);
        let text =
            "the file system of checkin.db has 31 MiB left, and the write-ahead log needs 32 MiB"
                .to_owned();
        assert_eq!(found(NEEDED_BYTES - 1, Medium::Local), [(Severity::Problem, text)]);
    }

    #[test]
    fn a_store_belongs_on_a_disk_of_this_machine() {
        let severity = |magic| {
            let findings = found(u64::MAX, Medium::of_type(magic));
            findings.get(1).map(|(severity, what)| (*severity, what.clone()))
        };
        // ext4, XFS, Btrfs, ZFS, and the file systems of containers.
        for local in [0xEF53, 0x5846_5342, 0x9123_683E, 0x2FC1_2FC1, 0x794C_7630] {
            assert_eq!(severity(local), None, "{local:x}");
        }
        for (network, name) in [(0x6969, "NFS"), (0xFF53_4D42, "SMB"), (0x0102_1997, "9p")] {
            let (severity, what) = severity(network).unwrap();
            assert_eq!(severity, Severity::Problem);
            assert!(what.contains(&format!("network file system ({name})")), "{what}");
        }
        for (other, words) in [(0x0102_1994, "is in memory"), (0x6573_5546, "FUSE")] {
            let (severity, what) = severity(other).unwrap();
            assert_eq!(severity, Severity::Warning);
            assert!(what.contains(words), "{what}");
        }
    }

    #[test]
    fn what_the_system_says_is_read() {
        let directory = tempfile::tempdir().unwrap();
        let found = volume_findings(directory.path());
        assert!(found[0].what.starts_with("the file system "), "{}", found[0].what);
        // Linux says of itself which files are no files of a disk.
        #[cfg(target_os = "linux")]
        assert_eq!(super::medium(Path::new("/dev/shm")), Medium::Memory);
        assert_eq!(volume_findings(Path::new("/nowhere/checkin.db")).len(), 0);
    }
}
