//! What a client should not have sent: refused with a reason, and nothing happens.

use futures_util::future::join_all;
use serde_json::{Value, json};
use testkit::{Client, Method, Response, signature};

use crate::harness::{
    CHECKIN, COOKIE, EMAIL, PASSWORD, SECRET, Service, Site, accepted, at, expect_plain,
    expect_problem, log_in, problem_flaw, retry_after, session_id,
};

const JSON: (&str, &[u8]) = ("content-type", b"application/json");
const VISIT: &str = r#"{"userId":77,"locationId":2,"starRating":5}"#;

/// A request that is refused, and how.
struct Bad {
    what: String,
    method: Method,
    path: &'static str,
    headers: Vec<(&'static str, Vec<u8>)>,
    body: Vec<u8>,
    status: u16,
    fields: Vec<&'static str>,
}

/// A body that is JSON, or says so.
fn post(path: &'static str, body: impl Into<Vec<u8>>, status: u16, fields: &[&'static str]) -> Bad {
    let body = body.into();
    let start = String::from_utf8_lossy(&body).chars().take(100).collect::<String>();
    let fields = fields.to_vec();
    let what = format!("POST {path} {start}");
    Bad { what, method: Method::POST, path, headers: Vec::new(), body, status, fields }
        .header(JSON.0, JSON.1)
}

fn bare(method: Method, path: &'static str, status: u16) -> Bad {
    let what = format!("{method} {path}");
    let (headers, body, fields) = (Vec::new(), Vec::new(), Vec::new());
    Bad { what, method, path, headers, body, status, fields }
}

impl Bad {
    fn header(mut self, name: &'static str, value: impl AsRef<[u8]>) -> Bad {
        let value = value.as_ref();
        self.what +=
            &format!(" [{name}: {}]", String::from_utf8_lossy(&value[..value.len().min(80)]));
        self.headers.push((name, value.to_vec()));
        self
    }

    fn without_headers(mut self) -> Bad {
        self.headers.clear();
        self.what += " [no headers]";
        self
    }

    async fn send(&self, client: &mut Client) -> Response {
        let mut request = client.request(self.method.clone(), self.path);
        for (name, value) in &self.headers {
            request = request.header(name, value);
        }
        request.body(self.body.clone()).send().await
    }
}

/// Sends all, and says of all at once which are not refused as they should be.
async fn refuse_all(client: &mut Client, table: &[Bad]) {
    let mut flaws = Vec::new();
    for bad in table {
        let response = bad.send(client).await;
        if let Some(flaw) = problem_flaw(&response, bad.status, &bad.fields) {
            let (status, fields) = (bad.status, &bad.fields);
            flaws.push(format!("{}\n    expected {status} {fields:?}\n    got {flaw}", bad.what));
        }
        if !response.set_cookies().is_empty() {
            flaws.push(format!("{}\n    got {:?}", bad.what, response.set_cookies()));
        }
    }
    assert!(flaws.is_empty(), "{} of {}:\n{}", flaws.len(), table.len(), flaws.join("\n"));
}

