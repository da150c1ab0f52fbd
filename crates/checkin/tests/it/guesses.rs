//! Guesses of passwords, which all processes count together, and which stop nobody whose device or session
//! is known.

use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use checkin::storage::Budget;
use futures_util::future::join_all;
use serde_json::{Value, json};
use sqlite_writer::rusqlite::Connection;
use testkit::{Client, Method, Response};

use crate::harness::{
    COOKIE, EMAIL, PASSWORD, PATIENCE, Service, Site, expect_plain, expect_problem, retry_after,
};
use crate::operators::run_with_input;

const DEVICE: &str = "checkin_device";

fn login(password: &str) -> Value {
    json!({"email": EMAIL, "password": password})
}

async fn try_from(address: &str, mut client: Client, password: &str) -> (Response, Client) {
    let request = client.request(Method::POST, "/login").header("x-forwarded-for", address);
    let response = request.json(&login(password)).send().await;
    (response, client)
}

/// Returns how many guesses at one account may be compared in this time: five, and one more when each wait ends. The first
/// wait is a second, and each further one is twice as long.
fn allowed(time: Duration) -> usize {
    5 + (time.as_secs() + 1).ilog2() as usize
}

/// Guesses until a guess has to wait, and returns its response. On a slow machine, a wait may end before the next guess.
pub(crate) async fn guess_until_refused(mut guess: impl AsyncFnMut() -> Response) -> Response {
    for _ in 0..10 {
        let response = guess().await;
        if response.status == 429 {
            return response;
        }
        expect_plain(&response, 401, "Invalid login.");
    }
    panic!("no guess has to wait")
}

/// Sends wrong passwords side by side, each from another network, and returns how many were compared.
async fn compared(services: &[&Service], guesses: usize) -> usize {
    let began = Instant::now();
    let requests = (0..guesses).map(|number| {
        let client = services[number % services.len()].client();
        async move { try_from(&format!("198.51.100.{number}"), client, "not the one").await.0 }
    });
    let responses = join_all(requests).await;
    let statuses = responses.iter().map(|response| response.status);
    assert!(statuses.clone().all(|status| matches!(status, 401 | 429)), "{responses:?}");
    let count = statuses.filter(|status| *status == 401).count();
    assert!(count <= allowed(began.elapsed()), "{count} of {guesses} guesses were compared");
    count
}

async fn parallel_guesses_at_two_processes_are_few(site: Site) {
    let args = ["--trust-proxy"];
    let (one, two) = (site.auth(&args), site.auth(&args));
    let began = Instant::now();
    let first = compared(&[&one, &two], 60).await;
    assert!(first >= 5, "{first} of 60 guesses were compared");
    // The counts are not in the services.
    drop((one, two));
    let again = site.auth(&args);
    let count = first + compared(&[&again], 20).await;
    assert!(
        count <= allowed(began.elapsed()),
        "{first} guesses were compared, {count} with those after a restart"
    );
}

#[tokio::test]
async fn parallel_guesses_at_two_processes_are_few_on_sqlite() {
    parallel_guesses_at_two_processes_are_few(Site::sqlite()).await;
}

#[cfg(feature = "external-tests")]
#[tokio::test]
async fn parallel_guesses_at_two_processes_are_few_on_redis() {
    parallel_guesses_at_two_processes_are_few(Site::redis()).await;
}

/// Makes the strangers' next attempt wait for long, as after many more guesses.
fn guess_for_an_hour(site: &Site) {
    wait_for_long(site, &Budget::of_account(&EMAIL.parse().unwrap()));
}

/// Makes the next attempt of a budget wait for long. At least one must have been taken.
pub(crate) fn wait_for_long(site: &Site, budget: &Budget) {
    let name = budget.name();
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_millis();
    let until_ms = now + 10 * 60 * 1000;
    match site.store.strip_prefix("sqlite:") {
        Some(file) => {
            let sql = "UPDATE attempts SET count = 14, until_ms = ?2 WHERE budget = ?1";
            let store = Connection::open(file).unwrap();
            store.busy_timeout(PATIENCE).unwrap();
            assert_eq!(store.execute(sql, (name, i64::try_from(until_ms).unwrap())).unwrap(), 1);
        }
        None => {
            let value = format!("14 {until_ms}");
            site.redis_cli::<()>(&[
                "SET",
                &format!("ncc:attempts:{name}"),
                &value,
                "XX",
                "KEEPTTL",
            ]);
        }
    }
}

