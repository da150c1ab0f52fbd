//! The start of a process: its store is prepared, at once or as soon as it can be used.

use std::pin::pin;
use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::Context;
use futures_util::FutureExt;
use redis_link::Client;
use tokio::sync::Notify;

use super::App;
use crate::storage::{Fault, ServiceKind};
use crate::traces::Traces;

/// The time between two attempts to reach the store, for a service that started without it.
const RETRY: Duration = Duration::from_millis(500);

/// The time between two looks at permissions that were missing: somebody has to give them.
const RETRY_PERMISSIONS: Duration = Duration::from_secs(2);

/// After this time without a denial, the next one is logged, whether it is explained or not.
const QUIET: Duration = Duration::from_secs(60);

/// What Redis denies to the login.
#[derive(Clone, Default)]
pub(super) struct Denials {
    /// Notified when Redis has denied a command or a key.
    pub(super) noticed: Arc<Notify>,
    /// The client to which it was denied; `None` on SQLite.
    pub(super) client: Option<Client>,
}

/// Denials although the login seems to have all permissions.
#[derive(Default)]
struct Unexplained {
    last: Option<Instant>,
}

/// What prevents a service from using its store for now.
struct Hindrance {
    fault: Fault,
    /// Otherwise the login lacks permissions.
    is_outage: bool,
    /// How long to wait before the next attempt.
    pause: Duration,
}

impl App {
    /// Prepares the store for a command that needs it at once.
    ///
    /// # Errors
    ///
    /// If the store cannot be used. The cause is a [`Fault`].
    pub async fn reach(&self) -> anyhow::Result<()> {
        let made_ready = async {
            self.storage.prepare().await?;
            self.storage.upgrade().await
        };
        made_ready.await.with_context(|| format!("cannot use {}", self.store))?;
        self.readiness.set(None);
        Ok(())
    }

    /// Prepares the store for a service, and the metrics of its process under its name. If the fault
    /// may pass, the service starts without its store, and [`alongside`](Self::alongside) tries again.
    /// A service that is to stop does not wait for its store.
    ///
    /// # Errors
    ///
    /// If the store cannot be used until somebody changes something, other than the permissions of the
    /// login.
    pub async fn start(
        &self,
        command: &'static str,
        services: &'static [ServiceKind],
    ) -> anyhow::Result<()> {
        self.registries.add(self.metrics.registry(command));
        // A process is started once, here and below.
        let _ = self.process.set((command, services));
        if let Some(collector) = &self.collector {
            let traces = Traces::start(collector, command, self.metrics.spans.clone())?;
            drop(self.traces.set(traces));
        }
        if self.is_new {
            // A wrong --store is easily overlooked: everything works, and nobody can log in.
            tracing::info!("Created the empty store {}.", self.store);
        }
        for warning in &self.warnings {
            tracing::warn!("{}: {}", warning.what, warning.advice);
        }
        let hindered = tokio::select! {
            hindered = self.hindrance() => hindered?,
            () = self.draining.cancelled() => return Ok(()),
        };
        if let Some(Hindrance { fault, is_outage, .. }) = hindered {
            match is_outage {
                true => tracing::warn!("the store is unavailable, starting without it: {fault}"),
                false => tracing::warn!("not ready: {fault}"),
            }
            self.readiness.set(Some(fault.what().to_owned()));
        }
        Ok(())
    }

    /// Prepares the store for the services of the process. Returns what prevents it for now.
    async fn hindrance(&self) -> anyhow::Result<Option<Hindrance>> {
        if let Err(fault) = self.storage.permitted(self.services()).await {
            return Ok(Some(Hindrance { fault, is_outage: false, pause: RETRY_PERMISSIONS }));
        }
        match self.reach().await {
            Ok(()) => Ok(None),
            Err(error) => {
                Ok(Some(Hindrance { fault: passing(error)?, is_outage: true, pause: RETRY }))
            }
        }
    }

    /// Returns whether the store has been checked and prepared.
    #[must_use]
    pub fn is_ready(&self) -> bool {
        self.readiness.is_ready()
    }

    /// Waits until the store has been checked and prepared.
    ///
    /// # Cancel safety
    ///
    /// Dropping the future has no effect.
    pub async fn ready(&self) {
        self.readiness.wait().await;
    }

