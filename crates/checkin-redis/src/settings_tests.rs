//! Tests of what the doctor finds in the settings of a server and in the permissions of a login.

use std::time::Duration;

use checkin_storage::{Finding, Health, ServiceKind, Severity};
use redis_link::redis;
use testkit::{RedisCluster, RedisServer, Sentinel, wait_until};

use super::RedisStorage;
use super::tests::{ask, patient, storage};

#[tokio::test]
async fn a_diagnosis_finds_settings_that_may_lose_data() {
    let server = RedisServer::start_with(&["--maxmemory-policy", "allkeys-lru"]);
    let storage = storage(&server);
    let mut findings = found(&storage).await;
    findings.retain(|finding| finding.severity != Severity::Fine);
    assert_eq!(findings.len(), 2, "{findings:?}");
    for (finding, word) in findings.iter().zip(["allkeys-lru", "append-only"]) {
        assert_eq!(finding.severity, Severity::Problem);
        assert!(finding.what.contains(word), "{finding:?}");
        assert!(finding.advice.contains("redis-cli CONFIG SET"), "{finding:?}");
    }
    let policy = &["maxmemory-policy noeviction", "appendonly yes", "appendfsync no"][..];
    let rewrite = &["appendfsync always", "no-appendfsync-on-rewrite yes"];
    let replicas = &["no-appendfsync-on-rewrite no", "min-replicas-to-write 1"];
    let limit = &["min-replicas-to-write 0", "maxmemory 1"];
    for (settings, word) in [
        (policy, "appendfsync no"),
        (rewrite, "no-appendfsync-on-rewrite"),
        (replicas, "min-replicas-to-write"),
        (limit, "refuses writes"),
    ] {
        for setting in settings {
            ask(&storage, &format!("CONFIG SET {setting}")).await;
        }
        let problems = problems(&storage).await;
        assert!(matches!(&problems[..], [one] if one.what.contains(word)), "{problems:?}");
    }
    ask(&storage, "CONFIG SET maxmemory 0").await;
    assert_eq!(problems(&storage).await, []);

    ask(&storage, "CONFIG SET auto-aof-rewrite-percentage 0").await;
    let [grows] = warnings(&storage).await.try_into().unwrap();
    assert!(grows.what.contains("append-only file"), "{grows:?}");
    ask(&storage, "CONFIG SET auto-aof-rewrite-percentage 100").await;

    ask(&storage, "CONFIG SET timeout 3600").await;
    let [closes] = warnings(&storage).await.try_into().unwrap();
    assert!(closes.what.contains("3600 s"), "{closes:?}");

    ask(&storage, "ACL SETUSER default -info -config").await;
    let unreported = warnings(&storage).await;
    let unreported: Vec<&str> = unreported.iter().map(|finding| finding.what.as_str()).collect();
    assert_eq!(
        unreported,
        [
            "Redis does not report its redis_version (INFO)",
            "Redis does not report its maxmemory_policy, used_memory, connected_clients, aof_enabled, \
             rdb_last_bgsave_status, role (INFO)",
        ]
    );
    let findings = found(&storage).await;
    let unseen = "timeout and appendfsync were not looked at: this login may not use CONFIG GET";
    assert!(findings.iter().any(|finding| finding.what == unseen), "{findings:?}");
}

pub(super) async fn found(storage: &RedisStorage) -> Vec<Finding> {
    let mut findings = Vec::new();
    storage.diagnose(&mut findings).await.unwrap();
    findings
}

async fn warnings(storage: &RedisStorage) -> Vec<Finding> {
    let mut findings = found(storage).await;
    findings.retain(|finding| finding.severity == Severity::Warning);
    findings
}

pub(super) async fn problems(storage: &RedisStorage) -> Vec<Finding> {
    let mut findings = found(storage).await;
    findings.retain(|finding| finding.severity == Severity::Problem);
    findings
}

#[tokio::test]
async fn a_diagnosis_finds_the_settings_of_each_primary_of_a_cluster() {
    let cluster = RedisCluster::start(3);
    let storage = RedisStorage::new(patient(&cluster.url()), "ncc", 1);
    assert_eq!(problems(&storage).await, []);
    for server in cluster.servers() {
        for (setting, wrong, right) in [
            ("appendfsync", "no", "everysec"),
            ("maxmemory-policy", "allkeys-lru", "noeviction"),
            ("appendonly", "no", "yes"),
            ("min-replicas-to-write", "1", "0"),
        ] {
            let set = |value: &str| {
                let mut set = redis::cmd("CONFIG");
                set.arg("SET").arg(setting).arg(value).exec(&mut server.connection()).unwrap();
            };
            set(wrong);
            let problems = problems(&storage).await;
            let [problem] = &problems[..] else { panic!("{setting} {wrong}: {problems:?}") };
            let named = format!("on {}: ", server.address());
            assert!(problem.what.starts_with(&named), "{}", problem.what);
            set(right);
        }
    }
}

