//! The check-in services on their embedded store, beside a service that writes one transaction for
//! each check-in. Both sync every commit to the same disk.

use std::path::Path;
use std::process::Command;

use anyhow::Result;
use rusqlite::{Connection, OpenFlags};

use crate::programs::{self, Ours, Program};
use crate::server::Server;
use crate::workload::{PASSWORD, Workload};

/// The number of sessions. At the check-in services a login costs a password hash, so there are not
/// as many as on Redis.
const SESSIONS: usize = 64;

/// Starts the programs with their databases in this directory.
pub async fn start(ours: &Ours, directory: &Path, core: usize) -> Result<Vec<Program>> {
    let file = directory.join("checkin.db");
    let store = format!("sqlite:{}", file.display());
    let accounts = ours.load_demo(&store)?;
    let auth = Server::start(core, &mut ours.service(&store, &["auth"]))?;
    let sessions = programs::log_in(&auth, &accounts, SESSIONS).await?;
    drop(auth);
    let mut programs = programs::ours(ours, &store, core, &sessions, Some(&file))?;

    let file = directory.join("peer.db");
    let mut command = Command::new(programs::build("peer-sqlite")?);
    command.env("STORE", &file).env("PASSWORD", PASSWORD);
    let server = Server::start(core, &mut command)?;
    let sessions = programs::log_in(&server, &accounts, SESSIONS).await?;
    programs.push(Program {
        name: "axum + rusqlite, one transaction each",
        server,
        plain_path: "/plain",
        sessions,
        workloads: &[Workload::Read, Workload::Checkin],
        database: Some(file),
    });
    Ok(programs)
}

/// Returns the number of check-ins in a database.
pub fn checkins(file: &Path) -> Result<u64> {
    let database = Connection::open_with_flags(file, OpenFlags::SQLITE_OPEN_READ_ONLY)?;
    let count: i64 = database.query_row("SELECT count(*) FROM checkins", [], |row| row.get(0))?;
    Ok(count.try_into()?)
}
