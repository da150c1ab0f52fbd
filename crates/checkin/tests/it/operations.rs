//! What operators see of a deployment, and what they do about it, on the console's port.

use serde_json::{Value, json};
use sqlite_writer::rusqlite::Connection;
use testkit::{Client, Method, until};

use crate::harness::{
    CHECKIN, EMAIL, PASSWORD, Service, Site, USER, accepted, at, expect_plain, expect_problem,
};

const OVERVIEW: &str = "/operations/overview";
const DEAD_LETTERS: &str = "/operations/dead-letters";
const REPLAY: &str = "/operations/dead-letters/replay";

/// The location that goes away for a while.
const LOCATION: u64 = 3;

/// Moves a location, with nothing else of it, to another id.
fn move_location(site: &Site, from: u64, to: u64) {
    match site.store.strip_prefix("sqlite:") {
        Some(path) => {
            let connection = Connection::open(path).unwrap();
            let moved = "UPDATE locations SET id = ?2 WHERE id = ?1";
            assert_eq!(connection.execute(moved, [from as i64, to as i64]).unwrap(), 1);
        }
        None => {
            let [from, to] = [from, to].map(|id| format!("ncc:location:{id}"));
            site.redis_cli::<()>(&["RENAME", &from, &to]);
        }
    }
}

async fn operator(site: &Site, console: &Service) -> Client {
    assert_eq!(site.run("users", &["role", EMAIL, "operator"]).code, 0);
    console.logged_in().await
}

async fn overview(client: &mut Client) -> Value {
    let answer = client.get(OVERVIEW).await;
    assert_eq!(answer.status, 200, "{}", answer.text());
    answer.json()
}

/// Waits until the overview is as it should be, and returns it.
async fn shown(client: &Client, what: &str, holds: impl Fn(&Value) -> bool) -> Value {
    let (mut client, mut latest) = (client.clone(), Value::Null);
    until(what, async || {
        latest = overview(&mut client).await;
        holds(&latest)
    })
    .await;
    latest
}

