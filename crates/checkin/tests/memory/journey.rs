//! What a backend is for: a check-in goes from the receiver through the log and a processor into the
//! lists, and none of them knows which storage it is on.

use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::body::Body;
use axum::http::header::CONTENT_TYPE;
use axum::http::{Request, StatusCode};
use checkin::metrics::Throttled;
use checkin::services::{processor, receiver};
use checkin::slow_store::SlowStore;
use checkin_storage::conformance::{first, listed, location, new_user, window};
use checkin_storage::{Lease, Period, Storage};
use tokio_util::sync::CancellationToken;
use tower::ServiceExt;

use crate::log::PARTS;
use crate::store::MemoryStorage;

/// The processors look at their share four times in this time.
const LEASE: Duration = Duration::from_secs(1);

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
    let parts = receiver::Parts {
        log: storage.clone(),
        retractions: storage.clone(),
        locations: storage.clone(),
        users: storage.clone(),
        identity: receiver::Identity::None,
        throttled: Throttled::default(),
        slow_store: SlowStore::new(Duration::from_secs(1)),
    };
    receiver::router(parts, settings).into()
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
    let stop_when_done = async {
        while storage.backlog().await.unwrap() > 0 {
            tokio::task::yield_now().await;
        }
        stop.cancel();
    };
    let (one, two) = (run_processor(storage, "one", &stop), run_processor(storage, "two", &stop));
    tokio::join!(one, two, stop_when_done);
}

async fn run_processor(storage: &Arc<dyn Storage>, name: &str, stop: &CancellationToken) {
    let settings = processor::ProcessorSettings {
        name: name.to_owned(),
        batch: 1,
        lease: LEASE,
        keep_history: None,
        traces: None,
    };
    processor::run(storage.clone(), settings, processor::Progress::default(), stop.clone()).await;
}

/// Its worker retries its batch, and must not keep the lease from a processor that has too few.
#[tokio::test]
async fn a_part_that_fails_is_released_to_another_processor() {
    let memory = Arc::new(MemoryStorage::default());
    let storage: Arc<dyn Storage> = memory.clone();
    for number in 1..=PARTS {
        storage.register(new_user(&format!("{number}@example.com"))).await.unwrap();
    }
    storage.load_locations(&[location(1)]).await.unwrap();
    let receiver = receiver(&storage);
    for user in 1..=PARTS as u64 {
        assert_eq!(check_in(&receiver, user, 1).await, StatusCode::ACCEPTED);
    }
    memory.contents().failing_part = Some(PARTS - 1);

    let stop = CancellationToken::new();
    let first = run_processor(&storage, "first", &stop);
    let others = async {
        until(async || storage.backlog().await.unwrap() == 1).await;
        // The clock stands still, so no lease and no membership ends by itself.
        let share = storage.join("second", LEASE).await.unwrap();
        let mut held: Vec<Lease> = Vec::new();
        until(async || {
            held.extend(storage.acquire("second", &held, LEASE).await.unwrap());
            held.len() == share
        })
        .await;
        stop.cancel();
    };
    tokio::join!(first, others);
}

async fn until(mut condition: impl AsyncFnMut() -> bool) {
    let looks = async {
        while !condition().await {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    };
    tokio::time::timeout(Duration::from_secs(20), looks).await.expect("it comes true in time");
}
