//! Hashes that came from elsewhere.

use std::fs;
use std::time::{Duration, Instant};

use serde_json::{Value, json};
use testkit::{Stream, until};

use crate::harness::{EMAIL, Ended, PASSWORD, Site, expect_plain, log_in};

/// Of `secret123`, at the cost that a well-known course application uses.
pub(crate) const BCRYPT: &str = "$2b$05$UHtyI/tJ1cK5EjTCkQi6geBXH3dnC5tKcZT6l.pjA4av9FinGSGce";

/// Of `secret123`, as other implementations write it: the parameters in another order.
const ARGON2: &str = "$argon2id$v=19$m=65536,p=4,t=3$WxHcCq5o+Vhbacgdjtqw5A$QzrdFql4sgnA9m0XzJ+GuWJDwrAGyilbbGacwNbb+dM";

/// What is no hash that a login checks, and what it would cost.
const UNUSABLE: [&str; 12] = [
    "$1$saltsalt$qjXMvbEw8oaL.CzflDtaK/",
    "$scrypt$ln=16,r=8,p=1$aM15713r3Xsvxbi31lqr1Q$nFNh2CVHVjNldFVKDHDlm4CbdRSCdEBsjjJxD+iCs5E",
    "pbkdf2_sha256$260000$salt$YWJjZA==",
    "scrypt:32768:8:1$salt$0123456789abcdef",
    "{SSHA}DkMTwBl+a/3DQTxCYEApdUtNXGgdUac3",
    "fcf730b6d95236ecd3c9fc2d92d7b6b2bb061514961aec041d6c7a7192f592e4",
    "!kPJ3f0aZ5xYv1nQe7mWcT9bR2sLhU8dG4oXiNqVA",
    "*LK*",
    "\u{ff04}argon2id\u{ff04}v=19\u{ff04}m=64,t=1,p=1\u{ff04}c2FsdA\u{ff04}aGFzaA",
    "$2b$13$UHtyI/tJ1cK5EjTCkQi6geBXH3dnC5tKcZT6l.pjA4av9FinGSGce",
    "$2b$31$UHtyI/tJ1cK5EjTCkQi6geBXH3dnC5tKcZT6l.pjA4av9FinGSGce",
    "$argon2id$v=19$m=4194304,t=3,p=4$c2FsdHNhbHRzYWx0c2E$aGFzaGhhc2hoYXNoaGFzaGhhc2hoYXNo",
];

fn user(id: usize, password: &str) -> Value {
    let email = format!("user{id}@example.com");
    json!({"id": id, "firstName": "Al", "lastName": "A", "email": email, "password": password})
}

/// Loads an account for each password, with ids from 1.
fn load(site: &Site, passwords: &[&str]) -> Ended {
    let users = passwords.iter().enumerate().map(|(index, password)| user(index + 1, password));
    let file = site.directory.path().join("users.json");
    fs::write(&file, json!({"users": users.collect::<Vec<_>>()}).to_string()).unwrap();
    site.run("load", &[file.to_str().unwrap()])
}

async fn are_loaded_or_refused(site: Site) {
    let known = [ARGON2, BCRYPT, "secret123"];
    let ended = load(&site, &[&known[..], &UNUSABLE].concat());
    assert_eq!(ended.code, 1, "{}{}", ended.stdout, ended.stderr);
    let said = format!("{}{}", ended.stdout, ended.stderr);
    assert!(UNUSABLE.iter().all(|hash| !said.contains(hash)), "{said}");

    let auth = site.auth(&[]);
    let mut passwords: Vec<&str> = vec!["secret123"; known.len()];
    passwords.extend(UNUSABLE);
    for (index, password) in passwords.into_iter().enumerate() {
        let login =
            json!({"email": format!("user{}@example.com", index + 1), "password": password});
        let answer = auth.client().post("/login", &login).await;
        match index < known.len() {
            true => expect_plain(&answer, 200, "OK"),
            false => expect_plain(&answer, 401, "Invalid login."),
        }
    }
    // Nobody logs in with the text of a hash.
    for (index, hash) in [(1, ARGON2), (2, BCRYPT)] {
        let login = json!({"email": format!("user{index}@example.com"), "password": hash});
        expect_plain(&auth.client().post("/login", &login).await, 401, "Invalid login.");
    }
}