async fn figures_follow_what_happens(site: Site) {
    site.count_all();
    let console = site.console(&["--duplicate-window", "0"]);
    let mut client = operator(&site, &console).await;
    // The one that counted everything was killed.
    let before =
        shown(&client, "no processor is alive", |shown| shown["processors"] == json!([])).await;
    assert_eq!(before["log"]["partitions"][0]["processor"], Value::Null, "{before}");
    assert_eq!(before["store"]["available"], true, "{before}");
    let accepted_before = before["log"]["accepted"].as_u64().unwrap();

    accepted(&client.post(CHECKIN, &at(LOCATION, 5)).await);
    let waits = overview(&mut client).await;
    let log = &waits["log"];
    assert_eq!(log["accepted"], accepted_before + 1, "{log}");
    assert_eq!(
        (&log["waiting"], &log["partitions"][0]["waiting"]),
        (&json!(1), &json!(1)),
        "{log}"
    );
    let requests = |overview: &Value| overview["process"]["requests"].as_u64().unwrap();
    assert!(requests(&waits) > requests(&before), "{waits}");

    // A wrong password, and another session.
    let wrong = json!({"email": EMAIL, "password": "not the one"});
    expect_plain(&console.client().post("/login", &wrong).await, 401, "Invalid login.");
    let alive = |overview: &Value| overview["sessions"]["alive"].as_u64().unwrap_or_default();
    let counted = shown(&client, "the sessions are counted", |shown| alive(shown) > 0).await;
    let _other = console.logged_in().await;
    let one_more = |shown: &Value| alive(shown) == alive(&counted) + 1;
    let sessions = shown(&client, "another session is counted", one_more).await;
    let process = &sessions["process"];
    let events = ["logins", "failedLogins"].map(|figure| process[figure].as_u64());
    assert_eq!(events, [Some(2), Some(1)], "{process}");
    let sessions = &sessions["sessions"];
    let groups = sessions["byAge"].as_array().unwrap();
    let sum: u64 = groups.iter().map(|group| group["count"].as_u64().unwrap()).sum();
    assert_eq!(Some(sum), sessions["alive"].as_u64(), "{sessions}");
    assert_eq!((&groups[0]["belowMs"], &groups[5]["belowMs"]), (&json!(300_000), &Value::Null));
    assert_eq!((&sessions["complete"], &sessions["loggedIn"]), (&json!(true), &sessions["alive"]));

    // The location is gone when a processor comes.
    move_location(&site, LOCATION, 900_003);
    let mut processor = site.processor(&[]);
    let dead = shown(&client, "a dead letter", |shown| shown["log"]["deadLetters"] == 1).await;
    let name = &dead["processors"][0]["name"];
    assert_eq!(dead["processors"][0]["partitions"], json!([0]), "{dead}");
    assert_eq!(&dead["log"]["partitions"][0]["processor"], name, "{dead}");
    assert_eq!(dead["log"]["counted"], dead["log"]["accepted"], "{dead}");
    assert!(processor.stop().success());
    shown(&client, "the processor has left", |shown| shown["processors"] == json!([])).await;

    let listed = client.get(DEAD_LETTERS).await.json();
    let letter = &listed["deadLetters"][0];
    assert_eq!(listed["next"], Value::Null);
    assert_eq!(letter["reason"], "there is no such location");
    let fields: Value = serde_json::from_str(letter["fields"].as_str().unwrap()).unwrap();
    assert_eq!((&fields["userId"], &fields["locationId"]), (&json!("77"), &json!("3")));
    let id = letter["id"].as_str().unwrap();
    let replay = format!("{REPLAY}?id={id}");
    let still = client.post(&replay, &json!({})).await.json();
    let left = json!([{"id": id, "reason": "there is no such location"}]);
    assert_eq!(still, json!({"applied": 0, "left": left, "next": null}));
    move_location(&site, 900_003, LOCATION);
    let applied = json!({"applied": 1, "left": [], "next": null});
    assert_eq!(client.post(REPLAY, &json!({})).await.json(), applied);
    expect_problem(&client.post(&replay, &json!({})).await, 404, &[]);
    assert_eq!(overview(&mut client).await["log"]["deadLetters"], 0);
    assert_eq!(client.get(DEAD_LETTERS).await.json()["deadLetters"], json!([]));
    for (path, field) in [
        (format!("{DEAD_LETTERS}?after=0"), "after"),
        (format!("{DEAD_LETTERS}?limit=101"), "limit"),
    ] {
        expect_problem(&client.get(&path).await, 400, &[field]);
    }
    expect_problem(&client.post(&format!("{REPLAY}?id=x"), &json!({})).await, 400, &["id"]);

    let replay_of = client.request(Method::POST, "/operator/dead-letters");
    let replay_of = replay_of.header("content-type", "application/x-www-form-urlencoded");
    assert_eq!(replay_of.body("id=").send().await.status, 400, "an empty id does not mean all");

    let diagnosis = client.get("/operations/doctor").await.json();
    let findings = diagnosis["findings"].as_array().unwrap();
    let says = |severity: &str, what: &str| {
        let found = |finding: &&Value| finding["what"].as_str().unwrap().contains(what);
        findings.iter().find(found).is_some_and(|finding| finding["severity"] == severity)
    };
    assert!(says("ok", "0 check-ins wait to be applied"), "{diagnosis}");
    assert!(says("warning", "sessions have an idle timeout"), "{diagnosis}");
    assert!(!says("warning", "there are dead letters"), "{diagnosis}");
}

#[tokio::test]
async fn figures_follow_what_happens_on_sqlite() {
    figures_follow_what_happens(Site::sqlite()).await;
}

#[cfg(feature = "external-tests")]
#[tokio::test]
async fn figures_follow_what_happens_on_redis() {
    figures_follow_what_happens(Site::redis()).await;
}

