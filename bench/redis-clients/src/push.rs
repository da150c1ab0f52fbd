//! Checks whether the invalidations of `CLIENT TRACKING` arrive in order on the connection that
//! reads.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use anyhow::{Result, bail, ensure};
use futures_util::{FutureExt, StreamExt};
use tokio::time::{sleep, timeout};

use crate::link::{Candidate, Link, Options, manager_config, redis_info};
use crate::server::Server;

const ROUNDS: usize = 5_000;

/// The way in which a candidate delivers push messages.
enum Invalidations {
    /// The callback counts before the next reply is returned.
    Callback(Arc<AtomicUsize>),
    Fred(tokio::sync::broadcast::Receiver<fred::types::client::Invalidation>),
    Rustis(rustis::client::ClientTrackingInvalidationStream),
}

impl Invalidations {
    /// Returns the number that have arrived since the last call, without waiting.
    fn arrived(&mut self) -> usize {
        match self {
            Self::Callback(counter) => counter.swap(0, Ordering::SeqCst),
            Self::Fred(receiver) => std::iter::from_fn(|| receiver.try_recv().ok()).count(),
            Self::Rustis(stream) => std::iter::from_fn(|| stream.next().now_or_never().flatten())
                .map(|keys| keys.len())
                .sum(),
        }
    }
}

/// In each round a key is read, changed by another connection, and read again. The server sends the
/// invalidation before the new value, so it must have arrived when the new value is read.
pub async fn measure(candidate: Candidate) -> Result<()> {
    let server = Server::start(&[])?;
    let (mut link, mut invalidations) = connect(candidate, server.port).await?;
    link.track().await?;
    let mut writer = server.raw()?;
    writer.call(&["SET", "k", "start"])?;
    link.get("k").await?;
    let (mut late, mut missing) = (0, 0);
    for round in 0..ROUNDS {
        let value = round.to_string();
        writer.call(&["SET", "k", &value])?;
        ensure!(link.get("k").await? == value.as_bytes(), "an old value was read");
        if invalidations.arrived() == 0 {
            late += 1;
            sleep(Duration::from_millis(20)).await;
            missing += usize::from(invalidations.arrived() == 0);
        }
    }
    println!(
        "- push, {}: {ROUNDS} changes, {late} invalidations not there when the new value was, {missing} lost",
        candidate.name()
    );
    Ok(())
}

async fn connect(candidate: Candidate, port: u16) -> Result<(Link, Invalidations)> {
    let options = Options { resp3: true, ..Options::default() };
    let counter = Arc::new(AtomicUsize::new(0));
    let shared = Arc::clone(&counter);
    let on_push = move |push: redis::PushInfo| {
        if push.kind == redis::PushKind::Invalidate {
            shared.fetch_add(1, Ordering::SeqCst);
        }
        Ok::<(), redis::aio::SendError>(())
    };
    match candidate {
        Candidate::RedisManager => {
            let config = manager_config(options).set_push_sender(on_push);
            let client = redis::Client::open(redis_info(port, options)?)?;
            let link = Link::Manager(client.get_connection_manager_with_config(config).await?);
            Ok((link, Invalidations::Callback(counter)))
        }
        Candidate::RedisMultiplexed => {
            let config = redis::AsyncConnectionConfig::new().set_push_sender(on_push);
            let client = redis::Client::open(redis_info(port, options)?)?;
            let link = client.get_multiplexed_async_connection_with_config(&config).await?;
            Ok((Link::Multiplexed(link), Invalidations::Callback(counter)))
        }
        Candidate::Fred | Candidate::Rustis => {
            let link =
                timeout(Duration::from_secs(2), Link::connect(candidate, port, options)).await??;
            let invalidations = match &link {
                Link::Fred(client) => Invalidations::Fred(
                    fred::interfaces::TrackingInterface::invalidation_rx(client),
                ),
                Link::Rustis(client) => {
                    Invalidations::Rustis(client.create_client_tracking_invalidation_stream()?)
                }
                _ => bail!("not a client of this kind"),
            };
            Ok((link, invalidations))
        }
    }
}
