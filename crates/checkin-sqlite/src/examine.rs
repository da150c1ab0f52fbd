//! The checks of `checkin doctor` on a file before it opens the store. Nothing is changed.

use std::collections::HashMap;
use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt;
use std::path::Path;

use sqlite_writer::Database;

use super::backup::flaw;
use super::fault::{absent, damaged, fault, not_a_database, not_ours, too_new, unusable};
use super::permissions::{beside, is_open_to_others};
use super::{SCHEMA_VERSION, SqliteStorage, Tables};
use checkin_storage::{Fault, Finding};

/// The first bytes of an SQLite file.
const MAGIC: &[u8] = b"SQLite format 3\0";

/// The offset of the byte that says whether the file has a write-ahead log, and its value if so.
const JOURNAL_OFFSET: usize = 18;
const JOURNAL_WAL: u8 = 2;

/// Checks the file, and opens the store in it for reading if this version can read it.
///
/// # Errors
///
/// Why there is no store to check.
pub async fn examine(path: &Path) -> Result<(Vec<Finding>, Option<SqliteStorage>), Fault> {
    let mut findings = of_the_file(path)?;
    let file = path.display();
    let database = Database::open_read_only(path).map_err(|error| fault(path, &error))?;
    let look = database.read(|connection| Ok((Tables::of(connection)?, flaw(connection)?)));
    let (tables, flaw) = look.await.map_err(|error| fault(path, &error))?;
    if let Some(flaw) = flaw {
        return Err(damaged(path, &flaw));
    }
    findings.push(Finding::fine("the file is sound (integrity_check, foreign_key_check)"));
    let found = match tables {
        Tables::Foreign => return Err(not_ours(path)),
        Tables::Ours(found) if found > SCHEMA_VERSION => {
            return Err(too_new(path, found, SCHEMA_VERSION));
        }
        Tables::Ours(found) => found,
        Tables::None => {
            findings.push(Finding::problem(
                format!("{file} holds no store yet"),
                "the next start makes one in it; if it held one, restore a backup",
            ));
            return Ok((findings, None));
        }
    };
    if found < SCHEMA_VERSION {
        findings.push(Finding::warning(
            format!("the tables have version {found}; the next start upgrades them to version {SCHEMA_VERSION}"),
            "make a backup first, with `checkin backup FILE`: earlier versions of checkin cannot read the \
             upgraded store",
        ));
        return Ok((findings, None));
    }
    findings.push(Finding::fine(format!("the tables have version {found}")));
    Ok((findings, Some(SqliteStorage::read_only(database))))
}

/// Opens a store read-only, to watch it while others use it. Of its contents, it checks the version of the tables
/// alone.
///
/// # Errors
///
/// If there is no store, it cannot be read, or its tables have another version.
///
/// # Cancel safety
///
/// Dropping the future closes the file.
pub async fn watch(path: &Path) -> Result<SqliteStorage, Fault> {
    if !path.exists() {
        return Err(absent(path));
    }
    let database = Database::open_read_only(path).map_err(|error| fault(path, &error))?;
    let tables = database.read(Tables::of).await;
    match tables.map_err(|error| fault(path, &error))? {
        Tables::Ours(SCHEMA_VERSION) => Ok(SqliteStorage::read_only(database)),
        Tables::Ours(found) if found > SCHEMA_VERSION => Err(too_new(path, found, SCHEMA_VERSION)),
        Tables::Ours(found) => Err(Fault::passing(
            format!(
                "the tables have version {found}; the next start upgrades them to version {SCHEMA_VERSION}"
            ),
            "",
        )),
        Tables::Foreign | Tables::None => Err(not_ours(path)),
    }
}

