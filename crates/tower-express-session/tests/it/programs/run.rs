//! Runs one program on both sides and compares after every step.

use std::fmt;
use std::time::{Duration, UNIX_EPOCH};

use testkit::Response;
use tokio::task::JoinSet;
use tokio::time::{Instant, sleep, sleep_until};

use super::observe::difference;
use super::pair::Side;
use super::player::Player;
use super::requests::{Requests, TIMER_ERROR_MS};
use super::{Post, Program, Step};

/// The factors by which the starts and sleeps of a group are slowed down, attempt by attempt, as
/// long as the requests are too late to act in the intended order.
const PACES: [u64; 6] = [1, 2, 4, 8, 16, 32];

/// How late a whole program may be. A session with a lifetime of one second must not expire before
/// the wait for it, and must not exist after the wait.
const LATEST_MS: f64 = 300.0;

/// A program on which the two sides differ.
#[derive(Debug)]
pub(crate) struct Mismatch {
    pub(crate) program: Program,
    pub(crate) step: usize,
    pub(crate) difference: String,
}

/// The result of a program.
#[derive(Debug)]
pub(crate) struct Outcome {
    pub(crate) mismatch: Option<Mismatch>,
    /// The number of attempts; more than one if the machine was too slow for the program's timing.
    pub(crate) attempts: usize,
}

/// Runs a program. If a difference may be caused by a slow machine, it runs the program again at a
/// slower pace. A difference at the slowest pace counts.
pub(crate) async fn run(program: &Program, sides: &mut [Side; 2]) -> Outcome {
    let mut outcome = Outcome { mismatch: None, attempts: 0 };
    for pace in PACES {
        let mut attempt = Attempt::new(sides, pace);
        outcome.mismatch = attempt.mismatch(program).await;
        outcome.attempts += 1;
        if outcome.mismatch.is_none() || !attempt.is_late() {
            break;
        }
    }
    outcome
}

struct Attempt<'a> {
    players: [Player<'a>; 2],
    pace: u64,
    started: Instant,
    /// The planned duration of the steps so far.
    planned_ms: u64,
    /// The maximum time between the two sides' handling of the same request.
    window_ms: f64,
    /// Whether requests may have acted in another order than planned.
    out_of_order: bool,
}

impl<'a> Attempt<'a> {
    fn new(sides: &'a mut [Side; 2], pace: u64) -> Attempt<'a> {
        let now_ms = UNIX_EPOCH.elapsed().map_or(0, |since| since.as_millis() as i64);
        let [first, second] = sides;
        Attempt {
            players: [Player::new(first, now_ms), Player::new(second, now_ms)],
            pace,
            started: Instant::now(),
            planned_ms: 0,
            window_ms: 0.0,
            out_of_order: false,
        }
    }

    async fn mismatch(&mut self, program: &Program) -> Option<Mismatch> {
        for (index, step) in program.steps.iter().enumerate() {
            if let Some(difference) = self.step(step).await {
                return Some(Mismatch { program: program.clone(), step: index + 1, difference });
            }
        }
        None
    }

    fn is_late(&self) -> bool {
        let late_ms = elapsed_ms(self.started) - self.planned_ms as f64;
        self.out_of_order || late_ms > LATEST_MS
    }

    /// Executes a step on both sides and returns the difference after it.
    async fn step(&mut self, step: &Step) -> Option<String> {
        match step {
            Step::Wait(ms) => {
                self.planned_ms += ms;
                sleep(Duration::from_millis(*ms)).await;
                self.difference([&[], &[]])
            }
            Step::Redis(words) => {
                let done = self.players.iter_mut().try_for_each(|player| player.redis(words));
                match done {
                    Ok(()) => self.difference([&[], &[]]),
                    Err(refused) => Some(invalid_program(&refused.to_string())),
                }
            }
            Step::Requests(requests) => self.requests(&requests.slower(self.pace)).await,
        }
    }

    async fn requests(&mut self, requests: &Requests) -> Option<String> {
        if requests.slack_ms() as f64 <= TIMER_ERROR_MS {
            return Some(invalid_program("two requests act at the same time"));
        }
        let answers = send(&mut self.players, requests).await;
        self.record_times(requests, &answers);
        let mut of_sides = [Vec::new(), Vec::new()];
        for answer in answers {
            match answer.response {
                Ok(response) => {
                    of_sides[answer.side].push((&requests.posts[answer.index], response));
                }
                Err(error) => return Some(format!("answer\nside {}: {error}", answer.side + 1)),
            }
        }
        for (player, answers) in self.players.iter_mut().zip(&of_sides) {
            for index in requests.by_end() {
                player.take(answers[index].0, &answers[index].1);
            }
        }
        self.difference([&of_sides[0], &of_sides[1]])
    }

    fn record_times(&mut self, requests: &Requests, answers: &[Answer]) {
        self.planned_ms +=
            (0..requests.posts.len()).map(|index| requests.end_ms(index)).max().unwrap_or(0);
        for answer in answers {
            let late_ms = requests.lateness_ms(answer.index, answer.after_ms);
            self.window_ms = self.window_ms.max(late_ms);
            self.out_of_order |= late_ms + TIMER_ERROR_MS > requests.slack_ms() as f64;
        }
    }

    fn difference(&mut self, answers: [&[(&Post, Response)]; 2]) -> Option<String> {
        let [first, second] = &mut self.players;
        let (first, second) = (first.observe(answers[0]), second.observe(answers[1]));
        difference(&first, &second, self.window_ms)
    }
}

struct Answer {
    side: usize,
    /// The number of the request in its group.
    index: usize,
    response: Result<Response, String>,
    /// The time since the start of the group.
    after_ms: f64,
}

/// Sends every request to both sides, each at its start time. Returns the responses in the order of
/// the sides and of the requests.
async fn send(players: &mut [Player<'_>; 2], requests: &Requests) -> Vec<Answer> {
    let mut prepared = Vec::new();
    for (index, post) in requests.posts.iter().enumerate() {
        prepared.extend(
            players
                .iter_mut()
                .map(|player| player.prepare(post))
                .enumerate()
                .map(|(side, request)| (side, index, request)),
        );
    }
    let started = Instant::now();
    let mut under_way = JoinSet::new();
    for (side, index, request) in prepared {
        let start = started + Duration::from_millis(requests.start_ms(index));
        under_way.spawn(async move {
            if index > 0 {
                sleep_until(start).await;
            }
            let response = request.send().await;
            Answer { side, index, response, after_ms: elapsed_ms(started) }
        });
    }
    let mut answers = under_way.join_all().await;
    answers.sort_by_key(|answer| (answer.side, answer.index));
    answers
}

fn elapsed_ms(since: Instant) -> f64 {
    since.elapsed().as_secs_f64() * 1000.0
}

fn invalid_program(why: &str) -> String {
    format!("validity: the program is not valid\n{why}")
}

impl Mismatch {
    /// Returns the kind of the difference in one or two words.
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
