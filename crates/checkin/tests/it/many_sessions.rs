//! Commands that end many sessions on a cluster: beside requests, after they were killed, and while a server does
//! not respond.

use std::collections::BTreeMap;
use std::time::Duration;

use futures_util::future::join_all;
use redis_link::{Client as Redis, Reply, Timeouts};
use serde_json::json;
use testkit::{Client, RedisServer, Response, signature, wait_until};

use crate::harness::{
    CHECKIN, COOKIE, EMAIL, Ended, PASSWORD, SECRET, Service, Site, USER, expect_plain, log_in,
    session_id,
};
use crate::operators::run_with_input;

const SESSIONS: usize = 2000;

/// The accounts, each of which has a part of the sessions.
const ACCOUNTS: usize = 5;

/// A cluster with sessions that have been logged in.
struct Many {
    site: Site,
    auth: Service,
    receiver: Service,
    redis: Redis,
    /// The sessions of each account.
    ids: Vec<Vec<String>>,
}

impl Many {
    /// Each account logs in once. Its other sessions have the same content, and are in no index.
    async fn start(sessions: usize) -> Self {
        let site = Site::empty_cluster_of_three();
        let auth = site.auth(&["--session-cache", "0", "--request-rate", "0"]);
        let receiver = site.receiver(&["--session-cache", "0"]);
        let patience = Duration::from_secs(30);
        let timeouts = Timeouts { connect: patience, response: patience };
        let redis = Redis::with_timeouts(&site.store, timeouts).unwrap();
        let mut many = Self { site, auth, receiver, redis, ids: Vec::new() };
        for account in 0..ACCOUNTS {
            let ids = many.sessions(account, sessions / ACCOUNTS).await;
            many.ids.push(ids);
        }
        assert_eq!(many.stored(), sessions);
        many
    }

    async fn sessions(&self, account: usize, number: usize) -> Vec<String> {
        let mut client = self.auth.client();
        let email = format!("u{account}@example.com");
        let body = json!({
            "firstName": "U", "lastName": "V", "email": email, "password": PASSWORD,
        });
        assert_eq!(client.post("/register", &body).await.status, 201);
        let login = json!({"email": email, "password": PASSWORD});
        expect_plain(&client.post("/login", &login).await, 200, "OK");
        let first = session_id(&client);
        let key = format!("ncc:session:{first}");
        let Reply::Bytes(value) = self.redis.call(&[b"GET", key.as_bytes()]).await.unwrap() else {
            panic!("the session is not stored")
        };
        let others = (1..number).map(|number| format!("{account:02}-{number:029}"));
        let ids: Vec<String> = [first].into_iter().chain(others).collect();
        let store = |id: &String| {
            let (key, value) = (format!("ncc:session:{id}"), value.clone());
            async move {
                let set = [b"SET", key.as_bytes(), &value, b"EX", b"86400"];
                self.redis.call(&set).await.unwrap();
            }
        };
        for some in ids.chunks(500) {
            join_all(some.iter().map(store)).await;
        }
        ids
    }

    /// Returns the number of stored sessions.
    fn stored(&self) -> usize {
        self.site.keys("ncc:session:*").len()
    }

    /// A browser with this session.
    fn browser(&self, service: &Service, id: &str) -> Client {
        let mut client = service.client();
        let value = signature::encode(&format!("s:{}", signature::sign(id, SECRET)));
        client.jar_mut().set(COOKIE, &value);
        client
    }

    /// Sends a request of each of these sessions. Returns how often each status came.
    async fn send<R: Future<Output = Response>>(
        &self,
        ids: impl Iterator<Item = &String>,
        request: impl Fn(Client) -> R,
    ) -> BTreeMap<u16, usize> {
        let mut statuses = BTreeMap::new();
        let clients: Vec<Client> = ids.map(|id| self.browser(&self.auth, id)).collect();
        for some in clients.chunks(200) {
            for response in join_all(some.iter().cloned().map(&request)).await {
                *statuses.entry(response.status).or_default() += 1;
            }
        }
        statuses
    }