/// A replica with other settings would lose data as soon as it is the master.
#[tokio::test]
async fn a_diagnosis_finds_the_settings_of_replicas() {
    let sentinel = Sentinel::start();
    let storage = RedisStorage::new(patient(&sentinel.url()), "ncc", 1);
    let set = |setting: &str, value: &str| {
        let mut set = redis::cmd("CONFIG");
        let mut replica = sentinel.replica().connection();
        set.arg("SET").arg(setting).arg(value).exec(&mut replica).unwrap();
    };
    assert_eq!(problems(&storage).await, []);
    for (setting, wrong, right) in [
        ("maxmemory-policy", "volatile-lru", "noeviction"),
        ("appendonly", "no", "yes"),
        ("appendfsync", "no", "always"),
    ] {
        set(setting, wrong);
        let problems_now = problems(&storage).await;
        let [problem] = &problems_now[..] else { panic!("{setting}: {problems_now:?}") };
        let address = format!("127.0.0.1:{}", sentinel.replica().port());
        assert!(problem.what.contains(&address), "{problem:?}");
        // It never becomes the master.
        set("replica-priority", "0");
        assert_eq!(problems(&storage).await, []);
        set("replica-priority", "100");
        set(setting, right);
    }
    // Users and passwords are not replicated.
    set("requirepass", "secret");
    let problems = problems(&storage).await;
    let [problem] = &problems[..] else { panic!("{problems:?}") };
    assert!(problem.what.ends_with("unless its replica-priority is 0"), "{problem:?}");
    sentinel.replica().pause();
    let findings = found(&storage).await;
    let unknown = findings.iter().find(|finding| finding.what.contains("cannot be examined"));
    assert_eq!(unknown.unwrap().severity, Severity::Warning, "{findings:?}");
    sentinel.replica().resume();
}

/// Its settings do not matter, and a change that only it has confirmed may be lost.
#[tokio::test]
async fn a_diagnosis_knows_replicas_that_never_become_the_master() {
    let sentinel = Sentinel::start_with(2, 3);
    let warnings = async |wait: u32| {
        let storage = RedisStorage::new(patient(&sentinel.url()), "ncc", 1);
        let storage = storage.wait_for_replicas(wait, Duration::from_millis(100)).unwrap();
        let mut findings = found(&storage).await;
        findings.retain(|finding| finding.severity != Severity::Fine);
        findings
    };
    assert_eq!(warnings(1).await, []);
    let mut replica = sentinel.replica().connection();
    let mut set = |setting: &str, value: &str| {
        redis::cmd("CONFIG").arg("SET").arg(setting).arg(value).exec(&mut replica).unwrap();
    };
    set("appendonly", "no");
    set("replica-priority", "0");
    for wait in [0, 2] {
        assert_eq!(warnings(wait).await, [], "{wait}");
    }
    let [warning] = warnings(1).await.try_into().unwrap();
    assert!(warning.what.contains(&sentinel.replica().address()), "{warning:?}");
    assert!(warning.advice.contains("(2)"), "{warning:?}");
}

/// It never becomes the primary by itself, so its settings do not matter.
#[tokio::test]
async fn a_diagnosis_knows_replicas_of_a_cluster_that_never_become_the_primary() {
    let mut cluster = RedisCluster::with_replicas(3);
    let storage = RedisStorage::new(patient(&cluster.url()), "ncc", 1);
    assert_eq!(problems(&storage).await, []);
    let mut replica = cluster.replicas()[0].connection();
    let mut set = |setting: &str, value: &str| {
        redis::cmd("CONFIG").arg("SET").arg(setting).arg(value).exec(&mut replica).unwrap();
    };
    set("appendonly", "no");
    let [problem] = problems(&storage).await.try_into().unwrap();
    assert!(problem.what.contains(&cluster.replicas()[0].address()), "{problem:?}");
    set("cluster-replica-no-failover", "yes");
    assert_eq!(problems(&storage).await, []);

    cluster.server_mut(0).kill();
    let state = |server: &RedisServer| -> String {
        redis::cmd("CLUSTER").arg("INFO").query(&mut server.connection()).unwrap()
    };
    wait_until("the cluster misses its slots", || {
        state(&cluster.servers()[1]).contains("cluster_state:fail")
    });
    // Longer than a replica waits before it asks for votes.
    tokio::time::sleep(Duration::from_secs(2)).await;
    assert!(state(&cluster.servers()[1]).contains("cluster_state:fail"));
    set("cluster-replica-no-failover", "no");
    wait_until("the replica takes over", || {
        state(&cluster.servers()[1]).contains("cluster_state:ok")
    });
}