#[tokio::test]
async fn a_hash_of_another_kind_is_never_a_password_on_sqlite() {
    are_loaded_or_refused(Site::empty_sqlite()).await;
}

#[cfg(feature = "external-tests")]
#[tokio::test]
async fn a_hash_of_another_kind_is_never_a_password_on_redis() {
    are_loaded_or_refused(Site::empty_redis()).await;
}

#[cfg(feature = "external-tests")]
#[tokio::test]
async fn a_hash_that_nobody_can_check_costs_one_login_and_one_log_line() {
    let site = Site::redis();
    let mut auth = site.auth(&[]);
    let mut client = auth.logged_in().await;
    for stored in UNUSABLE.into_iter().chain(["", "secret123"]) {
        let _: i64 = site.redis_cli(&["HSET", "ncc:user:77", "password", stored]);
        expect_plain(&log_in(&mut auth.client()).await, 401, "Invalid login.");
        assert_eq!(client.get("/session").await.status, 200, "what does not need it goes on");
        let doctor = site.run("doctor", &[]).stdout;
        let named = doctor.lines().find(|line| line.contains(": 1 (user 77)")).unwrap_or(&doctor);
        assert!(named.contains("accounts with a password hash that no login verifies"), "{named}");
        let _: i64 = site.redis_cli(&["HSET", "ncc:user:77", "password", BCRYPT]);
        expect_plain(&log_in(&mut auth.client()).await, 200, "OK");
    }
    auth.program.stop();
    let log = auth.program.text(Stream::Stdout);
    assert_eq!(log.matches("the stored password hash cannot be checked").count(), 1, "{log}");
    assert!(!log.contains(" ERROR "), "{log}");
}

