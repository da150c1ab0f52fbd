//! Reads one session from several processes at once, as it were, and finds out how far behind the
//! answers are.

use std::fmt;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::{Duration, Instant};

use redis_link::Client;
use tower_express_session::store::Freshness;
use tower_express_session::store::redis::{CacheOptions, RedisStore};
use tower_express_session::{SessionId, Store};

/// Between two reads of a reader.
const PAUSE: Duration = Duration::from_micros(200);

/// What one read answered: the version of the session, or that there is none.
#[derive(Clone, Copy, Debug)]
struct Decision {
    started: Instant,
    version: Option<usize>,
}

/// A reader with a store, a cache and connections of its own, on a thread of its own, as a process
/// would have.
pub(crate) struct Reader {
    decisions: Arc<Mutex<Vec<Decision>>>,
    control: Arc<Control>,
    thread: Option<thread::JoinHandle<()>>,
}

#[derive(Default)]
struct Control {
    stop: AtomicBool,
    stall: AtomicBool,
}

/// When each version of the session had been written for certain; its index is the version.
#[derive(Debug)]
pub(crate) struct History(Vec<Instant>);

/// How far behind the answers were.
#[derive(Debug)]
pub(crate) struct Staleness {
    decisions: usize,
    /// Of each answer that was behind, by how much.
    behind: Vec<Duration>,
}

impl Reader {
    pub(crate) fn start(url: &str, prefix: &str, id: &SessionId, options: CacheOptions) -> Reader {
        let store = RedisStore::new(Client::open(url).unwrap()).prefix(prefix).cached(options);
        let (decisions, control) = (Arc::<Mutex<Vec<_>>>::default(), Arc::<Control>::default());
        let (list, orders, id) = (Arc::clone(&decisions), Arc::clone(&control), id.clone());
        let thread = thread::spawn(move || {
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
            runtime.unwrap().block_on(read(&store, &id, &list, &orders));
        });
        Reader { decisions, control, thread: Some(thread) }
    }

    /// Stops everything in this reader for a time, as the operating system may, between two reads.
    pub(crate) fn stall(&self) {
        self.control.stall.store(true, Ordering::SeqCst);
    }

    /// How many reads were answered so far.
    pub(crate) fn count(&self) -> usize {
        self.decisions.lock().unwrap().len()
    }

    /// Ends the reader and compares what it read with what was written.
    pub(crate) fn staleness(mut self, history: &History) -> Staleness {
        self.end();
        let decisions = self.decisions.lock().unwrap();
        let behind = decisions.iter().filter_map(|decision| history.behind(decision));
        Staleness { decisions: decisions.len(), behind: behind.collect() }
    }

    /// Ends the reader and gives how long after `ended` it still found the session.
    pub(crate) fn accepted_after(mut self, ended: Instant) -> Vec<Duration> {
        self.end();
        let decisions = self.decisions.lock().unwrap();
        let accepted = decisions.iter().filter(|decision| decision.version.is_some());
        accepted.filter_map(|decision| decision.started.checked_duration_since(ended)).collect()
    }

    fn end(&mut self) {
        self.control.stop.store(true, Ordering::SeqCst);
        self.thread.take().unwrap().join().unwrap();
    }
}

pub(crate) const STALL: Duration = Duration::from_millis(700);

async fn read(
    store: &RedisStore,
    id: &SessionId,
    decisions: &Mutex<Vec<Decision>>,
    control: &Control,
) {
    while !control.stop.load(Ordering::SeqCst) {
        if control.stall.swap(false, Ordering::SeqCst) {
            thread::sleep(STALL);
        }
        let started = Instant::now();
        // While Redis is away there is no answer, and no decision.
        if let Ok(stored) = store.load(id, Freshness::Cached).await {
            let version = stored.map(|stored| version(&stored.value));
            decisions.lock().unwrap().push(Decision { started, version });
        }
        tokio::time::sleep(PAUSE).await;
    }
}

/// The number at the end of `…,"v":N}`.
fn version(value: &[u8]) -> usize {
    let text = std::str::from_utf8(value).unwrap();
    let (_, number) = text.trim_end_matches('}').rsplit_once(':').unwrap();
    number.parse().unwrap()
}

impl History {
    /// Begins with version 0, which is there already.
    pub(crate) fn new() -> History {
        History(vec![Instant::now()])
    }

    /// The next version to write.
    pub(crate) fn next(&self) -> usize {
        self.0.len()
    }

    /// The next version has been written: its writer has had the answer.
    pub(crate) fn written(&mut self) {
        self.0.push(Instant::now());
    }

    fn behind(&self, decision: &Decision) -> Option<Duration> {
        let version = decision.version.expect("the session is always there");
        let overtaken = self.0.get(version + 1)?;
        decision.started.checked_duration_since(*overtaken)
    }
}

impl Staleness {
    /// # Panics
    ///
    /// When an answer was behind for longer, or when there were too few answers to tell.
    pub(crate) fn is_below(&self, lease: Duration) {
        assert!(self.decisions > 100, "too few answers: {self}");
        let longest = self.behind.iter().max().copied().unwrap_or_default();
        assert!(longest < lease, "{longest:?} behind, beyond the lease of {lease:?}");
    }
}

impl fmt::Display for Staleness {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut behind = self.behind.clone();
        behind.sort_unstable();
        let at = |part: f64| {
            let last = behind.len().saturating_sub(1);
            behind.get((last as f64 * part) as usize).copied().unwrap_or_default()
        };
        write!(
            f,
            "{} answers, {} behind: median {:?}, 99 % within {:?}, at most {:?}",
            self.decisions,
            behind.len(),
            at(0.5),
            at(0.99),
            at(1.0)
        )
    }
}
