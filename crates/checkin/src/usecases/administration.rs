//! Ends the sessions of other accounts, disables them and enables them, for an operator.

use std::fmt;
use std::net::IpAddr;
use std::sync::Arc;

use tower_express_session::accounts::AccountSession;
use tower_express_session::{AccountSessions, Error as SessionError, Session};

use super::accounts::{AccountError, account_of};
use super::revocation::Revocation;
use super::security_log::SecurityLog;
use crate::domain::{User, UserId};
use crate::storage::{
    AccountChange, Credentials, EventKind, Role, Standing, Status, StorageError, Users,
};

/// What an operator does to other accounts.
#[derive(Clone)]
pub(crate) struct Administration {
    users: Arc<dyn Users>,
    sessions: AccountSessions,
    revocation: Revocation,
    security: SecurityLog,
}

/// An operator, and the network that the request came from.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Acting {
    pub(crate) operator: UserId,
    pub(crate) address: Option<IpAddr>,
}

/// An account, as operators see it.
pub(crate) struct Account {
    pub(crate) user: User,
    pub(crate) standing: Standing,
}

/// Why an operator could not do something.
#[derive(Debug)]
pub(crate) enum AdministrationError {
    /// Nobody is logged in, or it is not known who is.
    Account(AccountError),
    /// The account that is logged in is not an operator's.
    NotOperator,
    /// The account has no session with this handle.
    NoSession,
    /// There is no such account, or it is deleted.
    NoAccount,
    /// Operators cannot disable their own account, because nobody might be left to enable it.
    OwnAccount,
    /// The store failed.
    Storage(StorageError),
    /// The sessions could not be read.
    Session(SessionError),
}

/// Returns the logged-in account, which must be an operator's.
///
/// # Errors
///
/// As [`AdministrationError`] says.
pub(crate) async fn operator_of(
    session: &Session,
    users: &dyn Users,
) -> Result<Credentials, AdministrationError> {
    let account = account_of(session, users).await.map_err(AdministrationError::Account)?;
    match account.standing.role {
        Role::Operator => Ok(account),
        Role::User => Err(AdministrationError::NotOperator),
    }
}

impl Administration {
    pub(crate) fn new(
        users: Arc<dyn Users>,
        sessions: AccountSessions,
        revocation: Revocation,
        security: SecurityLog,
    ) -> Self {
        Self { users, sessions, revocation, security }
    }

    /// Returns an account.
    ///
    /// # Errors
    ///
    /// As [`AdministrationError`] says.
    pub(crate) async fn show(&self, id: UserId) -> Result<Account, AdministrationError> {
        let Some((user, standing)) = self.users.user_with_standing(id).await? else {
            return Err(AdministrationError::NoAccount);
        };
        match standing.status {
            Status::Deleted => Err(AdministrationError::NoAccount),
            _ => Ok(Account { user, standing }),
        }
    }

    /// Returns the indexed sessions of an account, the newest first.
    ///
    /// # Errors
    ///
    /// As [`AdministrationError`] says.
    pub(crate) async fn sessions(
        &self,
        id: UserId,
    ) -> Result<Vec<AccountSession>, AdministrationError> {
        let account = self.account(id).await?;
        Ok(self.sessions.list(&account.email.canonical()).await?)
    }

    /// Ends a session of an account.
    ///
    /// # Errors
    ///
    /// As [`AdministrationError`] says.
    ///
    /// # Cancel safety
    ///
    /// A call that is dropped may or may not have ended the session.
    pub(crate) async fn end_session(
        &self,
        acting: Acting,
        id: UserId,
        handle: &str,
    ) -> Result<(), AdministrationError> {
        let account = self.account(id).await?;
        if !self.sessions.revoke(&account.email.canonical(), handle).await? {
            return Err(AdministrationError::NoSession);
        }
        let detail = format!("session {handle}, {acting}");
        self.record(EventKind::SessionsRevoked, acting, id, detail).await;
        Ok(())
    }

    /// Ends all sessions of an account, and returns the number of those that have ended at once.
    ///
    /// # Errors
    ///
    /// As [`AdministrationError`] says.
    ///
    /// # Cancel safety
    ///
    /// As [`Revocation::end`].
    pub(crate) async fn end_sessions(
        &self,
        acting: Acting,
        id: UserId,
    ) -> Result<usize, AdministrationError> {
        let account = self.account(id).await?;
        let raise = self.users.raise_epoch(id, None);
        let raised = self.revocation.end(&account.email, None, raise).await?;
        let ended = raised.ok_or(AdministrationError::NoAccount)?.revoked.number();
        let detail = format!("{ended} sessions, {acting}");
        self.record(EventKind::SessionsRevoked, acting, id, detail).await;
        Ok(ended)
    }

    /// Disables an account and ends its sessions, or enables it again. Does nothing if it is so already.
    ///
    /// # Errors
    ///
    /// As [`AdministrationError`] says.
    ///
    /// # Cancel safety
    ///
    /// As [`Revocation::end`].
    pub(crate) async fn set_status(
        &self,
        acting: Acting,
        id: UserId,
        status: Status,
    ) -> Result<(), AdministrationError> {
        if acting.operator == id && status != Status::Active {
            return Err(AdministrationError::OwnAccount);
        }
        let account = self.account(id).await?;
        let change = self.users.change_account(id, None, AccountChange::Status(status));
        if self.revocation.end(&account.email, None, change).await?.is_some() {
            self.record(status.event(), acting, id, acting.to_string()).await;
        }
        Ok(())
    }

    async fn account(&self, id: UserId) -> Result<Credentials, AdministrationError> {
        let account = self.users.credentials(id).await?;
        let account = account.filter(|account| account.standing.status != Status::Deleted);
        account.ok_or(AdministrationError::NoAccount)
    }

    async fn record(&self, kind: EventKind, acting: Acting, id: UserId, detail: String) {
        self.security.record(kind, Some(id), acting.address, Some(detail)).await;
    }
}

impl fmt::Display for Acting {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "by user {}", self.operator)
    }
}

impl From<StorageError> for AdministrationError {
    fn from(error: StorageError) -> Self {
        Self::Storage(error)
    }
}

impl From<SessionError> for AdministrationError {
    fn from(error: SessionError) -> Self {
        Self::Session(error)
    }
}
