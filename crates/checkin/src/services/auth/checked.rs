//! The extractor of requests with a body that must pass a check first.

use std::net::IpAddr;
use std::sync::Arc;

use axum::extract::{FromRequest, FromRequestParts, Request};
use axum::http::request::Parts;

use super::logged_in::LoggedInAccount;
use super::problems::no_mail;
use super::state::Auth;
use crate::http::{ClientIp, JsonBody, Problem};
use crate::input::FromFields;
use crate::usecases::password_reset::PasswordReset;

/// A request with a body, which has passed the check `C`. A request that does not pass is refused for that,
/// whatever its body is. The body is read first, so that a client that reads only after it has sent the body
/// receives the response, and so that no session has ended before its request was complete.
pub(super) struct Checked<C, B> {
    pub(super) passed: C,
    pub(super) body: B,
    /// The network that the request came from, if it is known.
    pub(super) address: Option<IpAddr>,
}

/// A request of a logged-in account.
pub(super) type OfAccount<B> = Checked<LoggedInAccount, B>;

/// A request that needs mail to be configured.
pub(super) type WithMail<B> = Checked<Mail, B>;

impl<C, B> FromRequest<Arc<Auth>> for Checked<C, B>
where
    C: FromRequestParts<Arc<Auth>, Rejection = Problem> + Send,
    B: FromFields<Context = ()> + Send,
{
    type Rejection = Problem;

    async fn from_request(request: Request, auth: &Arc<Auth>) -> Result<Self, Problem> {
        let (parts, body) = request.into_parts();
        let mut head = parts.clone();
        let body = JsonBody::from_request(Request::from_parts(parts, body), auth).await;
        let passed = C::from_request_parts(&mut head, auth).await?;
        let ClientIp(address) = ClientIp::of(&head);
        let JsonBody(body) = body?;
        Ok(Self { passed, body, address })
    }
}

/// What a service that sends mail has beside the others.
pub(super) struct Mail(pub(super) Arc<PasswordReset>);

impl FromRequestParts<Arc<Auth>> for Mail {
    type Rejection = Problem;

    async fn from_request_parts(_parts: &mut Parts, auth: &Arc<Auth>) -> Result<Self, Problem> {
        auth.password_reset.clone().map(Self).ok_or_else(no_mail)
    }
}
