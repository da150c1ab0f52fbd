//! Requests byte by byte: what is refused because it could be read in two ways, and what is accepted.

use std::io::{BufRead, BufReader, Write};
use std::net::TcpStream;

use crate::harness::{PATIENCE, Site};

/// What happens after the answer to a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Then {
    /// The connection serves another request.
    Open,
    /// The connection is closed: where the next request begins is in doubt, or the client asked for it.
    Closed,
}
use Then::{Closed, Open};

/// A check-in at a location that does not exist, so that a complete request gets 422.
const CHECKIN: &str = r#"{"userId":77,"locationId":9999,"starRating":5}"#;

struct Answer {
    status: u16,
    /// The media type, or nothing.
    kind: String,
    body: String,
    then: Then,
}

/// Sends these bytes on a new connection, and a healthy request after the answer.
fn exchange(port: u16, bytes: &[u8]) -> Answer {
    let mut connection = TcpStream::connect(("127.0.0.1", port)).unwrap();
    connection.set_read_timeout(Some(PATIENCE)).unwrap();
    let is_head = bytes.starts_with(b"HEAD ");
    // The other side may refuse what is too long before it has read all of it.
    drop(connection.write_all(bytes));
    let mut reader = BufReader::new(connection.try_clone().unwrap());
    let (status, kind, body) = answer(&mut reader, is_head).expect("an answer");
    drop(connection.write_all(b"GET /healthz HTTP/1.1\r\nhost: x\r\n\r\n"));
    let then = match answer(&mut reader, false) {
        Some((200, _, body)) if body == "OK" => Open,
        None => Closed,
        other => panic!("the answer to the next request is {other:?}"),
    };
    Answer { status, kind, body, then }
}

/// Reads an answer with a length, or nothing if the connection has ended.
fn answer(reader: &mut impl BufRead, is_head: bool) -> Option<(u16, String, String)> {
    let mut line = String::new();
    reader.read_line(&mut line).ok().filter(|length| *length > 0)?;
    let status = line.strip_prefix("HTTP/1.")?[2..5].parse().unwrap();
    let (mut kind, mut length) = (String::new(), 0);
    loop {
        line.clear();
        reader.read_line(&mut line).ok()?;
        let Some((name, value)) = line.trim_end().split_once(": ") else { break };
        match name {
            "content-type" => value.clone_into(&mut kind),
            "content-length" if !is_head => length = value.parse().unwrap(),
            _ => {}
        }
    }
    let mut body = vec![0; length];
    reader.read_exact(&mut body).ok()?;
    Some((status, kind, String::from_utf8(body).unwrap()))
}

/// A request for the liveness with these lines.
fn get(lines: &str) -> Vec<u8> {
    format!("GET /healthz HTTP/1.1\r\n{lines}\r\n").into_bytes()
}

/// A check-in with these lines about its body, and this body.
fn post(lines: &str, body: impl AsRef<[u8]>) -> Vec<u8> {
    let head = format!(
        "POST /api/checkin HTTP/1.1\r\nhost: x\r\ncontent-type: application/json\r\n{lines}\r\n\r\n"
    );
    [head.as_bytes(), body.as_ref()].concat()
}

fn chunked(line: &str, size: &str) -> Vec<u8> {
    post(line, format!("{size}\r\n{CHECKIN}\r\n0\r\n\r\n"))
}

