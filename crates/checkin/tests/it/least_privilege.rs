//! The services with the Redis users of the documentation, which may do no more than they need.

use std::collections::HashMap;
use std::time::Duration;

use serde_json::{Value, json};
use testkit::{PATIENCE, Program, RedisServer, Stream, until};

use crate::harness::{
    CHECKIN, PASSWORD, Service, Site, accepted, at, expect_plain, expect_problem, log_in,
};
use crate::logins::rules;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn each_service_has_the_permissions_that_it_needs_and_misses_none() {
    let mut site = Site::redis();
    let primary = site.server().port().to_string();
    site.redis_cli::<()>(&["CONFIG", "SET", "repl-diskless-sync-delay", "0"]);
    let _replica = RedisServer::start_with(&["--replicaof", "127.0.0.1", &primary]);
    site.server().wait_for_replicas(1);
    let server = site.store.clone();
    let mut login = |user: &str| {
        let rules = rules(user);
        site.redis_cli::<()>(&rules.iter().map(String::as_str).collect::<Vec<_>>());
        let store = server.replace("redis://", &format!("redis://{user}:secret@"));
        site.store.clone_from(&store);
        store
    };
    let stores =
        ["checkin-auth", "checkin-receiver", "checkin-processor", "checkin-api", "checkin-admin"]
            .map(&mut login);
    let at_store = |store: &str| {
        let mut other = Site::at(store.to_owned());
        other.variables = vec![("CHECKIN_SESSION_SECRET", crate::harness::SECRET)];
        other
    };
    let [auth, receiver, processor, api, admin] = stores.each_ref().map(|store| at_store(store));
    site.redis_cli::<()>(&["ACL", "LOG", "RESET"]);
    let at_auth = auth.auth(&["--max-sessions", "3", "--wait-replicas", "1"]);
    let at_receiver = receiver.receiver(&["--wait-replicas", "1"]);
    let at_api = api.api(&[]);
    let keep = ["--wait-replicas", "1", "--keep-history", "36d"];
    let mut processor = processor.processor(&keep);

    // The whole life of an account, its sessions and its check-ins.
    let mut eve = at_auth.client();
    let new = json!({"firstName": "Eve", "lastName": "E", "email": "eve@example.com", "password": "a long enough password"});
    let registered = eve.post("/register", &new).await;
    assert_eq!(registered.status, 201, "{} {:?}", registered.text(), refused(&site));
    let mut al = at_auth.logged_in().await;
    let mut second = at_auth.logged_in().await;
    assert_eq!(al.get("/sessions").await.status, 200);
    assert_eq!(second.delete("/sessions").await.status, 200);
    al = at_auth.logged_in().await;
    let change = json!({"currentPassword": PASSWORD, "newPassword": "another long password"});
    assert_eq!(al.post("/password", &change).await.status, 200);
    let mut visitor = at_receiver.client_like(&al);
    let checkin = visitor.request(testkit::Method::POST, CHECKIN).json(&at(2, 5));
    let id = accepted(&checkin.header("idempotency-key", "one").send().await);
    let mut reader = at_api.client_like(&al);
    for path in [
        "/api/user/77",
        "/api/users/recent",
        "/api/users/bycheckins",
        "/api/users/at/2",
        "/api/location/2?withDetails=true",
        "/api/locations/bycategory/bar",
        "/api/locations/52.37/4.89/1",
        "/api/checkins/latest",
        "/api/checkins/0/99999999999999",
        "/api/locations/search?q=bar",
        "/readyz",
    ] {
        let response = reader.get(path).await;
        assert_eq!(response.status, 200, "{path}: {} {:?}", response.text(), refused(&site));
    }
    assert_eq!(visitor.delete(&format!("{CHECKIN}/{id}")).await.status, 204);
    admin.wait_for_doctor(&["--verify"], "0 waiting");
    expect_plain(&al.post("/logout", &Value::Null).await, 200, "OK");
    let services: [&Service; 3] = [&at_auth, &at_receiver, &at_api];
    for service in services {
        expect_plain(&service.client().get("/readyz").await, 200, "OK");
    }
    admin.wait_for_doctor(&["--verify"], "0 waiting");
    for arguments in [
        &["users", "list"][..],
        &["sessions", "list"],
        &["sessions", "revoke", "--all"],
        &["dead-letters", "list"],
        &["security-events", "list"],
        &["load", "--demo"],
    ] {
        let ended = admin.run(arguments[0], &arguments[1..]);
        assert_eq!(ended.code, 0, "{arguments:?}: {} {:?}", ended.stderr, refused(&site));
    }
    let doctor = admin.run("doctor", &[]).stdout;
    assert!(doctor.contains("has the permissions that are needed"), "{doctor}");
    processor.wait_for_line("Checkin processor ", PATIENCE);
    assert_eq!(processor.stop().code(), Some(0));
    assert_eq!(refused(&site), [""; 0]);
}

