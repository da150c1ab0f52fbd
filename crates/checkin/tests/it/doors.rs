//! Who may come in: how many connections, requests and streams a client may have, whose pages may ask,
//! and which proxies are believed.

use std::io::{Read, Write};
use std::net::TcpStream;

use serde_json::json;
use testkit::{Client, Method, Response};

use crate::harness::{
    CHECKIN, COOKIE, EMAIL, PASSWORD, PATIENCE, Service, Site, expect_plain, expect_problem,
    retry_after, until,
};

/// The tests come from this machine, whose clients are not limited by default.
const LIMITED: &str = "--unlimited-networks=";

/// Opens a connection, and returns it if the service serves it.
fn served(service: &Service) -> Option<TcpStream> {
    let mut connection = TcpStream::connect(("127.0.0.1", service.port())).ok()?;
    connection.set_read_timeout(Some(PATIENCE)).unwrap();
    connection.write_all(b"GET /healthz HTTP/1.1\r\nhost: x\r\n\r\n").ok()?;
    let mut start = [0; 12];
    connection.read_exact(&mut start).ok()?;
    assert_eq!(&start, b"HTTP/1.1 200");
    Some(connection)
}

#[tokio::test]
async fn connections() {
    let site = Site::sqlite();
    let args = [LIMITED, "--max-connections-per-address", "3"];
    let auth = site.auth(&args);
    let mut open: Vec<_> = (0..3).map(|_| served(&auth).unwrap()).collect();
    assert!(served(&auth).is_none(), "one too many is served");
    auth.program.wait_for_line("closing new connections: there are too many", PATIENCE);
    // Those that are open work, and the place of one that ends is free.
    open[0].write_all(b"GET /healthz HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n").unwrap();
    open[0].read_to_end(&mut Vec::new()).unwrap();
    testkit::until("a place is free", async || served(&auth).is_some()).await;

    for exempt in [&["--trusted-proxies", "127.0.0.0/8"][..], &["--trust-proxy"]] {
        let proxied = site.auth(&[&args, exempt].concat());
        let open: Vec<_> = (0..5).map(|_| served(&proxied)).collect();
        assert!(open.iter().all(Option::is_some), "{exempt:?}");
    }
    let full = site.auth(&["--max-connections", "2"]);
    let _open: Vec<_> = (0..2).map(|_| served(&full).unwrap()).collect();
    assert!(served(&full).is_none(), "one too many is served");
}

/// A request in progress: its body does not end.
fn half_sent(service: &Service, path: &str, headers: &str) -> TcpStream {
    let mut connection = TcpStream::connect(("127.0.0.1", service.port())).unwrap();
    let head = format!("POST {path} HTTP/1.1\r\nhost: x\r\n{headers}");
    let body =
        "content-type: application/json\r\ncontent-length: 50\r\nexpect: 100-continue\r\n\r\n";
    connection.write_all((head + body).as_bytes()).unwrap();
    // The service waits for the body.
    let mut answer = [0; 25];
    connection.set_read_timeout(Some(PATIENCE)).unwrap();
    connection.read_exact(&mut answer).unwrap();
    assert_eq!(answer, *b"HTTP/1.1 100 Continue\r\n\r\n");
    connection
}

/// Asks until the answer is a refusal that says when to try again.
async fn refused(what: &str, ask: impl AsyncFnMut() -> Response) {
    let answer = until(what, ask, |response| response.status == 429).await;
    expect_problem(&answer, 429, &[]);
    assert!(retry_after(&answer) >= 1, "{what}");
}

#[tokio::test]
async fn requests_in_progress() {
    let site = Site::sqlite();
    let args = ["--trusted-proxies", "127.0.0.0/8", "--max-requests-per-address", "3"];
    // Requests that are half sent last as long as the test looks at them.
    let more = ["--max-requests-per-session", "2", "--request-timeout", "1m"];
    let auth = site.auth(&[&args[..], &more].concat());
    let mut client = auth.client();
    let mut from = async |address: &str| {
        client.request(Method::GET, "/healthz").header("x-forwarded-for", address).send().await
    };
    let far = "x-forwarded-for: 203.0.113.7\r\n";
    let open: Vec<_> = (0..3).map(|_| half_sent(&auth, "/login", far)).collect();
    refused("the address has too many", async || from("203.0.113.7").await).await;
    // Neither another address nor one that the proxy does not name.
    assert_eq!(from("203.0.113.8").await.status, 200);
    assert_eq!(from("unknown").await.status, 200);
    drop(open);
    until("places are free", async || from("203.0.113.7").await, |r| r.status == 200).await;

    let (mut al, mut other) = (auth.logged_in().await, auth.logged_in().await);
    let cookie = format!("cookie: {COOKIE}={}\r\n", al.jar().get(COOKIE).unwrap());
    let open: Vec<_> = (0..2).map(|_| half_sent(&auth, "/password", &cookie)).collect();
    refused("the session has too many", async || al.get("/session").await).await;
    assert_eq!(other.get("/session").await.status, 200);
    drop(open);
    until("places are free", async || al.get("/session").await, |r| r.status == 200).await;
}

