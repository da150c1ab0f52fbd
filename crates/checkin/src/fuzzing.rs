//! What the fuzz targets in `fuzz/` call: each function reads one kind of untrusted input and checks what
//! must be true of the result, whatever the input is. Only tests and fuzz targets contain this module.
//!
//! `cargo test` calls each function with the files below `fuzz/corpus`.

mod passkeys;

use std::net::{IpAddr, Ipv4Addr, SocketAddr};

use axum::body::Body;
use axum::extract::{ConnectInfo, FromRequest, FromRequestParts, Request};
use axum::http::header::CONTENT_TYPE;
use axum::http::{HeaderName, HeaderValue, Method};
use futures_util::FutureExt;

use crate::config::{
    KeyPrefix, Networks, Origins, ProxyHeaders, SessionSecret, StoreUrl, listen_address, switch,
    time,
};
use crate::domain::{
    CheckinId, Coordinates, DayHours, Email, LocationId, PasswordHash, PasswordScheme, StarRating,
    UserId,
};
use crate::http::{DeviceCookie, Headers, JsonBody, Problem, Proxies};
use crate::import::{Importer, Position, Rule};
use crate::input::{DisplayName, Integer, KnownEmail, body};
use crate::services::api::is_canonical;
use crate::services::receiver::CheckinHeaders;

pub use self::passkeys::passkey_answer;

/// The current time for all of them, an arbitrary one: 2026-09-01.
const NOW_MS: u64 = 1_788_220_800_000;

/// The maximum number of broken rules that a response names.
const MAX_ERRORS: usize = 10;

body! {
    /// A body with a field of each type.
    struct AnyBody {
        _user "userId": UserId;
        _location "locationId": Option<LocationId>;
        _stars "starRating": Option<StarRating>;
        _name "firstName": Option<DisplayName>;
        _email "email": Option<Email>;
        _known "knownEmail": Option<KnownEmail>;
        _number "number": Option<Integer<1, 100>>;
    }
}

/// Reads a body of JSON.
///
/// # Panics
///
/// If a broken rule is not a rule, or if there are more of them than bytes.
pub fn request_body(input: &[u8]) {
    let mut request = Request::new(Body::from(input.to_vec()));
    request.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
    let read = JsonBody::<AnyBody>::from_request(request, &()).now_or_never();
    if let Err(problem) = read.expect("the body is there") {
        check_problem(&problem);
    }
}

/// Reads the address and the headers of a request: the first line is the address of a list, a tab and
/// a cursor; each further line is a header.
///
/// # Panics
///
/// If a header about the client is left that no trusted proxy wrote, or if a cursor has two forms.
pub fn request_head(input: &[u8]) {
    let mut lines = input.split(|byte| *byte == b'\n');
    let first = String::from_utf8_lossy(lines.next().unwrap_or_default()).into_owned();
    let (list, cursor) = first.split_once('\t').unwrap_or((&first, ""));
    assert!(is_canonical(list, cursor), "{list:?} {cursor:?}");

    let mut request = Request::new(Body::empty());
    *request.method_mut() = Method::POST;
    for line in lines.take(64) {
        let mut parts = line.splitn(2, |byte| *byte == b':');
        let name = parts.next().and_then(|name| HeaderName::from_bytes(name).ok());
        let value = parts.next().and_then(|value| HeaderValue::from_bytes(value).ok());
        if let (Some(name), Some(value)) = (name, value) {
            request.headers_mut().append(name, value);
        }
    }
    if let Some(cookie) = DeviceCookie::of(request.headers()) {
        assert!(!cookie.0.contains([';', '\n']), "{}", cookie.0);
    }
    let (mut parts, _) = request.into_parts();
    let read = Headers::<CheckinHeaders>::from_request_parts(&mut parts, &()).now_or_never();
    match read.expect("the headers are there") {
        Ok(Headers(CheckinHeaders { idempotency_key: Some(key) })) => {
            assert!(!key.0.is_empty() && key.0.len() <= 255);
        }
        Ok(_) => {}
        Err(problem) => check_problem(&problem),
    }
    check_proxies(&Request::from_parts(parts, Body::empty()));
}

/// Checks what each setting of `--trusted-proxies` makes of a request from each kind of peer.
fn check_proxies(request: &Request) {
    let networks: Networks = "10.0.0.0/8,2001:db8::/32".parse().expect("they are networks");
    let proxy = IpAddr::from(Ipv4Addr::new(10, 0, 0, 1));
    let stranger = IpAddr::from(Ipv4Addr::new(192, 0, 2, 1));
    for headers in [ProxyHeaders::XForwarded, ProxyHeaders::Forwarded] {
        for (peer, is_any, networks) in [
            (proxy, false, networks.clone()),
            (stranger, false, networks.clone()),
            (stranger, true, Networks::default()),
            (stranger, false, Networks::default()),
        ] {
            let mut received = Request::new(Body::empty());
            *received.headers_mut() = request.headers().clone();
            received.extensions_mut().insert(ConnectInfo(SocketAddr::from((peer, 1))));
            let proxies = Proxies { is_any, networks, headers };
            let client = proxies.receive(&mut received);
            if !proxies.networks.is_empty() {
                for name in ["x-forwarded-for", "x-forwarded-proto", "x-forwarded-host"] {
                    let left = received.headers().get_all(name).iter().count();
                    let most = usize::from(peer == proxy && name != "x-forwarded-for");
                    assert!(left <= most, "{name} {peer}");
                }
            }
            let is_own = client.as_ref().is_some_and(|client| client.ip() == stranger);
            assert!(is_own || peer == proxy || is_any, "{client:?}");
        }
    }
}

