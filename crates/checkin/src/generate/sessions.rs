//! The sessions of a run, which end with it.

use std::cell::Cell;
use std::future;
use std::time::Duration;

use futures_util::{StreamExt, stream};
use tokio::time::timeout;

use super::client::{Cookie, HttpClient, LoginError};
use crate::domain::{User, UserId};

/// The number of logins in flight: the service checks as many passwords as it has cores, and other
/// users must still be able to log in.
const LOGINS_AT_A_TIME: usize = 4;

/// The number of logouts in flight. Each may wait for a cache lease of the service, so there are
/// many.
const LOGOUTS_AT_A_TIME: usize = 256;

/// The maximum time of all logouts together. A session that is left ends with its idle timeout.
const LOGOUT_LIMIT: Duration = Duration::from_secs(30);

/// The result of the logins.
#[derive(Debug)]
pub struct LoggedIn {
    /// The new sessions, in the order of the users.
    pub sessions: Vec<(UserId, Cookie)>,
    /// The first login that failed. No further login was started after it.
    pub failure: Option<(UserId, LoginError)>,
}

/// Logs in these users until one login fails or `stop` ends it. It waits for logins in progress, so
/// that the result contains every session that the service created. Calls `logged_in` after each
/// login.
///
/// # Cancel safety
///
/// Dropping the future may leave sessions behind.
pub async fn log_in_all(
    client: &HttpClient,
    users: &[User],
    password: &str,
    stop: impl Future<Output = ()>,
    logged_in: impl Fn(),
) -> LoggedIn {
    let failed = Cell::new(false);
    let one = async |user: &User| (user.id, client.log_in(&user.email, password).await);
    let logins = stream::iter(users)
        .take_while(|_| future::ready(!failed.get()))
        .take_until(Box::pin(stop))
        .map(one)
        .buffered(LOGINS_AT_A_TIME);
    let mut logins = std::pin::pin!(logins);
    let (mut sessions, mut failure) = (Vec::new(), None);
    while let Some((user, login)) = logins.next().await {
        match login {
            Ok(cookie) => {
                sessions.push((user, cookie));
                logged_in();
            }
            Err(error) => {
                failed.set(true);
                failure.get_or_insert((user, error));
            }
        }
    }
    LoggedIn { sessions, failure }
}

/// Ends these sessions and returns how many could not be ended within half a minute.
///
/// # Cancel safety
///
/// Dropping the future leaves the sessions that were not ended yet.
pub async fn log_out_all(client: &HttpClient, sessions: &[(UserId, Cookie)]) -> usize {
    let ended = Cell::new(0);
    let logouts = stream::iter(sessions).for_each_concurrent(LOGOUTS_AT_A_TIME, |(_, cookie)| {
        let ended = &ended;
        async move {
            if client.log_out(cookie).await {
                ended.set(ended.get() + 1);
            }
        }
    });
    // The count shows the sessions that are left.
    drop(timeout(LOGOUT_LIMIT, logouts).await);
    sessions.len() - ended.get()
}
