//! Who sees where people check in, and how much new accounts may look up.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde_json::{Value, json};
use testkit::Client;

use crate::api_stream::Events;
use crate::harness::{CHECKIN, EMAIL, Service, Site, accepted, at, expect_plain, expect_problem};

/// The browser of somebody who has just registered and logged in, and the id of the account.
async fn newcomer(console: &Service) -> (Client, u64) {
    let mut client = console.client();
    let account = json!({
        "firstName": "New", "lastName": "Person", "email": "new@example.com",
        "password": "the words that I know",
    });
    let registered = client.post("/register", &account).await;
    assert_eq!(registered.status, 201, "{}", registered.text());
    let login = json!({"email": "new@example.com", "password": "the words that I know"});
    expect_plain(&client.post("/login", &login).await, 200, "OK");
    (client, registered.json()["user"]["id"].as_u64().unwrap())
}

async fn list(client: &mut Client, path: &str) -> Value {
    let response = client.get(path).await;
    assert_eq!(response.status, 200, "{path}: {}", response.text());
    response.json()
}

/// The bytes of the cursor in a `Link`.
fn cursor(link: &str) -> Vec<u8> {
    let text = link.split("cursor=").nth(1).unwrap().split('>').next().unwrap();
    URL_SAFE_NO_PAD.decode(text).unwrap()
}

/// Whether a list has an entry with this value.
fn has(list: &Value, field: &str, value: u64) -> bool {
    list.as_array().unwrap().iter().any(|entry| entry[field] == value)
}

async fn an_audience_is_respected(site: Site) {
    let console = site.console(&["--duplicate-window", "0", "--newcomer-rate", "0"]);
    let (mut al, (mut other, other_id)) = (console.logged_in().await, newcomer(&console).await);
    let id = accepted(&al.post(CHECKIN, &at(1, 5)).await);
    let since = id.split('-').next().unwrap();
    site.count_all();
    let places = [
        ("/api/users/at/1".to_owned(), "id"),
        ("/api/users/recent".to_owned(), "id"),
        ("/api/location/1/visitors".to_owned(), "userId"),
        ("/api/checkins/latest".to_owned(), "userId"),
        (format!("/api/checkins/{since}/9007199254740991"), "userId"),
    ];
    let shown = async |client: &mut Client| {
        let mut shown = Vec::new();
        for (path, field) in &places {
            shown.push(has(&list(client, path).await, field, 77));
        }
        for path in ["/api/user/77".to_owned(), format!("/api/user/email/{EMAIL}")] {
            let user = list(client, &path).await;
            assert_eq!(user["id"], 77);
            assert_eq!(user["lastSeenAt"].is_null(), user["lastCheckin"].is_null());
            shown.push(!user["lastSeenAt"].is_null());
        }
        shown
    };
    assert_eq!(list(&mut al, "/settings").await, json!({"audience": "users"}));
    assert_eq!(shown(&mut other).await, [true; 7]);

    let hide = |audience: &str| json!({"audience": audience});
    assert_eq!(al.put("/settings", &hide("nobody")).await.status, 200);
    assert_eq!(list(&mut al, "/settings").await, hide("nobody"));
    assert_eq!(shown(&mut other).await, [false; 7]);
    assert_eq!(shown(&mut al).await, [true; 7], "al still sees al");
    assert!(list(&mut other, "/api/user/77").await["numCheckins"].is_null());
    for path in ["/api/users/bycheckins?limit=100", "/api/users/bycheckins?period=week"] {
        assert!(!has(&list(&mut other, path).await, "id", 77), "{path}");
    }
    // A hidden record leaves no gap and is in no cursor. Al's check-in is the last one everywhere.
    let time = since.parse::<u64>().unwrap().to_be_bytes();
    for (path, _) in &places {
        let path = format!("{path}?limit=1");
        let response = other.get(&path).await;
        let records = response.json().as_array().unwrap().len();
        let link = response.header("link").map(cursor).unwrap_or_default();
        assert!(records == 1 || link.is_empty(), "{path}: {records} {link:?}");
        assert!(!link.windows(8).any(|bytes| bytes == time), "{path}: {link:?}");
    }
    let refused = al.put("/settings", &hide("friends")).await;
    expect_problem(&refused, 400, &["audience"]);
    assert_eq!(refused.json()["errors"][0]["rule"], "must be users or nobody");

    // The stream has the check-in of the other user only, although Al's was before it.
    let mut events = Events::open(&console, &other, None);
    let first = events.start();
    assert!(first != id && first != "0-0", "the id of the last check-in that is not hidden");
    let far = Events::open(&console, &other, Some("9007199254740991-0")).start();
    assert_eq!(far, first);
    accepted(&al.post(CHECKIN, &at(2, 5)).await);
    let checkin = json!({"userId": other_id, "locationId": 3, "starRating": 1});
    accepted(&other.post(CHECKIN, &checkin).await);
    assert_eq!(events.next().unwrap().checkin["userId"], other_id);
    let resumed = Events::open(&console, &other, Some(&first)).next().unwrap();
    assert_eq!(resumed.checkin["userId"], other_id);
    assert_eq!(al.put("/settings", &hide("users")).await.status, 200);
    assert_eq!(shown(&mut other).await, [true; 7]);
}

