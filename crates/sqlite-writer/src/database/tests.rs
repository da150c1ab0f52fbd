use std::future::Future;
use std::pin::{Pin, pin};
use std::sync::mpsc as std_mpsc;
use std::task::{Context, Waker};

use super::*;
use crate::writer::QUEUE;

/// Polls a future once, like a connection whose client then stops reading the response.
fn poll_once<F: Future + Unpin>(future: &mut F) {
    let mut context = Context::from_waker(Waker::noop());
    assert!(Pin::new(future).poll(&mut context).is_pending());
}

fn database() -> (tempfile::TempDir, Database) {
    let directory = tempfile::tempdir().unwrap();
    let database = Database::open(directory.path().join("a.db")).unwrap();
    (directory, database)
}

/// Occupies all readers until the returned senders are dropped.
async fn occupy_readers(
    database: &Database,
) -> (Vec<tokio::task::JoinHandle<()>>, Vec<std_mpsc::Sender<()>>) {
    let (mut busy, mut ends) = (Vec::new(), Vec::new());
    for _ in 0..READERS {
        let (end, ended) = std_mpsc::channel::<()>();
        let (begin, begun) = oneshot::channel();
        let database = database.clone();
        busy.push(tokio::spawn(async move {
            let wait = move |_: &Connection| {
                begin.send(()).unwrap();
                let _ = ended.recv();
                Ok(())
            };
            database.read(wait).await.unwrap();
        }));
        begun.await.unwrap();
        ends.push(end);
    }
    (busy, ends)
}

#[tokio::test(flavor = "multi_thread")]
async fn reads_that_are_not_polled_occupy_no_reader() {
    let (_directory, database) = database();
    let (busy, ends) = occupy_readers(&database).await;
    let mut stuck: Vec<_> = (0..10 * READERS)
        .map(|_| {
            let database = database.clone();
            Box::pin(async move { database.read(|_| Ok(())).await })
        })
        .collect();
    stuck.iter_mut().for_each(poll_once);
    drop(ends);
    for reader in busy {
        reader.await.unwrap();
    }
    assert_eq!(database.read(|_| Ok(7)).await.unwrap(), 7);
    for read in stuck {
        read.await.unwrap();
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_dropped_read_returns_its_reader() {
    let (_directory, database) = database();
    for _ in 0..100 * READERS {
        // The read may already be finished at its first poll.
        let read = pin!(database.read(|_| Ok(())));
        let _ = read.poll(&mut Context::from_waker(Waker::noop()));
    }
    database.read(|_| Ok(())).await.unwrap();
}

#[tokio::test]
async fn a_lookup_needs_no_other_thread() {
    let (_directory, database) = database();
    let thread = database.look_up(|_| Ok(std::thread::current().id())).await.unwrap();
    assert_eq!(thread, std::thread::current().id());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_lookup_waits_for_a_reader() {
    let (_directory, database) = database();
    let (busy, ends) = occupy_readers(&database).await;
    let mut lookup = Box::pin(database.look_up(|_| Ok(7)));
    poll_once(&mut lookup);
    drop(ends);
    assert_eq!(lookup.await.unwrap(), 7);
    for reader in busy {
        reader.await.unwrap();
    }
}

/// The calling thread serves other requests, so it must not wait for a lock.
#[tokio::test]
async fn a_lookup_waits_for_a_lock_in_another_thread() {
    let (_directory, database) = database();
    let caller = std::thread::current().id();
    let lookup = move |_: &Connection| {
        let thread = std::thread::current().id();
        let busy = rusqlite::ffi::Error::new(rusqlite::ffi::SQLITE_BUSY);
        let locked = || rusqlite::Error::SqliteFailure(busy, None);
        (thread != caller).then_some(thread).ok_or_else(locked)
    };
    assert_ne!(database.look_up(lookup).await.unwrap(), caller);
}

#[tokio::test(flavor = "multi_thread")]
async fn writes_that_are_not_polled_occupy_no_place_in_the_queue() {
    let (_directory, database) = database();
    let (end, ended) = std_mpsc::channel::<()>();
    let (begin, begun) = oneshot::channel();
    let writing = database.clone();
    let busy = tokio::spawn(async move {
        let wait = move |_: &Connection| {
            begin.send(()).unwrap();
            let _ = ended.recv();
            Ok(())
        };
        writing.write(wait).await.unwrap();
    });
    begun.await.unwrap();
    let mut stuck: Vec<_> = (0..2 * QUEUE)
        .map(|_| {
            let database = database.clone();
            Box::pin(async move { database.write(|_| Ok(())).await })
        })
        .collect();
    stuck.iter_mut().for_each(poll_once);
    drop(end);
    busy.await.unwrap();
    // This write comes after all of them, twice as many as the queue holds.
    database.write(|_| Ok(())).await.unwrap();
    for write in stuck {
        write.await.unwrap();
    }
}

/// Some errors, such as a full disk, may end the whole transaction. The later writes of the group
/// must not run outside it: they would be stored, although they return an error.
#[tokio::test(flavor = "multi_thread")]
async fn no_write_of_a_group_runs_outside_its_transaction() {
    let (_directory, database) = database();
    database.write(|connection| connection.execute_batch("CREATE TABLE t (n)")).await.unwrap();
    let (end, ended) = std_mpsc::channel::<()>();
    let (begin, begun) = oneshot::channel();
    let first = database.clone();
    let first = tokio::spawn(async move {
        let wait = move |_: &Connection| {
            begin.send(()).unwrap();
            let _ = ended.recv();
            Ok(())
        };
        first.write(wait).await
    });
    begun.await.unwrap();
    let mut group = Vec::new();
    for sql in ["INSERT INTO t VALUES (1)", "ROLLBACK", "INSERT INTO t VALUES (2)"] {
        let writing = database.clone();
        group.push(tokio::spawn(async move {
            writing.write(move |connection| connection.execute_batch(sql)).await
        }));
        while database.jobs.capacity() > QUEUE - group.len() {
            tokio::task::yield_now().await;
        }
    }
    drop(end);
    first.await.unwrap().unwrap();
    for write in group {
        write.await.unwrap().unwrap_err();
    }
    let sql = "SELECT count(*) FROM t";
    let count =
        database.write(|connection| connection.query_row(sql, [], |row| row.get::<_, u32>(0)));
    assert_eq!(count.await.unwrap(), 0, "the writer still works");
}

#[tokio::test]
async fn each_operation_is_observed_once_with_its_failure() {
    let (_directory, database) = database();
    let seen = Arc::new(std::sync::Mutex::new(Vec::new()));
    let sees = Arc::clone(&seen);
    database.clone().observe(move |completed| {
        sees.lock().unwrap().push((completed.operation, completed.failure));
    });
    database.observe(|_| panic!("only the first call has an effect"));
    database.write(|connection| connection.execute_batch("CREATE TABLE t (n)")).await.unwrap();
    database.look_up(|_| Ok(())).await.unwrap();
    database.read(|connection| connection.execute_batch("SELECT * FROM u")).await.unwrap_err();
    let expected = [("write", None), ("look_up", None), ("read", Some(ErrorKind::Database))];
    assert_eq!(*seen.lock().unwrap(), expected);
}
