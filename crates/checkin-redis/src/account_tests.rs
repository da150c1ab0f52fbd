//! Accounts whose writers are given up.

use std::time::Duration;

use checkin_storage::conformance::new_user;
use checkin_storage::{Registered, Users};
use testkit::{Proxy, RedisServer, until};
use tokio::time::timeout;

use super::RedisStorage;
use super::tests::{ask, patient, storage};

/// The network holds the command back that writes the user, until somebody else has opened an account with the address.
#[tokio::test]
async fn an_account_that_is_written_too_late_is_not_written() {
    let server = RedisServer::start();
    let (proxy, near) = (Proxy::start(server.port()), storage(&server));
    let far = patient(&format!("redis://127.0.0.1:{}", proxy.port()));
    let far = RedisStorage::new(far, "ncc", 1);
    far.register(new_user("other@example.com")).await.unwrap();

    proxy.freeze_before(b"firstName");
    let given_up = timeout(Duration::from_secs(1), far.register(new_user("al@example.com"))).await;
    assert!(given_up.is_err() && proxy.is_frozen());
    let mut second = Registered::EmailTaken;
    until("the claim is over", async || {
        second = near.register(new_user("al@example.com")).await.unwrap();
        second != Registered::EmailTaken
    })
    .await;
    proxy.thaw();
    // Redis has received the command that was held back.
    ask(&far, "PING").await;

    let Registered::Opened(al) = second else { panic!("the address is taken") };
    assert_eq!(near.user_by_email(&al.email).await.unwrap(), Some(al.clone()));
    let found = near.users_after(None, 10).await.unwrap();
    assert_eq!(found.iter().map(|user| user.id.get()).collect::<Vec<_>>(), [1, al.id.get()]);
}
