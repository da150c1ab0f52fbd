//! The connection of a process to Redis, on which requests and replies are delayed, lost or late.
//!
//! It stands for the connections of `redis-link`, which sends a request once: what it can do to a request is
//! here, in any order.

use std::io;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use redis_link::redis::aio::ConnectionLike;
use redis_link::redis::{
    Arg, Cmd, Pipeline, RedisError, RedisFuture, RedisResult, Value, make_extension_error,
};
use testkit::Rng;
use tokio::sync::oneshot;
use tokio::time::{Instant, sleep, sleep_until};

use crate::plan::{Plan, Rates};
use crate::world::World;

/// The longest time after which a request arrives whose client has given up.
const LATEST_MS: u64 = 2000;

/// A process that uses Redis.
pub(crate) struct Process {
    pub name: String,
    pub world: Arc<World>,
    /// Nothing reaches it or leaves it until then.
    stalled_until: Mutex<Instant>,
    has_ended: AtomicBool,
    /// The difference between its clock and that of Redis, in milliseconds.
    skew_ms: i64,
    /// Whether its requests may meet faults.
    has_faults: bool,
    response: Duration,
}

/// A connection; clones belong to the same process.
#[derive(Clone)]
pub(crate) struct Wire(pub Arc<Process>);

/// What happens to a request.
struct Fate {
    there: Duration,
    back: Duration,
    arrives: bool,
    /// After the client has learnt that the connection is lost, the request takes this time longer.
    late: Option<Duration>,
    heard: Heard,
}

/// What the client gets.
enum Heard {
    Reply,
    /// It notices that the connection is lost.
    Reset,
    /// It waits until its time limit.
    Silence,
}

impl Process {
    pub(crate) fn new(world: &Arc<World>, name: &str, plan: &Plan, has_faults: bool) -> Arc<Self> {
        let skew_ms = Plan::skew_ms(&mut world.lock().random);
        world.note(&format!("{name} begins, its clock is {skew_ms} ms ahead"));
        Arc::new(Self {
            name: name.to_owned(),
            world: Arc::clone(world),
            stalled_until: Mutex::new(Instant::now()),
            has_ended: AtomicBool::new(false),
            skew_ms,
            has_faults,
            response: plan.response,
        })
    }

    /// Opens the storage of this process.
    pub(crate) fn storage(self: &Arc<Self>, partitions: usize) -> checkin_redis::RedisStorage {
        let client = redis_link::Client::from_connection(Wire(Arc::clone(self)), self.response);
        let process = Arc::clone(self);
        checkin_redis::RedisStorage::new(client, crate::PREFIX, partitions)
            .with_clock(move || process.world.clock(process.skew_ms))
    }

    pub(crate) fn stall(&self, time: Duration) {
        *self.stalled_until.lock().unwrap() = Instant::now() + time;
    }

    /// Ends it: what it has sent may arrive, and it sends nothing more.
    pub(crate) fn end(&self) {
        self.has_ended.store(true, Ordering::Relaxed);
    }

    async fn resumed(&self) {
        loop {
            let until = *self.stalled_until.lock().unwrap();
            if until <= Instant::now() {
                return;
            }
            sleep_until(until).await;
        }
    }

    fn fate(&self) -> Fate {
        let mut state = self.world.lock();
        let rates = if self.has_faults { state.rates } else { Rates::default() };
        Fate::of(&mut state.random, rates, self.response)
    }

