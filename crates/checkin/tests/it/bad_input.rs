//! What a client should not have sent: refused with a reason, and nothing happens.

use serde_json::{Value, json};
use testkit::Method;

use crate::harness::{CHECKIN, EMAIL, expect_plain, expect_problem, log_in, problem_flaw};
use crate::refusal::{Bad, JSON, Scene, VISIT, bare, post, refuse_all};

/// Bodies that no endpoint takes, and ways of sending that none does.
fn for_any_body(path: &'static str, good: &'static str) -> Vec<Bad> {
    let twin = || post(path, good, 415, &[]).without_headers();
    let deep = ["[".repeat(1500), "]".repeat(1500)].concat();
    let mut table: Vec<Bad> =
        ["", " ", "{", "{}x", "null", "[]", "true", "7", "\"x\"", "{'a':1}", "{\"a\":NaN}", "<a/>"]
            .map(|body| post(path, body, 400, &[]))
            .into();
    table.extend([
        post(path, [good.as_bytes(), b"\xff"].concat(), 400, &[]),
        post(path, good.replace('7', "\u{0}"), 400, &[]),
        post(path, good.replace('}', &format!(r#","a":{deep}}}"#)), 400, &["a"]),
        post(path, "[".repeat(10_000), 413, &[]),
        post(path, format!(r#"{{"a":{}{}}}"#, "[".repeat(10_000), "]".repeat(10_000)), 413, &[]),
        post(path, format!(r#"{{"a":"{}"}}"#, "x".repeat(1 << 20)), 413, &[]),
        twin(),
        twin().header("content-type", "text/plain"),
        twin().header("content-type", "application/x-www-form-urlencoded"),
        twin().header("content-type", "application/json; charset=iso-8859-1"),
        twin().header("content-type", "application/json; charset=utf-16"),
        twin().header("content-type", "json"),
        twin().header("content-type", ""),
        twin().header("content-type", b"application/json\xe9"),
    ]);
    table
}

fn visit(field: &str, value: &str) -> String {
    let of = |name, usual| if name == field { value } else { usual };
    format!(
        r#"{{"userId":{},"locationId":{},"starRating":{}}}"#,
        of("userId", "77"),
        of("locationId", "2"),
        of("starRating", "5")
    )
}

#[tokio::test]
async fn check_ins() {
    let mut scene = Scene::new().await;
    let before = scene.site.counts();
    let mut table = for_any_body(CHECKIN, VISIT);
    let wrong_types =
        ["null", "true", "[]", "[1]", "{}", "\"\"", "\"1\"", "1.0", "1e0", "1.5", "-1"];
    for field in ["userId", "locationId", "starRating"] {
        let too_large = ["1e30", "9007199254740992", "18446744073709551616", "1e-7", "-0.0"];
        for value in wrong_types.iter().chain(&too_large) {
            table.push(post(CHECKIN, visit(field, value), 400, &[field]));
        }
        if field != "starRating" {
            table.push(post(CHECKIN, visit(field, "0"), 400, &[field]));
        }
    }
    for stars in ["6", "\"5\"", "255", "256", "4294967296"] {
        table.push(post(CHECKIN, visit("starRating", stars), 400, &["starRating"]));
    }
    let with_more = |more: &str| VISIT.replace('}', &format!(",{more}}}"));
    table.extend([
        post(CHECKIN, "{}", 400, &["userId", "locationId", "starRating"]),
        post(
            CHECKIN,
            r#"{"userId":0,"starRating":6}"#,
            400,
            &["userId", "locationId", "starRating"],
        ),
        post(CHECKIN, with_more(r#""id":"1-1""#), 400, &["id"]),
        post(CHECKIN, with_more(r#""timestamp":1609602085397"#), 400, &["timestamp"]),
        post(CHECKIN, with_more(r#""__proto__":{}"#), 400, &["__proto__"]),
        post(CHECKIN, with_more(r#""userid":77"#), 400, &["userid"]),
        post(CHECKIN, with_more(r#""userId":77"#), 400, &["userId"]),
        post(
            CHECKIN,
            with_more(r#""starRating":5,"locationId":2"#),
            400,
            &["locationId", "starRating"],
        ),
        post(CHECKIN, visit("locationId", "999999"), 422, &["locationId"]),
        post(CHECKIN, visit("locationId", "9007199254740991"), 422, &["locationId"]),
        post(CHECKIN, visit("userId", "78"), 403, &["userId"]),
        post(CHECKIN, visit("userId", "9007199254740991"), 403, &["userId"]),
    ]);
    let key = || post(CHECKIN, VISIT, 400, &["Idempotency-Key"]);
    table.extend([
        key().header("idempotency-key", ""),
        key().header("idempotency-key", "k".repeat(256)),
        key().header("idempotency-key", "k".repeat(30_000)),
        key().header("idempotency-key", "clé"),
        key().header("idempotency-key", b"\xff"),
        key().header("idempotency-key", "a").header("idempotency-key", "a"),
        key().header("idempotency-key", "a").header("idempotency-key", "b"),
    ]);
    let mut client = scene.receiver.client_like(&scene.al);
    refuse_all(&mut client, &table).await;
    assert_eq!(scene.site.counts(), before);
    scene.still_works().await;
}

#[tokio::test]
async fn logins() {
    let mut scene = Scene::new().await;
    let before = scene.site.counts();
    let value = scene.site.session_value(&scene.al);
    const GOOD: &str = r#"{"email":"al.appelhof@example.com","password":"secret777"}"#;
    let mut table = for_any_body("/login", GOOD);
    for wrong in ["null", "7", "true", "[]", "{}", "[\"x\"]", "\"\""] {
        let email = format!(r#"{{"email":{wrong},"password":"secret777"}}"#);
        table.push(post("/login", email, 400, &["email"]));
        let password = format!(r#"{{"email":"a@b","password":{wrong}}}"#);
        table.push(post("/login", password, 400, &["password"]));
    }
    let long = "x".repeat(1000);
    table.extend([
        post("/login", "{}", 400, &["email", "password"]),
        post("/login", GOOD.replace('}', r#","email":"a@b"}"#), 400, &["email"]),
        post("/login", GOOD.replace('}', r#","user":"a@b"}"#), 400, &["user"]),
        post("/login", r#"{"email":"al","password":"secret777"}"#, 400, &["email"]),
        post("/login", r#"{"email":"a\u0000@b","password":"secret777"}"#, 400, &["email"]),
        post("/login", format!(r#"{{"email":"a@b","password":"{long}"}}"#), 400, &["password"]),
        post("/login", format!(r#"{{"email":"{long}@b","password":"x"}}"#), 400, &["email"]),
    ]);
    let mut client = scene.auth.client_like(&scene.al);
    refuse_all(&mut client, &table).await;
    assert_eq!(scene.site.counts(), before);
    assert_eq!(scene.site.session_value(&scene.al), value);
    scene.still_works().await;
}

#[tokio::test]
async fn registrations() {
    let mut scene = Scene::new().await;
    let before = scene.site.counts();
    const GOOD: &str =
        r#"{"firstName":"A","lastName":"B","email":"new7@example.com","password":"long enough"}"#;
    let mut table = for_any_body("/register", GOOD);
    let with = |field: &str, value: &str| {
        let mut account: Value = serde_json::from_str(GOOD).unwrap();
        account[field] = serde_json::from_str(value).unwrap();
        account.to_string()
    };
    for field in ["firstName", "lastName", "email", "password"] {
        for wrong in ["null", "7", "true", "[]", "{}"] {
            table.push(post("/register", with(field, wrong), 400, &[field]));
        }
    }
    let long = format!("\"{}\"", "x".repeat(1000));
    table.extend([
        post("/register", "{}", 400, &["firstName", "lastName", "email", "password"]),
        post("/register", with("firstName", "\"\""), 400, &["firstName"]),
        post("/register", with("firstName", &long), 400, &["firstName"]),
        post("/register", with("lastName", r#""a\nb""#), 400, &["lastName"]),
        post("/register", with("email", "\"nobody\""), 400, &["email"]),
        post("/register", with("email", "\" new@example.com\""), 400, &["email"]),
        post("/register", with("password", "\"short\""), 400, &["password"]),
        post("/register", with("password", &long), 400, &["password"]),
        post("/register", with("id", "5000"), 400, &["id"]),
        post("/register", with("numCheckins", "5000"), 400, &["numCheckins"]),
        post("/register", with("email", &format!("\"{EMAIL}\"")), 409, &["email"]),
        post("/register", with("email", "\"AL.Appelhof@EXAMPLE.com\""), 409, &["email"]),
    ]);
    let mut client = scene.auth.client_like(&scene.al);
    refuse_all(&mut client, &table).await;
    assert_eq!(scene.site.counts(), before);
    scene.still_works().await;

    let opened = client.request(Method::POST, "/register").header(JSON.0, JSON.1).body(GOOD);
    let opened = opened.send().await;
    assert_eq!(opened.status, 201, "{}", opened.text());
    assert!(!opened.text().contains("password"), "{}", opened.text());
    let login = json!({"email": "new7@example.com", "password": "long enough"});
    expect_plain(&scene.auth.client().post("/login", &login).await, 200, "OK");
}

#[tokio::test]
async fn password_changes() {
    let mut scene = Scene::new().await;
    let before = scene.site.counts();
    let value = scene.site.session_value(&scene.al);
    const GOOD: &str = r#"{"currentPassword":"secret123","newPassword":"secret777"}"#;
    let mut table = for_any_body("/password", GOOD);
    for wrong in ["null", "7", "true", "[]", "{}", "\"\""] {
        let current = format!(r#"{{"currentPassword":{wrong},"newPassword":"secret777"}}"#);
        table.push(post("/password", current, 400, &["currentPassword"]));
        let new = format!(r#"{{"currentPassword":"secret123","newPassword":{wrong}}}"#);
        table.push(post("/password", new, 400, &["newPassword"]));
    }
    table.extend([
        post("/password", "{}", 400, &["currentPassword", "newPassword"]),
        post("/password", GOOD.replace("777", ""), 400, &["newPassword"]),
        post("/password", GOOD.replace("777", &"7".repeat(1000)), 400, &["newPassword"]),
        post("/password", GOOD.replace("123", "124"), 400, &["currentPassword"]),
        post("/password", GOOD.replace('}', r#","email":"a@b"}"#), 400, &["email"]),
    ]);
    let mut client = scene.auth.client_like(&scene.al);
    refuse_all(&mut client, &table).await;
    // The first failed login makes the list of failed logins.
    assert_eq!(scene.site.counts(), (before.0, before.1 + 1));
    assert_eq!(scene.site.session_value(&scene.al), value);
    expect_plain(&log_in(&mut scene.auth.client()).await, 200, "OK");
    scene.still_works().await;
}

#[tokio::test]
async fn a_request_without_a_login_gets_401_before_anything_else() {
    let scene = Scene::new().await;
    let before = scene.site.counts();
    for (service, method, path) in [
        (&scene.auth, Method::GET, "/session"),
        (&scene.auth, Method::GET, "/sessions"),
        (&scene.auth, Method::DELETE, "/sessions"),
        (&scene.auth, Method::DELETE, "/sessions/any"),
        (&scene.auth, Method::POST, "/password"),
        (&scene.receiver, Method::POST, CHECKIN),
    ] {
        let response = service.client().request(method, path).body("{nonsense").send().await;
        expect_plain(&response, 401, "Authentication required.");
        assert_eq!(response.set_cookies(), Vec::<String>::new());
    }
    let mut al = scene.auth.client_like(&scene.al);
    expect_problem(&al.delete("/sessions/any").await, 404, &[]);
    assert_eq!(scene.site.counts(), before);
}

#[tokio::test]
async fn methods_and_paths() {
    let mut scene = Scene::new().await;
    let before = scene.site.counts();
    let mut at_auth = scene.auth.client_like(&scene.al);
    let mut at_receiver = scene.receiver.client_like(&scene.al);
    let unknown = ["/", "/nothing", "//login", "/login/", "/api/checkin", "/session/..%2f", "/%00"];
    refuse_all(&mut at_auth, &unknown.map(|path| bare(Method::GET, path, 404))).await;
    let unknown = ["/login", "/api", "/api/checkin/", "/api/checkin/77/1", "/API/checkin"];
    refuse_all(&mut at_receiver, &unknown.map(|path| bare(Method::POST, path, 404))).await;

    for (service, method, path, allowed) in [
        (&scene.auth, Method::GET, "/login", "POST"),
        (&scene.auth, Method::PUT, "/login", "POST"),
        (&scene.auth, Method::DELETE, "/logout", "GET"),
        (&scene.auth, Method::DELETE, "/logout", "POST"),
        (&scene.auth, Method::POST, "/session", "GET"),
        (&scene.auth, Method::GET, "/register", "POST"),
        (&scene.receiver, Method::GET, CHECKIN, "POST"),
        (&scene.receiver, Method::DELETE, CHECKIN, "POST"),
        (&scene.receiver, Method::POST, "/healthz", "GET"),
    ] {
        let mut client = service.client_like(&scene.al);
        let response = bare(method.clone(), path, 405).send(&mut client).await;
        assert_eq!(problem_flaw(&response, 405, &[]), None, "{method} {path}");
        let allow = response.header("allow").unwrap_or_default();
        assert!(allow.split(',').any(|one| one.trim() == allowed), "{method} {path}: {allow:?}");
        assert_eq!(response.set_cookies(), Vec::<String>::new(), "{method} {path}");
    }
    assert_eq!(scene.site.counts(), before);
    scene.still_works().await;
}
