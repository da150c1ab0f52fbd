//! Namespaces of this program's own, in which it may set up hosts and volumes that end with it; and what
//! else a row needs of the system.

use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::{Command, Stdio};

use crate::chaos::clocks::Clocks;
use crate::chaos::deployment::Place;

/// Tells the program that it has entered them.
const INSIDE: &str = "CHAOS_NAMESPACES";

/// Starts this program again in a network namespace and a mount namespace of its own, if the system
/// lets it: for root, or for everybody with a user namespace.
pub(crate) fn enter(args: &[String]) {
    if std::env::var_os(INSIDE).is_some() {
        return;
    }
    // `ip netns` keeps its names in /run.
    let begin = "mount -t tmpfs chaos /run && ip link set lo up";
    for unshare in [&["--net", "--mount"][..], &["--map-root-user", "--net", "--mount"]] {
        let own = |script: &str| {
            let mut command = Command::new("unshare");
            command.args(unshare).args(["sh", "-c", script, "chaos"]);
            command
        };
        let works = own(begin).stderr(Stdio::null()).status();
        if works.is_ok_and(|status| status.success()) {
            let mut again = own(&format!("{begin} && exec \"$@\""));
            again.arg(std::env::current_exe().unwrap()).args(args).env(INSIDE, "");
            panic!("cannot start again: {}", again.exec());
        }
    }
}

/// Returns what a place needs and this machine lacks.
pub(crate) fn missing(place: Place) -> Option<String> {
    let programs: &[_] = match place {
        Place::Here => return None,
        Place::Clocks => {
            let library = Clocks::library();
            let lacks = || format!("needs {library} (Debian's package faketime)");
            return (!Path::new(&library).exists()).then(lacks);
        }
        Place::Hosts => &["ip", "nft", "tc"],
        Place::SmallVolume => &["mount"],
        Place::Disk => &["mount", "mkfs.ext4", "xfs_io"],
    };
    if std::env::var_os(INSIDE).is_none() {
        return Some("needs root, or user namespaces, and the programs unshare and ip".to_owned());
    }
    if place == Place::Disk && !can_mount_disks() {
        return Some("needs root and loop devices".to_owned());
    }
    let lacks = |program: &&&str| {
        Command::new("which").arg(program).output().is_ok_and(|found| !found.status.success())
    };
    programs.iter().find(lacks).map(|program| format!("needs the program {program}"))
}

/// Returns whether this is root outside of a user namespace, with loop devices.
fn can_mount_disks() -> bool {
    let users = std::fs::read_to_string("/proc/self/uid_map").unwrap_or_default();
    users.split_whitespace().eq(["0", "0", "4294967295"]) && Path::new("/dev/loop-control").exists()
}