#[cfg(feature = "external-tests")]
#[tokio::test]
async fn a_bcrypt_hash_from_elsewhere_is_renewed_at_the_next_login() {
    let site = Site::redis();
    let auth = site.auth(&[]);
    let hash = || -> String { site.redis_cli(&["HGET", "ncc:user:77", "password"]) };
    for foreign in
        [BCRYPT.to_owned(), BCRYPT.replace("$2b$", "$2a$"), BCRYPT.replace("$2b$", "$2y$")]
    {
        let _: i64 = site.redis_cli(&["HSET", "ncc:user:77", "password", &foreign]);
        expect_plain(&log_in(&mut auth.client()).await, 200, "OK");
        let renewed = hash();
        assert!(renewed.starts_with("$argon2id$v=19$m=19456,t=2,p=1$"), "not renewed");
        let epochs: i64 = site.redis_cli(&["EXISTS", "{ncc:user:77}:epoch"]);
        assert_eq!(epochs, 0, "another hash of the same password ends no session");
        expect_plain(&log_in(&mut auth.client()).await, 200, "OK");
        assert_eq!(hash(), renewed, "renewed once");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn each_wrong_password_takes_the_same_time_and_delays_nobody() {
    let site = Site::sqlite();
    let auth = site.auth(&["--failed-login-time", "200ms"]);
    let mut al = auth.logged_in().await;
    let started = Instant::now();
    expect_plain(&auth.client().post("/login", &wrong(0)).await, 401, "Invalid login.");
    assert!(started.elapsed() >= Duration::from_millis(200), "{:?}", started.elapsed());
    let started = Instant::now();
    let change = json!({"currentPassword": "wrong", "newPassword": "another long password"});
    assert_eq!(al.post("/password", &change).await.status, 400);
    assert!(started.elapsed() >= Duration::from_millis(200), "{:?}", started.elapsed());

    // More wait than passwords are hashed at a time, and a right one is checked at once.
    let auth = site.auth(&["--failed-login-time", "5s"]);
    let at_a_time = std::thread::available_parallelism().unwrap().get();
    let waiting = (0..=at_a_time).map(|number| {
        let mut client = auth.client();
        tokio::spawn(async move { client.post("/login", &wrong(number)).await })
    });
    let waiting: Vec<_> = waiting.collect();
    // The request for the metrics is in progress, too.
    let all = format!("http_requests_in_flight{{service=\"auth\"}} {}", waiting.len() + 1);
    until("all are there", async || auth.client().get("/metrics").await.text().contains(&all))
        .await;
    expect_plain(&log_in(&mut auth.client()).await, 200, "OK");
    assert!(waiting.iter().all(|failed| !failed.is_finished()));
}

/// Of an account that does not exist.
fn wrong(number: usize) -> Value {
    json!({"email": format!("nobody{number}@example.com"), "password": "secret124"})
}

async fn is_the_same_in_each_normal_form(site: Site) {
    let auth = site.auth(&[]);
    let (composed, decomposed) = ("caf\u{e9} cr\u{e8}me", "cafe\u{301} cre\u{300}me");
    for (number, set) in [composed, decomposed].into_iter().enumerate() {
        let email = format!("zoe{number}@example.com");
        let account =
            json!({"firstName": "Zo\u{eb}", "lastName": "Z", "email": email, "password": set});
        assert_eq!(auth.client().post("/register", &account).await.status, 201);
        for typed in [composed, decomposed] {
            let login = json!({"email": email, "password": typed});
            expect_plain(&auth.client().post("/login", &login).await, 200, "OK");
        }
        let login = json!({"email": email, "password": "cafe creme"});
        expect_plain(&auth.client().post("/login", &login).await, 401, "Invalid login.");
    }
}

#[tokio::test]
async fn a_password_is_the_same_in_each_normal_form_on_sqlite() {
    is_the_same_in_each_normal_form(Site::sqlite()).await;
}

#[cfg(feature = "external-tests")]
#[tokio::test]
async fn a_password_is_the_same_in_each_normal_form_on_redis() {
    is_the_same_in_each_normal_form(Site::redis()).await;
}

async fn a_new_password_follows_the_rules(site: Site) {
    let auth = site.auth(&["--min-password-length", "15"]);
    let mut al = auth.logged_in().await;
    let own =
        "must not consist of the account's names, its e-mail address or the name of this service";
    for (new, rule) in [
        ("fourteen chars", "must have at least 15 characters"),
        ("PasswordPassword", "must not be a common password"),
        ("Al Appelhof 2026", own),
        ("al.appelhof@example.com", own),
    ] {
        let errors = |field| json!([{"field": field, "rule": rule}]);
        let change = json!({"currentPassword": PASSWORD, "newPassword": new});
        let refused = al.post("/password", &change).await;
        assert_eq!((refused.status, &refused.json()["errors"]), (400, &errors("newPassword")));
        let account = json!({"firstName": "Al", "lastName": "Appelhof",
                             "email": "al.appelhof@example.com", "password": new});
        let refused = auth.client().post("/register", &account).await;
        assert_eq!((refused.status, &refused.json()["errors"]), (400, &errors("password")));
    }
    // The longest that must be allowed, of characters with four bytes.
    let longest = "\u{1f600}".repeat(128);
    let change = json!({"currentPassword": PASSWORD, "newPassword": longest});
    expect_plain(&al.post("/password", &change).await, 200, "OK");
    let login = json!({"email": EMAIL, "password": longest});
    expect_plain(&auth.client().post("/login", &login).await, 200, "OK");
}

#[tokio::test]
async fn a_new_password_follows_the_rules_on_sqlite() {
    a_new_password_follows_the_rules(Site::sqlite()).await;
}

#[cfg(feature = "external-tests")]
#[tokio::test]
async fn a_new_password_follows_the_rules_on_redis() {
    a_new_password_follows_the_rules(Site::redis()).await;
}
