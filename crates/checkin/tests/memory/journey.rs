//! What a backend is for: a check-in goes from the receiver through the log and a processor into the
//! lists, and none of them knows which storage it is on.

use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::body::Body;
use axum::http::header::CONTENT_TYPE;
use axum::http::{Request, StatusCode};
use checkin::services::{processor, receiver};
use checkin_storage::conformance::{first, listed, location, new_user, window};
use checkin_storage::{Period, Storage};
use tokio_util::sync::CancellationToken;
use tower::ServiceExt;

use crate::store::MemoryStorage;

#[tokio::test]
async fn a_check_in_goes_from_the_receiver_into_the_lists() {
    let storage: Arc<dyn Storage> = Arc::new(MemoryStorage::default());
    for email in ["one@example.com", "two@example.com"] {
        storage.register(new_user(email)).await.unwrap();
    }
    storage.load_locations(&[location(1), location(2)]).await.unwrap();

    let receiver = receiver(&storage);
    for (user, place, status) in [
        (1, 1, StatusCode::ACCEPTED),
        (2, 1, StatusCode::ACCEPTED),
        (2, 2, StatusCode::ACCEPTED),
        (2, 2, StatusCode::UNPROCESSABLE_ENTITY),
        (2, 3, StatusCode::UNPROCESSABLE_ENTITY),
        (3, 1, StatusCode::UNPROCESSABLE_ENTITY),
    ] {
        assert_eq!(check_in(&receiver, user, place).await, status, "{user} {place}");
    }
    assert_eq!(storage.backlog().await.unwrap(), 3);

    process_all(&storage).await;
    let top = async |page| storage.top_users(Period::AllTime, page).await;
    assert_eq!(listed(1, top).await, [(2, 2), (1, 1)]);
    let top = storage.top_locations(Period::AllTime, first(1)).await.unwrap();
    assert_eq!((top[0].rank, top[0].item.num_stars), (4, 9 + 5 + 5));
    assert_eq!(storage.audit().await.unwrap().different, 0);
}

fn receiver(storage: &Arc<dyn Storage>) -> Router {
    let settings = receiver::ReceiverSettings {
        admission: window(Duration::from_secs(600)),
        rate_per_user: 0,
    };
    let (log, locations, users) = (storage.clone(), storage.clone(), storage.clone());
    receiver::router(log, locations, users, receiver::Identity::None, settings).into()
}

async fn check_in(receiver: &Router, user: u64, place: u64) -> StatusCode {
    let body = format!(r#"{{"userId":{user},"locationId":{place},"starRating":5}}"#);
    let request = Request::post("/api/checkin").header(CONTENT_TYPE, "application/json");
    let request = request.body(Body::from(body)).unwrap();
    receiver.clone().oneshot(request).await.unwrap().status()
}

/// Runs two processors, which share the parts, until everything is applied.
async fn process_all(storage: &Arc<dyn Storage>) {
    let stop = CancellationToken::new();
    let run = |name: &str| {
        let lease = Duration::from_secs(10);
        let settings = processor::ProcessorSettings { name: name.to_owned(), batch: 1, lease };
        processor::run(storage.clone(), settings, processor::Progress::default(), stop.clone())
    };
    let stop_when_done = async {
        while storage.backlog().await.unwrap() > 0 {
            tokio::task::yield_now().await;
        }
        stop.cancel();
    };
    tokio::join!(run("one"), run("two"), stop_when_done);
}
