//! HTTP at the edge: what headers may look like, what a proxy says, and what every answer has.

use serde_json::json;
use testkit::{Client, Method, Response};

use crate::harness::{CHECKIN, EMAIL, Site, accepted, at, expect_plain, expect_problem, log_in};

#[tokio::test]
async fn every_401_names_a_way_to_log_in() {
    let site = Site::sqlite();
    let console = site.console(&[]);
    let wrong = json!({"email": EMAIL, "password": "not the one"});
    let mut client = console.client();
    let mut answers =
        vec![client.post("/login", &wrong).await, client.post(CHECKIN, &at(2, 5)).await];
    for path in ["/session", "/sessions", "/api/user/77", "/api/checkins/latest"] {
        answers.push(client.get(path).await);
    }
    answers.push(client.post("/password", &json!({})).await);
    answers.push(client.delete("/sessions").await);
    for answer in answers {
        assert_eq!(answer.status, 401, "{}", answer.text());
        assert_eq!(answer.header("www-authenticate"), Some("Cookie realm=\"checkin\""));
    }
    expect_plain(&log_in(&mut client).await, 200, "OK");
    assert_eq!(client.get("/session").await.header("www-authenticate"), None);
}

#[tokio::test]
async fn every_response_has_the_headers_of_security() {
    let site = Site::sqlite();
    let console = site.console(&[]);
    let mut al = console.logged_in().await;
    let long = json!({"email": EMAIL, "password": "x".repeat(100_000)});
    let responses = [
        (200, al.get("/session").await),
        (200, al.get("/healthz").await),
        (202, al.post(CHECKIN, &at(2, 5)).await),
        (400, al.post(CHECKIN, &json!({})).await),
        (401, console.client().get("/session").await),
        (401, console.client().post("/login", &json!({"email": EMAIL, "password": "x"})).await),
        (
            403,
            al.request(Method::POST, "/logout").header("sec-fetch-site", "cross-site").send().await,
        ),
        (404, al.get("/nothing").await),
        (405, al.delete("/login").await),
        (413, al.post("/login", &long).await),
    ];
    for (status, response) in responses {
        assert_eq!(response.status, status, "{}", response.text());
        for (name, value) in [
            ("cache-control", "no-store"),
            ("x-content-type-options", "nosniff"),
            ("referrer-policy", "same-origin"),
            ("content-security-policy", "default-src 'none'; frame-ancestors 'none'"),
        ] {
            assert_eq!(response.header(name), Some(value), "{status}: {name}");
        }
    }
}

#[tokio::test]
async fn only_its_user_ends_a_session() {
    let site = Site::sqlite();
    let auth = site.auth(&[]);
    let mut al = auth.logged_in().await;
    for method in [Method::HEAD, Method::PUT, Method::OPTIONS] {
        let refused = al.request(method.clone(), "/logout").send().await;
        assert_eq!(refused.status, 405, "{method}");
        assert_eq!(refused.header("allow"), Some("GET, POST"), "{method}");
    }
    for (name, value) in [
        ("sec-purpose", "prefetch"),
        ("sec-purpose", "prefetch;prerender"),
        ("purpose", "prefetch"),
        ("x-moz", "prefetch"),
    ] {
        let early = al.request(Method::GET, "/logout").header(name, value).send().await;
        expect_problem(&early, 403, &[]);
    }
    assert_eq!(al.get("/session").await.status, 200, "still logged in");
    assert_eq!(al.request(Method::HEAD, "/session").send().await.status, 200);
    expect_plain(&al.get("/logout").await, 200, "OK");
    assert_eq!(al.get("/session").await.status, 401);
}