#[tokio::test]
async fn an_operator_finds_an_account_and_ends_its_sessions() {
    let site = Site::sqlite();
    let console = site.console(&[]);
    let mut client = operator(&site, &console).await;
    let own = client.get("/session").await.json();
    assert_eq!(own["user"]["role"], "operator");
    let listed = site.run("users", &["list", "--json"]).stdout;
    let listed: Value = serde_json::from_str(listed.lines().nth(79).unwrap()).unwrap();
    let (id, email) = (&listed["id"], listed["email"].as_str().unwrap());
    let login = json!({"email": email, "password": PASSWORD});
    let [mut one, mut two] = [console.client(), console.client()];
    for browser in [&mut one, &mut two] {
        expect_plain(&browser.post("/login", &login).await, 200, "OK");
    }
    assert_eq!(one.get("/session").await.json()["user"]["role"], Value::Null);
    let found = client.get(&format!("/api/user/email/{email}")).await.json();
    assert_eq!(&found["id"], id);
    let account = client.get(&format!("/accounts/{id}")).await.json();
    assert_eq!(
        (&account["email"], &account["status"], &account["role"]),
        (&json!(email), &json!("active"), &json!("user")),
    );
    let sessions = format!("/accounts/{id}/sessions");
    let list = client.get(&sessions).await.json();
    let newest = list["sessions"][0]["handle"].as_str().unwrap();
    let end = format!("{sessions}/{newest}");
    assert_eq!(client.delete(&end).await.status, 204);
    assert_eq!(client.delete(&end).await.status, 404);
    let alive = [one.get("/session").await.status, two.get("/session").await.status];
    assert!(alive == [200, 401] || alive == [401, 200], "{alive:?}");
    let of_others = format!("/accounts/{USER}/sessions/{newest}");
    assert_eq!(client.delete(&of_others).await.status, 404, "a handle belongs to its account");
    assert_eq!(client.get("/accounts/999999").await.status, 404);
}

const EVENTS: &str = "/operations/security-events";

/// Returns the kinds and the accounts of all events with this filter, read in pages of three.
async fn events(client: &mut Client, filter: &str) -> Vec<(String, Option<u64>)> {
    let (mut found, mut after) = (Vec::new(), String::new());
    loop {
        let page = client.get(&format!("{EVENTS}?limit=3{filter}{after}")).await;
        assert_eq!(page.status, 200, "{}", page.text());
        assert!(
            !page.text().contains('@') && !page.text().contains("127.0.0.1"),
            "{}",
            page.text()
        );
        let page = page.json();
        for event in page["events"].as_array().unwrap() {
            let kind = event["kind"].as_str().unwrap().to_owned();
            found.push((kind, event["account"].as_u64()));
        }
        match page["next"].as_str() {
            Some(next) => after = format!("&after={next}"),
            None => return found,
        }
    }
}

async fn security_events_are_read_by_operators(site: Site) {
    let console = site.console(&["--duplicate-window", "0"]);
    let mut client = operator(&site, &console).await;
    for number in 0..4 {
        let wrong = json!({"email": EMAIL, "password": format!("not the one {number}")});
        expect_plain(&console.client().post("/login", &wrong).await, 401, "Invalid login.");
    }
    let nobody = json!({"email": "nobody@example.com", "password": "x"});
    expect_plain(&console.client().post("/login", &nobody).await, 401, "Invalid login.");
    assert_eq!(client.post("/accounts/80/disable", &json!({})).await.status, 204);
    let al = Some(USER);
    let event = |kind: &str, account| (kind.to_owned(), account);
    let mut expected = vec![event("account-disabled", Some(80)), event("failed-login", None)];
    expected.extend(vec![event("failed-login", al); 4]);
    expected.extend([event("login", al), event("role-changed", al)]);
    assert_eq!(events(&mut client, "").await, expected);
    assert_eq!(events(&mut client, "&kind=failed-login").await, expected[1..6]);
    assert_eq!(events(&mut client, "&account=80").await, expected[..1]);
    assert_eq!(events(&mut client, "&account=77&kind=login").await, expected[6..7]);
    assert_eq!(events(&mut client, "&account=5").await, []);
    for (query, field) in [
        ("account=a%40example.com", "account"),
        ("kind=logins", "kind"),
        ("after=1", "after"),
        ("limit=101", "limit"),
    ] {
        expect_problem(&client.get(&format!("{EVENTS}?{query}")).await, 400, &[field]);
    }
    let page = client.get("/operator/security-events?kind=role-changed").await.text().to_string();
    assert!(page.contains("<td>role-changed</td>") && !page.contains("<td>login</td>"), "{page}");
    let refused = client.get("/operator/security-events?account=x").await;
    assert_eq!(refused.status, 400);
    assert!(refused.text().contains("The account must be an integer"), "{}", refused.text());
}

#[tokio::test]
async fn security_events_are_read_by_operators_on_sqlite() {
    security_events_are_read_by_operators(Site::sqlite()).await;
}

#[cfg(feature = "external-tests")]
#[tokio::test]
async fn security_events_are_read_by_operators_on_redis() {
    security_events_are_read_by_operators(Site::redis()).await;
}
