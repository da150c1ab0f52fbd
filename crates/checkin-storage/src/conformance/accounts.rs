//! Accounts.

use std::collections::HashSet;
use std::sync::Arc;

use super::*;
use crate::{Admitted, Credentials, Loaded, NewEpoch, Registered, Result, Standing};

pub(super) async fn opened(storage: &dyn Storage, email: &str) -> User {
    match storage.register(new_user(email)).await.unwrap() {
        Registered::Opened(user) => user,
        Registered::EmailTaken => panic!("{email} is taken"),
    }
}

pub async fn an_account_is_found_by_id_and_address(subject: StoreUnderTest) {
    let storage = &*subject.storage;
    let user = opened(storage, "Zoë@Example.com").await;
    assert_eq!((user.first_name.as_str(), user.last_name.as_str()), ("Zoë", ""));
    assert_eq!(user.email.as_str(), "Zoë@Example.com");
    assert_eq!((user.num_checkins, user.last_checkin, user.last_seen_at), (0, None, None));
    assert_eq!(storage.user(user.id).await.unwrap().as_ref(), Some(&user));
    for email in ["Zoë@Example.com", "zoË@EXAMPLE.COM", "zoe\u{308}@example.com"] {
        let found = storage.user_by_email(&email.parse().unwrap()).await.unwrap();
        assert_eq!(found.as_ref(), Some(&user), "{email}");
    }
    let name = storage.name(user.id).await.unwrap().unwrap();
    assert_eq!((&*name.first, &*name.last, &*name.full()), ("Zoë", "", "Zoë"));
    let email = "zoe@example.com".parse().unwrap();
    assert_eq!(storage.user_by_email(&email).await.unwrap(), None);
    assert_eq!(storage.user(user_id(user.id.get() + 1)).await.unwrap(), None);
}

pub async fn names_are_read_together(subject: StoreUnderTest) {
    let storage = &*subject.storage;
    let users = [1, 2, 77].map(|id| user(id, &format!("u{id}@example.com")));
    storage.load_users(&users).await.unwrap();
    let ids = [77, 3, 1, 77].map(user_id);
    let names = storage.names(&ids).await.unwrap();
    assert_eq!(names.len(), 2, "{names:?}");
    for id in [1, 77].map(user_id) {
        assert_eq!(names.get(&id), storage.name(id).await.unwrap().as_ref());
    }
    assert_eq!(storage.names(&[]).await.unwrap().len(), 0);
}

pub async fn an_address_has_one_account_in_each_normal_form(subject: StoreUnderTest) {
    let storage = &*subject.storage;
    // A composed accent beside one that is not.
    let mixed = "zo\u{eb}.rene\u{301}@example.com";
    let composed = "zo\u{eb}.ren\u{e9}@example.com";
    let decomposed = "zoe\u{308}.rene\u{301}@example.com";
    let account = opened(storage, mixed).await;
    assert_eq!(account.email.as_str(), mixed);
    for email in [composed, decomposed, mixed] {
        let found = storage.credentials_by_email(&email.parse().unwrap()).await.unwrap();
        assert_eq!(found.unwrap().id, account.id, "{email}");
        let again = storage.register(new_user(email)).await.unwrap();
        assert_eq!(again, Registered::EmailTaken, "{email}");
        let other = user(account.id.get() + 1, email);
        let loaded = storage.load_users(&[other]).await.unwrap();
        assert_eq!(loaded, [Loaded::EmailTaken(account.id)], "{email}");
    }
}

pub async fn parallel_registrations_of_an_address_open_one_account(subject: StoreUnderTest) {
    let answers = together(32, |number| {
        let storage = Arc::clone(&subject.storage);
        let forms = ["al\u{e9}@example.com", "ale\u{301}@example.com", "ALE\u{301}@example.COM"];
        let email = forms[number % 3];
        async move { storage.register(new_user(email)).await.unwrap() }
    })
    .await;
    let opened = answers.iter().filter(|answer| matches!(answer, Registered::Opened(_)));
    assert_eq!(opened.count(), 1);
    assert_eq!(subject.storage.users_after(None, 100).await.unwrap().len(), 1);
    let again = subject.storage.register(new_user("Al\u{c9}@example.com")).await.unwrap();
    assert_eq!(again, Registered::EmailTaken);
}

