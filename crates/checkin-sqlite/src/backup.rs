//! Copies of a store, with its session secret: backups, and stores made from them.

use std::fs;
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Weak};

use sqlite_writer::Database;
use sqlite_writer::rusqlite::backup::{Backup, StepResult};
use sqlite_writer::rusqlite::{self, Connection};

use super::draft::{Draft, exists};
use super::fault::{absent, damaged, fault, locked, no_store, not_ours, too_new, unusable};
use super::permissions::beside;
use super::{SCHEMA_VERSION, Tables};
use checkin_storage::Fault;

/// The number of pages that are copied in one step.
const STEP_PAGES: i32 = 1024;

/// The files of a store, or of a copy of one.
#[derive(Clone, Debug)]
pub struct Place {
    /// The database.
    pub database: PathBuf,
    /// The file of the session secret.
    pub secret: PathBuf,
}

/// The contents of a copy.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Copied {
    /// Whether there was a file with a session secret.
    pub has_secret: bool,
    /// The accounts.
    pub users: u64,
    /// The locations.
    pub locations: u64,
    /// The entries of the log.
    pub checkins: u64,
}

/// Copies a store that may be in use. The copy contains the store as it was at one moment. Other
/// processes do not wait, and the write-ahead log grows meanwhile.
///
/// # Errors
///
/// If there is no valid store of this or an earlier version, or if a file of the copy already exists.
/// Then no file of the copy is left over.
pub async fn back_up(from: &Place, to: &Place) -> Result<Copied, Fault> {
    is_there(&from.database, || absent(&from.database))?;
    let database = Database::open(&from.database);
    copy(database.map_err(|error| fault(&from.database, &error))?, from, to, |fault| fault).await
}

/// Makes a store from a backup, which is not changed. A store of an earlier version is upgraded when
/// it is first opened.
///
/// # Errors
///
/// As [`back_up`].
pub async fn restore(from: &Place, to: &Place) -> Result<Copied, Fault> {
    is_there(&from.database, || {
        Fault::lasting(format!("there is no backup at {}", from.database.display()), "")
    })?;
    let database = Database::open_read_only(&from.database);
    let database = database.map_err(|error| of_argument(&fault(&from.database, &error)))?;
    copy(database, from, to, |fault| of_argument(&fault)).await
}

/// Returns the fault of a file that an argument names. The advice for a store does not apply to it.
fn of_argument(fault: &Fault) -> Fault {
    Fault::lasting(fault.what(), "name another file")
}

fn is_there(path: &Path, absent: impl FnOnce() -> Fault) -> Result<(), Fault> {
    match unusable(path) {
        Some(fault) if !path.is_file() => Err(of_argument(&fault)),
        _ if !path.exists() => Err(absent()),
        _ => Ok(()),
    }
}

async fn copy(
    database: Database,
    from: &Place,
    to: &Place,
    of_source: fn(Fault) -> Fault,
) -> Result<Copied, Fault> {
    let (source, from, to) = (from.database.clone(), from.clone(), to.clone());
    // The copy runs on a thread. It stops when `awaited` is dropped, because then nobody waits for it.
    let awaited = Arc::new(());
    let copy = {
        let awaited = Arc::downgrade(&awaited);
        move |connection: &Connection| {
            Ok(copy_place(connection, &from, &to, &Copying { of_source, awaited }))
        }
    };
    database.read(copy).await.map_err(|error| of_source(fault(&source, &error)))?
}

/// A running copy.
struct Copying {
    /// Converts a fault of the source.
    of_source: fn(Fault) -> Fault,
    awaited: Weak<()>,
}

fn copy_place(
    connection: &Connection,
    from: &Place,
    to: &Place,
    copying: &Copying,
) -> Result<Copied, Fault> {
    let logs = ["-wal", "-shm", "-journal"].map(|suffix| beside(&to.database, suffix));
    let taken = [&to.database, &to.secret].into_iter().chain(&logs).find(|path| exists(path));
    if let Some(taken) = taken {
        return Err(already_there(taken));
    }
    let secret = match fs::read(&from.secret) {
        Ok(secret) => Some(secret),
        Err(error) if error.kind() == io::ErrorKind::NotFound => None,
        Err(error) => return Err(cannot("read", &from.secret, &error)),
    };
    let draft = make_draft(&to.database)?;
    let mut copied = copy_database(connection, (&from.database, &to.database), &draft, copying)?;
    if let Some(secret) = &secret {
        let draft = make_draft(&to.secret)?;
        let written = draft.open().and_then(|mut file| file.write_all(secret));
        written.map_err(|error| cannot("write", &to.secret, &error))?;
        publish(draft, &to.secret)?;
    }
    if let Err(fault) = publish(draft, &to.database) {
        if secret.is_some() {
            drop(fs::remove_file(&to.secret));
        }
        return Err(fault);
    }
    copied.has_secret = secret.is_some();
    Ok(copied)
}

