//! Logs in and out.

use std::sync::Arc;

use axum::extract::{Extension, State};
use axum::http::HeaderMap;
use axum::http::header::ALLOW;
use axum::http::{HeaderName, HeaderValue};
use axum::response::IntoResponse;

use super::bodies::{LoginBody, SecondLoginBody};
use super::problems::broken;
use super::proofs::proof;
use super::second_factor::SecondFactorRequired;
use super::state::{Auth, SessionResult};
use crate::http::document::{BodyProblems, Forbidden, LoginNeeded, Problems};
use crate::http::{
    ClientAddress, ClientIp, Deliberate, DeviceCookie, JsonBody, Problem, RequestOrigin,
};
use crate::second_factor::Challenge;
use crate::storage::{Credentials, EventKind};
use crate::usecases::accounts::account_of;
use crate::usecases::login::LoginOrigin;

/// Logs in. Sets the session cookie, always with a new session id, and the cookie by which the device
/// is recognized at later logins. If the account has a second factor, the login waits for it.
#[utoipa::path(
    post, operation_id = "logIn", path = "/login", tag = "account", security(()),
    request_body = LoginBody,
    responses(
        (
            status = 200, content_type = "text/plain", body = String, description = "`OK`",
            headers((
                "Set-Cookie" = String,
                description = "The session cookie; in a second line, the cookie of the device"
            )),
        ),
        (
            status = 401,
            description = "`Invalid login.`, or the password is right and the account has a second factor",
            content((String = "text/plain"), (SecondFactorRequired = "application/problem+json")),
            headers(("WWW-Authenticate" = String)),
        ),
        Forbidden, BodyProblems, Problems,
    ),
)]
pub(super) async fn login(
    State(auth): State<Arc<Auth>>,
    ClientIp(address): ClientIp,
    headers: HeaderMap,
    session: SessionResult,
    JsonBody(body): JsonBody<LoginBody>,
) -> Result<impl IntoResponse, Problem> {
    let LoginBody { email, password } = body;
    let device = DeviceCookie::of(&headers).map(|cookie| cookie.0);
    let origin = LoginOrigin { address, device };
    let device = auth.login.log_in(session, email.0, password.0, origin).await?;
    Ok((device.map(DeviceCookie).map(Extension), "OK"))
}

/// Continues a login with the second factor. Sets the cookies, as `POST /login` does.
#[utoipa::path(
    post, operation_id = "logInWithSecondFactor", path = "/login/second-factor", tag = "account",
    security(()), request_body = SecondLoginBody,
    responses(
        (
            status = 200, content_type = "text/plain", body = String, description = "`OK`",
            headers((
                "Set-Cookie" = String,
                description = "The session cookie; in a second line, the cookie of the device"
            )),
        ),
        LoginNeeded, Forbidden, BodyProblems, Problems,
    ),
)]
pub(super) async fn with_second_factor(
    State(auth): State<Arc<Auth>>,
    ClientIp(address): ClientIp,
    session: SessionResult,
    JsonBody(body): JsonBody<SecondLoginBody>,
) -> Result<impl IntoResponse, Problem> {
    let SecondLoginBody { pending_login: token, code, passkey } = body;
    let proof = proof(code, passkey, || Challenge::of_login(&token.0))?;
    let proof = proof.ok_or_else(|| broken("code", "must be given, or passkey".to_owned()))?;
    let device = auth.login.log_in_with(session, token.0, proof, address).await?;
    Ok((device.map(DeviceCookie).map(Extension), "OK"))
}

/// Makes a browser remove what it stored of the site. Without `"cookies"`, which would remove those of
/// every neighbour on the domain, too.
const CLEAR: [(HeaderName, HeaderValue); 1] = [(
    HeaderName::from_static("clear-site-data"),
    HeaderValue::from_static("\"cache\", \"storage\""),
)];

/// Logs out. Destroys the session and clears the cookie, even if there was no session.
///
/// A prefetch of a browser (`Sec-Purpose: prefetch`) is refused.
#[utoipa::path(
    get, operation_id = "logOut", path = "/logout", tag = "account", security(()),
    responses(
        (status = 200, content_type = "text/plain", body = String, description = "`OK`"),
        Forbidden, Problems,
    ),
)]
pub(super) async fn logout(
    // This is the only GET route that changes something.
    _deliberate: Deliberate,
    State(auth): State<Arc<Auth>>,
    Extension(origin): Extension<RequestOrigin>,
    session: SessionResult,
) -> Result<impl IntoResponse, Problem> {
    end(auth, origin, session).await
}

/// Logs out, like `GET /logout`.
#[utoipa::path(
    post, operation_id = "logOutByPost", path = "/logout", tag = "account", security(()),
    responses(
        (status = 200, content_type = "text/plain", body = String, description = "`OK`"),
        Forbidden, Problems,
    ),
)]
pub(super) async fn logout_by_post(
    State(auth): State<Arc<Auth>>,
    Extension(origin): Extension<RequestOrigin>,
    session: SessionResult,
) -> Result<impl IntoResponse, Problem> {
    end(auth, origin, session).await
}

async fn end(
    auth: Arc<Auth>,
    origin: RequestOrigin,
    session: SessionResult,
) -> Result<impl IntoResponse, Problem> {
    let session = session?;
    // The logout does not depend on the account. Only its record does.
    let account = account_of(&session, &*auth.users).await;
    session.log_out().await?;
    if let Ok(Credentials { id, .. }) = account {
        let address = origin.address.map(ClientAddress::ip);
        auth.security.record(EventKind::Logout, Some(id), address, None).await;
    }
    // Browsers ignore the header without TLS.
    Ok((origin.over_tls.then_some(CLEAR), "OK"))
}

/// Refuses HEAD, which must change nothing. The router would handle it as GET otherwise.
pub(super) async fn logout_by_another_method() -> impl IntoResponse {
    ([(ALLOW, "GET, POST")], Problem::method_not_allowed())
}
