//! People delete their own check-ins, and operators those of anybody.

use serde_json::{Value, json};
use testkit::{Client, Method};

use crate::harness::{CHECKIN, PASSWORD, Site, accepted, at, expect_plain, expect_problem};

async fn get(client: &mut Client, path: &str) -> Value {
    let response = client.get(path).await;
    assert_eq!(response.status, 200, "{path}: {}", response.text());
    response.json()
}

async fn a_checkin_is_deleted(site: Site) {
    let (receiver, api) = (site.receiver(&[]), site.api(&[]));
    let auth = site.auth(&[]);
    let mut al = receiver.client_like(&auth.logged_in().await);
    let mut reader = api.client_like(&al);
    site.count_all();
    let paths =
        ["/api/user/77", "/api/location/2", "/api/user/77/checkins", "/api/user/77/statistics"];
    let mut before = Vec::new();
    for path in paths {
        before.push(get(&mut reader, path).await);
    }
    let checkin = al.request(Method::POST, CHECKIN).json(&at(2, 0));
    let id = accepted(&checkin.header("idempotency-key", "mistake").send().await);
    site.count_all();
    assert_ne!(get(&mut reader, "/api/location/2").await, before[1]);
    let path = format!("{CHECKIN}/{id}");

    // The answer does not tell whether it exists.
    expect_plain(&receiver.client().delete(&path).await, 401, "Authentication required.");
    let users = site.run("users", &["list", "--json"]).stdout;
    let mut users = users.lines().map(|line| serde_json::from_str::<Value>(line).unwrap());
    let email = users.find(|user| user["id"] == 78).unwrap()["email"].clone();
    let mut other = auth.client();
    let login = json!({"email": email, "password": PASSWORD});
    expect_plain(&other.post("/login", &login).await, 200, "OK");
    let mut other = receiver.client_like(&other);
    let unknown = format!("{CHECKIN}/{}9-0", &id[..12]);
    let (theirs, nobodys) = (other.delete(&path).await, other.delete(&unknown).await);
    expect_problem(&theirs, 404, &[]);
    assert_eq!((theirs.status, theirs.text()), (nobodys.status, nobodys.text()));
    expect_problem(&other.delete(&format!("{path}?userId=77")).await, 403, &["userId"]);
    expect_problem(&al.delete(&format!("{CHECKIN}/1-1-1")).await, 400, &["id"]);
    expect_problem(&al.delete(&format!("{path}?user=77")).await, 400, &["user"]);
    assert_ne!(get(&mut reader, "/api/location/2").await, before[1]);

    // A retry is safe.
    for _ in 0..2 {
        let deleted = al.delete(&path).await;
        assert_eq!((deleted.status, deleted.text()), (204, ""));
    }
    let latest = get(&mut reader, "/api/checkins/latest").await;
    assert!(!latest.to_string().contains(&id), "{latest}");
    site.wait_for_doctor(&["--verify"], "0 waiting");
    for (path, before) in paths.iter().zip(&before) {
        let is_same = async || get(&mut reader, path).await == *before;
        testkit::until("the figures are those from before", is_same).await;
    }
    let again = al.request(Method::POST, CHECKIN).json(&at(2, 0));
    assert_eq!(accepted(&again.header("idempotency-key", "mistake").send().await), id);
    assert_eq!(get(&mut reader, paths[0]).await, before[0]);
    let second = accepted(&al.post(CHECKIN, &at(2, 0)).await);
    assert_ne!(second, id);

    // An operator, on the command line.
    let delete = |id: &str| site.run("checkins", &["delete", "77", id]);
    let ended = delete(&second);
    assert_eq!((ended.code, ended.stdout.trim()), (0, "1 check-ins are deleted, 0 are not"));
    let ended = delete("9000000000000-7");
    assert_eq!(ended.code, 1);
    assert!(ended.stdout.contains("9000000000000-7  the user has no such check-in"));
    site.count_all();
    for (path, before) in paths.iter().zip(&before) {
        let is_same = async || get(&mut reader, path).await == *before;
        testkit::until("the figures are those from before", is_same).await;
    }
}

#[tokio::test]
async fn a_checkin_is_deleted_on_redis() {
    let site = Site::redis();
    let _processor = site.processor(&[]);
    a_checkin_is_deleted(site).await;
}

#[tokio::test]
async fn a_checkin_is_deleted_on_sqlite() {
    a_checkin_is_deleted(Site::sqlite()).await;
}
