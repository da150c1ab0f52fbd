//! Commands that work on the store and end by themselves or by a signal.

use std::future::Future;
use std::pin::pin;
use std::time::Duration;

use tokio::sync::oneshot;
use tokio::task::JoinSet;
use tokio::time::timeout;
use tower_express_session::Error as SessionError;

use crate::app::{self, App};
use crate::config::Common;
use crate::signals::Signals;
use crate::storage::StorageError;

/// The maximum time that a command takes to close its store after a signal.
const CLOSING: Duration = Duration::from_secs(10);

/// Runs a command [on a store](on_new_store) that must exist. A command that reads or changes data
/// would not be of use on a store that it has just created.
///
/// # Errors
///
/// The errors of the command; if the store does not exist or cannot be used;
/// [`Interrupted`](crate::signals::Interrupted).
pub(super) async fn on_store<T>(
    config: &Common,
    command: impl AsyncFnOnce(&App) -> anyhow::Result<T>,
) -> anyhow::Result<T> {
    app::must_exist(config)?;
    on_new_store(config, command).await
}

/// Opens the store, prepares it and runs a command on it [until a signal](until_signal) arrives. An
/// embedded store that does not exist is created.
///
/// # Errors
///
/// The errors of the command; if the store cannot be used;
/// [`Interrupted`](crate::signals::Interrupted).
pub(super) async fn on_new_store<T>(
    config: &Common,
    command: impl AsyncFnOnce(&App) -> anyhow::Result<T>,
) -> anyhow::Result<T> {
    until_signal(async {
        let app = App::open(config).await?;
        app.reach().await?;
        command(&app).await.map_err(|error| with_store(config, error))
    })
    .await
}

/// Adds the name of the store to an error of it. Sessions are in the same store.
fn with_store(config: &Common, error: anyhow::Error) -> anyhow::Error {
    match error.chain().any(|error| error.is::<StorageError>() || error.is::<SessionError>()) {
        true => error.context(config.store.to_string()),
        false => error,
    }
}

/// Runs a command to its end, or until SIGTERM or SIGINT. After a signal the future of the command
/// is dropped at its next `.await`, and with it the last handle of the store, which is closed as
/// after any other command. A command that does not reach an `.await` (for example because nobody
/// reads its output) is ended after [`CLOSING`], or at once by a second signal.
///
/// Prompts must come before this call: from here on, Ctrl-C does not end the process by itself.
///
/// # Errors
///
/// The errors of the command, and [`Interrupted`](crate::signals::Interrupted).
pub(super) async fn until_signal<T>(
    command: impl Future<Output = anyhow::Result<T>>,
) -> anyhow::Result<T> {
    let mut signals = Signals::new()?;
    let (sender, interruption) = oneshot::channel();
    let mut watch = JoinSet::new();
    watch.spawn(async move {
        let interrupted = signals.next().await;
        // The receiver is gone if the command has just ended.
        let _ = sender.send(interrupted);
        drop(timeout(CLOSING, signals.next()).await);
        std::process::exit(interrupted.code.into());
    });
    // Dropped before `watch` is.
    let command = pin!(command);
    tokio::select! {
        biased;
        ended = command => ended,
        Ok(interrupted) = interruption => Err(interrupted.into()),
    }
}
