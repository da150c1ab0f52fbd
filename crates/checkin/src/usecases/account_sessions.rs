//! Lists and ends the sessions of an account. They are identified by handles, never by their ids.

use tokio::sync::Mutex;
use tower_express_session::accounts::{AccountOptions, AccountSession, Revoked};
use tower_express_session::{AccountSessions, Error, Session};

use super::accounts::AccountError;
use super::revocation::Revocation;
use crate::domain::Email;
use crate::storage::{Admitted, Credentials, Users};

/// Returns the account's sessions, the newest first. If this session is not in the index, an Express
/// service created it and possibly others. In that case all stored sessions are searched, unless the index
/// is full: then newer logins have taken the place of this session.
///
/// A search reads the sessions of everybody, so only the holder of `search` makes one.
///
/// # Cancel safety
///
/// A call that is dropped may have indexed some sessions.
pub(crate) async fn list(
    sessions: &AccountSessions,
    search: &Mutex<()>,
    session: &Session,
    account: &Email,
) -> Result<Vec<AccountSession>, Error> {
    let (account, current) = (account.canonical(), session.id().handle());
    let is_indexed =
        |indexed: &[AccountSession]| indexed.iter().any(|session| session.handle == current);
    let indexed = sessions.list(&account).await?;
    if is_indexed(&indexed) {
        return Ok(indexed);
    }
    let _search = search.lock().await;
    // Another request may have found it meanwhile.
    let indexed = sessions.list(&account).await?;
    if is_indexed(&indexed) {
        return Ok(indexed);
    }
    match indexed.len() < AccountOptions::MAX_INDEXED {
        true => sessions.scan(&account).await,
        false => sessions.add(&account, &session.id()).await,
    }
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

/// Ends all other sessions of the account, and returns those that have ended at once.
///
/// # Errors
///
/// [`AccountError::NotLoggedIn`] if another request has ended this session meanwhile.
///
/// # Cancel safety
///
/// As [`Revocation::end`].
pub(crate) async fn end_others(
    revocation: &Revocation,
    users: &dyn Users,
    session: &Session,
    account: &Credentials,
) -> Result<Revoked, AccountError> {
    let id = session.id();
    let by = Admitted { epoch: account.standing.epoch, handle: Some(id.handle()) };
    let raise = users.raise_epoch(account.id, Some(&by));
    let raised = revocation.end(&account.email, Some(&id), raise).await?;
    Ok(raised.ok_or(AccountError::NotLoggedIn)?.revoked)
}