/// Reads a file to import. The first byte says which: a table, or one of the JSON forms.
///
/// # Panics
///
/// If there are more records or errors than bytes, or if an error has no place in the file.
pub fn import_file(input: &[u8]) {
    let (kind, text) = input.split_first().unwrap_or((&b'j', &[]));
    let file = if *kind == b't' { "file.csv" } else { "file.json" };
    let mut importer = Importer::new(NOW_MS);
    importer.add_bytes(file, text);
    let visits = importer.take_visits(true);
    let (import, errors) = importer.finish();
    let records = import.users.len() + import.locations.len() + import.checkins.len();
    assert!(records + visits.len() <= text.len(), "{records} records");
    // A table names its missing columns.
    assert!(errors.len() <= text.len() + 8, "{} errors", errors.len());
    let lines = text.split(|byte| matches!(byte, b'\n' | b'\r')).count() as u64;
    for error in errors {
        assert_eq!(&*error.place.file, file);
        assert!(!error.to_string().is_empty());
        if let Position::Line(line) = error.place.position {
            assert!((1..=lines + 1).contains(&line), "{line} of {lines}");
        }
        if let Rule::Malformed { line, column, .. } = error.rule {
            assert!(line as u64 <= lines + 1 && column <= text.len() + 1, "{line}:{column}");
        }
    }
}

/// Reads the text of a setting as a value of each kind.
///
/// # Panics
///
/// If an error is not a rule, or if a shown address of a store is another one.
pub fn setting(input: &str) {
    match input.parse::<StoreUrl>() {
        Ok(store) => {
            let shown = store.to_string();
            let again = shown.parse::<StoreUrl>().map(|store| store.to_string());
            assert_eq!(again.as_ref(), Ok(&shown));
        }
        Err(rule) => assert!(!rule.is_empty()),
    }
    for rule in [
        input.parse::<Networks>().err(),
        input.parse::<Origins>().err(),
        time(input).err(),
        switch(input).err(),
        listen_address(input).err(),
        input.parse::<SessionSecret>().err(),
        input.parse::<KeyPrefix>().err(),
    ] {
        assert!(rule.is_none_or(|rule| rule.contains("must")));
    }
    // Whatever the file holds, its error says nothing of the values.
    drop(input.parse::<toml::Table>());
}

/// Reads a stored or imported text as a value of each kind of the domain.
///
/// # Panics
///
/// If a value that was read is written so that it is another one.
pub fn stored_text(input: &str) {
    if let Ok(hours) = input.parse::<DayHours>() {
        assert_eq!(hours.to_string().parse::<DayHours>(), Ok(hours));
    }
    if let Ok(coordinates) = input.parse::<Coordinates>() {
        assert_eq!(coordinates.to_string().parse::<Coordinates>(), Ok(coordinates));
    }
    if let Ok(email) = input.parse::<Email>() {
        assert_eq!(email.to_string().parse::<Email>().as_ref(), Ok(&email));
        let canonical = email.canonical();
        // Some characters are longer in lower case or in the normal form.
        if canonical.len() <= Email::MAX_BYTES {
            let again: Email = canonical.parse().expect("it is an address");
            assert_eq!(again.canonical(), canonical);
        }
    }
    if let Ok(id) = input.parse::<CheckinId>() {
        assert_eq!(id.to_string().parse::<CheckinId>().ok(), Some(id));
    }
    let is_usable = PasswordHash::stored(input).scheme() != PasswordScheme::Unusable;
    assert_eq!(PasswordHash::parse(input).is_ok(), is_usable);
}

fn check_problem(problem: &Problem) {
    let errors = problem.errors();
    assert!(errors.len() <= MAX_ERRORS, "{} errors", errors.len());
    for error in errors {
        assert!(error.rule.starts_with("must"), "{}", error.rule);
    }
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    /// Calls a target with each file of its corpus.
    fn replay(target: &str, read: impl Fn(&[u8])) {
        let corpus = Path::new(env!("CARGO_MANIFEST_DIR")).join("fuzz/corpus").join(target);
        let mut number = 0;
        for file in std::fs::read_dir(corpus).unwrap() {
            read(&std::fs::read(file.unwrap().path()).unwrap());
            number += 1;
        }
        assert!(number > 0, "{target} has no corpus");
    }

    fn text(read: impl Fn(&str)) -> impl Fn(&[u8]) {
        move |input| std::str::from_utf8(input).map_or((), &read)
    }

    #[test]
    fn the_corpus_of_each_fuzz_target_breaks_no_rule() {
        replay("request_body", super::request_body);
        replay("request_head", super::request_head);
        replay("import_file", super::import_file);
        replay("setting", text(super::setting));
        replay("stored_text", text(super::stored_text));
        replay("passkey_answer", super::passkey_answer);
    }
}