#[tokio::test]
async fn content_types_as_the_standard_writes_them() {
    let site = Site::sqlite();
    let console = site.console(&["--duplicate-window", "0"]);
    let al = console.logged_in().await;
    let send = async |lines: &[&str]| -> Response {
        let mut client = al.clone();
        let mut request = client.request(Method::POST, CHECKIN).body(at(2, 5).to_string());
        for line in lines {
            request = request.header("content-type", line);
        }
        request.send().await
    };
    for right in [
        "application/json ; charset=utf-8",
        "Application/JSON;CHARSET=UTF-8",
        "application/json;\tcharset=\"utf-8\"",
        "application/json;",
    ] {
        accepted(&send(&[right]).await);
    }
    for wrong in [
        &["application/json ; charset=utf-16"][..],
        &["application/json;charset=\"ISO-8859-1\""],
        &["application/json charset=utf-8"],
        &["application/json", "application/json"],
    ] {
        expect_problem(&send(wrong).await, 415, &[]);
    }
}

/// A request of a page at `origin`, to an authentication service that is reached as `host`.
async fn from_page(client: &mut Client, origin: &str, host: &str, scheme: &str) -> u16 {
    let login = json!({"email": EMAIL, "password": "not the one"});
    let mut request = client.request(Method::POST, "/login").header("host", host);
    if !scheme.is_empty() {
        request = request.header("x-forwarded-proto", scheme);
    }
    request.header("origin", origin).json(&login).send().await.status
}

#[tokio::test]
async fn pages_of_the_same_origin_pass() {
    let site = Site::sqlite();
    let (direct, proxied) = (site.auth(&[]), site.auth(&["--trust-proxy"]));
    for (origin, host) in [
        ("http://shop.example", "shop.example:80"),
        ("https://shop.example", "shop.example:443"),
        ("https://shop.example", "shop.example"),
        ("http://shop.example", "SHOP.example"),
    ] {
        let status = from_page(&mut direct.client(), origin, host, "").await;
        assert!(matches!(status, 401 | 429), "{origin} {host}: {status}");
    }
    for (origin, host) in [
        ("http://shop.example:8080", "shop.example"),
        ("http://www.shop.example", "shop.example"),
        ("http://shop.example", "shop.example:443"),
        ("null", "shop.example"),
    ] {
        assert_eq!(from_page(&mut direct.client(), origin, host, "").await, 403, "{origin} {host}");
    }
    let mut proxied = proxied.client();
    for (origin, scheme, is_own) in [
        ("https://shop.example", "https", true),
        ("http://shop.example", "https", false),
        ("https://shop.example", "http", false),
    ] {
        let status = from_page(&mut proxied, origin, "shop.example", scheme).await;
        assert_eq!(status != 403, is_own, "{origin} {scheme}: {status}");
    }
}

#[tokio::test]
async fn strict_transport_is_for_those_who_came_over_tls() {
    let site = Site::sqlite();
    let plain = site.auth(&[]);
    let proxied = site.auth(&["--trust-proxy"]);
    let below = ["--trust-proxy", "--hsts-include-subdomains", "--hsts-max-age", "2d"];
    let below = site.auth(&below);
    for (service, scheme, expected) in [
        (&plain, "https", None),
        (&proxied, "", None),
        (&proxied, "http", None),
        (&proxied, "https", Some("max-age=31536000")),
        (&proxied, " HTTPS, http", Some("max-age=31536000")),
        (&below, "http", None),
        (&below, "https", Some("max-age=172800; includeSubDomains")),
    ] {
        let mut client = service.client();
        for path in ["/healthz", "/nothing", "/session"] {
            let request = client.request(Method::GET, path).header("x-forwarded-proto", scheme);
            let answer = request.send().await;
            let told = answer.header("strict-transport-security");
            assert_eq!(told, expected, "{path} over {scheme:?}");
        }
    }
}

#[tokio::test]
async fn a_logout_over_tls_clears_what_the_browser_stored() {
    let site = Site::sqlite();
    let auth = site.auth(&["--trust-proxy"]);
    for method in [Method::GET, Method::POST] {
        for (scheme, expected) in [("http", None), ("https", Some("\"cache\", \"storage\""))] {
            let mut client = auth.client();
            let request = client.request(method.clone(), "/logout");
            let answer = request.header("x-forwarded-proto", scheme).send().await;
            expect_plain(&answer, 200, "OK");
            assert_eq!(answer.header("clear-site-data"), expected, "{method} over {scheme}");
        }
    }
}