#[tokio::test]
async fn an_audience_is_respected_on_redis() {
    an_audience_is_respected(Site::redis()).await;
}

#[tokio::test]
async fn an_audience_is_respected_on_sqlite() {
    an_audience_is_respected(Site::sqlite()).await;
}

#[tokio::test]
async fn a_new_account_looks_up_little() {
    let site = Site::sqlite();
    let console = site.console(&["--newcomer-rate", "2"]);
    let (mut new, id) = newcomer(&console).await;
    let routes = [
        "/api/checkins/latest",
        "/api/checkins/1/2",
        "/api/user/email/al.appelhof@example.com",
        "/api/user/77",
        "/api/user/77/fullname",
        "/api/users/recent",
        "/api/users/bycheckins",
        "/api/users/at/1",
        "/api/location/1/visitors",
        "/api/checkins/stream",
    ];
    for path in &routes[..2] {
        assert_eq!(new.get(path).await.status, 200, "{path}");
    }
    for path in routes {
        let refused = new.get(path).await;
        expect_problem(&refused, 429, &[]);
        assert!(refused.header("retry-after").is_some(), "{path}");
    }
    // What everybody may see, and what is one's own, is not limited.
    let own = [format!("/api/user/{id}"), format!("/api/user/{id}/fullname")];
    for path in ["/api/location/1", "/session", &own[0], &own[1]] {
        assert_eq!(new.get(path).await.status, 200, "{path}");
    }
    let mut al = console.logged_in().await;
    for _ in 0..3 {
        assert_eq!(al.get("/api/checkins/latest").await.status, 200);
    }
}

#[tokio::test]
async fn a_stream_gives_a_new_account_no_more_than_lists() {
    let site = Site::sqlite();
    let console = site.console(&["--newcomer-rate", "3"]);
    let (mut new, _) = newcomer(&console).await;
    let mut events = Events::open(&console, &new, Some("0-0"));
    let seen = std::iter::from_fn(|| events.next()).count();
    assert!((2900..=3000).contains(&seen), "{seen}");
    expect_problem(&new.get("/api/checkins/latest").await, 429, &[]);

    let al = console.logged_in().await;
    let mut events = Events::open(&console, &al, Some("0-0"));
    assert_eq!(std::iter::from_fn(|| events.next()).take(4000).count(), 4000);
}

#[tokio::test]
async fn a_refused_look_up_of_an_address_takes_nothing_from_a_new_account() {
    let site = Site::sqlite();
    let console = site.console(&["--newcomer-rate", "20", "--lookup-rate", "1"]);
    let (mut new, _) = newcomer(&console).await;
    let mut served = 0;
    for path in [&format!("/api/user/email/{EMAIL}"), "/api/users/recent"] {
        let mut here = 0;
        for _ in 0..30 {
            here += usize::from(new.get(path).await.status == 200);
        }
        assert!((1..20).contains(&here), "{path}: {here}");
        served += here;
    }
    assert_eq!(served, 20);
}