    /// Nothing is stored, and no session is accepted or comes back when it is used.
    async fn expect_none(&self) {
        assert_eq!(self.stored(), 0);
        for (account, ids) in self.ids.iter().enumerate() {
            let ask = |mut client: Client| async move { client.get("/session").await };
            let statuses = self.send(ids.iter().step_by(29), ask).await;
            assert_eq!(statuses.keys().collect::<Vec<_>>(), [&401], "{statuses:?}");
            let visit = json!({"userId": account + 1, "locationId": 1, "starRating": 3});
            let checkin = self.browser(&self.receiver, &ids[0]).post(CHECKIN, &visit).await;
            expect_plain(&checkin, 401, "Authentication required.");
        }
        assert_eq!(self.stored(), 0);
    }

    /// Returns what the command says.
    fn revoke_all(&self) -> String {
        let ended = self.site.run("sessions", &["revoke", "--all"]);
        assert_eq!(ended.code, 0, "{}{}", ended.stdout, ended.stderr);
        ended.stdout
    }

    /// The number of the server that has this key.
    fn owner(&self, key: &str) -> usize {
        self.site.cluster().owner(redis_link::hash_slot(key))
    }

    /// Makes a server refuse writes and answer reads, because it misses a replica.
    fn refuse_writes(&self, server: usize, refuse: bool) {
        let replicas = i32::from(refuse);
        let set =
            redis::cmd("CONFIG").arg("SET").arg("min-replicas-to-write").arg(replicas).clone();
        set.exec(&mut self.site.cluster().servers()[server].connection()).unwrap();
    }
}

/// Every account ends all of its other sessions, from each of them at the same time.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn all_sessions_on_a_cluster_end_beside_users_who_end_theirs() {
    let many = Many::start(SESSIONS).await;
    let others = many.send(many.ids.iter().flatten(), |mut client: Client| async move {
        client.delete("/sessions").await
    });
    let command = async {
        tokio::time::sleep(Duration::from_millis(100)).await;
        tokio::task::block_in_place(|| many.site.run("sessions", &["revoke", "--all"]))
    };
    let (statuses, ended) = tokio::join!(others, command);
    assert_eq!(ended.code, 0, "{}", ended.stderr);
    assert!(statuses.keys().all(|status| [200, 401].contains(status)), "{statuses:?}");
    many.expect_none().await;
}

/// The kill comes when some sessions have ended and others are left. If the command was faster, it is tried with
/// others.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_command_that_is_killed_ends_all_sessions_when_it_is_run_again() {
    for _ in 0..10 {
        let many = Many::start(SESSIONS).await;
        let mut command = many.site.start("sessions", &["revoke", "--all"]);
        wait_until("some sessions have ended", || many.stored() < SESSIONS);
        command.kill();
        let again = many.revoke_all();
        if again == "0 sessions ended\n" {
            continue;
        }
        many.expect_none().await;
        assert_eq!(many.revoke_all(), "0 sessions ended\n");
        return;
    }
    panic!("the command always ended all sessions before it was killed");
}

/// One server refuses writes, so that an attempt ends a part of the sessions at most.
#[tokio::test]
async fn a_command_counts_the_sessions_of_all_attempts() {
    let many = Many::start(500).await;
    // No service searches beside the command.
    many.site.redis_cli::<()>(&[
        "SET",
        "{ncc:session-searches}:lease",
        "a process that does nothing",
    ]);
    let of_change = ["ncc:user:1", "ncc:session-searches"].map(|key| many.owner(key));
    let refusing = (0..3).find(|server| !of_change.contains(server)).unwrap();
    many.refuse_writes(refusing, true);
    let command = many.site.start("sessions", &["revoke", "--user", "1"]);
    wait_until("an attempt has ended some sessions", || many.stored() < 500);
    tokio::time::sleep(Duration::from_millis(1500)).await;
    assert!(many.stored() > 400, "the server refuses to end the others");
    many.refuse_writes(refusing, false);
    let ended = Ended::of(command);
    let said = (ended.code, ended.stdout.as_str());
    assert_eq!(said, (0, "100 sessions ended\n"), "{}", ended.stderr);
    assert_eq!(many.stored(), 400);

    // Before it ends any session, the command writes a key, which one of the servers has.
    let fails = |server| {
        many.refuse_writes(server, true);
        let failed = many.site.run("sessions", &["revoke", "--all"]);
        many.refuse_writes(server, false);
        assert_eq!(failed.code, 1, "{}", failed.stdout);
        failed
    };
    let failed = (0..3).map(fails).find(|failed| !failed.stdout.is_empty()).unwrap();
    assert!(failed.stdout.starts_with("at least "), "{}", failed.stdout);
    assert!(failed.stderr.contains("run the command again"), "{}", failed.stderr);
    assert!((1..400).contains(&many.stored()));
    many.revoke_all();
    many.expect_none().await;
}

