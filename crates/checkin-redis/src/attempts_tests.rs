//! The scripts that count attempts to give a password.

use checkin_storage::conformance::{attempt_cases, expect_as_decided};
use checkin_storage::{Attempts, Budget, Counted, Taken};
use testkit::RedisServer;

use super::clock::Clock;
use super::tests::{ask, storage};

fn counted(found: &[String]) -> Counted {
    let words = found.first().and_then(|value| value.split_once(' '));
    words.map_or_else(Counted::default, |(count, until_ms)| Counted {
        count: count.parse().unwrap(),
        until_ms: until_ms.parse().unwrap(),
    })
}

#[tokio::test]
async fn the_scripts_decide_as_the_shared_decisions() {
    let server = RedisServer::start();
    let storage = storage(&server);
    for (budget, before) in attempt_cases(Clock::default().now_ms()) {
        let (key, Counted { count, until_ms }) =
            (storage.redis.keys.attempts(budget.name()), before);
        let set = async || {
            let value = format!("{count} {until_ms}");
            storage.redis.call(&["SET", &key, &value, "PX", "600000"]).await.unwrap();
        };
        let find = async || counted(&ask(&storage, &format!("GET {key}")).await);
        set().await;
        let now_ms = Clock::default().now_ms();
        let given = storage.take_attempt(&budget).await.unwrap();
        expect_as_decided(budget.allowance(), before, now_ms, given);
        for taken_until_ms in [until_ms, 0, 7] {
            set().await;
            let taken = Taken { count: 1, until_ms: taken_until_ms };
            storage.give_back_attempt(&budget, taken).await.unwrap();
            let wanted = budget.allowance().give_back(before, taken);
            assert_eq!(find().await, wanted, "{before:?} {taken:?}");
            let is_kept = ask(&storage, &format!("PTTL {key}")).await[0] != "-1";
            assert!(is_kept, "{before:?} {taken:?}");
        }
    }
}

#[tokio::test]
async fn counted_attempts_have_a_time_to_live() {
    let server = RedisServer::start();
    let storage = storage(&server);
    let account = Budget::of_session("a session");
    let network = Budget::of_network([192, 0, 2, 1].into());
    for (budget, days) in [(&account, [4, 8]), (&network, [1, 1])] {
        for days in days {
            storage.take_attempt(budget).await.unwrap();
            let name = format!("ncc:attempts:{}", budget.name());
            let seconds: u64 = ask(&storage, &format!("TTL {name}")).await[0].parse().unwrap();
            assert_eq!(seconds.div_ceil(24 * 60 * 60), days);
        }
    }
    // A value that another program wrote counts as none.
    let name = format!("ncc:attempts:{}", account.name());
    ask(&storage, &format!("SET {name} x")).await;
    storage.give_back_attempt(&account, Taken { count: 1, until_ms: 0 }).await.unwrap();
    storage.take_attempt(&account).await.unwrap();
    assert_eq!(ask(&storage, &format!("GET {name}")).await, ["1 0"]);
}