fn copy_database(
    from: &Connection,
    (source, target): (&Path, &Path),
    draft: &Draft,
    Copying { of_source, awaited }: &Copying,
) -> Result<Copied, Fault> {
    let cannot_read = |error: rusqlite::Error| of_source(fault(source, &error));
    let of_copy = |error: rusqlite::Error| fault(target, &error);
    // Keeps one moment of the store: otherwise each write of another process would restart the copy.
    let moment = from.unchecked_transaction().map_err(cannot_read)?;
    match Tables::of(&moment).map_err(cannot_read)? {
        Tables::Ours(found) if found > SCHEMA_VERSION => {
            return Err(too_new(source, found, SCHEMA_VERSION));
        }
        Tables::Ours(_) => {}
        Tables::None => return Err(no_store(source)),
        Tables::Foreign => return Err(of_source(not_ours(source))),
    }
    let mut to = Connection::open(draft.path()).map_err(of_copy)?;
    {
        let backup = Backup::new(&moment, &mut to).map_err(of_copy)?;
        loop {
            match backup.step(STEP_PAGES).map_err(of_copy)? {
                StepResult::Done => break,
                StepResult::More if awaited.strong_count() > 0 => {}
                StepResult::More => return Err(Fault::passing("the copy was cancelled", "")),
                _ => return Err(locked(source)),
            }
        }
    }
    // The copy is one file, which can be read from a read-only medium.
    to.pragma_update(None, "journal_mode", "DELETE").map_err(of_copy)?;
    if let Some(flaw) = flaw(&to).map_err(cannot_read)? {
        return Err(of_source(damaged(source, &flaw)));
    }
    let number = |table: &str| {
        to.query_row(&format!("SELECT count(*) FROM {table}"), [], |row| row.get::<_, i64>(0))
            .map(i64::unsigned_abs)
            .map_err(of_copy)
    };
    Ok(Copied {
        has_secret: false,
        users: number("users")?,
        locations: number("locations")?,
        checkins: number("checkins")?,
    })
}

/// Returns the first error inside a database, if there is one.
pub(super) fn flaw(connection: &Connection) -> rusqlite::Result<Option<String>> {
    let first: String = connection.query_row("PRAGMA integrity_check(1)", [], |row| row.get(0))?;
    if first != "ok" {
        let lines = first.lines().filter(|line| !line.starts_with("***"));
        return Ok(Some(lines.collect::<Vec<_>>().join(", ")));
    }
    let mut statement = connection.prepare("PRAGMA foreign_key_check")?;
    let broken = statement.exists([])?;
    Ok(broken.then(|| "a row names another row that does not exist".to_owned()))
}

fn make_draft(place: &Path) -> Result<Draft, Fault> {
    Draft::beside(place).map_err(|error| {
        unusable(place).map_or_else(|| cannot("make", place, &error), |fault| of_argument(&fault))
    })
}

fn publish(draft: Draft, place: &Path) -> Result<(), Fault> {
    draft.publish(place).map_err(|error| match error.kind() {
        io::ErrorKind::AlreadyExists => already_there(place),
        _ => cannot("write", place, &error),
    })
}

fn already_there(path: &Path) -> Fault {
    Fault::lasting(
        format!("{} is there already, and is never overwritten", path.display()),
        "move it away, or name another place",
    )
}

fn cannot(what: &str, path: &Path, error: &io::Error) -> Fault {
    let what = format!("cannot {what} {}: {error}", path.display());
    match error.kind() {
        io::ErrorKind::StorageFull => Fault::passing(what, "free some space"),
        _ => Fault::lasting(what, ""),
    }
}
