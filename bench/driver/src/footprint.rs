//! The memory of the programs without load, and the size of the binary.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;
use std::process::Command;

use anyhow::{Context, Result, ensure};

use crate::programs::Ours;
use crate::redis_server::RedisServer;
use crate::server::Process;
use crate::streams::settled_memory;

/// `checkin up` runs all others in one process.
const COMMANDS: [&str; 5] = ["up", "auth", "receiver", "api", "processor"];

/// The settings of the addresses, so that each program listens on free ports.
const ADDRESSES: [&str; 5] = [
    "CHECKIN_LISTEN",
    "CHECKIN_AUTH_LISTEN",
    "CHECKIN_RECEIVER_LISTEN",
    "CHECKIN_API_LISTEN",
    "CHECKIN_CONSOLE_LISTEN",
];

/// Returns the resident memory of each program in KiB: after its start with the demo data, on Redis
/// and on an embedded store.
pub async fn memory(ours: &Ours) -> Result<BTreeMap<String, u64>> {
    let redis = RedisServer::start()?;
    let directory = tempfile::tempdir()?;
    let embedded = format!("sqlite:{}", directory.path().join("checkin.db").display());
    let mut figures = BTreeMap::new();
    for (kind, store) in [("Redis", &redis.url), ("SQLite", &embedded)] {
        ours.load_demo(store)?;
        for name in COMMANDS {
            let mut command = ours.checkin(store);
            for address in ADDRESSES {
                command.env(address, "127.0.0.1:0");
            }
            command.arg(name).stdout(std::process::Stdio::null());
            let mut process = Process::start(&mut command)?;
            let kib = settled_memory(process.pid()).await?;
            ensure!(process.is_running()?, "checkin {name} ended");
            figures.insert(format!("idle memory in KiB: checkin {name} on {kind}"), kib);
        }
    }
    Ok(figures)
}

/// Returns the size of a program in KiB, without debug information and symbols.
pub fn stripped_kib(program: &Path) -> Result<u64> {
    let directory = tempfile::tempdir()?;
    let stripped = directory.path().join("stripped");
    let status = Command::new("strip").arg("-o").arg(&stripped).arg(program).status();
    ensure!(status.context("cannot run strip (binutils)")?.success(), "strip failed");
    Ok(fs::metadata(stripped)?.len() / 1024)
}
