//! The accounts whose sessions have to be searched for.

use super::accounts::opened;
use super::*;
use crate::{AccountChange, Admitted, NewEpoch, Search, Status};

async fn due(storage: &dyn Storage, owner: &str) -> Option<Vec<Search>> {
    storage.due_searches(owner, SHORT, 10).await.unwrap()
}

async fn added(storage: &dyn Storage, user: UserId) -> Search {
    let NewEpoch { search, .. } = storage.raise_epoch(user, None).await.unwrap().unwrap();
    assert_eq!(search.user, user);
    search
}

pub async fn a_search_is_due_until_it_is_done(subject: StoreUnderTest) {
    let storage = &*subject.storage;
    let [one, two] = ["al@example.com", "bo@example.com"].map(|email| opened(storage, email));
    let (one, two) = (one.await.id, two.await.id);
    assert_eq!(due(storage, "a").await.unwrap(), []);
    let (first, second) = (added(storage, one).await, added(storage, two).await);
    assert_eq!(due(storage, "a").await.unwrap(), [first, second]);
    assert_eq!(storage.due_searches("a", SHORT, 1).await.unwrap().unwrap(), [first]);
    // Added again, it stays in the list when the search from before is done.
    let again = added(storage, one).await;
    storage.finish_searches("a", &[first]).await.unwrap();
    assert_eq!(due(storage, "a").await.unwrap(), [second, again]);
    storage.finish_searches("a", &[again, second]).await.unwrap();
    assert_eq!(due(storage, "a").await.unwrap(), []);
    // No number is used twice.
    let later = added(storage, one).await;
    assert!(later.number > again.number);
    storage.finish_searches("a", &[first, second, again]).await.unwrap();
    assert_eq!(due(storage, "a").await.unwrap(), [later]);
    // But a fail-over can take a number back.
    let other = Search { user: two, ..later };
    storage.finish_searches("a", &[other]).await.unwrap();
    assert_eq!(due(storage, "a").await.unwrap(), [later]);
}

pub async fn one_owner_searches_at_a_time(subject: StoreUnderTest) {
    let storage = &*subject.storage;
    // Nothing is acquired while no search is due.
    assert_eq!(due(storage, "a").await.unwrap(), []);
    let search = added(storage, opened(storage, "al@example.com").await.id).await;
    assert_eq!(due(storage, "b").await.unwrap(), [search]);
    assert_eq!(due(storage, "a").await, None);
    // What another owner has done is done; the lease stays.
    storage.finish_searches("a", &[]).await.unwrap();
    assert_eq!(due(storage, "a").await, None);
    (subject.advance)(SHORT + Duration::from_millis(2)).await;
    assert_eq!(due(storage, "a").await.unwrap(), [search]);
    assert_eq!(due(storage, "b").await, None);
    storage.finish_searches("a", &[]).await.unwrap();
    assert_eq!(due(storage, "b").await.unwrap(), [search]);
}

pub async fn each_raise_of_an_epoch_is_searched_for(subject: StoreUnderTest) {
    let storage = &*subject.storage;
    let id = opened(storage, "al@example.com").await.id;
    let change = AccountChange::Status(Status::Disabled);
    let (by, new) = (Admitted { epoch: 0, handle: None }, password(2));
    let changes = [
        storage.change_second_factor(id, &by, None, Some("app")),
        storage.change_password(id, None, &new),
        storage.raise_epoch(id, None),
        storage.change_account(id, None, change),
    ];
    let mut last = 0;
    for (change, epoch) in changes.into_iter().zip(1..) {
        let NewEpoch { epoch: raised, search } = change.await.unwrap().unwrap();
        assert_eq!((raised, search.user), (epoch, id));
        assert!(search.number > last);
        last = search.number;
        assert_eq!(due(storage, "a").await.unwrap(), [search]);
        storage.begin_search(&search).await.unwrap();
        if epoch % 2 == 0 {
            storage.finish_searches("a", &[search]).await.unwrap();
        }
    }
}
