//! Sends the requests of concurrent tasks together.

use std::io;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use redis::aio::{ConnectionLike as _, MultiplexedConnection};
use redis::{Cmd, Pipeline, RedisError, Value};
use tokio::sync::oneshot;

use crate::request::Request;

/// A connection whose clones send together what they are given at the same moment: in one write, with
/// one time limit, and with one message to the task that owns the socket.
///
/// Each request gets its own replies, and the commands of a request stay next to each other.
#[derive(Clone)]
pub(crate) struct Together {
    connection: MultiplexedConnection,
    waiting: Arc<Mutex<Waiting>>,
}

/// The requests that are sent next. The first of them sends itself if it stays alone; the second starts
/// a task for all of them.
// Locked for a few instructions, never across an await.
#[derive(Default)]
struct Waiting {
    entries: Vec<Entry>,
    /// The number of requests so far.
    count: u64,
}

struct Entry {
    /// Identifies the request.
    number: u64,
    commands: Vec<Cmd>,
    answer: Answer,
}

type Answer = oneshot::Sender<Result<Vec<Value>, RedisError>>;

impl Together {
    pub(crate) fn new(connection: MultiplexedConnection) -> Self {
        Self { connection, waiting: Arc::default() }
    }

    pub(crate) fn into_inner(self) -> MultiplexedConnection {
        self.connection
    }

    /// Sends a request together with those of other tasks. If the future is dropped before it is
    /// sent, it is not sent.
    pub(crate) async fn send(&mut self, request: &Request<'_>) -> Result<Value, RedisError> {
        let (answer, replies) = oneshot::channel();
        let (number, position) = lock(&self.waiting).push(request.commands(), answer);
        match position {
            0 => {
                // Lets all tasks run that are ready, so that their requests come along.
                tokio::task::yield_now().await;
                let alone = lock(&self.waiting).take_alone(number);
                if let Some(commands) = alone {
                    return request.send(commands, &mut self.connection).await;
                }
            }
            1 => {
                // A task of its own, because this future may be dropped while other requests wait.
                let turn = Turn { waiting: Arc::clone(&self.waiting), is_over: false };
                tokio::spawn(send_all(self.connection.clone(), turn));
            }
            _ => {}
        }
        // Without an answer, the runtime of that task has ended.
        let aborted = |_| Err(io::Error::from(io::ErrorKind::ConnectionAborted).into());
        replies.await.unwrap_or_else(aborted).map(|replies| request.reply(replies))
    }
}

fn lock(waiting: &Mutex<Waiting>) -> MutexGuard<'_, Waiting> {
    waiting.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Waiting {
    /// Returns the number of the new request, and how many wait before it.
    fn push(&mut self, commands: Vec<Cmd>, answer: Answer) -> (u64, usize) {
        let (number, position) = (self.count, self.entries.len());
        self.count += 1;
        self.entries.push(Entry { number, commands, answer });
        (number, position)
    }

    /// Removes this request and returns its commands if no other one waits.
    fn take_alone(&mut self, number: u64) -> Option<Vec<Cmd>> {
        let is_alone = matches!(&self.entries[..], [entry] if entry.number == number);
        self.entries.pop_if(|_| is_alone).map(|entry| entry.commands)
    }
}

async fn send_all(mut connection: MultiplexedConnection, turn: Turn) {
    tokio::task::yield_now().await;
    let entries = turn.end();
    let count = entries.iter().map(|entry| entry.commands.len()).sum();
    let (mut pipeline, mut answers) =
        (Pipeline::with_capacity(count), Vec::with_capacity(entries.len()));
    for Entry { commands, answer, .. } in entries {
        if answer.is_closed() {
            continue;
        }
        answers.push((commands.len(), answer));
        for command in commands {
            pipeline.add_command(command);
        }
    }
    let count = pipeline.len();
    let sent = tokio::select! {
        sent = connection.req_packed_commands(&pipeline, 0, count), if !answers.is_empty() => sent,
        () = all_closed(&mut answers) => return,
    };
    let mut replies = sent.map(Vec::into_iter);
    for (count, answer) in answers {
        let own = replies.as_mut().map(|replies| replies.take(count).collect());
        // The task that asked may have stopped waiting.
        drop(answer.send(own.map_err(|cause| cause.clone())));
    }
}

/// Waits until nobody waits for an answer any more. The connection can then be closed.
async fn all_closed(answers: &mut [(usize, Answer)]) {
    for (_, answer) in answers {
        answer.closed().await;
    }
}

/// The right of a task to send the waiting requests. If it is dropped before, they fail.
struct Turn {
    waiting: Arc<Mutex<Waiting>>,
    is_over: bool,
}

impl Turn {
    fn end(mut self) -> Vec<Entry> {
        self.is_over = true;
        self.take()
    }

    fn take(&self) -> Vec<Entry> {
        std::mem::take(&mut lock(&self.waiting).entries)
    }
}

impl Drop for Turn {
    fn drop(&mut self) {
        if !self.is_over {
            drop(self.take());
        }
    }
}
