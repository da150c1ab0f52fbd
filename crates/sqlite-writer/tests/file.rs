//! The database file, its write-ahead log and its index on disk.

#![expect(clippy::unwrap_used, reason = "a test fails if it cannot continue")]

use std::fs;
use std::path::{Path, PathBuf};

use sqlite_writer::Database;
use sqlite_writer::rusqlite::{self, Connection};
use tempfile::TempDir;

/// A query that runs until it is interrupted.
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

/// Returns the number of rows in a copy of the database file without its write-ahead log.
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
async fn closing_the_last_handle_leaves_one_file() {
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
async fn an_endless_read_does_not_keep_the_file_open() {
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
    // The query runs on until it is interrupted.
    read.abort();
    assert!(read.await.unwrap_err().is_cancelled());
    drop(database);
    assert_eq!(names(&directory), ["app.db"]);
    assert_eq!(rows_of_a_copy(&file(&directory)), 3);
}

#[tokio::test]
async fn abandoned_writes_do_not_keep_the_file_open() {
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
async fn only_the_owner_may_read_the_files() {
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
