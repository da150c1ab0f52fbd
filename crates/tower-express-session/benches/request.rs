//! The parts of a request that need neither a store nor a network. Run with `cargo bench -p
//! tower-express-session --features internals`.

use std::hint::black_box;
use std::time::Duration;

use divan::Bencher;
use tower_express_session::Secrets;
use tower_express_session::internals::{ParsedSession, cookie_values, rewrite, set_cookie};

/// A header as browsers send it to a site with a few other cookies.
const HEADER: &[u8] = b"_ga=GA1.1.1234567890.1700000000; theme=dark; \
    connect.sid=s%3AQm3F0bWn5pE2sT8vJ1xYkA7cR9dL4hZg.3S3RsaFMKoAtkT5%2BE8LbKyZoXgRG2L6eXhvB3Ran2Ts; \
    consent=yes";

const COOKIE: &str = r#"{"originalMaxAge":null,"expires":null,"httpOnly":true,"path":"/"}"#;

fn main() {
    divan::main();
}

/// Returns a stored session with this number of attributes besides the account.
fn session(attributes: usize) -> String {
    let more = |n| format!(r#","attribute{n}":{{"n":{n},"text":"some text","list":[1,2,3]}}"#);
    let more: String = (0..attributes).map(more).collect();
    format!(r#"{{"cookie":{COOKIE},"user":"al.appelhof@example.com"{more}}}"#)
}

fn parsed(stored: &str) -> ParsedSession {
    ParsedSession::parse(stored.as_bytes()).expect("it is a session")
}

#[divan::bench]
fn read_cookie_header() -> Vec<String> {
    cookie_values(black_box(HEADER), "connect.sid")
}

#[divan::bench]
fn write_set_cookie() -> Option<Vec<u8>> {
    set_cookie("connect.sid", black_box("s:Qm3F0bWn5pE2sT8vJ1xYkA7cR9dL4hZg.3S3Rs"), COOKIE)
}

#[divan::bench]
fn verify_signature(bencher: Bencher<'_, '_>) {
    let secrets = Secrets::new(["keyboard cat"]).expect("it is not empty");
    let value = secrets.sign("Qm3F0bWn5pE2sT8vJ1xYkA7cR9dL4hZg");
    bencher.bench(|| secrets.unsign(black_box(&value)));
}

#[divan::bench(args = [0, 10, 100])]
fn parse_record(bencher: Bencher<'_, '_>, attributes: usize) {
    let stored = session(attributes);
    bencher.bench(|| ParsedSession::parse(black_box(stored.as_bytes())));
}

#[divan::bench(args = [0, 10, 100])]
fn parse_and_write_record(bencher: Bencher<'_, '_>, attributes: usize) {
    let stored = session(attributes);
    bencher.bench(|| rewrite(black_box(stored.as_bytes()), false));
}

#[divan::bench(args = [0, 10, 100])]
fn merge(bencher: Bencher<'_, '_>, attributes: usize) {
    let base = session(attributes);
    let with = |member| parsed(&base.replacen("\"user\":", member, 1));
    let (mine, theirs) = (with(r#""mine":1,"user":"#), with(r#""theirs":1,"user":"#));
    let base = parsed(&base);
    bencher.bench(|| black_box(&base).merged(&mine, &theirs));
}

#[divan::bench]
fn decide_after_read(bencher: Bencher<'_, '_>) {
    let session = parsed(&session(10));
    let left = Duration::from_secs(80_000);
    bencher.bench(|| black_box(&session).is_acted_on_after_read(left));
}