#[tokio::test]
async fn a_diagnosis_finds_sentinels_that_cannot_replace_the_master() {
    let sentinel = Sentinel::start_with(1, 3);
    let at = |url: &str| RedisStorage::new(patient(url), "ncc", 1);
    let storage = at(&sentinel.url());
    assert_eq!(warnings(&storage).await, []);
    let addresses = sentinel.addresses();
    let first = addresses.split(',').next().unwrap();
    let [missing] = warnings(&at(&format!("redis-sentinel://{first}/m"))).await.try_into().unwrap();
    assert_eq!(missing.what, "the store's URL names 1 of 3 sentinels");
    for other in addresses.split(',').skip(1) {
        assert!(missing.advice.contains(other), "{missing:?}");
    }
    let nobody = format!("127.0.0.1:{}", testkit::free_port());
    let [silent] = warnings(&at(&format!("redis-sentinel://{addresses},{nobody}/m")))
        .await
        .try_into()
        .unwrap();
    assert!(
        silent.what.starts_with(&format!("the sentinel {nobody} cannot be asked")),
        "{silent:?}"
    );
    let tell = |address: &str, words: &[&str]| {
        let sentinel = redis::Client::open(format!("redis://{address}")).unwrap();
        redis::cmd(words[0])
            .arg(&words[1..])
            .exec(&mut sentinel.get_connection().unwrap())
            .unwrap();
    };
    let quorum = ["SENTINEL", "SET", "m", "quorum", "4"];
    tell(first, &quorum);
    let [one] = warnings(&storage).await.try_into().unwrap();
    assert!(one.what.contains(&format!("{first} says 3 usable Sentinels")), "{one:?}");
    // The others could replace it all the same.
    assert_eq!(problems(&storage).await, []);
    addresses.split(',').for_each(|address| tell(address, &quorum));
    let [problem] = problems(&storage).await.try_into().unwrap();
    assert!(problem.what.contains(&format!("{first} says 3 usable Sentinels")), "{problem:?}");

    let few = "-sentinel +sentinel|get-master-addr-by-name +sentinel|master";
    let few = format!("ACL SETUSER default {few}");
    let few: Vec<&str> = few.split(' ').collect();
    addresses.split(',').for_each(|address| tell(address, &few));
    assert_eq!(problems(&storage).await, []);
    let [hidden] = warnings(&storage).await.try_into().unwrap();
    assert_eq!(hidden.what, "a sentinel does not answer SENTINEL CKQUORUM or SENTINEL SENTINELS");

    let alone = Sentinel::start_with(0, 1);
    let [replica, few] = warnings(&at(&alone.url())).await.try_into().unwrap();
    assert!(replica.what.contains("no replica"), "{replica:?}");
    assert!(few.what.starts_with("the number of sentinels is 1"), "{few:?}");
}

#[tokio::test]
async fn a_diagnosis_names_commands_that_the_server_does_not_have() {
    let renamed = ["--rename-command", "XADD", "", "--rename-command", "ZCOUNT", "other"];
    let server = RedisServer::start_with(&[&["--appendonly", "yes"], &renamed[..]].concat());
    let storage = storage(&server);
    let [missing] = problems(&storage).await.try_into().unwrap();
    assert_eq!(
        missing.what,
        "the server does not have the commands xadd (auth, receiver, processor), zcount (auth, processor, api)"
    );
    let fault = storage.permitted(&[ServiceKind::Receiver]).await.unwrap_err();
    assert!(
        fault.to_string().starts_with("the server does not have the commands xadd (receiver): ")
    );
    // Without this one, sessions are not cached, and everything works.
    let renamed = ["--appendonly", "yes", "--rename-command", "CLIENT", ""];
    let server = RedisServer::start_with(&renamed);
    let storage = super::tests::storage(&server);
    storage.permitted(&ServiceKind::ALL).await.unwrap();
    assert_eq!(problems(&storage).await, []);
}

#[tokio::test]
async fn a_diagnosis_names_missing_permissions_and_changes_nothing() {
    let server = RedisServer::start_with(&["--appendonly", "yes"]);
    let admin = storage(&server);
    ask(&admin, "ACL SETUSER al on >secret ~ncc:* ~{ncc:* +@all -@dangerous +info -xadd -zcount")
        .await;
    // All of CLIENT is dangerous in Redis 6.2.
    ask(&admin, "ACL SETUSER al +client|tracking").await;
    let url = format!("redis://al:secret@127.0.0.1:{}", server.port());
    let storage = RedisStorage::new(patient(&url), "ncc", 1);
    let [missing] = problems(&storage).await.try_into().unwrap();
    assert_eq!(
        missing.what,
        "the login may not use xadd (auth, receiver, processor), zcount (auth, processor, api)"
    );
    assert_eq!(missing.advice, "redis-cli ACL SETUSER al +xadd +zcount");
    ask(&admin, "ACL SETUSER al +xadd +zcount resetkeys ~ncc:*").await;
    let [missing] = problems(&storage).await.try_into().unwrap();
    assert_eq!(missing.what, "the login may not use {ncc:doctor}:doctor");
    assert_eq!(missing.advice, "redis-cli ACL SETUSER al '~{ncc:*' '~ncc:*'");
    ask(&admin, "ACL SETUSER al ~{ncc:*").await;
    assert_eq!(problems(&storage).await, []);
    assert_eq!(ask(&admin, "DBSIZE").await, ["0"]);
    // Without these, it cannot be tried without changing something.
    ask(&admin, "ACL SETUSER al -multi").await;
    assert_eq!(problems(&storage).await, []);
    assert_eq!(ask(&admin, "DBSIZE").await, ["0"]);
}