/// Opens a stream, and returns its connection and the start of the answer.
fn stream(api: &Service, client: &Client, address: &str) -> (TcpStream, String) {
    let mut connection = TcpStream::connect(("127.0.0.1", api.port())).unwrap();
    connection.set_read_timeout(Some(PATIENCE)).unwrap();
    let cookie = client.jar().get(COOKIE).unwrap();
    let request = format!(
        "GET /api/checkins/stream HTTP/1.1\r\nhost: x\r\nx-forwarded-for: {address}\r\n\
         cookie: {COOKIE}={cookie}\r\n\r\n"
    );
    connection.write_all(request.as_bytes()).unwrap();
    let mut start = [0; 12];
    connection.read_exact(&mut start).unwrap();
    (connection, String::from_utf8(start.to_vec()).unwrap())
}

#[tokio::test]
async fn streams() {
    let site = Site::sqlite();
    let args =
        ["--trust-proxy", "--max-streams-per-session", "2", "--max-streams-per-address", "3"];
    let (auth, api) = (site.auth(&[]), site.api(&args));
    let (al, other) = (auth.logged_in().await, auth.logged_in().await);
    let (here, there) = ("203.0.113.7", "203.0.113.8");
    let mut open = Vec::new();
    for (client, address, status) in [
        (&al, here, "200"),
        (&al, here, "200"),
        (&al, there, "429"),
        (&other, here, "200"),
        (&other, here, "429"),
        (&other, there, "200"),
    ] {
        let (connection, answer) = stream(&api, client, address);
        assert_eq!(answer, format!("HTTP/1.1 {status}"), "{address}, after {}", open.len());
        open.push(connection);
    }
    open.clear();
    testkit::until("places are free", async || stream(&api, &al, here).1.ends_with("200")).await;
    let unlimited = site.api(&["--max-streams-per-session", "1"]);
    let open: Vec<_> = (0..3).map(|_| stream(&unlimited, &al, here)).collect();
    assert!(open.iter().all(|(_, answer)| answer.ends_with("200")), "clients of this machine");
}

const APP: &str = "https://app.example";

async fn log_in_from(client: &mut Client, origin: &str, site: &str) -> Response {
    let login = json!({"email": EMAIL, "password": PASSWORD});
    let request = client.request(Method::POST, "/login").json(&login);
    request.header("origin", origin).header("sec-fetch-site", site).send().await
}

fn is_told(response: &Response, name: &str, value: &str) -> bool {
    response.header(name).is_some_and(|told| told.to_ascii_lowercase().contains(value))
}