#[tokio::test]
async fn a_command_waits_for_a_server_that_does_not_respond_for_a_while() {
    let site = Site::redis_cluster_of_three();
    let auth = site.auth(&[]);
    let mut session = auth.logged_in().await;
    // The account's server stays; another one does not answer the search, which begins after the lease.
    let epoch = format!("{{ncc:user:{USER}}}:epoch");
    let settings = ["revoke", "--user", EMAIL, "--session-cache", "1s", "--store-timeout", "2s"];
    let command = site.start("sessions", &settings);
    let raised = || site.redis_cli::<Option<String>>(&["GET", &epoch]).is_some();
    wait_until("the epoch is raised", raised);
    tokio::time::sleep(Duration::from_millis(300)).await;
    let paused =
        &site.cluster().servers()[(site.cluster().owner(redis_link::hash_slot(&epoch)) + 1) % 3];
    site.cluster().suspect_nobody();
    paused.pause();
    // Longer than a command may take.
    tokio::time::sleep(Duration::from_secs(4)).await;
    paused.resume();
    let ended = Ended::of(command);
    assert_eq!((ended.code, ended.stdout.as_str()), (0, "1 sessions ended\n"), "{}", ended.stderr);
    assert!(site.keys("ncc:session-searches").is_empty());
    expect_plain(&session.get("/session").await, 401, "Authentication required.");
}

/// The change is made, so it is said, and what is left to do.
#[tokio::test]
async fn a_command_that_cannot_search_says_what_is_done_and_what_is_left() {
    let site = Site::on(RedisServer::start());
    let auth = site.auth(&[]);
    let account = json!({
        "firstName": "Al", "lastName": "Appelhof", "email": EMAIL, "password": PASSWORD,
    });
    assert_eq!(auth.client().post("/register", &account).await.status, 201);
    let mut session = auth.logged_in().await;
    site.redis_cli::<()>(&["ACL", "SETUSER", "default", "-scan"]);
    let new = "another long password";
    let again = "run checkin sessions revoke --user 1";
    let changed = run_with_input(&site, &["users", "passwd", EMAIL], new);
    assert_eq!(changed.stdout, "password of user 1 changed, 1 sessions ended\n");
    assert!(changed.code == 1 && changed.stderr.contains(again), "{}", changed.stderr);
    let store = format!("checkin: {}: ", site.store);
    assert!(changed.stderr.contains(&store), "{}", changed.stderr);
    expect_plain(&session.get("/session").await, 401, "Authentication required.");
    expect_plain(&log_in(&mut auth.client()).await, 401, "Invalid login.");
    let login = json!({"email": EMAIL, "password": new});
    expect_plain(&auth.client().post("/login", &login).await, 200, "OK");
    let kinds = site.run("security-events", &["list", "--json"]).stdout;
    assert!(kinds.contains("password-changed"), "{kinds}");
    for (words, done, again) in [
        (&["disable", EMAIL][..], "user 1 is disabled now, ", again),
        (&["enable", EMAIL], "user 1 is active now, ", again),
        (&["delete", EMAIL], "user 1 is deleted now, ", "run checkin users delete 1"),
    ] {
        let ended = site.run("users", words);
        assert!(ended.stdout.starts_with(done), "{}", ended.stdout);
        assert!(ended.code == 1 && ended.stderr.contains(again), "{}", ended.stderr);
        assert!(ended.stderr.contains(&store), "{}", ended.stderr);
    }
    let all = site.run("sessions", &["revoke", "--all"]);
    assert!(all.code == 1 && all.stderr.contains(&store), "{}", all.stderr);
    site.redis_cli::<()>(&["ACL", "SETUSER", "default", "+scan"]);
    let deleted = site.run("users", &["delete", "1"]);
    assert!(deleted.stdout.starts_with("user 1 is deleted already, "), "{}", deleted.stdout);
    assert_eq!(deleted.code, 0, "{}", deleted.stderr);
    assert!(site.run("users", &["list", "--json"]).stdout.contains("deleted-1@deleted.invalid"));
}