/// Checks the file with the operating system and reads its header. This opens and closes the file, so
/// no connection of this process may have it open.
fn of_the_file(path: &Path) -> Result<Vec<Finding>, Fault> {
    let name = path.display();
    let mut findings = Vec::new();
    if let Some(fault) = unusable(path) {
        if File::open(path).is_err() || !path.is_file() {
            return Err(fault);
        }
        findings.push(Finding::problem(fault.what(), fault.advice()));
    }
    let unreadable =
        |error: io::Error| Fault::lasting(format!("cannot read {name}: {error}"), "check the disk");
    let file = match File::open(path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Err(absent(path)),
        opened => opened.map_err(unreadable)?,
    };
    if file.metadata().map_err(unreadable)?.len() == 0 {
        return Err(Fault::lasting(
            format!("{name} is empty, it has 0 bytes"),
            "if it held a store, restore a backup; otherwise delete it, or let the next start make a store in it",
        ));
    }
    let mut header = [0; 100];
    let read = file.read_exact_at(&mut header, 0);
    if read.is_err() || !header.starts_with(MAGIC) {
        return Err(not_a_database(path));
    }
    findings.push(match header[JOURNAL_OFFSET] {
        JOURNAL_WAL => Finding::fine("readers and the writer do not wait for each other (WAL)"),
        _ => Finding::warning(
            format!("{name} has no write-ahead log (WAL): readers and the writer wait for each other"),
            "start a service, which changes that; if it stays, move the file to a local disk, since file \
             systems of a network have no WAL",
        ),
    });
    findings.extend(of_the_modes(path));
    findings.extend(of_the_log(path, &file).map_err(unreadable)?);
    Ok(findings)
}

fn of_the_modes(path: &Path) -> Option<Finding> {
    let files = [path.to_owned(), beside(path, "-wal"), beside(path, "-shm")];
    let open: Vec<_> = files.iter().filter(|path| is_open_to_others(path)).collect();
    let names: Vec<_> = open.iter().map(|path| path.display().to_string()).collect();
    let names = names.join(" ");
    (!open.is_empty()).then(|| {
        Finding::warning(
            format!("other users of this machine may read the store: {names}"),
            format!("chmod 600 {names}"),
        )
    })
}

fn of_the_log(path: &Path, file: &File) -> io::Result<Option<Finding>> {
    let log_path = beside(path, "-wal");
    let log = match File::open(&log_path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        opened => opened?,
    };
    let bytes = log.metadata()?.len();
    let (name, shown) = (path.display(), log_path.display());
    if bytes >= sqlite_writer::LONG_LOG_BYTES {
        return Ok(Some(Finding::problem(
            format!(
                "{shown} has {} MiB: a program that has been reading for long keeps it from being emptied",
                bytes >> 20
            ),
            format!("end that program: `fuser {name}` names those that have the store open"),
        )));
    }
    let pages = lacking_pages(file, &log)?;
    Ok((pages > 0).then(|| {
        let log = shown;
        Finding::warning(
            format!("{log} holds {pages} pages that {name} lacks: a copy of {name} alone would lack them"),
            "copy the store with `checkin backup FILE`; the pages move into the file when the last service \
             ends, or at the next start after a crash",
        )
    }))
}

/// Returns the number of pages whose last committed state is only in the write-ahead log. The format of
/// the log is described in the section "The Write-Ahead Log" of SQLite's file format.
fn lacking_pages(file: &File, log: &File) -> io::Result<usize> {
    const HEADER_BYTES: u64 = 32;
    const FRAME_HEADER_BYTES: usize = 24;
    const MAX_PAGE_BYTES: usize = 64 << 10;
    let number = |bytes: &[u8], at: usize| {
        u32::from_be_bytes([bytes[at], bytes[at + 1], bytes[at + 2], bytes[at + 3]])
    };
    let mut header = [0; HEADER_BYTES as usize];
    if log.read_exact_at(&mut header, 0).is_err() {
        return Ok(0);
    }
    let page_bytes = number(&header, 8) as usize;
    if page_bytes > MAX_PAGE_BYTES {
        return Ok(0);
    }
    let frame_bytes = (FRAME_HEADER_BYTES + page_bytes) as u64;
    let (mut written, mut committed) = (Vec::new(), HashMap::new());
    let mut frame = [0; FRAME_HEADER_BYTES];
    let mut at = HEADER_BYTES;
    // Frames of an earlier use of the log follow, under another salt.
    while log.read_exact_at(&mut frame, at).is_ok() && frame[8..16] == header[16..24] {
        written.push((number(&frame, 0), at + FRAME_HEADER_BYTES as u64));
        let is_commit = number(&frame, 4) != 0;
        if is_commit {
            committed.extend(written.drain(..));
        }
        at += frame_bytes;
    }
    let (mut new, mut old) = (vec![0; page_bytes], vec![0; page_bytes]);
    let mut lacking = 0;
    for (page, at) in committed {
        let in_file = u64::from(page.saturating_sub(1)) * page_bytes as u64;
        let is_there = log.read_exact_at(&mut new, at).is_ok()
            && file.read_exact_at(&mut old, in_file).is_ok()
            && new == old;
        lacking += usize::from(!is_there);
    }
    Ok(lacking)
}
