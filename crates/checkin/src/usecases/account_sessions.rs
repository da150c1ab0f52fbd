//! Lists and ends the sessions of an account. They are identified by handles, never by their ids.

use std::cmp::Reverse;
use std::time::Duration;

use tokio::task::JoinHandle;
use tokio::time::{sleep, timeout};
use tower_express_session::accounts::AccountSession;
use tower_express_session::{AccountSessions, Error, Session, SessionId};

use super::tasks::{TaskError, Tasks};
use crate::domain::Email;

/// The maximum time that a request waits until sessions have ended that only a scan of all stored
/// sessions can find: those of Express services.
const MAX_WAIT: Duration = Duration::from_secs(1);

/// The maximum number of attempts of that scan, with a pause after each: for longer than a store is
/// usually unavailable.
const MAX_ATTEMPTS: u32 = 300;
const PAUSE: Duration = Duration::from_secs(1);

/// What has happened to the other sessions of an account.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct EndedOthers {
    /// The number of sessions that have ended so far.
    pub(crate) ended: usize,
    /// Whether all have ended. Otherwise a task searches for more.
    pub(crate) is_complete: bool,
}

/// Why the other sessions of an account could not be ended.
#[derive(Debug)]
pub(crate) enum EndOthersError {
    Task(TaskError),
    Session(Error),
}

impl From<TaskError> for EndOthersError {
    fn from(error: TaskError) -> Self {
        Self::Task(error)
    }
}

impl From<Error> for EndOthersError {
    fn from(error: Error) -> Self {
        Self::Session(error)
    }
}

/// Returns the account's sessions, the newest first. If this session is not in the index, an Express
/// service created it and possibly others. In that case all stored sessions are searched.
pub(crate) async fn list(
    sessions: &AccountSessions,
    session: &Session,
    account: &Email,
) -> Result<Vec<AccountSession>, Error> {
    let (account, current) = (account.canonical(), session.id().handle());
    let indexed = sessions.list(&account).await?;
    if indexed.iter().any(|session| session.handle == current) {
        return Ok(indexed);
    }
    let mut found = sessions.scan(&account).await?;
    found.sort_by_key(|session| Reverse(session.created_ms));
    Ok(found)
}

/// Ends the account's session with this handle. Returns false if there is none.
pub(crate) async fn end(
    sessions: &AccountSessions,
    session: &Session,
    account: &Email,
    handle: &str,
) -> Result<bool, Error> {
    if session.id().handle() == handle {
        // Through the session itself, so that the cookie is cleared, too.
        session.log_out().await?;
        return Ok(true);
    }
    sessions.revoke(&account.canonical(), handle).await
}

/// Ends all other sessions of the account: first those in the index, then those that a scan of all stored
/// sessions finds. It waits for the scan for a second at most.
///
/// # Errors
///
/// Those of the sessions in the index. If the scan fails, it is tried again.
///
/// # Cancel safety
///
/// The sessions in the index may have ended or not. A scan that has begun continues.
pub(crate) async fn end_others(
    sessions: &AccountSessions,
    tasks: &Tasks,
    session: &Session,
    account: &Email,
) -> Result<EndedOthers, EndOthersError> {
    let (account, kept) = (account.canonical(), session.id());
    let indexed = sessions.without_scan().revoke_others(&account, &kept).await?;
    let sessions = sessions.clone();
    let search = tasks.spawn(revoke(sessions, account, Revoked::AllBut(kept)))?;
    let found = wait_for(search).await;
    Ok(EndedOthers { ended: indexed + found.unwrap_or(0), is_complete: found.is_some() })
}

/// Waits for a search for the sessions of an account, for a limited time. Returns `None` if the search
/// continues.
pub(super) async fn wait_for<T>(search: JoinHandle<Option<T>>) -> Option<T> {
    match timeout(MAX_WAIT, search).await {
        Ok(found) => found.ok().flatten(),
        Err(_) => {
            tracing::info!("the search for the other sessions of an account continues");
            None
        }
    }
}

/// The sessions of an account that a search ends.
pub(super) enum Revoked {
    AllBut(SessionId),
    /// Those from before this epoch, and those without one.
    BeforeEpoch(u64),
}

/// Revokes sessions of an account, with further attempts if the store fails. Returns their number; `None`
/// if no attempt succeeded.
pub(super) async fn revoke(
    sessions: AccountSessions,
    account: String,
    which: Revoked,
) -> Option<usize> {
    for attempt in 1..=MAX_ATTEMPTS {
        let revoked = match &which {
            Revoked::AllBut(kept) => sessions.revoke_others(&account, kept).await,
            Revoked::BeforeEpoch(epoch) => sessions.revoke_before(&account, *epoch).await,
        };
        match revoked {
            Ok(count) => return Some(count),
            Err(error) => tracing::warn!(%error, attempt, "cannot end the sessions of an account"),
        }
        sleep(PAUSE).await;
    }
    None
}
