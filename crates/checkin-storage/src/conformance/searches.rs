//! The accounts whose sessions have to be searched for.

use super::*;
use crate::Search;

const LEASE: Duration = Duration::from_secs(1);

async fn due(storage: &dyn Storage, owner: &str) -> Option<Vec<Search>> {
    storage.due_searches(owner, LEASE, 10).await.unwrap()
}

async fn added(storage: &dyn Storage, user: u64) -> Search {
    let search = storage.add_search(user_id(user)).await.unwrap();
    assert_eq!(search.user, user_id(user));
    search
}

pub async fn a_search_is_due_until_it_is_done(subject: StoreUnderTest) {
    let storage = &*subject.storage;
    assert_eq!(due(storage, "a").await.unwrap(), []);
    let (first, second) = (added(storage, 1).await, added(storage, 2).await);
    assert_eq!(due(storage, "a").await.unwrap(), [first, second]);
    assert_eq!(storage.due_searches("a", LEASE, 1).await.unwrap().unwrap(), [first]);
    // Added again, it stays in the list when the search from before is done.
    let again = added(storage, 1).await;
    storage.finish_searches("a", &[first]).await.unwrap();
    assert_eq!(due(storage, "a").await.unwrap(), [second, again]);
    storage.finish_searches("a", &[again, second]).await.unwrap();
    assert_eq!(due(storage, "a").await.unwrap(), []);
    // No number is used twice.
    let later = added(storage, 1).await;
    assert!(later.number > again.number);
    storage.finish_searches("a", &[first, second, again]).await.unwrap();
    assert_eq!(due(storage, "a").await.unwrap(), [later]);
    // But a fail-over can take a number back.
    let other = Search { user: user_id(2), ..later };
    storage.finish_searches("a", &[other]).await.unwrap();
    assert_eq!(due(storage, "a").await.unwrap(), [later]);
}

pub async fn one_owner_searches_at_a_time(subject: StoreUnderTest) {
    let storage = &*subject.storage;
    // Nothing is acquired while no search is due.
    assert_eq!(due(storage, "a").await.unwrap(), []);
    let search = added(storage, 1).await;
    assert_eq!(due(storage, "b").await.unwrap(), [search]);
    assert_eq!(due(storage, "a").await, None);
    // What another owner has done is done; the lease stays.
    storage.finish_searches("a", &[]).await.unwrap();
    assert_eq!(due(storage, "a").await, None);
    (subject.advance)(LEASE * 2).await;
    assert_eq!(due(storage, "a").await.unwrap(), [search]);
    assert_eq!(due(storage, "b").await, None);
    storage.finish_searches("a", &[]).await.unwrap();
    assert_eq!(due(storage, "b").await.unwrap(), [search]);
}
