//! A third backend, as anybody could write it outside of the workspace: everything in memory, with
//! what `checkin-storage` decides for all backends. It passes the exported suite, and the services
//! work on it.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on fails")]

mod applier;
mod attempts;
mod audit;
mod bulk;
mod dead_letters;
mod directory;
mod health;
mod history;
mod journey;
mod locations;
mod log;
mod membership;
mod privacy;
mod retention;
mod retractions;
mod searches;
mod second_factors;
mod security_events;
mod store;
mod swarm;
mod users;
mod weather;

use std::sync::Arc;
use std::time::Duration;

use checkin_storage::conformance::{StoreUnderTest, checks, tests};

use store::MemoryStorage;

async fn subject() -> ((), StoreUnderTest) {
    let storage = Arc::new(MemoryStorage::default());
    let clock = Arc::clone(&storage);
    let advance = Box::new(move |time: Duration| {
        clock.advance(time);
        Box::pin(std::future::ready(())) as _
    });
    ((), StoreUnderTest { storage, advance })
}

checks!(tests: subject());
