//! Reads one session with several readers that act like separate processes, and measures how
//! outdated the results are.

use std::fmt;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::{Duration, Instant};

use redis_link::Client;
use tower_express_session::store::Freshness;
use tower_express_session::store::redis::{CacheOptions, RedisStore};
use tower_express_session::{SessionId, Store};

/// The pause between two reads of a reader, which leaves the processor to the other threads.
const PAUSE: Duration = Duration::from_micros(200);

/// The result of one read: the version of the session, or that there is none.
#[derive(Clone, Copy, Debug)]
struct Decision {
    started: Instant,
    version: Option<usize>,
    is_cached: bool,
}

/// A reader with its own store, cache, connections and thread, like a separate process.
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

/// The times at which each version of the session had certainly been written; the index is the
/// version.
#[derive(Debug)]
pub(crate) struct History(Vec<Instant>);

/// How outdated the results were.
#[derive(Debug)]
pub(crate) struct Staleness {
    decisions: usize,
    /// For each outdated result, the time since it was replaced.
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

    /// Suspends this reader between two reads, as the operating system may suspend a process.
    pub(crate) fn stall(&self) {
        self.control.stall.store(true, Ordering::SeqCst);
    }

    /// Returns the number of reads so far.
    pub(crate) fn count(&self) -> usize {
        self.decisions.lock().unwrap().len()
    }

    /// Returns the number of results from the cache so far.
    pub(crate) fn cached(&self) -> usize {
        self.decisions.lock().unwrap().iter().filter(|decision| decision.is_cached).count()
    }

    /// Stops the reader and compares its results with the written versions.
    pub(crate) fn staleness(mut self, history: &History) -> Staleness {
        self.end();
        let decisions = self.decisions.lock().unwrap();
        let behind = decisions.iter().filter_map(|decision| history.behind(decision));
        Staleness { decisions: decisions.len(), behind: behind.collect() }
    }

    /// Stops the reader and returns for each read after `ended` that found the session how long
    /// after it was, and whether it was answered by the cache.
    pub(crate) fn accepted_after(mut self, ended: Instant) -> Vec<(Duration, bool)> {
        self.end();
        let decisions = self.decisions.lock().unwrap();
        let accepted = decisions.iter().filter(|decision| decision.version.is_some());
        let late = |decision: &Decision| {
            Some((decision.started.checked_duration_since(ended)?, decision.is_cached))
        };
        accepted.filter_map(late).collect()
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
            // The operating system takes the thread away for that long.
            thread::sleep(STALL);
        }
        let started = Instant::now();
        let hits = || store.cache_counts().map(|counts| counts.hits);
        let before = hits();
        // While Redis is unavailable, there is no result.
        if let Ok(stored) = store.load(id, Freshness::Cached).await {
            let version = stored.map(|stored| version(&stored.value));
            decisions.lock().unwrap().push(Decision {
                started,
                version,
                is_cached: hits() != before,
            });
        }
        tokio::time::sleep(PAUSE).await;
    }
}

/// Returns the number at the end of `…,"v":N}`.
fn version(value: &[u8]) -> usize {
    let text = std::str::from_utf8(value).unwrap();
    let (_, number) = text.trim_end_matches('}').rsplit_once(':').unwrap();
    number.parse().unwrap()
}

impl History {
    /// Begins with version 0, which exists already.
    pub(crate) fn new() -> History {
        History(vec![Instant::now()])
    }

    /// Returns the next version to write.
    pub(crate) fn next(&self) -> usize {
        self.0.len()
    }

    /// Records that the next version has been written and acknowledged.
    pub(crate) fn written(&mut self) {
        self.0.push(Instant::now());
    }

    fn behind(&self, decision: &Decision) -> Option<Duration> {
        let version = decision.version.expect("the session exists all the time");
        let overtaken = self.0.get(version + 1)?;
        decision.started.checked_duration_since(*overtaken)
    }
}

impl Staleness {
    /// # Panics
    ///
    /// Panics if a result was outdated by more, or if there were too few results.
    pub(crate) fn is_below(&self, lease: Duration) {
        assert!(self.decisions > 100, "too few reads: {self}");
        let longest = self.behind.iter().max().copied().unwrap_or_default();
        assert!(
            longest < lease,
            "a result was outdated by {longest:?}, more than the lease of {lease:?}"
        );
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
            "{} reads, {} outdated: median {:?}, 99 % within {:?}, at most {:?}",
            self.decisions,
            behind.len(),
            at(0.5),
            at(0.99),
            at(1.0)
        )
    }
}