/// A keyboard decides whether an accent is a character of its own.
#[tokio::test]
async fn an_address_has_one_account_in_each_normal_form() {
    let site = Site::sqlite();
    let auth = site.auth(&[]);
    let (composed, decomposed) = ("zo\u{eb}@example.com", "Zoe\u{308}@example.com");
    let account = |email: &str| json!({"firstName": "Zoe", "lastName": "Zorn", "email": email, "password": "long enough"});
    let mut client = auth.client();
    assert_eq!(client.post("/register", &account(decomposed)).await.status, 201);
    expect_problem(&client.post("/register", &account(composed)).await, 409, &["email"]);
    for email in [composed, decomposed] {
        let login = json!({"email": email, "password": "long enough"});
        let mut client = auth.client();
        expect_plain(&client.post("/login", &login).await, 200, "OK");
        let session = client.get("/session").await.json();
        assert_eq!(session["user"]["email"], decomposed, "it is kept as it was written");
        assert_eq!(client.get("/sessions").await.status, 200);
        let shown = site.run("sessions", &["list", "--user", email]);
        assert_eq!(shown.code, 0, "{}", shown.stderr);
    }
    let file = site.directory.path().join("users.json");
    let mut user = account(composed);
    user["id"] = 5000.into();
    std::fs::write(&file, json!({"users": [user]}).to_string()).unwrap();
    let loaded = site.run("load", &[file.to_str().unwrap()]);
    assert_eq!(loaded.code, 1);
    assert!(loaded.stdout.contains("must not belong to another account"), "{}", loaded.stdout);
    let disabled = site.run("users", &["disable", composed]);
    assert_eq!(disabled.code, 0, "{}", disabled.stderr);
    let login = json!({"email": decomposed, "password": "long enough"});
    expect_plain(&auth.client().post("/login", &login).await, 401, "Invalid login.");
}

/// That every refusal has this form is checked wherever one is expected; here, that it is the rule
/// and not its opposite.
#[tokio::test]
async fn rules_say_what_must_be() {
    let site = Site::sqlite();
    let console = site.console(&[]);
    let mut al = console.logged_in().await;
    let account = json!(
        {"firstName": "A", "lastName": "B", "email": EMAIL, "password": "long enough"}
    );
    let change = json!({"currentPassword": "not the one", "newPassword": "long enough"});
    let place = |id: serde_json::Value| json!({"userId": 77, "locationId": id, "starRating": 5});
    let checkin = json!({"userId": "77", "locationId": 2, "starRating": 5});
    for (path, body, field, rule) in [
        ("/register", account, "email", "must not belong to an existing account"),
        ("/password", change, "currentPassword", "must be the account's current password"),
        (CHECKIN, checkin, "userId", "must be an integer"),
        (CHECKIN, place(json!(-1)), "locationId", "must be at least 1"),
        (CHECKIN, place(json!(u64::MAX)), "locationId", "must be at most 9007199254740991"),
        (CHECKIN, place(json!(1e30)), "locationId", "must be at most 9007199254740991"),
        (CHECKIN, at(9999, 5), "locationId", "must be the id of a location"),
    ] {
        let refused = al.post(path, &body).await;
        assert_eq!(refused.json()["errors"], json!([{"field": field, "rule": rule}]), "{path}");
    }
    let circle = "must be a number above 0 and at most 12500";
    for (path, field, rule) in [
        ("/api/user/99999999999999999999", "id", "must be at most 9007199254740991"),
        ("/api/user/-1", "id", "must be at least 1"),
        ("/api/user/x", "id", "must be an integer"),
        ("/api/locations/37.8/-122.2/x", "radius", circle),
        ("/api/locations/37.8/-122.2/-1", "radius", circle),
        ("/api/locations/search?q=%FF", "q", "must be UTF-8"),
    ] {
        let refused = al.get(path).await;
        assert_eq!(refused.json()["errors"], json!([{"field": field, "rule": rule}]), "{path}");
    }
    let latin = al.request(Method::POST, CHECKIN).body("{}");
    let latin = latin.header("content-type", "application/json; charset=iso-8859-1").send().await;
    assert_eq!(latin.json()["detail"], "the charset of the body must be UTF-8");
}