#[tokio::test]
async fn pages_of_other_origins() {
    let site = Site::sqlite();
    let shut = site.console(&[]);
    let open = site.console(&["--cors-origins", "https://app.example,http://localhost:3000"]);
    for origin in [APP, "http://localhost:3000"] {
        for site in ["cross-site", "same-site"] {
            let mut client = open.client();
            let answer = log_in_from(&mut client, origin, site).await;
            expect_plain(&answer, 200, "OK");
            assert_eq!(answer.header("access-control-allow-origin"), Some(origin));
            assert_eq!(answer.header("access-control-allow-credentials"), Some("true"));
            assert!(is_told(&answer, "vary", "origin"), "{:?}", answer.headers);
            let logout = client.request(Method::GET, "/logout").header("origin", origin);
            expect_plain(&logout.header("sec-fetch-site", site).send().await, 200, "OK");
            let closed = log_in_from(&mut shut.client(), origin, site).await;
            expect_problem(&closed, 403, &[]);
            assert_eq!(closed.header("access-control-allow-origin"), None);
        }
    }
    for origin in [
        "https://evil.example",
        "http://app.example",
        "https://app.example:8443",
        "https://x.app.example",
        "https://app.example.evil.example",
        "HTTPS://APP.example",
        "https://app.example/",
        "https://app.example, https://app.example",
        "null",
        "*",
    ] {
        let refused = log_in_from(&mut open.client(), origin, "cross-site").await;
        expect_problem(&refused, 403, &[]);
        assert_eq!(refused.header("access-control-allow-origin"), None, "{origin}");
    }
    // A link has no origin, so it does not log out.
    let mut al = open.logged_in().await;
    let link = al.request(Method::GET, "/logout").header("sec-fetch-site", "cross-site");
    expect_problem(&link.send().await, 403, &[]);

    let preflight = async |service: &Service, origin: &str| {
        let mut client = service.client();
        let request = client.request(Method::OPTIONS, CHECKIN).header("origin", origin);
        let request = request.header("access-control-request-method", "POST");
        request.header("access-control-request-headers", "content-type").send().await
    };
    let asked = preflight(&open, APP).await;
    assert_eq!((asked.status, asked.header("access-control-allow-origin")), (200, Some(APP)));
    for method in ["get", "post", "put", "delete"] {
        assert!(is_told(&asked, "access-control-allow-methods", method), "{:?}", asked.headers);
    }
    for header in ["content-type", "idempotency-key"] {
        assert!(is_told(&asked, "access-control-allow-headers", header), "{:?}", asked.headers);
    }
    let asked = preflight(&open, "https://evil.example").await;
    assert_eq!(asked.header("access-control-allow-origin"), None);
    assert_eq!(preflight(&shut, APP).await.status, 405);
}

/// The address that the service saw at a login with these headers, and whether it saw TLS.
async fn seen(service: &Service, headers: &[(&str, &str)]) -> (String, bool) {
    let mut client = service.client();
    let mut login = client.request(Method::POST, "/login");
    for (name, value) in headers {
        login = login.header(name, value);
    }
    let answer = login.json(&json!({"email": EMAIL, "password": PASSWORD})).send().await;
    expect_plain(&answer, 200, "OK");
    let is_secure = answer.set_cookies().iter().all(|cookie| cookie.contains("; Secure"));
    assert_eq!(answer.header("strict-transport-security").is_some(), is_secure);
    // As a browser that does not ask how the cookie came.
    let cookie = answer.set_cookies()[0].split(['=', ';']).nth(1).unwrap().to_owned();
    client.jar_mut().set(COOKIE, &cookie);
    let sessions = client.get("/sessions").await.json();
    let sessions = sessions["sessions"].as_array().unwrap().clone();
    let own = sessions.into_iter().find(|session| session["current"] == true).unwrap();
    (own["address"].as_str().unwrap_or_default().to_owned(), is_secure)
}

#[tokio::test]
async fn proxies_are_believed_if_they_are_ours() {
    let site = Site::sqlite();
    let x = |address, proto| [("x-forwarded-for", address), ("x-forwarded-proto", proto)];
    let forwarded = |value| [("forwarded", value)];
    let here = "127.0.0.1";
    let ours = site.auth(&["--trusted-proxies", "127.0.0.0/8,10.0.0.0/8"]);
    let (far, chain) = ("203.0.113.7", "9.9.9.9, 203.0.113.7, 10.1.2.3");
    assert_eq!(seen(&ours, &x(far, "https")).await, (far.to_owned(), true));
    assert_eq!(seen(&ours, &x(chain, "https")).await, (far.to_owned(), true));
    assert_eq!(seen(&ours, &x(chain, "https, http, http")).await, (far.to_owned(), false));
    assert_eq!(seen(&ours, &x("_hidden, 10.1.2.3", "http")).await, (String::new(), false));
    let elsewhere = site.auth(&["--trust-proxy", "--trusted-proxies", "10.0.0.0/8"]);
    assert_eq!(seen(&elsewhere, &x(far, "https")).await, (here.to_owned(), false));
    let text = "for=9.9.9.9;proto=http, for=\"[2001:db8::7]:443\";proto=https, for=10.1.2.3";
    assert_eq!(seen(&elsewhere, &forwarded(text)).await, (here.to_owned(), false));
    let args = ["--trusted-proxies", "127.0.0.0/8,10.0.0.0/8", "--proxy-headers", "forwarded"];
    let standard = site.auth(&args);
    let (address, is_secure) = seen(&standard, &forwarded(text)).await;
    assert!(address.starts_with("2001:db8::") && is_secure, "{address}");
    assert_eq!(seen(&standard, &x(far, "https")).await, (String::new(), false));
}
