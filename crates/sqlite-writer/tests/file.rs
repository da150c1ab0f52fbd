//! The database file, its write-ahead log and its index on disk.

#![expect(clippy::unwrap_used, reason = "a test fails if it cannot continue")]

use std::fs;
use std::path::{Path, PathBuf};

use sqlite_writer::rusqlite::{self, Connection};
use sqlite_writer::{Database, log_bytes};
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

/// Writes this many MiB in commits of one.
async fn write_mib(database: &Database, count: u32) {
    let sql = "INSERT INTO numbers VALUES (zeroblob(1 << 20))";
    for _ in 0..count {
        database.write(move |connection| connection.execute(sql, []).map(drop)).await.unwrap();
    }
}

#[tokio::test]
async fn a_log_that_nobody_reads_stays_short() {
    let directory = tempfile::tempdir().unwrap();
    let database = Database::open(file(&directory)).unwrap();
    insert(&database, 1).await;
    let mut longest = 0;
    for _ in 0..40 {
        write_mib(&database, 1).await;
        database.read(count).await.unwrap();
        longest = longest.max(log_bytes(&file(&directory)));
    }
    assert!((2 << 20..24 << 20).contains(&longest), "{longest}");

    // A reader of another program holds it, and lets it go.
    let other = Connection::open(file(&directory)).unwrap();
    other.execute_batch("BEGIN").unwrap();
    count(&other).unwrap();
    write_mib(&database, 40).await;
    assert!(log_bytes(&file(&directory)) > 40 << 20, "{}", log_bytes(&file(&directory)));
    other.execute_batch("COMMIT").unwrap();
    write_mib(&database, 2).await;
    assert!(log_bytes(&file(&directory)) < 24 << 20, "{}", log_bytes(&file(&directory)));
}

#[cfg(unix)]
#[tokio::test]
async fn a_folder_that_takes_no_new_file_is_not_a_full_disk() {
    use std::os::unix::fs::PermissionsExt as _;
    let directory = tempfile::tempdir().unwrap();
    let first = Database::open(file(&directory)).unwrap();
    insert(&first, 1).await;
    let set_mode = |mode| {
        fs::set_permissions(directory.path(), fs::Permissions::from_mode(mode)).unwrap();
    };
    set_mode(0o555);
    let is_superuser = fs::File::create(directory.path().join("any")).is_ok();
    let second = Database::open(file(&directory));
    let checked = match &second {
        Ok(second) => second.check_writable().await,
        Err(_) => Ok(()),
    };
    set_mode(0o755);
    second.unwrap();
    checked.unwrap();
    if is_superuser {
        eprintln!("not tested: the superuser may make files in any folder");
    }
}

/// Nobody would find what is written to a file that has lost its name.
#[cfg(unix)]
#[tokio::test]
async fn nothing_is_written_to_files_that_are_not_in_their_place() {
    use std::os::unix::fs::symlink;
    let home = tempfile::tempdir().unwrap();
    let [place, elsewhere] = ["place", "elsewhere"].map(|name| home.path().join(name));
    fs::create_dir(&place).unwrap();
    let path = place.join("app.db");
    let database = Database::open(&path).unwrap();
    let add = |connection: &Connection| {
        connection.execute_batch(
            "CREATE TABLE IF NOT EXISTS numbers (number); INSERT INTO numbers VALUES (1)",
        )
    };
    database.write(add).await.unwrap();
    let mut rows = 1;
    for (name, is_replaced) in [
        ("app.db", false),
        ("app.db-wal", false),
        ("app.db-shm", false),
        ("app.db", true),
        ("", false),
    ] {
        let moved = place.join(name);
        fs::rename(&moved, &elsewhere).unwrap();
        if is_replaced {
            fs::copy(&elsewhere, &moved).unwrap();
        }
        for _ in 0..2 {
            let error = database.write(add).await.unwrap_err();
            assert_eq!(error.kind(), sqlite_writer::ErrorKind::Unavailable, "{name}");
            let what = if is_replaced { "was replaced" } else { "was deleted or moved" };
            let cause = database.check_writable().await.unwrap_err().into_source().unwrap();
            assert!(cause.to_string().contains(what), "{cause}");
        }
        assert_eq!(moved.exists(), is_replaced, "{name} was made again");
        fs::rename(&elsewhere, &moved).unwrap();
        database.check_writable().await.unwrap();
        database.write(add).await.unwrap();
        rows += 1;
        assert_eq!(database.read(count).await.unwrap(), rows, "{name}");
    }
    drop(database);

    // A name that leads elsewhere.
    let other = home.path().join("other.db");
    symlink(&path, home.path().join("link.db")).unwrap();
    let database = Database::open(home.path().join("link.db")).unwrap();
    database.write(add).await.unwrap();
    fs::remove_file(home.path().join("link.db")).unwrap();
    fs::copy(&path, &other).unwrap();
    symlink(&other, home.path().join("link.db")).unwrap();
    database.write(add).await.unwrap_err();
    // The files of the others are theirs.
    let others = Database::open(&other).unwrap();
    others.write(add).await.unwrap();
    drop(database);
    assert!(home.path().join("other.db-wal").exists());
    others.write(add).await.unwrap();
}