/// Each request, the status of its answer, and what happens to the connection.
fn table() -> Vec<(&'static str, Vec<u8>, u16, Then)> {
    let host = "host: x\r\n";
    let (length, size) = (CHECKIN.len(), format!("{:x}", CHECKIN.len()));
    let cl = format!("content-length: {length}");
    let te = "transfer-encoding: chunked";
    let twice = |a: &str, b: &str| format!("{a}\r\n{b}");
    let header = |value: &str| get(&format!("{host}x: {value}\r\n"));
    let target = |target: &str| format!("GET {target} HTTP/1.1\r\n{host}\r\n").into_bytes();
    let method =
        |method: &str| format!("{method} /api/checkin HTTP/1.1\r\n{host}\r\n").into_bytes();
    vec![
        ("a request", get(host), 200, Open),
        ("HTTP/1.0 without a host", b"GET /healthz HTTP/1.0\r\n\r\n".into(), 200, Closed),
        (
            "HTTP/1.0 with two hosts",
            b"GET /healthz HTTP/1.0\r\nhost: a\r\nhost: a\r\n\r\n".into(),
            400,
            Closed,
        ),
        ("HTTP/2.0", b"GET /healthz HTTP/2.0\r\nhost: x\r\n\r\n".into(), 400, Closed),
        ("no version", b"GET /healthz\r\nhost: x\r\n\r\n".into(), 400, Closed),
        ("TLS", b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03\r\n\r\n".into(), 400, Closed),
        ("an empty line before", b"\r\nGET /healthz HTTP/1.1\r\nhost: x\r\n\r\n".into(), 200, Open),
        // The host.
        ("no host", get(""), 400, Closed),
        ("an empty host", get("host:\r\n"), 200, Open),
        ("a host with a port", get("host: [::1]:80\r\n"), 200, Open),
        ("two hosts", get("host: a\r\nhost: b\r\n"), 400, Closed),
        ("one host twice", get("host: a\r\nHOST: a\r\n"), 400, Closed),
        ("a list of hosts", get("host: a, b\r\n"), 400, Closed),
        ("a host with a user", get("host: a@b\r\n"), 400, Closed),
        ("a host with a path", get("host: a/b\r\n"), 400, Closed),
        ("a host with a space", get("host: a b\r\n"), 400, Closed),
        (
            "the host in the target, too",
            b"GET http://b/healthz HTTP/1.1\r\nhost: a\r\n\r\n".into(),
            200,
            Open,
        ),
        (
            "the host only in the target",
            b"GET http://b/healthz HTTP/1.1\r\n\r\n".into(),
            400,
            Closed,
        ),
        // The ends of lines.
        ("bare line feeds", b"GET /healthz HTTP/1.1\nhost: x\n\n".into(), 200, Open),
        (
            "a carriage return alone",
            b"GET /healthz HTTP/1.1\rhost: x\r\r".iter().chain(b"\n\r\n").copied().collect(),
            400,
            Closed,
        ),
        ("a carriage return in a value", header("a\rb: c"), 400, Closed),
        ("a carriage return before the end of a line", header("a\r"), 400, Closed),
        ("NUL in a value", header("a\0b"), 400, Closed),
        ("a continued line", get(&format!("{host}x: a\r\n b\r\n")), 400, Closed),
        ("a space before the first header", get(&format!(" {host}")), 400, Closed),
        ("a space before the colon", get("host : x\r\n"), 400, Closed),
        ("a space in a name", get(&format!("{host}a b: c\r\n")), 400, Closed),
        ("a line without a colon", get(&format!("{host}abc\r\n")), 400, Closed),
        ("no name", get(&format!("{host}: c\r\n")), 400, Closed),
        // The length of the body.
        ("a length", post(&cl, CHECKIN), 422, Open),
        ("chunks", chunked(te, &size), 422, Open),
        ("two lengths", post(&twice(&cl, "content-length: 7"), CHECKIN), 400, Closed),
        ("one length twice", post(&twice(&cl, &cl), CHECKIN), 422, Open),
        ("a list of lengths", post(&format!("{cl}, {length}"), CHECKIN), 400, Closed),
        ("+ and a length", post(&format!("content-length: +{length}"), CHECKIN), 400, Closed),
        ("- and a length", post(&format!("content-length: -{length}"), CHECKIN), 400, Closed),
        ("a length in hexadecimal", post(&format!("content-length: 0x{size}"), CHECKIN), 400, Closed),
        ("a length with a fraction", post(&format!("{cl}.0"), CHECKIN), 400, Closed),
        (
            "a length beyond 64 bits",
            post("content-length: 99999999999999999999", CHECKIN),
            400,
            Closed,
        ),
        ("no value of a length", post("content-length:", CHECKIN), 400, Closed),
        ("no length", post("x: y", ""), 400, Open),
        ("a length, then chunks", chunked(&twice(&cl, te), &size), 422, Closed),
        ("chunks, then a length", chunked(&twice(te, &cl), &size), 422, Closed),
        (
            "chunks, and a length that ends before them",
            post(
                &twice("content-length: 4", te),
                "0\r\n\r\nGET /logout HTTP/1.1\r\nhost: x\r\n\r\n",
            ),
            400,
            Closed,
        ),
        // The coding of the body.
        ("Chunked", chunked("Transfer-Encoding: Chunked", &size), 422, Open),
        ("chunked twice", chunked("transfer-encoding: chunked, chunked", &size), 501, Closed),
        ("chunked on two lines", chunked(&twice(te, te), &size), 501, Closed),
        (
            "another coding before chunked",
            chunked("transfer-encoding: gzip, chunked", &size),
            501,
            Closed,
        ),
        (
            "another line before chunked",
            chunked(&twice("transfer-encoding: identity", te), &size),
            501,
            Closed,
        ),
        ("identity", post("transfer-encoding: identity", CHECKIN), 400, Closed),
        (
            "chunked before identity",
            chunked("transfer-encoding: chunked, identity", &size),
            400,
            Closed,
        ),
        (
            "chunked before another line",
            chunked(&twice(te, "transfer-encoding: identity"), &size),
            400,
            Closed,
        ),
        (
            "a vertical tab before chunked",
            chunked("transfer-encoding: \x0bchunked", &size),
            400,
            Closed,
        ),
        ("chunked with a parameter", chunked("transfer-encoding: chunked;a=b", &size), 400, Closed),
        ("an empty coding", post("transfer-encoding:", CHECKIN), 400, Closed),
        (
            "chunks with HTTP/1.0",
            format!(
                "POST /api/checkin HTTP/1.0\r\ncontent-type: application/json\r\n{te}\r\n\r\n0\r\n\r\n"
            )
            .into(),
            400,
            Closed,
        ),
        ("a chunk of 0x…", chunked(te, &format!("0x{size}")), 400, Closed),
        ("a chunk of +…", chunked(te, &format!("+{size}")), 400, Closed),
        ("a chunk beyond 64 bits", chunked(te, "fffffffffffffffff"), 400, Closed),
        ("a chunk with an extension", chunked(te, &format!("{size};a=b")), 422, Open),
        ("a line feed in an extension", chunked(te, &format!("{size};a\nb")), 400, Closed),
        (
            "a chunk that ends with a line feed",
            post(te, format!("{size}\n{CHECKIN}\n0\n\n")),
            400,
            Closed,
        ),
        (
            "an extension of 64 KiB",
            chunked(te, &format!("{size};{}", "a".repeat(64 << 10))),
            400,
            Closed,
        ),
        // What is too much.
        ("100 headers", get(&(host.to_owned() + &"x: y\r\n".repeat(99))), 200, Open),
        ("200 headers", get(&(host.to_owned() + &"x: y\r\n".repeat(199))), 431, Closed),
        ("headers of 30 KiB", header(&"x".repeat(30 << 10)), 200, Open),
        ("headers of 33 KiB", header(&"x".repeat(33 << 10)), 431, Closed),
        ("headers of 64 KiB", header(&"x".repeat(64 << 10)), 431, Closed),
        ("a target of 8 KiB", target(&format!("/healthz?{}", "x".repeat(8192 - 9))), 200, Open),
        ("a longer target", target(&format!("/healthz?{}", "x".repeat(8192 - 8))), 414, Open),
        (
            "a target of 100 KiB",
            target(&format!("/healthz?{}", "x".repeat(100 << 10))),
            431,
            Closed,
        ),
        ("a body of 4097 bytes", post("content-length: 4097", "x".repeat(4097)), 413, Open),
        ("a compressed body", post(&format!("{cl}\r\ncontent-encoding: gzip"), CHECKIN), 415, Open),
        (
            "no content type",
            format!("POST /api/checkin HTTP/1.1\r\nhost: x\r\n{cl}\r\n\r\n{CHECKIN}").into(),
            415,
            Open,
        ),
        // The target.
        ("two slashes", target("//"), 404, Open),
        ("dots", target("/%2e%2e/"), 404, Open),
        ("NUL", target("/%00"), 404, Open),
        ("bytes that are not UTF-8", target("/%c0%ae"), 404, Open),
        ("half an escape", target("/%4"), 404, Open),
        ("a parameter of the path", target("/healthz;a=b"), 404, Open),
        ("a relative target", target("healthz"), 400, Closed),
        ("a space in the target", target("/healthz x"), 400, Closed),
        ("*", b"OPTIONS * HTTP/1.1\r\nhost: x\r\n\r\n".into(), 404, Open),
        // The method.
        ("TRACE", method("TRACE"), 405, Open),
        ("PATCH", method("PATCH"), 405, Open),
        ("OPTIONS", method("OPTIONS"), 405, Open),
        ("HEAD", method("HEAD"), 405, Open),
        ("CONNECT", b"CONNECT x:80 HTTP/1.1\r\nhost: x:80\r\n\r\n".into(), 501, Closed),
        ("a method that nobody knows", method("BREW"), 501, Closed),
        ("a method in small letters", method("post"), 501, Closed),
        ("a method that is no word", method("A(B"), 400, Closed),
    ]
}

#[test]
fn what_could_be_read_in_two_ways_is_refused() {
    let site = Site::sqlite();
    let receiver = site.receiver(&["--no-auth"]);
    let mut flaws = Vec::new();
    for (what, bytes, status, then) in table() {
        let answer = exchange(receiver.port(), &bytes);
        // What hyper itself answers has no body.
        let is_ours = answer.kind == "application/problem+json";
        let has_form = match status {
            400 | 431 if answer.kind.is_empty() => answer.body.is_empty() && then == Closed,
            405 if bytes.starts_with(b"HEAD ") => is_ours,
            402.. | 400 => is_ours && answer.body.contains(&format!("\"status\":{status}")),
            _ => answer.kind.starts_with("text/plain"),
        };
        if (answer.status, answer.then) != (status, then) || !has_form {
            let Answer { status, kind, body, then } = answer;
            flaws.push(format!("{what}: {status} {then:?} {kind:?} {body:?}"));
        }
    }
    assert_eq!(flaws, [""; 0]);
}
