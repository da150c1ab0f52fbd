//! Programs nobody thought of.

use super::{Post, Program, Settings, Step};

/// How many programs share their settings: each pair of servers costs a start.
const PROGRAMS_PER_SETTINGS: usize = 10;

const KEYS: [&str; 8] = ["a", "a", "b", "user", "10", "2", "é", "a.b c"];

const VALUES: [&str; 24] = [
    "1",
    "1",
    "2",
    "\"x\"",
    "\"x\"",
    "null",
    "true",
    "false",
    "[]",
    "{}",
    "0",
    "-0",
    "1.0",
    "1.5",
    "1e21",
    "1e-7",
    "123456789012345680000",
    "0.1",
    "\"\"",
    "\"é😀\"",
    "\"\\ud800\"",
    "\"<\\/\\u0007\\u007f\\u2028\"",
    "[1,{\"10\":1,\"2\":2,\"x\":[null]}]",
    "{\"cookie\":{\"a\":1}}",
];

/// Values of `cookie.set`. Nothing here expires while a program runs, except what is expired from
/// the start; and nothing makes express-session throw after it has begun to answer.
const COOKIE_VALUES: [(&str, &[&str]); 9] = [
    ("maxAge", &["60000", "3600000", "null", "false", "0", "-5000", "\"soon\""]),
    ("expires", &["\"<now+90000>\"", "\"<now-90000>\"", "null", "false"]),
    ("path", &["\"/\"", "\"/a\"", "\"\"", "null"]),
    ("domain", &["\"example.com\"", "\".Example.com\"", "null"]),
    ("httpOnly", &["true", "false"]),
    ("secure", &["true", "false"]),
    ("sameSite", &["true", "false", "\"lax\"", "\"Strict\"", "\"none\"", "null"]),
    ("priority", &["\"low\"", "\"HIGH\"", "\"medium\"", "null"]),
    ("partitioned", &["true", "false"]),
];

/// What another writer may leave behind: each could be an Express session's value.
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

/// SplitMix64.
#[derive(Debug)]
pub(crate) struct Rng(u64);

impl Rng {
    pub(crate) fn new(seed: u64) -> Rng {
        Rng(seed)
    }

    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        mixed ^ (mixed >> 31)
    }

    fn below(&mut self, count: usize) -> usize {
        (self.next() % count as u64) as usize
    }

    fn pick<'a, T: ?Sized>(&mut self, from: &[&'a T]) -> &'a T {
        from[self.below(from.len())]
    }

    fn one_in(&mut self, count: usize) -> bool {
        self.below(count) == 0
    }
}

/// As many programs as asked for, always the same ones for a seed.
pub(crate) fn programs(seed: u64, count: usize) -> Vec<Program> {
    let mut rng = Rng::new(seed);
    let settings: Vec<Settings> =
        (0..count.div_ceil(PROGRAMS_PER_SETTINGS)).map(|_| settings(&mut rng)).collect();
    let program = |index| Program {
        title: format!("random {index} of seed {seed}"),
        settings: settings[rng.below(settings.len())].clone(),
        steps: steps(&mut rng),
    };
    (0..count).map(program).collect()
}

fn settings(rng: &mut Rng) -> Settings {
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
        options.extend(option(name, rng.pick(values)));
    }
    let mut cookie = Vec::new();
    for (name, values) in [
        ("maxAge", &["", "", "60000", "3600000", "null"] as &[&str]),
        ("secure", &["", "", "", "\"auto\"", "true", "false"]),
        ("sameSite", &["", "", "\"lax\"", "\"auto\"", "true", "\"None\""]),
        ("path", &["", "", "", "\"/a\"", "\"\""]),
        ("httpOnly", &["", "", "false"]),
        ("domain", &["", "", "\"example.com\""]),
        ("priority", &["", "", "\"high\""]),
        ("partitioned", &["", "", "true"]),
    ] {
        cookie.extend(option(name, rng.pick(values)));
    }
    if !cookie.is_empty() {
        options.push(format!("\"cookie\":{{{}}}", cookie.join(",")));
    }
    let mut settings = Settings::new(&format!("{{{}}}", options.join(",")));
    settings.ttl = [None, None, Some(600)][rng.below(3)];
    settings.prefix = [None, None, Some("app:s:".to_owned())][rng.below(3)].clone();
    settings
}

/// Nothing where the option is to be left out.
fn option(name: &str, value: &str) -> Option<String> {
    (!value.is_empty()).then(|| format!("\"{name}\":{value}"))
}

fn steps(rng: &mut Rng) -> Vec<Step> {
    let count = 2 + rng.below(7);
    let mut steps = vec![Step::Post(post(rng))];
    steps
        .extend((1..count).map(|_| if rng.one_in(6) { redis(rng) } else { Step::Post(post(rng)) }));
    steps
}

fn redis(rng: &mut Rng) -> Step {
    let command = match rng.below(6) {
        0 => "DEL <key:1>".to_owned(),
        1 => "PERSIST <key:1>".to_owned(),
        2 => "EXPIRE <key:1> 300".to_owned(),
        _ => format!("SET <key:1> {}", rng.pick(&STORED)),
    };
    Step::Redis(command.splitn(3, ' ').map(str::to_owned).collect())
}

fn post(rng: &mut Rng) -> Post {
    let path = rng.pick(&["/", "/", "/a", "/a/b?c=/d", "/ab"]).to_owned();
    let jar = rng.pick(&["", "", "", "other"]).to_owned();
    let proto = rng.pick(&["", "", "https", "HTTPS , http", "http,https"]);
    let mut headers = Vec::new();
    if !proto.is_empty() {
        headers.push(("X-Forwarded-Proto".to_owned(), proto.to_owned()));
    }
    if rng.one_in(10) {
        let forms = ["connect.sid=<raw:1>", "checkinapp=<cookie:1:keyboard cat>", "connect.sid=x"];
        headers.push(("Cookie".to_owned(), rng.pick(&forms).to_owned()));
    }
    let count = rng.below(7);
    Post { path, jar, headers, operations: (0..count).map(|_| operation(rng)).collect() }
}

fn operation(rng: &mut Rng) -> String {
    let key = rng.pick(&KEYS);
    match rng.below(30) {
        0..=9 => format!("[\"set\",\"{key}\",{}]", rng.pick(&VALUES)),
        10..=11 => format!("[\"get\",\"{key}\"]"),
        12..=13 => format!("[\"remove\",\"{key}\"]"),
        14..=16 => {
            let (name, values) = COOKIE_VALUES[rng.below(COOKIE_VALUES.len())];
            format!("[\"cookie.set\",\"{name}\",{}]", rng.pick(values))
        }
        17..=18 => "[\"save\"]".to_owned(),
        19..=20 => "[\"reload\"]".to_owned(),
        21 => "[\"regenerate\"]".to_owned(),
        22 => "[\"destroy\"]".to_owned(),
        23 => "[\"touch\"]".to_owned(),
        24 => "[\"unset\"]".to_owned(),
        25 => "[\"id\"]".to_owned(),
        26 => "[\"cookie\"]".to_owned(),
        27 => format!("[\"status\",{}]", rng.pick(&["201", "404", "500", "204"])),
        28 => "[\"sleep\",2]".to_owned(),
        _ => "[\"all\"]".to_owned(),
    }
}

#[test]
fn a_seed_gives_the_same_programs_again() {
    let text = |seed| programs(seed, 5).iter().map(ToString::to_string).collect::<String>();
    assert_eq!(text(1), text(1));
    assert_ne!(text(1), text(2));
}
