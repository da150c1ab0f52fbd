//! The status and the role of accounts.

use super::accounts::{epoch, opened, session};
use super::*;
use crate::{AccountChange, Admitted, Registered, Role, Standing, Status};

pub(super) async fn set_status(storage: &dyn Storage, id: UserId, status: Status) -> Option<u64> {
    epoch(storage.change_account(id, None, AccountChange::Status(status)).await)
}

async fn set_role(storage: &dyn Storage, id: UserId, role: Role) -> Option<u64> {
    epoch(storage.change_account(id, None, AccountChange::Role(role)).await)
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

    assert_eq!(epoch(storage.raise_epoch(id, Some(&session("a", 0))).await), Some(1));
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
    let change = async |at: Option<u64>, new| {
        let by = at.map(|epoch| Admitted { epoch, handle: None });
        epoch(storage.change_password(id, by.as_ref(), &password(new)).await)
    };
    let keep = async |at| epoch(storage.raise_epoch(id, Some(&session("a", at))).await);
    let renew = async || storage.renew_password(id, &password(1), &password(2)).await.unwrap();

    assert_eq!(set_status(storage, id, Status::Disabled).await, Some(1));
    assert_eq!(change(Some(1), 2).await, None);
    assert!(!renew().await);
    assert_eq!((keep(0).await, keep(1).await), (None, None));
    assert_eq!(epoch(storage.raise_epoch(id, None).await), Some(2));
    // A command gives it a new password before it is enabled again.
    assert_eq!(change(None, 3).await, Some(3));
    assert_eq!(storage.standing(id).await.unwrap().status, Status::Disabled);
    assert_eq!(set_status(storage, id, Status::Active).await, Some(4));
    assert_eq!(change(Some(4), 1).await, Some(5));
    assert_eq!(keep(5).await, Some(6));

    assert_eq!(set_status(storage, id, Status::Deleted).await, Some(7));
    assert_eq!((change(Some(7), 2).await, change(None, 2).await), (None, None));
    assert!(!renew().await);
    assert_eq!((keep(6).await, keep(7).await), (None, None));
    assert_eq!(storage.user(id).await.unwrap().unwrap().password, password(1));
}

pub async fn what_was_valid_in_an_earlier_epoch_changes_nothing(subject: StoreUnderTest) {
    let storage = &*subject.storage;
    let id = opened(storage, "al@example.com").await.id;
    let (one, two) = (|epoch| session("one", epoch), |epoch| session("two", epoch));
    let raise = async |by: Admitted| epoch(storage.raise_epoch(id, Some(&by)).await);
    let delete = async |by: Admitted| {
        let change = AccountChange::Status(Status::Deleted);
        epoch(storage.change_account(id, Some(&by), change).await)
    };
    let factor = async |by: Admitted, expected: Option<&str>, new: Option<&str>| {
        epoch(storage.change_second_factor(id, &by, expected, new).await)
    };
    let change =
        async |by: Admitted| epoch(storage.change_password(id, Some(&by), &password(2)).await);
    assert_eq!(raise(one(0)).await, Some(1));
    assert_eq!(delete(two(0)).await, None);
    assert_eq!(factor(two(0), None, Some("app")).await, None);
    assert_eq!(change(two(0)).await, None);
    assert_eq!(storage.second_factor(id).await.unwrap(), None);
    // The session that ended the others goes on, and a change of the second factor keeps it, too.
    assert_eq!(factor(one(0), Some("key"), Some("app")).await, None);
    assert_eq!(factor(one(0), None, Some("app")).await, Some(2));
    assert_eq!(factor(one(0), Some("app"), Some("key")).await, Some(3));
    assert_eq!(factor(two(2), Some("key"), None).await, None);
    assert_eq!(storage.second_factor(id).await.unwrap().as_deref(), Some("key"));
    assert_eq!(factor(two(3), Some("key"), None).await, Some(4));
    assert_eq!(storage.second_factor(id).await.unwrap(), None);
    assert_eq!((delete(one(0)).await, change(one(3)).await), (None, None));
    // A new password keeps nobody.
    assert_eq!(change(two(0)).await, Some(5));
    assert_eq!((raise(two(4)).await, delete(two(0)).await), (None, None));
    assert_eq!(set_status(storage, id, Status::Disabled).await, Some(6));
    assert_eq!((delete(one(6)).await, factor(one(6), None, Some("app")).await), (None, None));
    assert_eq!(set_status(storage, id, Status::Active).await, Some(7));
    assert_eq!(delete(one(7)).await, Some(8));
    assert_eq!(factor(one(8), None, Some("app")).await, None);
    assert_eq!(storage.standing(id).await.unwrap().epoch, 8);
    assert_eq!(
        storage.change_second_factor(user_id(99), &one(0), None, Some("app")).await.unwrap(),
        None
    );
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
