//! Who wants in without a right to: with a cookie, by guessing, or from a page of another site.

use checkin::storage::Budget;
use futures_util::future::join_all;
use serde_json::{Value, json};
use testkit::{Client, Method, Response, signature};

use crate::guesses::wait_for_long;
use crate::harness::{
    CHECKIN, COOKIE, EMAIL, PASSWORD, SECRET, Service, Site, at, expect_plain, expect_problem,
    log_in, retry_after, session_id,
};
use crate::refusal::{Bad, Scene, bare, refuse_all};

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

#[cfg(feature = "external-tests")]
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

#[cfg(feature = "external-tests")]
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
        // The requests before it count, too.
        headers.remove("ratelimit");
        headers
    };
    assert_eq!(fixed(&wrong_password), fixed(&unknown_address));
    // The list of failed logins.
    let ((checkins, keys), session) = before;
    let after = (scene.site.counts(), scene.site.session_value(&scene.al));
    assert_eq!(after, ((checkins, keys + 1), session));
    scene.still_works().await;
}

#[cfg(feature = "external-tests")]
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

#[cfg(feature = "external-tests")]
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

/// Sends these side by side. Returns how many were compared.
async fn guess(auth: &Service, address: &str, emails: impl Iterator<Item = String>) -> usize {
    let guesses = emails.map(|email| {
        let mut client = auth.client();
        async move { from(address, &mut client, &wrong_login(&email)).await }
    });
    let mut compared = 0;
    for response in join_all(guesses).await {
        assert!(matches!(response.status, 401 | 429), "{}", response.status);
        compared += usize::from(response.status == 401);
    }
    compared
}

#[track_caller]
fn expect_wait(response: &Response) {
    expect_problem(response, 429, &[]);
    assert!(retry_after(response) >= 1);
    assert_eq!(response.set_cookies(), Vec::<String>::new());
}

#[cfg(feature = "external-tests")]
#[tokio::test]
async fn repeated_guesses_have_to_wait() {
    let site = Site::redis();
    let auth = site.auth(&["--trust-proxy"]);
    let mut client = auth.client();
    let other: String = site.redis_cli(&["HGET", "ncc:user:78", "email"]);
    let al = json!({"email": EMAIL, "password": PASSWORD});
    let other = json!({"email": other, "password": PASSWORD});

    // One account, wherever the guesses come from; colleagues behind the same address log in.
    let guesses = std::iter::repeat_n(EMAIL.to_owned(), 20);
    assert!(guess(&auth, "192.0.2.1", guesses).await < 20);
    wait_for_long(&site, &Budget::of_account(&EMAIL.parse().unwrap()));
    expect_wait(&from("192.0.2.1", &mut client, &al).await);
    expect_wait(&from("192.0.2.2", &mut client, &al).await);
    expect_plain(&from("192.0.2.1", &mut auth.client(), &other).await, 200, "OK");

    // One address, whichever accounts it tries; the accounts are open to everybody else.
    let mut compared = 0;
    for round in 0..4 {
        let emails = (0..40).map(|number| format!("nobody{round}.{number}@example.com"));
        compared += guess(&auth, &format!("192.0.2.3:5123{round}"), emails).await;
    }
    assert!(compared < 160);
    wait_for_long(&site, &Budget::of_network("192.0.2.3".parse().unwrap()));
    expect_wait(&from("192.0.2.3", &mut client, &other).await);
    expect_wait(&from("\"[::ffff:192.0.2.3]:443\"", &mut client, &other).await);
    expect_plain(&from("192.0.2.4:51234", &mut auth.client(), &other).await, 200, "OK");

    // One whom the proxy does not know, and who must not lock out the others whom it does not know.
    for round in 0..3 {
        let emails = (0..40).map(|number| format!("unknown{round}.{number}@example.com"));
        guess(&auth, "unknown", emails).await;
    }
    expect_plain(&from("unknown", &mut client, &other).await, 200, "OK");
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
    // The service keeps its own time: that the promise in Retry-After is kept shows only by waiting for it.
    tokio::time::sleep(std::time::Duration::from_secs(seconds)).await;
    expect_plain(&log_in(&mut client).await, 200, "OK");
}

#[cfg(feature = "external-tests")]
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

#[cfg(feature = "external-tests")]
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

#[cfg(feature = "external-tests")]
#[tokio::test]
async fn a_logout_link_on_another_site() {
    let mut scene = Scene::new().await;
    let host = format!("127.0.0.1:{}", scene.auth.port());
    let table = cross_site(&Method::GET, "/logout", &host);
    refuse_all(&mut scene.auth.client_like(&scene.al), &table).await;
    scene.still_works().await;
}

#[cfg(feature = "external-tests")]
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
