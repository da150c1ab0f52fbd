//! What the routes share.

use std::sync::Arc;

use tower_express_session::{AccountSessions, Error, Session};

use crate::storage::UserRepository;
use crate::usecases::login::Login;
use crate::usecases::password_change::PasswordChange;
use crate::usecases::registration::Registration;

/// What the service needs.
#[derive(Clone)]
pub(super) struct Auth {
    pub(super) users: Arc<dyn UserRepository>,
    /// Each account's sessions: other ones than the request's are ended here.
    pub(super) account_sessions: AccountSessions,
    pub(super) login: Login,
    pub(super) registration: Registration,
    pub(super) password_change: PasswordChange,
}

/// The session of a request, if it can be had.
pub(super) type SessionResult = Result<Session, Error>;
