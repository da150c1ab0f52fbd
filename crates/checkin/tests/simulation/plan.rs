//! What happens in a run. Everything follows from the seed.

use std::time::Duration;

use checkin_storage::Admission;
use testkit::Rng;

/// The settings of a deployment, its load and its faults.
#[derive(Debug)]
pub(crate) struct Plan {
    pub partitions: usize,
    pub processors: usize,
    pub receivers: usize,
    pub lease: Duration,
    /// The maximum number of entries in a batch.
    pub batch: usize,
    /// The time limit of a request to Redis.
    pub response: Duration,
    pub admission: Admission,
    pub users: u64,
    /// The users behind the others who delete their accounts.
    pub leavers: u64,
    pub locations: u64,
    pub clients: usize,
    /// The number of check-ins of each client.
    pub checkins: usize,
    /// Whether an Express service writes to the log, too.
    pub has_express: bool,
    pub rates: Rates,
    /// Faults and the times at which they begin, in order.
    pub faults: Vec<(Duration, Fault)>,
    /// After this time there are no faults.
    pub duration: Duration,
}

/// How many of a thousand requests to Redis meet a fault of the network.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Rates {
    /// The request does not arrive.
    pub lost_requests: u32,
    /// Redis carries the request out, and the reply does not arrive.
    pub lost_replies: u32,
    /// The client learns at once that the connection is lost, and Redis carries the request out later.
    pub late: u32,
    /// The request and the reply take up to more than the time limit.
    pub slow: u32,
}

#[derive(Clone, Copy, Debug)]
pub(crate) enum Fault {
    /// A processor ends at once.
    Crash(usize),
    /// A processor is asked to stop.
    Stop(usize),
    /// A processor starts, unless it runs.
    Start(usize),
    /// Nothing reaches a processor or leaves it for this time.
    StallProcessor(usize, Duration),
    StallReceiver(usize, Duration),
    /// A receiver ends at once, and another one takes its place.
    ReplaceReceiver(usize),
    /// Redis accepts no connection for this time.
    Down(Duration),
    /// Redis accepts no write that needs memory for this time.
    Full(Duration),
    /// The user of the receivers may not use this command in scripts for this time.
    Deny(&'static str, Duration),
    /// Redis loses its scripts, as with a restart.
    FlushScripts,
    /// The clock of Redis is set forward or back by milliseconds.
    SetClock(i64),
}

impl Plan {
    pub(crate) fn of(random: &mut Rng) -> Self {
        let partitions = pick(random, &[1, 1, 2, 3, 5, 8]);
        let processors = random.usize(2..=4);
        let receivers = random.usize(1..=3);
        let duration = milliseconds(random, 1000..4000);
        let admission = Admission {
            duplicate_window: Duration::from_millis(pick(random, &[0, 0, 300, 3000])),
            max_backlog: pick(random, &[u64::MAX, u64::MAX, 4, 20]),
            max_length: pick(random, &[u64::MAX, 2, 5, 20]),
        };
        Self {
            partitions,
            processors,
            receivers,
            lease: Duration::from_millis(pick(random, &[200, 400, 1000, 1500])),
            batch: pick(random, &[1, 3, 10, 1000]),
            response: Duration::from_millis(pick(random, &[50, 250, 250, 1000])),
            admission,
            users: random.u64(1..=8),
            leavers: random.u64(0..=2),
            locations: random.u64(1..=6),
            clients: random.usize(1..=6),
            checkins: random.usize(3..=20),
            has_express: partitions == 1 && random.bool(),
            rates: Rates::of(random),
            faults: faults(random, processors, receivers, duration),
            duration,
        }
    }

    /// Returns the last id of a user.
    pub(crate) fn last_user(&self) -> u64 {
        self.users + self.leavers
    }

    /// The difference between the clock of a process and that of Redis, in milliseconds.
    pub(crate) fn skew_ms(random: &mut Rng) -> i64 {
        const WEEK_MS: i64 = 7 * 24 * 60 * 60 * 1000;
        match random.u32(0..10) {
            0..4 => 0,
            4..6 => random.i64(-5000..=5000),
            // Ids without a time are ahead of this clock.
            6..8 => -600_000,
            8 => 600_000,
            _ => pick(random, &[-6 * WEEK_MS, 6 * WEEK_MS]),
        }
    }
}

impl Rates {
    fn of(random: &mut Rng) -> Self {
        let mut rate = || pick(random, &[0, 0, 5, 20, 60]);
        Self { lost_requests: rate(), lost_replies: rate(), late: rate(), slow: rate() }
    }
}

fn faults(
    random: &mut Rng,
    processors: usize,
    receivers: usize,
    duration: Duration,
) -> Vec<(Duration, Fault)> {
    let mut faults = Vec::new();
    let end = duration.as_millis() as u64;
    for _ in 0..random.usize(0..=14) {
        let begin = milliseconds(random, 0..end);
        let processor = random.usize(0..processors);
        let receiver = random.usize(0..receivers);
        let restart = (begin + milliseconds(random, 0..1500), Fault::Start(processor));
        let fault = match random.u32(0..14) {
            0..3 => Fault::Crash(processor),
            3 => Fault::Stop(processor),
            4..6 => Fault::StallProcessor(processor, milliseconds(random, 20..2000)),
            6 => Fault::StallReceiver(receiver, milliseconds(random, 20..1000)),
            7 => Fault::ReplaceReceiver(receiver),
            8 => Fault::Down(milliseconds(random, 20..800)),
            9 => Fault::Full(milliseconds(random, 20..500)),
            10 => Fault::FlushScripts,
            11 => Fault::Deny(pick(random, &DENIED), milliseconds(random, 20..500)),
            _ => Fault::SetClock(random.i64(-2500..=1500)),
        };
        faults.push((begin, fault));
        // Some stay away until the end.
        if matches!(fault, Fault::Crash(_) | Fault::Stop(_)) && random.u32(0..5) > 0 {
            faults.push(restart);
        }
    }
    faults.sort_by_key(|(time, _)| *time);
    faults
}

/// Commands that a script of a receiver sends, but for those that `compare.rs` replaces by others.
const DENIED: [&str; 7] = ["HINCRBY", "HSET", "XADD", "XDEL", "XTRIM", "ZADD", "ZREM"];

fn pick<T: Copy>(random: &mut Rng, from: &[T]) -> T {
    from[random.usize(0..from.len())]
}

fn milliseconds(random: &mut Rng, range: std::ops::Range<u64>) -> Duration {
    Duration::from_millis(random.u64(range))
}
