//! The sessions that a run makes, and ends when it is over.

use std::cell::Cell;
use std::future;
use std::time::Duration;

use futures_util::{StreamExt, stream};
use tokio::time::timeout;

use super::client::{Cookie, HttpClient, LoginError};
use crate::domain::{User, UserId};

/// Logins that wait for their answers at a time: the service compares as many passwords as it has
/// cores, and others want to log in, too.
const LOGINS_AT_A_TIME: usize = 4;

/// Logouts at a time. Each may wait for a cache lease of the service, so there are many.
const LOGOUTS_AT_A_TIME: usize = 256;

/// How long the logouts may take together. A session that is left expires by itself.
const LOGOUT_LIMIT: Duration = Duration::from_secs(30);

/// What came of logging in.
#[derive(Debug)]
pub struct LoggedIn {
    /// The sessions that were made, in the order of the users.
    pub sessions: Vec<(UserId, Cookie)>,
    /// The first login that failed. No further ones were begun after it.
    pub failure: Option<(UserId, LoginError)>,
}

/// Logs in these users until one login fails or `stop` ends it. Logins that are under way are
/// waited for, so that every session that the service made is in the answer. Calls `logged_in`
/// after each.
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

/// Ends these sessions, and returns how many could not be ended within half a minute.
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
    // What is left is told by the count.
    drop(timeout(LOGOUT_LIMIT, logouts).await);
    sessions.len() - ended.get()
}
