//! The state that the routes share.

use std::sync::Arc;

use tokio::sync::Mutex;
use tower_express_session::{AccountSessions, Error, Session};

use crate::storage::{Privacy, Users};
use crate::usecases::account_deletion::AccountDeletion;
use crate::usecases::accounts::Accounts;
use crate::usecases::administration::Administration;
use crate::usecases::enrolment::Enrolment;
use crate::usecases::login::Login;
use crate::usecases::password_change::PasswordChange;
use crate::usecases::password_reset::PasswordReset;
use crate::usecases::registration::Registration;
use crate::usecases::revocation::Revocation;
use crate::usecases::security_log::SecurityLog;

/// The state of the service.
pub(super) struct Auth {
    pub(super) users: Arc<dyn Users>,
    pub(super) privacy: Arc<dyn Privacy>,
    pub(super) accounts: Accounts,
    /// Lists the sessions of an account, and ends one.
    pub(super) account_sessions: AccountSessions,
    /// Held by the request that searches all stored sessions.
    pub(super) session_search: Mutex<()>,
    /// Ends the other sessions of an account.
    pub(super) revocation: Revocation,
    pub(super) login: Login,
    pub(super) registration: Registration,
    pub(super) password_change: PasswordChange,
    /// `None` if no mail can be sent.
    pub(super) password_reset: Option<Arc<PasswordReset>>,
    pub(super) enrolment: Enrolment,
    pub(super) account_deletion: AccountDeletion,
    pub(super) administration: Administration,
    pub(super) security: SecurityLog,
}

/// The session of a request, or the error of loading it.
pub(super) type SessionResult = Result<Session, Error>;