/// Bodies that no endpoint takes, and ways of sending that none does.
fn for_any_body(path: &'static str, good: &'static str) -> Vec<Bad> {
    let twin = || post(path, good, 415, &[]).without_headers();
    let mut table: Vec<Bad> =
        ["", " ", "{", "{}x", "null", "[]", "true", "7", "\"x\"", "{'a':1}", "{\"a\":NaN}", "<a/>"]
            .map(|body| post(path, body, 400, &[]))
            .into();
    table.extend([
        post(path, [good.as_bytes(), b"\xff"].concat(), 400, &[]),
        post(path, good.replace('7', "\u{0}"), 400, &[]),
        post(path, format!(r#"{{"a":{}1{}}}"#, "[".repeat(1500), "]".repeat(1500)), 400, &[]),
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

/// A receiver and an authentication service on Redis, and Al's browser.
struct Scene {
    site: Site,
    auth: Service,
    receiver: Service,
    al: Client,
}

impl Scene {
    async fn new() -> Scene {
        let site = Site::redis();
        let (auth, receiver) = (site.auth(&[]), site.receiver(&[]));
        let al = auth.logged_in().await;
        Scene { site, auth, receiver, al }
    }

    /// The processes live, and Al's session opens what it opened before.
    async fn still_works(&mut self) {
        for service in [&self.auth, &self.receiver] {
            expect_plain(&service.client().get("/healthz").await, 200, "OK");
        }
        assert_eq!(self.auth.client_like(&self.al).get("/session").await.status, 200);
        let mut at_receiver = self.receiver.client_like(&self.al);
        let good = at_receiver.request(Method::POST, CHECKIN);
        let good = good.header("content-type", "application/json; charset=utf-8").body(VISIT);
        accepted(&good.send().await);
        assert!(self.auth.program.is_running() && self.receiver.program.is_running());
    }
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
        key().header("idempotency-key", "k".repeat(50_000)),
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
    assert_eq!(scene.site.counts(), before);
    assert_eq!(scene.site.session_value(&scene.al), value);
    expect_plain(&log_in(&mut scene.auth.client()).await, 200, "OK");
    scene.still_works().await;
}

#[tokio::test]
async fn who_is_not_logged_in_hears_that_first() {
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
    let unknown = ["/login", "/api", "/api/checkin/", "/api/checkin/77", "/API/checkin"];
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

/// Values of a cookie that is nobody's login.
fn worthless(id: &str, cookie: &str) -> Vec<String> {
    let signed = |id: &str| signature::encode(&signature::sign(id, SECRET));
    let (name, tail) = cookie.split_at(cookie.len() / 2);
    vec![
        String::new(),
        id.to_owned(),
        format!("s:{id}"),
        format!("s%3A{id}."),
        signature::encode(&signature::sign(id, "another secret")),
        signature::encode(&signature::sign(id, "")),
        signature::encode(&format!("{id}.{}", signature::signature(id, SECRET))),
        cookie[..cookie.len() - 1].to_owned(),
        cookie[..cookie.len() - 20].to_owned(),
        format!("{cookie}%3D"),
        format!("{cookie}A"),
        format!("{cookie}{cookie}"),
        format!("{name}%00{tail}"),
        cookie.replace("s%3A", "s%3Ax"),
        cookie.replace("s%3A", "j%3A"),
        cookie.replace("s%3A", ""),
        "%".to_owned(),
        "%zz".to_owned(),
        "%ff%fe".to_owned(),
        "j:{\"user\":\"al.appelhof@example.com\"}".to_owned(),
        "s%3A".to_owned(),
        "s%3A.".to_owned(),
        signed(""),
        signed("an-id-that-was-never-given-out-00"),
        signed("*"),
        signed("../x"),
        signed("a\r\nb"),
        signed("{x}:session"),
        signed(&"x".repeat(5000)),
        signed(&format!("{id}x")),
    ]
}

#[tokio::test]
async fn cookies() {
    let mut scene = Scene::new().await;
    let before = scene.site.counts();
    let id = session_id(&scene.al);
    let cookie = scene.al.jar().get(COOKIE).unwrap().to_owned();
    let requests =
        [(&scene.auth, Method::GET, "/session"), (&scene.receiver, Method::POST, CHECKIN)];
    for (service, method, path) in requests {
        let mut client = service.client();
        for value in worthless(&id, &cookie) {
            let request = client.request(method.clone(), path).json(&at(2, 5));
            let response = request.header("cookie", format!("{COOKIE}={value}")).send().await;
            let said = (response.status, response.text(), response.set_cookies());
            let refusal = (401, "Authentication required.", Vec::new());
            assert_eq!(said, refusal, "{method} {path} with {value:?}");
        }
        for header in [COOKIE.to_owned(), format!("={cookie}"), format!("x{COOKIE}={cookie}")] {
            let request = client.request(method.clone(), path).json(&at(2, 5));
            let response = request.header("cookie", &header).send().await;
            expect_plain(&response, 401, "Authentication required.");
        }
        let oversized = format!("{COOKIE}={}", "x".repeat(100 << 10));
        let request = client.request(method.clone(), path).json(&at(2, 5));
        let response = request.header("cookie", oversized).send().await;
        assert!((400..500).contains(&response.status), "{}", response.status);
    }
    assert_eq!(scene.site.counts(), before);
    scene.still_works().await;
}

fn wrong_login(email: &str) -> Value {
    json!({"email": email, "password": "not the password"})
}

#[tokio::test]
async fn a_failed_login_tells_nothing_and_ends_nothing() {
    let mut scene = Scene::new().await;
    let before = (scene.site.counts(), scene.site.session_value(&scene.al));
    let wrong_password = scene.al.post("/login", &wrong_login(EMAIL)).await;
    let unknown_address = scene.al.post("/login", &wrong_login("nobody@example.com")).await;
    for response in [&wrong_password, &unknown_address] {
        expect_plain(response, 401, "Invalid login.");
        assert_eq!(response.set_cookies(), Vec::<String>::new());
    }
    let fixed = |response: &Response| {
        let mut headers = response.headers.clone();
        headers.remove("date");
        headers.remove("x-request-id");
        headers
    };
    assert_eq!(fixed(&wrong_password), fixed(&unknown_address));
    assert_eq!((scene.site.counts(), scene.site.session_value(&scene.al)), before);
    scene.still_works().await;
}

#[tokio::test]
async fn a_login_gives_a_fresh_id_and_ends_the_session_before() {
    let scene = Scene::new().await;
    let mut old = scene.al.clone();
    let mut new = scene.al.clone();
    expect_plain(&log_in(&mut new).await, 200, "OK");
    assert_ne!(session_id(&new), session_id(&old));
    expect_plain(&old.get("/session").await, 401, "Authentication required.");
    assert_eq!(scene.site.session_value(&old), None);
    assert_eq!(new.get("/session").await.status, 200);

    // One that somebody planted: the id is ours, the signature is right, nobody is logged in.
    let mut planted = scene.auth.client();
    planted.jar_mut().set(COOKIE, &signature::encode(&signature::sign("planted", SECRET)));
    let value =
        r#"{"cookie":{"originalMaxAge":null,"expires":null,"httpOnly":true,"path":"/"},"a":1}"#;
    scene.site.redis_cli::<()>(&["SET", "ncc:session:planted", value, "EX", "1000"]);
    let mut victim = planted.clone();
    expect_plain(&log_in(&mut victim).await, 200, "OK");
    assert_ne!(session_id(&victim), "planted");
    expect_plain(&planted.get("/session").await, 401, "Authentication required.");
    assert_eq!(scene.site.session_value(&planted), None);
    let stored = scene.site.session_value(&victim).unwrap();
    assert!(!stored.contains("\"a\""), "{stored}");
}

#[tokio::test]
async fn an_address_is_the_same_account_in_capitals() {
    let scene = Scene::new().await;
    let mut client = scene.auth.client();
    let login = json!({"email": EMAIL.to_uppercase(), "password": PASSWORD});
    expect_plain(&client.post("/login", &login).await, 200, "OK");
    // Express services look for the address as it is stored.
    assert_eq!(scene.site.session_value(&client), scene.site.session_value(&scene.al));
}

async fn from(address: &str, client: &mut Client, login: &Value) -> Response {
    let request = client.request(Method::POST, "/login").header("x-forwarded-for", address);
    request.json(login).send().await
}

/// Sends these side by side, so that the wait is long however slow the machine is.
async fn guess(auth: &Service, address: &str, emails: impl Iterator<Item = String>) {
    let guesses = emails.map(|email| {
        let mut client = auth.client();
        async move { from(address, &mut client, &wrong_login(&email)).await }
    });
    for response in join_all(guesses).await {
        assert!(matches!(response.status, 401 | 429), "{}", response.status);
    }
}

#[track_caller]
fn expect_wait(response: &Response) {
    expect_problem(response, 429, &[]);
    assert!(retry_after(response) >= 1);
    assert_eq!(response.set_cookies(), Vec::<String>::new());
}

#[tokio::test]
async fn who_guesses_has_to_wait() {
    let site = Site::redis();
    let auth = site.auth(&["--trust-proxy"]);
    let mut client = auth.client();
    let other: String = site.redis_cli(&["HGET", "ncc:user:78", "email"]);
    let al = json!({"email": EMAIL, "password": PASSWORD});
    let other = json!({"email": other, "password": PASSWORD});

    // One account, wherever the guesses come from; colleagues behind the same address log in.
    guess(&auth, "192.0.2.1", std::iter::repeat_n(EMAIL.to_owned(), 20)).await;
    expect_wait(&from("192.0.2.1", &mut client, &al).await);
    expect_wait(&from("192.0.2.2", &mut client, &al).await);
    expect_plain(&from("192.0.2.1", &mut client, &other).await, 200, "OK");

    // One address, whichever accounts it tries; the accounts are open to everybody else.
    for round in 0..4 {
        let emails = (0..40).map(|number| format!("nobody{round}.{number}@example.com"));
        guess(&auth, "192.0.2.3", emails).await;
    }
    expect_wait(&from("192.0.2.3", &mut client, &other).await);
    expect_plain(&from("192.0.2.4", &mut client, &other).await, 200, "OK");
}

#[tokio::test]
async fn a_wait_ends_and_a_success_forgets_the_failures() {
    let site = Site::sqlite();
    let auth = site.auth(&[]);
    let mut client = auth.client();
    let mut failures = 0;
    let refused = loop {
        let response = client.post("/login", &wrong_login(EMAIL)).await;
        if response.status == 429 {
            break response;
        }
        expect_plain(&response, 401, "Invalid login.");
        failures += 1;
        assert!(failures < 20, "nobody has to wait");
    };
    assert!(failures >= 3, "a few typing errors are free");
    let seconds = retry_after(&refused);
    assert!((1..=60).contains(&seconds), "{seconds}");
    tokio::time::sleep(std::time::Duration::from_secs(seconds)).await;
    expect_plain(&log_in(&mut client).await, 200, "OK");
}

#[tokio::test]
async fn check_ins_have_a_rate() {
    let scene = Scene::new().await;
    let receiver = scene.site.receiver(&["--checkin-rate", "1", "--duplicate-window", "0"]);
    let sends = join_all((0..60).map(|_| {
        let mut client = receiver.client_like(&scene.al);
        async move { client.post(CHECKIN, &at(2, 5)).await }
    }));
    let (taken, refused): (Vec<_>, Vec<_>) =
        sends.await.into_iter().partition(|response| response.status == 202);
    assert!(taken.len() >= 10 && !refused.is_empty(), "{} taken", taken.len());
    for response in refused {
        expect_problem(&response, 429, &[]);
        assert!(retry_after(&response) >= 1);
    }
}

/// Requests that a page of another site makes the browser send.
fn cross_site(method: &Method, path: &'static str, host: &str) -> Vec<Bad> {
    let body = match path {
        "/login" => json!({"email": EMAIL, "password": PASSWORD}),
        _ => at(2, 5),
    };
    let bad = || Bad {
        body: body.to_string().into(),
        ..bare(method.clone(), path, 403).header("content-type", "application/json")
    };
    vec![
        bad().header("sec-fetch-site", "cross-site"),
        bad().header("sec-fetch-site", "cross-site").header("origin", format!("http://{host}")),
        bad().header("sec-fetch-site", "cross-site").header("origin", "https://evil.example"),
        bad().header("origin", "https://evil.example"),
        bad().header("origin", "null"),
    ]
}

#[tokio::test]
async fn requests_of_other_sites() {
    let mut scene = Scene::new().await;
    let before = scene.site.counts();
    for (service, method, path) in [
        (&scene.auth, Method::POST, "/login"),
        (&scene.auth, Method::POST, "/logout"),
        (&scene.auth, Method::POST, "/password"),
        (&scene.auth, Method::POST, "/register"),
        (&scene.auth, Method::DELETE, "/sessions"),
        (&scene.receiver, Method::POST, CHECKIN),
    ] {
        let table = cross_site(&method, path, &format!("127.0.0.1:{}", service.port()));
        refuse_all(&mut service.client_like(&scene.al), &table).await;
    }
    assert_eq!(scene.site.counts(), before);
    scene.still_works().await;
}

#[tokio::test]
async fn a_logout_link_on_another_site() {
    let mut scene = Scene::new().await;
    let host = format!("127.0.0.1:{}", scene.auth.port());
    let table = cross_site(&Method::GET, "/logout", &host);
    refuse_all(&mut scene.auth.client_like(&scene.al), &table).await;
    scene.still_works().await;
}

#[tokio::test]
async fn requests_of_our_own_pages_pass() {
    let scene = Scene::new().await;
    let host = format!("http://127.0.0.1:{}", scene.auth.port());
    let mut client = scene.auth.client_like(&scene.al);
    for headers in [vec![("sec-fetch-site", "same-origin")], vec![("origin", host.as_str())]] {
        let login = json!({"email": EMAIL, "password": PASSWORD});
        let mut request = client.request(Method::POST, "/login").json(&login);
        for (name, value) in headers {
            request = request.header(name, value);
        }
        expect_plain(&request.send().await, 200, "OK");
    }
}
