//! Who may see where people check in, and new accounts.

use super::*;
use crate::Audience;

pub async fn the_audience_of_a_user_is_kept(subject: StoreUnderTest) {
    let storage = &*subject.storage;
    let audience = async |id| storage.audience(user_id(id)).await.unwrap();
    let hidden = async |ids: &[u64]| {
        let ids: Vec<_> = ids.iter().copied().map(user_id).collect();
        let mut hidden: Vec<u64> =
            storage.hidden_among(&ids).await.unwrap().into_iter().map(UserId::get).collect();
        hidden.sort_unstable();
        hidden
    };
    assert_eq!(audience(1).await, Audience::Users);
    assert_eq!(hidden(&[]).await, [0_u64; 0]);
    for id in [1, 3] {
        storage.set_audience(user_id(id), Audience::Nobody).await.unwrap();
    }
    assert_eq!((audience(1).await, audience(2).await), (Audience::Nobody, Audience::Users));
    assert_eq!(hidden(&[3, 2, 1, 3, 2]).await, [1, 3]);
    storage.set_audience(user_id(1), Audience::Users).await.unwrap();
    storage.set_audience(user_id(2), Audience::Users).await.unwrap();
    assert_eq!(audience(1).await, Audience::Users);
    assert_eq!(hidden(&[1, 2, 3]).await, [3]);
}

pub async fn an_account_is_new_for_a_time(subject: StoreUnderTest) {
    let storage = &*subject.storage;
    let is_new = async |id| storage.is_new(user_id(id)).await.unwrap();
    assert!(!is_new(1).await);
    storage.set_audience(user_id(1), Audience::Nobody).await.unwrap();
    storage.mark_new(user_id(1), SHORT).await.unwrap();
    storage.mark_new(user_id(2), Duration::MAX).await.unwrap();
    assert_eq!((is_new(1).await, is_new(2).await, is_new(3).await), (true, true, false));
    storage.set_audience(user_id(2), Audience::Nobody).await.unwrap();
    (subject.advance)(SHORT + Duration::from_millis(2)).await;
    assert_eq!((is_new(1).await, is_new(2).await), (false, true));
    assert_eq!(storage.audience(user_id(1)).await.unwrap(), Audience::Nobody);
}
