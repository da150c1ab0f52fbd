//! Random requests.

use testkit::Rng;

use super::Post;
use super::random::{one_in, pick};
use super::requests::Requests;

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

/// Values for `cookie.set`. None of them expires while a program runs, except those that have
/// expired from the start, and none makes express-session throw after it has started the response.
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

/// The gap between the starts of parallel requests, much longer than a request takes.
const GAP_MS: u64 = 20;

/// Returns a request from one of three browsers.
pub(super) fn post(rng: &mut Rng) -> Post {
    let path = pick(rng, &["/", "/", "/a", "/a/b?c=/d", "/ab"]).to_owned();
    let jar = pick(rng, &["", "", "", "other", "third"]).to_owned();
    let proto = pick(rng, &["", "", "https", "HTTPS , http", "http,https"]);
    let mut headers = Vec::new();
    if !proto.is_empty() {
        headers.push(("X-Forwarded-Proto".to_owned(), proto.to_owned()));
    }
    if one_in(rng, 10) {
        let forms = [
            "connect.sid=<raw:1>",
            "connect.sid=<cookie:2>",
            "checkinapp=<cookie:1:keyboard cat>",
            "connect.sid=x",
        ];
        headers.push(("Cookie".to_owned(), pick(rng, &forms).to_owned()));
    }
    let count = rng.usize(..7);
    Post { path, jar, headers, operations: (0..count).map(|_| operation(rng)).collect() }
}

/// Returns two or three parallel requests, usually of one browser.
pub(super) fn together(rng: &mut Rng) -> Requests {
    let count = [2, 2, 3][rng.usize(..3)];
    // With sleeps that are multiples of this, no two requests act at the same time.
    let sleep_ms = count as u64 * GAP_MS;
    let posts: Vec<Post> = (0..count).map(|_| sleeping(post(rng), sleep_ms, rng)).collect();
    let mut requests = Requests { gap_ms: GAP_MS, posts };
    if !one_in(rng, 4) {
        let first = requests.posts[0].clone();
        for post in &mut requests.posts {
            (post.jar, post.path) = (first.jar.clone(), first.path.clone());
        }
    }
    requests
}

/// Replaces the sleeps of a request by up to two sleeps between its operations.
fn sleeping(mut post: Post, sleep_ms: u64, rng: &mut Rng) -> Post {
    post.operations.retain(|operation| !operation.starts_with("[\"sleep\""));
    for _ in 0..[0, 1, 1, 2][rng.usize(..4)] {
        let at = rng.usize(..post.operations.len() + 1);
        let times = [1, 1, 2][rng.usize(..3)];
        post.operations.insert(at, format!("[\"sleep\",{}]", sleep_ms * times));
    }
    post
}

fn operation(rng: &mut Rng) -> String {
    let key = pick(rng, &KEYS);
    match rng.usize(..30) {
        0..=9 => format!("[\"set\",\"{key}\",{}]", pick(rng, &VALUES)),
        10..=11 => format!("[\"get\",\"{key}\"]"),
        12..=13 => format!("[\"remove\",\"{key}\"]"),
        14..=16 => {
            let (name, values) = COOKIE_VALUES[rng.usize(..COOKIE_VALUES.len())];
            format!("[\"cookie.set\",\"{name}\",{}]", pick(rng, values))
        }
        17..=18 => "[\"save\"]".to_owned(),
        19..=20 => "[\"reload\"]".to_owned(),
        21 => "[\"regenerate\"]".to_owned(),
        22 => "[\"destroy\"]".to_owned(),
        23 => "[\"touch\"]".to_owned(),
        24 => "[\"unset\"]".to_owned(),
        25 => "[\"id\"]".to_owned(),
        26 => "[\"cookie\"]".to_owned(),
        27 => format!("[\"status\",{}]", pick(rng, &["201", "404", "500", "204"])),
        28 => "[\"sleep\",2]".to_owned(),
        _ => "[\"all\"]".to_owned(),
    }
}