#[tokio::test]
async fn a_service_is_ready_when_its_login_has_the_permissions() {
    let site = Site::redis();
    let acl = |words: &[&str]| {
        site.redis_cli::<()>(&[&["ACL", "SETUSER", "checkin-receiver"], words].concat());
    };
    site.redis_cli::<()>(&rules("checkin-receiver").iter().map(String::as_str).collect::<Vec<_>>());
    acl(&["-hset", "-xadd"]);
    let login = site.store.replace("redis://", "redis://checkin-receiver:secret@");
    let mut other = Site::at(login);
    other.variables = vec![("CHECKIN_SESSION_SECRET", crate::harness::SECRET)];
    let receiver = other.receiver(&["--no-auth"]);
    let mut client = receiver.client();
    let missing = "the login may not use hset (receiver), xadd (receiver)";
    let not_ready = client.get("/readyz").await;
    assert_eq!(not_ready.status, 503);
    assert!(not_ready.text().contains(missing), "{}", not_ready.text());
    assert_eq!(client.post(CHECKIN, &at(2, 5)).await.status, 503);
    let line = receiver.program.wait_for_line("not ready", PATIENCE);
    let repair = "redis-cli ACL SETUSER checkin-receiver +hset +xadd";
    assert!(line.ends_with(&format!("{missing}: {repair}")), "{line}");
    acl(&["+hset"]);
    receiver.program.wait_for_line("not ready: the login may not use xadd (receiver)", PATIENCE);
    acl(&["+xadd"]);
    receiver.program.wait_for_line("the store is available after", PATIENCE);
    expect_plain(&client.get("/readyz").await, 200, "OK");
    accepted(&client.post(CHECKIN, &at(2, 5)).await);
    site.redis_cli::<()>(&["ACL", "LOG", "RESET"]);
}

/// Each request that fails would otherwise write a line, which names no command if a script was denied it.
#[tokio::test]
async fn a_permission_that_is_taken_from_a_service_is_named_once() {
    let site = Site::redis();
    for login in ["checkin-receiver", "checkin-processor"] {
        site.redis_cli::<()>(&rules(login).iter().map(String::as_str).collect::<Vec<_>>());
    }
    let of = |login: &str| {
        let login = format!("redis://{login}:secret@");
        let mut other = Site::at(site.store.replace("redis://", &login));
        other.variables = vec![("CHECKIN_SESSION_SECRET", crate::harness::SECRET)];
        other
    };
    let acl = |login: &str, rule: &str| {
        site.redis_cli::<()>(&["ACL", "SETUSER", login, rule]);
    };
    let named_once = |program: &Program, missing: &str| {
        let log = program.text(Stream::Stdout);
        let lines = [missing, "ERROR"].map(|word| log.matches(word).count());
        assert_eq!(lines, [1, 0], "{log}");
    };
    let receiver = of("checkin-receiver").receiver(&["--no-auth"]);
    let processor = of("checkin-processor").start("processor", &[]);
    processor.wait_for_line("Checkin processor ", PATIENCE);
    let client = receiver.client();
    let send = async || client.clone().post(CHECKIN, &at(2, 5)).await;
    acl("checkin-receiver", "-xadd");
    let repair =
        "the login may not use xadd (receiver): redis-cli ACL SETUSER checkin-receiver +xadd";
    expect_problem(&send().await, 503, &[]);
    receiver.program.wait_for_line(repair, PATIENCE);
    for _ in 0..20 {
        expect_problem(&send().await, 503, &[]);
    }
    acl("checkin-receiver", "+xadd");
    accepted(&send().await);
    receiver.program.wait_for_line("has its permissions again", PATIENCE);
    named_once(&receiver.program, "may not use");

    acl("checkin-processor", "-hset");
    let later = client.clone().post(CHECKIN, &at(3, 5)).await;
    accepted(&later);
    processor.wait_for_line("redis-cli ACL SETUSER checkin-processor +hset", PATIENCE);
    acl("checkin-processor", "+hset");
    processor.wait_for_line("has its permissions again", PATIENCE);
    site.wait_for_doctor(&[], " 0 check-ins wait to be applied");
    named_once(&processor, "may not use");
    site.redis_cli::<()>(&["ACL", "LOG", "RESET"]);
}

/// The session layer itself logs a session that it cannot store, and a login goes on without its security event.
#[tokio::test]
async fn what_sessions_lack_is_named_once() {
    let site = Site::redis();
    site.redis_cli::<()>(&rules("checkin-auth").iter().map(String::as_str).collect::<Vec<_>>());
    let mut other = Site::at(site.store.replace("redis://", "redis://checkin-auth:secret@"));
    other.variables = vec![("CHECKIN_SESSION_SECRET", crate::harness::SECRET)];
    let auth = other.auth(&["--session-cache", "0"]);
    let mut al = auth.logged_in().await;
    let log_ins = async |status| {
        for _ in 0..4 {
            assert_eq!(log_in(&mut auth.client()).await.status, status);
        }
    };
    let acl = |rule: &str| site.redis_cli::<()>(&["ACL", "SETUSER", "checkin-auth", rule]);
    let lines = |word: &str| auth.program.text(Stream::Stdout).matches(word).count();
    let all_denied = ["mget", "pexpire", "xadd"];
    for (round, denied) in (1..).zip(all_denied) {
        acl(&format!("-{denied}"));
        match denied {
            "mget" => {
                for _ in 0..4 {
                    expect_problem(&al.get("/session").await, 503, &[]);
                }
            }
            "pexpire" => log_ins(503).await,
            _ => log_ins(200).await,
        }
        auth.program.wait_for_line(&format!("may not use {denied} (auth)"), PATIENCE);
        acl(&format!("+{denied}"));
        until("the permission is back", async || lines("has its permissions again") == round).await;
    }
    // Longer than until the service would look again, if it had noticed another denial.
    tokio::time::sleep(Duration::from_secs(3)).await;
    let named = all_denied.map(|denied| lines(&format!("may not use {denied} (auth)")));
    let log = auth.program.text(Stream::Stdout);
    assert_eq!(named, [1; 3], "{log}");
    assert_eq!(["ERROR", "cannot"].map(lines), [0, 0], "{log}");
    site.redis_cli::<()>(&["ACL", "LOG", "RESET"]);
}

/// Returns the commands and keys that Redis has refused, with the user.
fn refused(site: &Site) -> Vec<String> {
    let log: Vec<HashMap<String, redis::Value>> = site.redis_cli(&["ACL", "LOG"]);
    log.iter().map(|entry| format!("{:?} {:?}", entry["object"], entry["username"])).collect()
}
