//! Stops the process on SIGTERM and SIGINT, and lets it continue on SIGXFSZ.

use std::fmt;
use std::io;
use std::time::Duration;

use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio::time::{Instant, sleep};
use tokio_util::sync::CancellationToken;

use crate::config::shown_time;

/// If the first signal is repeated this soon, that is no second one: GNU `timeout`, for example, sends it to
/// the process and to its group.
const SAME: Duration = Duration::from_millis(100);

/// Makes a write fail that would make a file larger than the limit of the process (`ulimit -f`). Otherwise SIGXFSZ
/// would end the process, which would leave its unfinished files behind.
///
/// # Errors
///
/// If the signal cannot be handled.
///
/// # Panics
///
/// Outside of a runtime.
pub fn outlive_file_size_limit() -> io::Result<()> {
    // The handler stays. Unlike an ignored signal, it is not inherited by a program that sends mail.
    signal(SignalKind::from_raw(rustix::process::Signal::XFSZ.as_raw())).map(drop)
}

/// The signals that end the process. From its creation on, they no longer end it by themselves.
#[derive(Debug)]
pub struct Signals {
    terminate: Signal,
    interrupt: Signal,
}

impl Signals {
    /// Registers the handlers.
    ///
    /// # Errors
    ///
    /// If the signals cannot be handled.
    pub fn new() -> io::Result<Self> {
        let (terminate, interrupt) = (SignalKind::terminate(), SignalKind::interrupt());
        Ok(Self { terminate: signal(terminate)?, interrupt: signal(interrupt)? })
    }

    /// Waits for the next signal.
    ///
    /// # Cancel safety
    ///
    /// Dropping the future loses no signal.
    pub async fn next(&mut self) -> Interrupted {
        tokio::select! {
            _ = self.terminate.recv() => Interrupted { name: "SIGTERM", code: 143 },
            _ = self.interrupt.recv() => Interrupted { name: "SIGINT", code: 130 },
        }
    }
}

/// A signal ended the command.
#[derive(Clone, Copy, Debug)]
pub struct Interrupted {
    name: &'static str,
    /// 128 plus the number of the signal, as in shells.
    pub code: u8,
}

impl fmt::Display for Interrupted {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "ended by {}", self.name)
    }
}

impl std::error::Error for Interrupted {}

/// The end of a service, which has two steps. Between them the service is drained: it answers
/// requests, but says that it will not do so for long.
#[derive(Clone, Debug)]
pub struct Stop {
    /// Cancelled by the first signal.
    pub draining: CancellationToken,
    /// Cancelled at the end of the drain: no further requests are accepted.
    pub stopped: CancellationToken,
}

impl Stop {
    /// Drains the service for this time after the first SIGTERM or SIGINT, and then stops it. A
    /// second signal ends the process at once.
    ///
    /// # Errors
    ///
    /// If the signals cannot be handled.
    pub fn on_signal(drain: Duration) -> io::Result<Self> {
        let mut signals = Signals::new()?;
        let stop = Self { draining: CancellationToken::new(), stopped: CancellationToken::new() };
        let Self { draining, stopped } = stop.clone();
        tokio::spawn(async move {
            let first = signals.next().await;
            let (since, drained) = (Instant::now(), sleep(drain));
            draining.cancel();
            if !drain.is_zero() {
                tracing::info!("Draining for {}.", shown_time(drain));
            }
            tokio::spawn(async move {
                drained.await;
                stopped.cancel();
            });
            loop {
                let next = signals.next().await;
                if next.code != first.code || since.elapsed() > SAME {
                    std::process::exit(next.code.into());
                }
            }
        });
        Ok(stop)
    }
}