fn without_session(client: &Client) -> Client {
    let mut client = client.clone();
    client.jar_mut().remove(COOKIE);
    client
}

/// Everything that an owner does while strangers guess.
async fn strangers_do_not_lock_out_the_owner(site: Site) {
    let auth = site.auth(&["--trust-proxy"]);
    let home = "192.0.2.1";
    let (response, mut owner) = try_from(home, auth.client(), PASSWORD).await;
    expect_plain(&response, 200, "OK");
    expect_cookies(&response);
    let (response, other) = {
        let mut client = auth.client();
        let colleague = json!({"email": other_email(&site), "password": PASSWORD});
        let response = client.post("/login", &colleague).await;
        (response, client)
    };
    expect_plain(&response, 200, "OK");

    compared(&[&auth], 40).await;
    guess_for_an_hour(&site);
    // Also of somebody who knows the password, or whose device is known at another account.
    for stranger in [auth.client(), other, forged(&owner)] {
        let (refused, _) = try_from("192.0.2.2", without_session(&stranger), PASSWORD).await;
        expect_problem(&refused, 429, &[]);
        let wait = retry_after(&refused);
        assert_eq!(
            refused.header("ratelimit-policy").unwrap().split(", ").last(),
            Some("\"passwords\";q=5")
        );
        let left = refused.header("ratelimit").unwrap().split(", ").last().unwrap().to_owned();
        assert_eq!(left, format!("\"passwords\";r=0;t={wait}"));
        assert_eq!(refused.set_cookies(), [""; 0]);
    }
    // A session has a budget of its own. A new password ends what strangers have used up.
    let wrong = json!({"currentPassword": "not the one", "newPassword": "another long password"});
    expect_problem(&owner.post("/password", &wrong).await, 400, &["currentPassword"]);
    let (response, _) = try_from(home, without_session(&owner), PASSWORD).await;
    expect_plain(&response, 200, "OK");
    compared(&[&auth], 40).await;
    guess_for_an_hour(&site);
    let device_before = without_session(&owner);
    let change = json!({"currentPassword": PASSWORD, "newPassword": "another long password"});
    let changed = owner.post("/password", &change).await;
    expect_plain(&changed, 200, "OK");
    expect_cookies(&changed);

    // The device is known again, with its own budget; the cookie from before the change is not.
    compared(&[&auth], 40).await;
    guess_for_an_hour(&site);
    let new = "another long password";
    let (refused, _) = try_from(home, device_before, new).await;
    expect_problem(&refused, 429, &[]);
    let guess = async || try_from(home, without_session(&owner), "not the one").await.0;
    for _ in 0..5 {
        expect_plain(&guess().await, 401, "Invalid login.");
    }
    guess_until_refused(guess).await;
}

/// The session cookie as ever, and behind it that of the device.
#[track_caller]
fn expect_cookies(response: &Response) {
    let cookies = response.set_cookies();
    let [session, device] = cookies.as_slice() else { panic!("{cookies:?}") };
    assert!(session.starts_with("checkinapp=s%3A"), "{session}");
    assert!(session.ends_with("; Path=/; HttpOnly; SameSite=Lax"), "{session}");
    let (value, attributes) = device.split_once("; ").unwrap();
    assert!(value.starts_with("checkin_device=") && value.len() == 15 + 86, "{device}");
    assert_eq!(attributes, "Max-Age=34560000; Path=/login; HttpOnly; SameSite=Lax");
}

fn other_email(site: &Site) -> String {
    let listed = site.run("users", &["list", "--json"]).stdout;
    let users = listed.lines().map(|line| serde_json::from_str::<Value>(line).unwrap());
    let mut emails = users.map(|user| user["email"].as_str().unwrap().to_owned());
    emails.find(|email| email != EMAIL).unwrap()
}

/// A browser with a device cookie that nobody has signed.
fn forged(owner: &Client) -> Client {
    let mut client = owner.clone();
    let cookie = client.jar().get(DEVICE).unwrap();
    let first = if cookie.starts_with('A') { 'B' } else { 'A' };
    let forged = format!("{first}{}", &cookie[1..]);
    client.jar_mut().set(DEVICE, &forged);
    client
}

#[tokio::test]
async fn strangers_do_not_lock_out_the_owner_on_sqlite() {
    strangers_do_not_lock_out_the_owner(Site::sqlite()).await;
}

