//! Requests that are long and wrong, and answers that stay short.

use serde_json::Value;
use testkit::{Client, Method, Response};

use crate::harness::{CHECKIN, Site};

/// More than any refusal needs.
const SHORT: usize = 4 << 10;

/// Nearly as much as a target may have.
const LONG: usize = 8000;

/// Nearly as much as all headers may have.
const LONG_HEADER: usize = 30_000;

/// A refusal that names a few errors; says how many there are.
#[track_caller]
fn short_refusal(response: &Response, what: &str) -> usize {
    assert_eq!(response.status, 400, "{what}: {}", response.text());
    let heads: usize =
        response.headers.iter().map(|(name, value)| name.as_str().len() + value.len()).sum();
    assert!(heads + response.body.len() < SHORT, "{what}: {} bytes", heads + response.body.len());
    let problem: Value = response.json();
    let named = problem["errors"].as_array().unwrap().len();
    assert!((1..=10).contains(&named), "{what}: {problem}");
    let detail = problem["detail"].as_str().unwrap();
    let more = detail.rsplit_once(" and ").and_then(|(_, end)| end.strip_suffix(" more"));
    named + more.map_or(0, |more| more.parse::<usize>().unwrap())
}

/// Pieces of text, different or not, in so many bytes.
fn repeated(bytes: usize, between: &str, piece: impl Fn(usize) -> String) -> String {
    let mut text = String::new();
    for at in 0.. {
        let piece = piece(at);
        if text.len() + between.len() + piece.len() > bytes {
            break;
        }
        if at > 0 {
            text += between;
        }
        text += &piece;
    }
    text
}

#[tokio::test]
async fn long_queries() {
    let site = Site::sqlite();
    let (auth, api) = (site.auth(&[]), site.api(&[]));
    let mut al = api.client_like(&auth.logged_in().await);
    let queries = [
        ("unknown", repeated(LONG, "&", |at| format!("u{at}=1")), 1..),
        ("unknown without a value", repeated(LONG, "&", |at| format!("{at}")), 1..),
        ("one unknown, again and again", repeated(LONG, "&", |_| "x=1".to_owned()), 1..),
        ("limit, again and again", repeated(LONG, "&", |_| "limit=1".to_owned()), 1..),
        ("a long name", "n".repeat(LONG), 1..),
        ("a long name of control characters", "%0a".repeat(LONG / 3), 1..),
        ("a long name that is no UTF-8", "%ff".repeat(LONG / 3), 1..),
        ("a long value", format!("limit={}", "9".repeat(LONG)), 1..),
        ("a long cursor", format!("cursor={}", "A".repeat(LONG)), 1..),
        ("a long unknown value", format!("x={}", "\"".repeat(LONG / 4)), 1..),
        ("bad pairs", repeated(LONG, "&", |_| "%ff=%ff".to_owned()), 1..),
    ];
    for path in
        ["/api/users/recent", "/api/checkins/latest", "/api/location/1", "/api/checkins/stream"]
    {
        for (what, query, count) in &queries {
            let response = al.get(&format!("{path}?{query}")).await;
            let found = short_refusal(&response, &format!("{path}, {what}"));
            assert!(count.contains(&found), "{path}, {what}: {found}");
        }
    }
    for path in
        ["/api/user/", "/api/location/", "/api/locations/bycategory/", "/api/locations/1/1/"]
    {
        let response = al.get(&format!("{path}{}", "9".repeat(LONG))).await;
        short_refusal(&response, path);
    }
    let search = format!("/api/locations/search?q={}", "caf%C3%A9".repeat(LONG / 9));
    short_refusal(&al.get(&search).await, "a long search");
    assert_eq!(al.get("/api/location/1").await.status, 200);
}

#[tokio::test]
async fn long_bodies_and_headers() {
    let site = Site::sqlite();
    let (auth, receiver) = (site.auth(&[]), site.receiver(&["--no-auth"]));
    let bodies = [
        ("unknown", repeated(4000, ",", |at| format!("\"u{at}\":1")), 300..),
        ("empty names", repeated(4000, ",", |_| "\"\":1".to_owned()), 300..),
        ("the same, again and again", repeated(4000, ",", |_| "\"email\":1".to_owned()), 1..),
        ("a long name", format!("\"{}\":1", "n".repeat(4000)), 1..),
        ("a long name of control characters", format!("\"{}\":1", "\\u0007".repeat(600)), 1..),
        ("a long value", format!("\"email\":\"{}\"", "@".repeat(4000)), 1..),
    ];
    for (path, client) in
        [("/login", auth.client()), ("/register", auth.client()), (CHECKIN, receiver.client())]
    {
        let mut client: Client = client;
        for (what, members, count) in &bodies {
            let request = client.request(Method::POST, path);
            let request = request.header("content-type", "application/json");
            let response = request.body(format!("{{{members}}}")).send().await;
            let found = short_refusal(&response, &format!("{path}, {what}"));
            assert!(count.contains(&found), "{path}, {what}: {found}");
        }
    }
    let mut client = receiver.client();
    let request =
        client.request(Method::POST, CHECKIN).header("idempotency-key", "k".repeat(LONG_HEADER));
    let request = request.header("content-type", "application/json");
    let response = request.body(r#"{"userId":77,"locationId":2,"starRating":5}"#).send().await;
    short_refusal(&response, "a long idempotency key");
}

/// It is sent back, and logged.
#[tokio::test]
async fn a_request_id_is_short_and_plain() {
    let site = Site::sqlite();
    let auth = site.auth(&[]);
    let mut client = auth.client();
    for id in
        ["7", "0197f3a2-6c1e-7d33-9d1b-0f4c6b1e2a55", "Root=1-67891233-abcdef", &"x".repeat(128)]
    {
        let response = client.request(Method::GET, "/healthz").header("x-request-id", id).send();
        assert_eq!(response.await.header("x-request-id"), Some(id));
    }
    let (long, longest) = ("x".repeat(129), "x".repeat(LONG_HEADER));
    for id in ["", " ", "a b", "a\tb", "\u{e9}", "<b>", "\"", "\u{202e}", &long, &longest] {
        let response = client.request(Method::GET, "/healthz").header("x-request-id", id).send();
        let response = response.await;
        let given = response.header("x-request-id").unwrap();
        assert_eq!(given.len(), 36, "{given:.80} for {id:.80}");
    }
}
