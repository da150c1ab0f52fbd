//! Runs programs on pairs of servers.

use std::collections::{BTreeMap, HashMap};
use std::fmt;
use std::sync::Mutex;
use std::thread;
use std::time::{Duration, Instant, UNIX_EPOCH};

use testkit::{Client, Method, Response};

use super::observe::{difference, observe};
use super::pair::{Ground, Kind, Side};
use super::placeholder::{Ids, expand};
use super::{Post, Program, Settings, Step, minimise};

/// Pairs that run at the same time, each on two of Redis's 16 databases: while one waits (for an
/// expiry, or for its servers to start) the others go on.
const WORKERS: u8 = 4;

/// A program on which the two sides differ.
#[derive(Debug)]
pub(crate) struct Mismatch {
    pub(crate) program: Program,
    pub(crate) step: usize,
    pub(crate) difference: String,
}

/// Runs every program on both sides and tells where they differ. Programs with the same settings
/// share a pair of servers, and find the databases empty.
pub(crate) fn mismatches(programs: Vec<Program>, kinds: &[Kind; 2]) -> Vec<Mismatch> {
    let ground = Ground::start();
    let mut groups: BTreeMap<Settings, Vec<Program>> = BTreeMap::new();
    for program in programs {
        groups.entry(program.settings.clone()).or_default().push(program);
    }
    let queue = Mutex::new(groups.into_iter());
    let next = || queue.lock().expect("taking from the queue does not panic").next();
    let work = |slot: u8| {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
        let runtime = runtime.expect("a runtime can be built");
        let mut found = Vec::new();
        while let Some((settings, programs)) = next() {
            let mut sides = ground.sides(slot, kinds, &settings);
            for program in programs {
                let mismatch = runtime.block_on(mismatch(&program, &mut sides));
                found.extend(mismatch.map(|mismatch| {
                    minimise::minimise(mismatch, |program| {
                        runtime.block_on(self::mismatch(program, &mut sides))
                    })
                }));
            }
        }
        found
    };
    thread::scope(|scope| {
        let workers: Vec<_> = (0..WORKERS).map(|slot| scope.spawn(move || work(slot))).collect();
        workers.into_iter().flat_map(|worker| joined(worker)).collect()
    })
}

/// One side's part of a run.
struct Player<'a> {
    side: &'a mut Side,
    jars: HashMap<String, Client>,
    ids: Ids,
    now_ms: i64,
}

/// Runs one program, comparing after every step.
async fn mismatch(program: &Program, sides: &mut [Side; 2]) -> Option<Mismatch> {
    let now_ms = UNIX_EPOCH.elapsed().map_or(0, |since| since.as_millis() as i64);
    let [first, second] = sides;
    let mut players = [Player::new(first, now_ms), Player::new(second, now_ms)];
    let mut window_ms = 0.0_f64;
    for (index, step) in program.steps.iter().enumerate() {
        let difference = both(&mut players, step, &mut window_ms).await;
        if let Some(difference) = difference {
            return Some(Mismatch { program: program.clone(), step: index + 1, difference });
        }
    }
    None
}

async fn both(players: &mut [Player<'_>; 2], step: &Step, window_ms: &mut f64) -> Option<String> {
    let [first, second] = players;
    let answers = match step {
        Step::Wait(ms) => {
            tokio::time::sleep(Duration::from_millis(*ms)).await;
            return None;
        }
        Step::Redis(words) => {
            if let Err(refused) = first.redis(words).and_then(|()| second.redis(words)) {
                return Some(format!("sense: the program is wrong\n{refused}"));
            }
            None
        }
        Step::Post(post) => {
            let started = Instant::now();
            let answers = tokio::join!(first.post(post), second.post(post));
            let took_ms = started.elapsed().as_secs_f64() * 1000.0 - post.sleep_ms() as f64;
            *window_ms = window_ms.max(took_ms);
            match answers {
                (Ok(first), Ok(second)) => Some((post, (first, second))),
                (first, second) => {
                    let told = |answer: Result<Response, _>| answer.map(|answer| answer.status);
                    let (first, second) = (told(first), told(second));
                    return Some(format!("answer\n{first:?}\n{second:?}"));
                }
            }
        }
    };
    let (of_first, of_second) = match &answers {
        Some((post, (a, b))) => (Some((*post, a)), Some((*post, b))),
        None => (None, None),
    };
    let first = observe(first.side, &mut first.ids, of_first).expect("Redis answers");
    let second = observe(second.side, &mut second.ids, of_second).expect("Redis answers");
    difference(&first, &second, *window_ms)
}

impl<'a> Player<'a> {
    fn new(side: &'a mut Side, now_ms: i64) -> Player<'a> {
        redis::cmd("FLUSHDB").exec(&mut side.redis).expect("a database can be emptied");
        Player { side, jars: HashMap::new(), ids: Ids::default(), now_ms }
    }

    fn expand(&self, text: &str) -> String {
        expand(text, &self.ids, &self.side.settings, self.now_ms)
    }

    fn redis(&mut self, words: &[String]) -> redis::RedisResult<()> {
        let words: Vec<String> = words.iter().map(|word| self.expand(word)).collect();
        let (name, args) = words.split_first().expect("a command has a name");
        redis::cmd(name).arg(args).exec(&mut self.side.redis)
    }

    async fn post(&mut self, post: &Post) -> Result<Response, String> {
        let headers: Vec<(String, String)> =
            post.headers.iter().map(|(name, text)| (name.clone(), self.expand(text))).collect();
        let body = self.expand_operations(post);
        let jar = self.jars.entry(post.jar.clone());
        let client = jar.or_insert_with(|| self.side.client.clone());
        let mut request = client.request(Method::POST, &post.path).body(body);
        if headers.iter().any(|(name, _)| name.eq_ignore_ascii_case("cookie")) {
            request = request.without_jar();
        }
        for (name, value) in headers {
            request = request.header(&name, value);
        }
        let answer = request.header("content-type", "application/json").try_send().await;
        answer.map_err(|error| format!("no answer: {error:?}"))
    }

    /// Moments may stand in `cookie.set`; elsewhere a `<` is just that.
    fn expand_operations(&self, post: &Post) -> String {
        let operations = post
            .operations
            .iter()
            .map(|text| if text.contains("\"<now") { self.expand(text) } else { text.clone() });
        format!("[{}]", operations.collect::<Vec<_>>().join(","))
    }
}

impl Mismatch {
    /// What differs, in a word or two.
    pub(crate) fn kind(&self) -> &str {
        let line = self.difference.lines().next().unwrap_or_default();
        line.split(" of ").next().unwrap_or_default()
    }
}

impl fmt::Display for Mismatch {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Mismatch { program, step, difference } = self;
        writeln!(formatter, "step {step} differs in {difference}\n{program}")
    }
}

fn joined<T>(worker: thread::ScopedJoinHandle<'_, T>) -> T {
    worker.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic))
}
