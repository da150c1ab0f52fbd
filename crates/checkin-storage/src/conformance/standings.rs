//! The status and the role of accounts.

use super::accounts::opened;
use super::*;
use crate::{AccountChange, KeptSession, Registered, Role, Standing, Status};

pub(super) async fn set_status(storage: &dyn Storage, id: UserId, status: Status) -> Option<u64> {
    storage.change_account(id, AccountChange::Status(status)).await.unwrap()
}

async fn set_role(storage: &dyn Storage, id: UserId, role: Role) -> Option<u64> {
    storage.change_account(id, AccountChange::Role(role)).await.unwrap()
}

pub async fn a_change_of_an_account_ends_its_sessions(subject: StoreUnderTest) {
    let storage = &*subject.storage;
    let id = opened(storage, "al@example.com").await.id;
    let standing = async || {
        let standing = storage.standing(id).await.unwrap();
        assert_eq!(storage.credentials(id).await.unwrap().unwrap().standing, standing);
        assert_eq!(storage.user_with_standing(id).await.unwrap().unwrap().1, standing);
        let Standing { epoch, kept, status, role } = standing;
        assert_eq!(kept, None);
        (epoch, status, role)
    };
    assert_eq!(set_status(storage, id, Status::Active).await, None);
    assert_eq!(set_role(storage, id, Role::User).await, None);
    assert_eq!(standing().await, (0, Status::Active, Role::User));

    let kept = KeptSession { handle: "a".to_owned(), epoch: Some(0) };
    assert_eq!(storage.raise_epoch(id, Some(&kept)).await.unwrap(), Some(1));
    assert_eq!(set_role(storage, id, Role::Operator).await, Some(2));
    assert_eq!(set_role(storage, id, Role::Operator).await, None);
    assert_eq!(standing().await, (2, Status::Active, Role::Operator));
    assert_eq!(set_status(storage, id, Status::Disabled).await, Some(3));
    assert_eq!(set_status(storage, id, Status::Disabled).await, None);
    assert_eq!(standing().await, (3, Status::Disabled, Role::Operator));
    assert_eq!(set_status(storage, id, Status::Active).await, Some(4));
    assert_eq!(set_role(storage, id, Role::User).await, Some(5));
    assert_eq!(set_status(storage, id, Status::Deleted).await, Some(6));
    // A deleted account stays as it is.
    assert_eq!(set_status(storage, id, Status::Active).await, None);
    assert_eq!(set_role(storage, id, Role::Operator).await, None);
    assert_eq!(standing().await, (6, Status::Deleted, Role::User));

    let nobody = user_id(id.get() + 1);
    assert_eq!(set_status(storage, nobody, Status::Disabled).await, None);
    assert_eq!(set_role(storage, nobody, Role::Operator).await, None);
    assert_eq!(storage.standing(nobody).await.unwrap(), Standing::default());
}

pub async fn an_account_that_is_not_active_keeps_its_password_and_no_session(
    subject: StoreUnderTest,
) {
    let storage = &*subject.storage;
    let id = opened(storage, "al@example.com").await.id;
    let change = async |expected: Option<u64>, new| {
        storage.change_password(id, expected, &password(new)).await.unwrap()
    };
    let keep = async |epoch| {
        let kept = KeptSession { handle: "a".to_owned(), epoch };
        storage.raise_epoch(id, Some(&kept)).await.unwrap()
    };
    let renew = async || storage.renew_password(id, &password(1), &password(2)).await.unwrap();

    assert_eq!(set_status(storage, id, Status::Disabled).await, Some(1));
    assert_eq!(change(Some(1), 2).await, None);
    assert!(!renew().await);
    assert_eq!((keep(None).await, keep(Some(1)).await), (None, None));
    assert_eq!(storage.raise_epoch(id, None).await.unwrap(), Some(2));
    // A command gives it a new password before it is enabled again.
    assert_eq!(change(None, 3).await, Some(3));
    assert_eq!(storage.standing(id).await.unwrap().status, Status::Disabled);
    assert_eq!(set_status(storage, id, Status::Active).await, Some(4));
    assert_eq!(change(Some(4), 1).await, Some(5));
    assert_eq!(keep(Some(5)).await, Some(6));

    assert_eq!(set_status(storage, id, Status::Deleted).await, Some(7));
    assert_eq!((change(Some(7), 2).await, change(None, 2).await), (None, None));
    assert!(!renew().await);
    assert_eq!((keep(None).await, keep(Some(7)).await), (None, None));
    assert_eq!(storage.user(id).await.unwrap().unwrap().password, password(1));
}