    /// Sends commands and returns their replies, or never if there is none.
    async fn send(self: Arc<Self>, commands: Vec<Vec<Vec<u8>>>) -> RedisResult<Vec<Value>> {
        let (replies, replied) = oneshot::channel();
        // A task of its own, because the request arrives even if nobody waits for its reply any more.
        tokio::spawn(async move {
            self.resumed().await;
            if self.has_ended.load(Ordering::Relaxed) {
                return;
            }
            let Fate { there, back, arrives, late, heard } = self.fate();
            sleep(there).await;
            if let Some(late) = late {
                let _ = replies.send(Err(lost()));
                self.world.lock().late += 1;
                sleep(late).await;
                let _ = self.execute(&commands);
                self.world.lock().late -= 1;
                return;
            }
            let found = if arrives { self.execute(&commands) } else { Err(lost()) };
            sleep(back).await;
            self.resumed().await;
            let _ = match heard {
                Heard::Reply => replies.send(found),
                Heard::Reset => replies.send(Err(lost())),
                Heard::Silence => return,
            };
        });
        match replied.await {
            Ok(replies) => replies,
            Err(_) => std::future::pending().await,
        }
    }

    fn execute(&self, commands: &[Vec<Vec<u8>>]) -> RedisResult<Vec<Value>> {
        if self.has_faults && Instant::now() < self.world.lock().down_until {
            return Err(lost());
        }
        let run = |words: &Vec<Vec<u8>>| self.world.execute(&self.name, words).map_err(refused);
        commands.iter().map(run).collect()
    }
}

impl Fate {
    fn of(random: &mut Rng, rates: Rates, response: Duration) -> Self {
        let Rates { lost_requests, lost_replies, late, slow } = rates;
        let quick = |random: &mut Rng| Duration::from_millis(random.u64(0..4));
        let (there, back) = (quick(random), quick(random));
        let mut fate = Self { there, back, arrives: true, late: None, heard: Heard::Reply };
        let mut chance = random.u32(0..1000);
        let mut meets = |rate: u32| {
            let meets = chance < rate;
            chance = if meets { u32::MAX } else { chance - rate };
            meets
        };
        let unheard = if random.bool() { Heard::Silence } else { Heard::Reset };
        if meets(lost_requests) {
            (fate.arrives, fate.heard) = (false, unheard);
        } else if meets(lost_replies) {
            fate.heard = unheard;
        } else if meets(late) {
            fate.late = Some(Duration::from_millis(random.u64(0..LATEST_MS)));
        } else if meets(slow) {
            let limit = response.as_millis() as u64;
            fate.there += Duration::from_millis(random.u64(0..limit * 3 / 2));
            fate.back += Duration::from_millis(random.u64(0..limit));
        }
        fate
    }
}

fn lost() -> RedisError {
    io::Error::from(io::ErrorKind::ConnectionReset).into()
}

fn refused(text: String) -> RedisError {
    let (code, detail) = text.split_once(' ').unwrap_or((&text, ""));
    make_extension_error(code.to_owned(), Some(detail.to_owned()))
}

fn words(command: &Cmd) -> Vec<Vec<u8>> {
    let words = command.args_iter().map(|word| match word {
        Arg::Simple(word) => word.to_vec(),
        // Nobody uses the cursors of the client crate.
        _ => b"0".to_vec(),
    });
    words.collect()
}

impl ConnectionLike for Wire {
    fn req_packed_command<'a>(&'a mut self, command: &'a Cmd) -> RedisFuture<'a, Value> {
        let (process, commands) = (Arc::clone(&self.0), vec![words(command)]);
        Box::pin(async move {
            if process.has_ended.load(Ordering::Relaxed) {
                std::future::pending::<()>().await;
            }
            Ok(process.send(commands).await?.pop().unwrap_or(Value::Nil))
        })
    }

    fn req_packed_commands<'a>(
        &'a mut self,
        pipeline: &'a Pipeline,
        _offset: usize,
        _count: usize,
    ) -> RedisFuture<'a, Vec<Value>> {
        let (process, commands) =
            (Arc::clone(&self.0), pipeline.cmd_iter().map(words).collect::<Vec<_>>());
        Box::pin(async move {
            if process.has_ended.load(Ordering::Relaxed) {
                std::future::pending::<()>().await;
            }
            process.send(commands).await
        })
    }

    fn get_db(&self) -> i64 {
        0
    }
}