#[cfg(feature = "external-tests")]
#[tokio::test]
async fn strangers_do_not_lock_out_the_owner_on_redis() {
    strangers_do_not_lock_out_the_owner(Site::redis()).await;
}

#[tokio::test]
async fn a_password_of_an_operator_forgets_the_guesses() {
    let site = Site::sqlite();
    let auth = site.auth(&["--trust-proxy"]);
    compared(&[&auth], 20).await;
    guess_for_an_hour(&site);
    let new = "another long password";
    expect_problem(&try_from("192.0.2.1", auth.client(), new).await.0, 429, &[]);
    let changed = run_with_input(&site, &["users", "passwd", EMAIL], new);
    assert_eq!(changed.code, 0, "{}", changed.stderr);
    expect_plain(&try_from("192.0.2.1", auth.client(), new).await.0, 200, "OK");
}

/// The limits that protect the store, each with the headers that tell about it.
#[tokio::test]
async fn other_requests_are_limited_too() {
    let site = Site::sqlite();
    let args = ["--register-rate", "2", "--request-rate", "1", "--lookup-rate", "1"];
    let (up, services) = site.up_everywhere(&args);
    let console = || Client::new(&services[3].1);
    let account = |number| {
        let email = format!("new{number}@example.com");
        json!({"firstName": "N", "lastName": "N", "email": email, "password": "a long enough password"})
    };
    for number in 0..2 {
        let opened = console().post("/register", &account(number)).await;
        assert_eq!(opened.status, 201, "{}", opened.text());
        expect_left(
            &opened,
            "\"registrations\";q=2;w=3600",
            &format!("\"registrations\";r={}", 1 - number),
        );
    }
    let refused = console().post("/register", &account(2)).await;
    expect_problem(&refused, 429, &[]);
    let left = format!("\"registrations\";r=0;t={}", retry_after(&refused));
    expect_left(&refused, "\"registrations\";q=2;w=3600", &left);

    let mut owner = console();
    let response = owner.post("/login", &login(PASSWORD)).await;
    expect_left(&response, "\"requests\";q=100;w=10", "\"requests\";r=99");
    for (method, path, name) in [
        (Method::GET, "/sessions", "requests"),
        (Method::GET, "/api/user/email/nobody@example.com", "lookups"),
    ] {
        // The session is new, and has not asked before.
        let mut statuses = Vec::new();
        let last = loop {
            let response = owner.request(method.clone(), path).send().await;
            statuses.push(response.status);
            if response.status == 429 {
                break response;
            }
            assert!(statuses.len() < 60, "{path} is not limited");
        };
        assert!(statuses.len() > 10, "{path}: {statuses:?}");
        expect_problem(&last, 429, &[]);
        expect_left(&last, &format!("\"{name}\";q=10;w=10"), &format!("\"{name}\";r=0;t=1"));
    }
    // Another session of the account has no look-ups of its own, and another account has.
    let (mut again, mut other) = (console(), console());
    expect_plain(&again.post("/login", &login(PASSWORD)).await, 200, "OK");
    let other_login = json!({"email": "new0@example.com", "password": "a long enough password"});
    expect_plain(&other.post("/login", &other_login).await, 200, "OK");
    let mut statuses = Vec::new();
    for _ in 0..5 {
        statuses.push(again.get("/api/user/email/nobody@example.com").await.status);
    }
    assert!(statuses.contains(&429), "{statuses:?}");
    assert_eq!(other.get("/api/user/email/nobody@example.com").await.status, 404);
    // Each of these would change something.
    for (method, path) in [
        (Method::DELETE, "/sessions"),
        (Method::DELETE, "/sessions/x"),
        (Method::POST, "/password"),
    ] {
        let asks = join_all((0..20).map(|_| {
            let mut client = owner.clone();
            let (method, path) = (method.clone(), path);
            async move { client.request(method, path).send().await.status }
        }));
        assert!(asks.await.contains(&429), "{path}");
    }
    // Others are not concerned.
    expect_plain(&console().post("/login", &login(PASSWORD)).await, 200, "OK");
    drop(up);
}

#[track_caller]
fn expect_left(response: &Response, policy: &str, left: &str) {
    assert_eq!(response.header("ratelimit-policy"), Some(policy));
    assert_eq!(response.header("ratelimit"), Some(left));
}