pub async fn a_deleted_account_is_erased_and_frees_its_address(subject: StoreUnderTest) {
    let storage = &*subject.storage;
    let user = opened(storage, "Zoë@Example.com").await;
    let other = opened(storage, "al@example.com").await;
    let taken = async |email| storage.register(new_user(email)).await.unwrap();
    set_role(storage, user.id, Role::Operator).await;
    assert!(storage.replace_second_factor(user.id, None, Some("one")).await.unwrap());
    for status in [Status::Active, Status::Disabled, Status::Deleted] {
        assert!(!storage.erase(user.id).await.unwrap(), "before it is {status}");
        set_status(storage, user.id, status).await;
        // The address is free only when the sessions with it have been searched for.
        assert_eq!(taken("zoË@EXAMPLE.COM").await, Registered::EmailTaken);
    }
    for _ in 0..2 {
        assert!(storage.erase(user.id).await.unwrap());
    }
    let standing = Standing { epoch: 3, status: Status::Deleted, ..Standing::default() };
    let (found, now) = storage.user_with_standing(user.id).await.unwrap().unwrap();
    assert_eq!(now, standing);
    assert_eq!(storage.second_factor(user.id).await.unwrap(), None);
    let NewUser { first_name, last_name, email, password } = NewUser::erased(user.id);
    assert_eq!(format!("{first_name} {last_name}"), "Deleted user");
    assert_eq!(found, User { first_name, last_name, email, password, ..user.clone() });
    assert_eq!(storage.name(user.id).await.unwrap().unwrap().full(), "Deleted user");
    for email in [&user.email, &found.email] {
        assert_eq!(storage.user_by_email(email).await.unwrap(), None);
        assert_eq!(storage.credentials_by_email(email).await.unwrap(), None);
    }
    // The new account with this address has another id, and admits no session of the erased account.
    let Registered::Opened(next) = taken("zoë@example.com").await else { panic!("it is taken") };
    assert!(next.id > other.id);
    let first = Standing { epoch: 3, ..Standing::default() };
    assert_eq!(storage.standing(next.id).await.unwrap(), first);
    assert_eq!(storage.standing(other.id).await.unwrap(), Standing::default());
    let loaded = self::user(next.id.get() + 7, "loaded@example.com");
    storage.load_users(std::slice::from_ref(&loaded)).await.unwrap();
    assert_eq!(storage.standing(loaded.id).await.unwrap(), first);
    assert_eq!(storage.user(user.id).await.unwrap(), Some(found));
    assert!(storage.erase(user.id).await.unwrap());
    assert!(!storage.erase(user_id(loaded.id.get() + 7)).await.unwrap());
}

pub async fn an_erased_account_keeps_its_figures(subject: StoreUnderTest) {
    let storage = &*subject.storage;
    let user = user(7, "al@example.com");
    storage.load_users(std::slice::from_ref(&user)).await.unwrap();
    storage.load_locations(&[location(1), location(2)]).await.unwrap();
    let append = async |location| {
        storage.append(new_checkin(7, location, 3), None, Admission::ALL).await.unwrap();
    };
    append(1).await;
    apply_all(storage, 9).await;
    set_status(storage, user.id, Status::Deleted).await;
    assert!(storage.erase(user.id).await.unwrap());
    // A check-in of a request that was in progress is not applied.
    append(2).await;
    assert_eq!(apply_all(storage, 9).await.new, 0);
    let found = storage.user(user.id).await.unwrap().unwrap();
    assert_eq!(found.num_checkins, user.num_checkins + 1);
    assert_eq!((found.first_name.as_str(), found.last_seen_at), ("Deleted", Some(location_id(1))));
    assert_eq!(storage.recent_users(first(9)).await.unwrap()[0].item, found);
    assert_eq!(storage.users_at(location_id(1), first(9)).await.unwrap()[0].item, found);
    assert_eq!(storage.users_after(None, 9).await.unwrap(), [found]);
    // The same file does not bring the account back.
    assert_eq!(storage.load_users(&[user]).await.unwrap(), [crate::Loaded::Unchanged]);
    assert_eq!(storage.audit().await.unwrap().different, 0);
}