pub async fn parallel_registrations_get_ids_of_their_own(subject: StoreUnderTest) {
    let ids = together(32, |number| {
        let storage = Arc::clone(&subject.storage);
        async move { opened(&*storage, &format!("user{number}@example.com")).await.id }
    })
    .await;
    assert_eq!(ids.iter().copied().collect::<HashSet<_>>().len(), 32);
    for (number, id) in ids.into_iter().enumerate() {
        let user = subject.storage.user(id).await.unwrap().unwrap();
        assert_eq!(user.email.as_str(), format!("user{number}@example.com"));
    }
    // Another program uses the highest possible id.
    let most = checkin_domain::MAX_SAFE_INTEGER;
    subject.storage.load_users(&[user(most, "last@example.com")]).await.unwrap();
    let ids = together(4, |number| {
        let storage = Arc::clone(&subject.storage);
        async move { opened(&*storage, &format!("late{number}@example.com")).await.id.get() }
    })
    .await;
    assert_eq!(ids.into_iter().collect::<HashSet<_>>(), (most - 4..most).collect());
}

/// Returns the epoch after a change.
pub(super) fn epoch(changed: Result<Option<NewEpoch>>) -> Option<u64> {
    changed.unwrap().map(|new| new.epoch)
}

/// A session that asks for a change.
pub(super) fn session(handle: &str, epoch: u64) -> Admitted {
    Admitted { epoch, handle: Some(handle.to_owned()) }
}

pub async fn a_password_changes_only_in_the_expected_epoch(subject: StoreUnderTest) {
    let storage = &*subject.storage;
    let user = opened(storage, "al@example.com").await;
    let id = user.id;
    let change = async |at: Option<u64>, new| {
        let by = at.map(|epoch| Admitted { epoch, handle: None });
        epoch(storage.change_password(id, by.as_ref(), &password(new)).await)
    };
    let account = async || {
        let account = storage.credentials_by_email(&user.email).await.unwrap().unwrap();
        let user = storage.user(id).await.unwrap().unwrap();
        assert_eq!((&user.email, &user.password), (&account.email, &account.password));
        assert_eq!(storage.credentials(id).await.unwrap().as_ref(), Some(&account));
        let Credentials { password, standing, .. } = account;
        assert_eq!(storage.standing(id).await.unwrap(), standing);
        assert_eq!(storage.user_with_standing(id).await.unwrap(), Some((user, standing.clone())));
        (password, standing.epoch)
    };
    assert_eq!(account().await, (password(1), 0));
    assert_eq!(change(Some(1), 3).await, None);
    assert_eq!(account().await, (password(1), 0));
    assert_eq!(change(Some(0), 2).await, Some(1));
    assert_eq!(change(Some(0), 3).await, None);
    assert_eq!(account().await, (password(2), 1));
    assert_eq!(change(None, 3).await, Some(2));
    assert_eq!(account().await, (password(3), 2));
    // Another hash of the same password is not a change of the password.
    let renew = async |expected, new| {
        storage.renew_password(id, &password(expected), &password(new)).await.unwrap()
    };
    assert!(!renew(2, 4).await);
    assert!(renew(3, 4).await);
    assert_eq!(account().await, (password(4), 2));
    for (at, changed) in [(1, None), (3, None), (2, Some(3))] {
        assert_eq!(change(Some(at), 5).await, changed);
    }
    assert_eq!(account().await, (password(5), 3));
    // The sessions were ended meanwhile, and the password is the same.
    assert_eq!(epoch(storage.raise_epoch(id, None).await), Some(4));
    assert_eq!(change(Some(3), 6).await, None);
    assert_eq!(account().await, (password(5), 4));

    let nobody = user_id(id.get() + 1);
    for by in [None, Some(&Admitted { epoch: 0, handle: None })] {
        let changed = storage.change_password(nobody, by, &password(2)).await.unwrap();
        assert_eq!(changed, None);
    }
    assert_eq!(storage.standing(nobody).await.unwrap(), Standing::default());
    assert_eq!(storage.raise_epoch(nobody, None).await.unwrap(), None);
    assert_eq!(storage.standing(nobody).await.unwrap(), Standing::default());
    assert_eq!(storage.user(nobody).await.unwrap(), None);
    assert_eq!(storage.user_with_standing(nobody).await.unwrap(), None);
    assert_eq!(storage.credentials(nobody).await.unwrap(), None);
    assert_eq!(storage.name(nobody).await.unwrap(), None);
    let email = "nobody@example.com".parse().unwrap();
    assert_eq!(storage.credentials_by_email(&email).await.unwrap(), None);
}

