//! Tests of what the doctor finds in the settings of a server and in the permissions of a login.

use checkin_storage::{Finding, Health, Severity};
use testkit::RedisServer;

use super::RedisStorage;
use super::tests::{ask, patient, storage};

#[tokio::test]
async fn a_diagnosis_finds_settings_that_may_lose_data() {
    let server = RedisServer::start_with(&["--maxmemory-policy", "allkeys-lru"]);
    let storage = storage(&server);
    let mut findings = storage.diagnose().await.unwrap();
    findings.retain(|finding| finding.severity != Severity::Fine);
    assert_eq!(findings.len(), 2, "{findings:?}");
    for (finding, word) in findings.iter().zip(["allkeys-lru", "append-only"]) {
        assert_eq!(finding.severity, Severity::Problem);
        assert!(finding.what.contains(word), "{finding:?}");
        assert!(finding.advice.contains("redis-cli CONFIG SET"), "{finding:?}");
    }
    for (setting, word) in [
        ("CONFIG SET maxmemory-policy noeviction appendonly yes appendfsync no", "appendfsync"),
        ("CONFIG SET appendfsync always maxmemory 1000000", "refuses writes"),
    ] {
        ask(&storage, setting).await;
        let problems = problems(&storage).await;
        assert!(matches!(&problems[..], [one] if one.what.contains(word)), "{problems:?}");
    }
    ask(&storage, "CONFIG SET maxmemory 0").await;
    assert_eq!(problems(&storage).await, []);

    ask(&storage, "ACL SETUSER default -info").await;
    let findings = storage.diagnose().await.unwrap();
    let refused = findings.iter().filter(|finding| finding.severity == Severity::Warning);
    assert_eq!(refused.count(), 6, "{findings:?}");
}

pub(super) async fn problems(storage: &RedisStorage) -> Vec<Finding> {
    let mut findings = storage.diagnose().await.unwrap();
    findings.retain(|finding| finding.severity == Severity::Problem);
    findings
}

#[tokio::test]
async fn a_diagnosis_names_missing_permissions_and_changes_nothing() {
    let server = RedisServer::start_with(&["--appendonly", "yes"]);
    let admin = storage(&server);
    ask(&admin, "ACL SETUSER al on >secret ~ncc:* ~{ncc:* +@all -@dangerous +info -xadd -zcount")
        .await;
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