    /// Runs a service to its end. If the store was unavailable at the start, prepares it meanwhile. If Redis denies the
    /// login a command or a key later, logs once what is missing; if nothing is, logs that once until there was no denial
    /// for a minute.
    ///
    /// # Errors
    ///
    /// If the store becomes available but cannot be used. The service is dropped then.
    pub async fn alongside<T>(&self, service: impl Future<Output = T>) -> anyhow::Result<T> {
        let mut service = pin!(service);
        let ended = tokio::select! {
            biased;
            ended = &mut service => ended,
            error = self.watch() => return Err(error),
        };
        if let Some(traces) = self.traces.get() {
            traces.finish().await;
        }
        Ok(ended)
    }

    async fn get_ready(&self) -> anyhow::Result<()> {
        if self.readiness.is_ready() {
            return Ok(());
        }
        let (since, mut pause) = (Instant::now(), RETRY);
        loop {
            tokio::time::sleep(pause).await;
            let Some(hindrance) = self.hindrance().await? else { break };
            pause = hindrance.pause;
            let fault = hindrance.fault;
            let is_new = self.readiness.set(Some(fault.what().to_owned()));
            if is_new && !hindrance.is_outage {
                tracing::warn!("not ready: {fault}");
            }
        }
        tracing::info!("the store is available after {:.1} s", since.elapsed().as_secs_f64());
        Ok(())
    }

    /// Prepares the store, and looks for missing permissions when Redis has denied something. Returns if the store
    /// cannot be prepared.
    async fn watch(&self) -> anyhow::Error {
        let Denials { noticed, client } = &self.denials;
        if let Some(client) = client {
            client.leave_denials_to_observer();
        }
        if let Err(error) = self.get_ready().await {
            return error;
        }
        let mut unexplained = Unexplained::default();
        loop {
            noticed.notified().await;
            let (since, mut missing) = (Instant::now(), String::new());
            loop {
                match self.storage.permitted(self.services()).await {
                    Err(fault) => {
                        let found = fault.to_string();
                        if missing != found {
                            tracing::warn!("{found}");
                            missing = found;
                        }
                    }
                    // The store is unavailable, so nothing is known.
                    Ok(()) if !missing.is_empty() && self.storage.check().await.is_err() => {}
                    Ok(()) => break,
                }
                tokio::time::sleep(RETRY_PERMISSIONS).await;
            }
            if !missing.is_empty() {
                let seconds = since.elapsed().as_secs_f64();
                tracing::info!("the login has its permissions again after {seconds:.1} s");
                unexplained = Unexplained::default();
            } else if unexplained.is_logged(since) {
                tracing::warn!("Redis denied the login a command or a key; see its ACL LOG");
            }
            // The look itself was denied the same.
            let _ = noticed.notified().now_or_never();
            tokio::time::sleep(RETRY_PERMISSIONS).await;
        }
    }

    /// The services of the process, once it has started.
    fn services(&self) -> &'static [ServiceKind] {
        self.process.get().map_or(&[], |(_, services)| services)
    }
}

impl Unexplained {
    /// Adds one that is noticed now. Returns whether it is logged.
    fn is_logged(&mut self, now: Instant) -> bool {
        let last = self.last.replace(now);
        last.is_none_or(|last| now.duration_since(last) >= QUIET)
    }
}

/// Returns the fault that caused an error if it may pass, otherwise the error.
fn passing(error: anyhow::Error) -> anyhow::Result<Fault> {
    match error.downcast_ref::<Fault>() {
        Some(fault) if !fault.is_lasting() => Ok(fault.clone()),
        _ => Err(error),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn unexplained_denials_are_logged_again_after_a_quiet_time() {
        let (start, mut unexplained) = (Instant::now(), Unexplained::default());
        let mut is_logged_at =
            |seconds| unexplained.is_logged(start + Duration::from_secs(seconds));
        assert!(is_logged_at(0));
        // However long they last.
        assert!((1..50).all(|time| !is_logged_at(time * 59)));
        assert!(is_logged_at(49 * 59 + 60));
        assert!(!is_logged_at(49 * 59 + 62));
    }
}