pub async fn an_epoch_is_raised_and_keeps_one_session(subject: StoreUnderTest) {
    let storage = &*subject.storage;
    let id = opened(storage, "al@example.com").await.id;
    let raise = async |by: Option<(&str, u64)>| {
        let by = by.map(|(handle, epoch)| session(handle, epoch));
        epoch(storage.raise_epoch(id, by.as_ref()).await)
    };
    let standing = async || {
        let standing = storage.standing(id).await.unwrap();
        assert_eq!(storage.credentials(id).await.unwrap().unwrap().standing, standing);
        (standing.epoch, standing.kept)
    };
    let keeps = |epoch, handle: &str| (epoch, Some(handle.to_owned()));
    assert_eq!(raise(Some(("a", 0))).await, Some(1));
    assert_eq!(standing().await, keeps(1, "a"));
    // It keeps its epoch, and is valid.
    assert_eq!(raise(Some(("a", 0))).await, Some(2));
    // Another one of an earlier epoch is not; one of this epoch is.
    assert_eq!(raise(Some(("b", 1))).await, None);
    assert_eq!(standing().await, keeps(2, "a"));
    assert_eq!(raise(Some(("b", 2))).await, Some(3));
    assert_eq!(raise(Some(("a", 0))).await, None);
    assert_eq!(raise(Some(("c", 3))).await, Some(4));
    assert_eq!(standing().await, keeps(4, "c"));
    // Another hash of the same password changes nothing, another password keeps no session.
    assert!(storage.renew_password(id, &password(1), &password(2)).await.unwrap());
    assert_eq!(standing().await, keeps(4, "c"));
    assert_eq!(epoch(storage.change_password(id, None, &password(3)).await), Some(5));
    assert_eq!(standing().await, (5, None));
    assert_eq!(raise(Some(("d", 5))).await, Some(6));
    assert_eq!(raise(None).await, Some(7));
    assert_eq!(standing().await, (7, None));
    assert_eq!(storage.user(id).await.unwrap().unwrap().password, password(3));
}

pub async fn parallel_raises_are_each_counted(subject: StoreUnderTest) {
    let id = opened(&*subject.storage, "al@example.com").await.id;
    let raised = together(32, |_| {
        let storage = Arc::clone(&subject.storage);
        async move { epoch(storage.raise_epoch(id, Some(&session("a", 0))).await).unwrap() }
    })
    .await;
    assert_eq!(raised.into_iter().collect::<HashSet<_>>(), (1..=32).collect());
}

pub async fn accounts_are_listed_in_pages(subject: StoreUnderTest) {
    let storage = &*subject.storage;
    let users: Vec<User> =
        [2, 9, 10, 77, 100].map(|id| user(id, &format!("u{id}@example.com"))).into();
    storage.load_users(&users).await.unwrap();
    assert_eq!(storage.users_after(None, 100).await.unwrap(), users);
    assert_eq!(storage.users_after(None, 2).await.unwrap(), users[..2]);
    assert_eq!(storage.users_after(Some(users[1].id), 2).await.unwrap(), users[2..4]);
    assert_eq!(storage.users_after(Some(user_id(11)), 100).await.unwrap(), users[3..]);
    assert_eq!(storage.users_after(Some(user_id(100)), 100).await.unwrap(), []);
    assert_eq!(storage.users_after(None, 0).await.unwrap(), []);
}
