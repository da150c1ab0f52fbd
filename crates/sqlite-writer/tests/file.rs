//! The file of an SQLite database, and the files beside it.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on fails")]

use std::fs;
use std::path::{Path, PathBuf};

use sqlite_writer::Database;
use sqlite_writer::rusqlite::{self, Connection};
use tempfile::TempDir;

/// Runs until it is interrupted.
const ENDLESS: &str =
    "WITH RECURSIVE n (i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n) SELECT max(i) FROM n";

fn file(directory: &TempDir) -> PathBuf {
    directory.path().join("app.db")
}

async fn insert(database: &Database, rows: u32) {
    let insert = move |connection: &Connection| {
        connection.execute_batch("CREATE TABLE IF NOT EXISTS numbers (number INTEGER)")?;
        (0..rows)
            .try_for_each(|_| connection.execute("INSERT INTO numbers VALUES (1)", []).map(drop))
    };
    database.write(insert).await.unwrap();
}

fn count(connection: &Connection) -> rusqlite::Result<u32> {
    connection.query_row("SELECT count(*) FROM numbers", [], |row| row.get(0))
}

/// The rows that a copy of the file alone has.
fn rows_of_a_copy(path: &Path) -> u32 {
    let directory = tempfile::tempdir().unwrap();
    let copy = directory.path().join("copy.db");
    fs::copy(path, &copy).unwrap();
    count(&Connection::open(copy).unwrap()).unwrap()
}

fn names(directory: &TempDir) -> Vec<String> {
    let entries = fs::read_dir(directory.path()).unwrap();
    entries.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect()
}

#[tokio::test]
async fn the_last_handle_leaves_one_file_behind() {
    let directory = tempfile::tempdir().unwrap();
    let first = Database::open(file(&directory)).unwrap();
    let second = Database::open(file(&directory)).unwrap();
    insert(&first, 3).await;
    let clone = first.clone();
    drop(first);
    assert_eq!(clone.read(count).await.unwrap(), 3);
    drop(clone);
    insert(&second, 4).await;
    drop(second);
    assert_eq!(names(&directory), ["app.db"]);
    assert_eq!(rows_of_a_copy(&file(&directory)), 7);
}

#[tokio::test]
async fn a_read_that_does_not_end_keeps_no_file_open() {
    let directory = tempfile::tempdir().unwrap();
    let database = Database::open(file(&directory)).unwrap();
    insert(&database, 3).await;
    let (begin, begun) = tokio::sync::oneshot::channel();
    let reader = database.clone();
    let read = tokio::spawn(async move {
        let endless = move |connection: &Connection| {
            begin.send(()).unwrap();
            connection.query_row(ENDLESS, [], |row| row.get::<_, i64>(0))
        };
        reader.read(endless).await
    });
    begun.await.unwrap();
    // Its connection goes on for as long as nobody interrupts it.
    read.abort();
    assert!(read.await.unwrap_err().is_cancelled());
    drop(database);
    assert_eq!(names(&directory), ["app.db"]);
    assert_eq!(rows_of_a_copy(&file(&directory)), 3);
}

#[tokio::test]
async fn writes_that_nobody_waits_for_any_more_do_not_keep_it_open() {
    let directory = tempfile::tempdir().unwrap();
    let database = Database::open(file(&directory)).unwrap();
    insert(&database, 0).await;
    for _ in 0..1100 {
        let write = database
            .write(|connection| connection.execute("INSERT INTO numbers VALUES (1)", []).map(drop));
        drop(tokio::time::timeout(std::time::Duration::ZERO, write).await);
    }
    drop(database);
    assert_eq!(names(&directory), ["app.db"]);
}

#[cfg(unix)]
#[tokio::test]
async fn only_its_owner_may_read_it() {
    use std::os::unix::fs::PermissionsExt;
    let directory = tempfile::tempdir().unwrap();
    let database = Database::open(file(&directory)).unwrap();
    insert(&database, 3).await;
    let mut names = names(&directory);
    names.sort();
    assert_eq!(names, ["app.db", "app.db-shm", "app.db-wal"]);
    for name in names {
        let mode = fs::metadata(directory.path().join(&name)).unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o600, "{name}");
    }
}
