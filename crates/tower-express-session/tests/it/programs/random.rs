//! Random programs.

use testkit::Rng;

use super::random_post::{post, together};
use super::requests::Requests;
use super::{Program, ProgramSettings, Step};

/// The number of programs that share their settings, because starting a pair of servers takes time.
const PROGRAMS_PER_SETTINGS: usize = 10;

/// One program in this many has sessions that expire while it runs, and waits for that.
const BRIEF_EVERY: usize = 32;
const BRIEF_PROGRAMS_PER_SETTINGS: usize = 4;

/// The margin around an expiry within which a session may or may not exist.
const EXPIRY_MARGIN_MS: u64 = 400;

/// Values that another writer may store for a session.
const STORED: [&str; 8] = [
    r#"{"cookie":{"originalMaxAge":null,"expires":null,"httpOnly":true,"path":"/"},"a":1}"#,
    r#"{"a":1,"cookie":{"originalMaxAge":null,"expires":null,"httpOnly":true,"path":"/"}}"#,
    r#"{"cookie":{"originalMaxAge":60000,"expires":"<now+60000>","path":"/"},"b":1.0,"b":2}"#,
    r#"{"cookie":{"originalMaxAge":60000,"expires":"<now-60000>","path":"/"},"10":1,"x":0,"2":2}"#,
    r#"{"cookie":{}}"#,
    r#"{ "cookie": {"expires":false,"unknown":1}, "a": {"b": [1, 2]} }"#,
    "{}",
    "not JSON",
];

pub(super) fn pick<'a, T: ?Sized>(rng: &mut Rng, from: &[&'a T]) -> &'a T {
    from[rng.usize(..from.len())]
}

pub(super) fn one_in(rng: &mut Rng, count: usize) -> bool {
    rng.usize(..count) == 0
}

/// Returns `count` random programs, always the same ones for a seed.
pub(crate) fn programs(seed: u32, count: usize) -> Vec<Program> {
    let mut rng = Rng::with_seed(seed.into());
    let lasting: Vec<ProgramSettings> =
        (0..count.div_ceil(PROGRAMS_PER_SETTINGS)).map(|_| settings(&mut rng)).collect();
    let brief: Vec<(ProgramSettings, u64)> = (0..count
        .div_ceil(BRIEF_EVERY * BRIEF_PROGRAMS_PER_SETTINGS))
        .map(|_| brief_settings(&mut rng))
        .collect();
    let program = |index| {
        let (settings, steps) = if index % BRIEF_EVERY == BRIEF_EVERY - 1 {
            let (settings, lifetime_ms) = brief[rng.usize(..brief.len())].clone();
            (settings, brief_steps(&mut rng, lifetime_ms))
        } else {
            (lasting[rng.usize(..lasting.len())].clone(), steps(&mut rng))
        };
        Program { title: format!("random {index} of seed {seed}"), settings, steps }
    };
    (0..count).map(program).collect()
}

fn settings(rng: &mut Rng) -> ProgramSettings {
    settings_with(rng, &["", "", "60000", "3600000", "null"])
}

/// Returns random settings with one of these values for the cookie's maxAge.
fn settings_with(rng: &mut Rng, max_ages: &[&str]) -> ProgramSettings {
    let mut options = Vec::new();
    for (name, values) in [
        ("resave", &["", "true", "false", "false"] as &[&str]),
        ("saveUninitialized", &["", "true", "false", "false"]),
        ("rolling", &["", "", "true"]),
        ("unset", &["", "\"keep\"", "\"destroy\""]),
        ("proxy", &["", "true", "false"]),
        ("name", &["", "", "\"checkinapp\""]),
        ("secret", &["", "", "[\"new secret\",\"keyboard cat\"]"]),
    ] {
        options.extend(option(name, pick(rng, values)));
    }
    let mut cookie = Vec::new();
    for (name, values) in [
        ("maxAge", max_ages),
        ("secure", &["", "", "", "\"auto\"", "true", "false"]),
        ("sameSite", &["", "", "\"lax\"", "\"auto\"", "true", "\"None\""]),
        ("path", &["", "", "", "\"/a\"", "\"\""]),
        ("httpOnly", &["", "", "false"]),
        ("domain", &["", "", "\"example.com\""]),
        ("priority", &["", "", "\"high\""]),
        ("partitioned", &["", "", "true"]),
    ] {
        cookie.extend(option(name, pick(rng, values)));
    }
    if !cookie.is_empty() {
        options.push(format!("\"cookie\":{{{}}}", cookie.join(",")));
    }
    let mut settings = ProgramSettings::new(&format!("{{{}}}", options.join(",")));
    settings.ttl = [None, None, Some(600)][rng.usize(..3)];
    settings.prefix = [None, None, Some("app:s:".to_owned())][rng.usize(..3)].clone();
    settings
}

/// Returns the option as JSON, or `None` for an empty value.
fn option(name: &str, value: &str) -> Option<String> {
    (!value.is_empty()).then(|| format!("\"{name}\":{value}"))
}

/// Returns settings with a lifetime of one or two seconds, and that lifetime.
fn brief_settings(rng: &mut Rng) -> (ProgramSettings, u64) {
    let lifetime_ms = [1000, 2000][rng.usize(..2)];
    let text = lifetime_ms.to_string();
    if one_in(rng, 4) {
        let ttl = Some(lifetime_ms as u32 / 1000);
        return (ProgramSettings { ttl, ..settings_with(rng, &["", "null"]) }, lifetime_ms);
    }
    (settings_with(rng, &[&text]), lifetime_ms)
}

fn steps(rng: &mut Rng) -> Vec<Step> {
    let count = 2 + rng.usize(..7);
    let mut steps = vec![Step::Requests(Requests::one(post(rng)))];
    steps.extend((1..count).map(|_| match rng.usize(..24) {
        0..=3 => redis(rng),
        4..=8 => Step::Requests(together(rng)),
        9..=10 => short_wait(rng),
        _ => Step::Requests(Requests::one(post(rng))),
    }));
    steps
}

/// Returns a few requests, a wait until their sessions have expired, and the same again. The
/// requests are short, because nothing may expire between two waits.
fn brief_steps(rng: &mut Rng, lifetime_ms: u64) -> Vec<Step> {
    let mut steps = Vec::new();
    for _ in 0..2 {
        let count = 1 + rng.usize(..4);
        steps.extend((0..count).map(|_| match rng.usize(..8) {
            0 => redis(rng),
            1 => short_wait(rng),
            _ => Step::Requests(Requests::one(post(rng))),
        }));
        steps.push(Step::Wait(lifetime_ms + EXPIRY_MARGIN_MS));
    }
    steps.push(Step::Requests(Requests::one(post(rng))));
    steps
}

fn short_wait(rng: &mut Rng) -> Step {
    Step::Wait(5 + rng.usize(..16) as u64)
}

fn redis(rng: &mut Rng) -> Step {
    let key = pick(rng, &["<key:1>", "<key:1>", "<key:2>", "<key:3>"]);
    let command = match rng.usize(..6) {
        0 => format!("DEL {key}"),
        1 => format!("PERSIST {key}"),
        2 => format!("EXPIRE {key} 300"),
        _ => format!("SET {key} {}", pick(rng, &STORED)),
    };
    Step::Redis(command.splitn(3, ' ').map(str::to_owned).collect())
}

#[test]
fn a_seed_always_returns_the_same_programs() {
    let text = |seed| programs(seed, 5).iter().map(ToString::to_string).collect::<String>();
    assert_eq!(text(1), text(1));
    assert_ne!(text(1), text(2));
}
