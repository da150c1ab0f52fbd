//! Passkeys of the logged-in account, and the challenges that they answer.

use std::sync::Arc;

use axum::Json;
use axum::extract::{Extension, FromRequestParts, State};
use axum::http::request::Parts;
use axum::response::IntoResponse;
use serde::Serialize;
use utoipa::ToSchema;
use webauthn_rs::prelude::{CreationChallengeResponse, RequestChallengeResponse};

use super::bodies::{ConfirmationBody, NewPasskeyBody, PendingLoginBody, ResetTokenBody};
use super::checked::{Checked, Mail, OfAccount, WithMail};
use super::logged_in::LoggedInAccount;
use super::problems::of_change;
use super::second_factor::{MadeRecoveryCodes, SecondFactorNeeded, with_codes};
use super::sessions::Handle;
use super::state::Auth;
use crate::http::document::{BodyProblems, Forbidden, LoginNeeded, Problems};
use crate::http::{DeviceCookie, PathParameters, Problem, ProblemDetails};
use crate::input::parameters;
use crate::second_factor::{Challenge, Passkey};

/// A passkey of the account.
#[derive(Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub(super) struct ListedPasskey {
    /// The handle of the passkey, which is not its id.
    handle: String,
    /// The name that its owner gave it.
    name: String,
    /// The time when it was added, in milliseconds since 1970.
    since: u64,
    /// The time of its last use, in milliseconds since 1970.
    last_used: Option<u64>,
}

impl ListedPasskey {
    pub(super) fn new(passkey: &Passkey) -> Self {
        Self {
            handle: passkey.handle(),
            name: passkey.name.clone(),
            since: passkey.created_ms,
            last_used: passkey.last_used_ms,
        }
    }
}

/// The options of a browser for a new passkey.
#[derive(ToSchema)]
#[expect(dead_code, reason = "only the document has it")]
pub(super) struct NewPasskeyOptions {
    /// For `PublicKeyCredential.parseCreationOptionsFromJSON()`, and then `navigator.credentials.create()`.
    #[schema(rename = "publicKey", value_type = Object)]
    public_key: (),
}

/// The options of a browser for the answer of a passkey.
#[derive(ToSchema)]
#[expect(dead_code, reason = "only the document has it")]
pub(super) struct PasskeyOptions {
    /// For `PublicKeyCredential.parseRequestOptionsFromJSON()`, and then `navigator.credentials.get()`.
    #[schema(rename = "publicKey", value_type = Object)]
    public_key: (),
}

parameters! {
    pub(super) struct PasskeyPath(()) {
        /// The handle that `GET /second-factor` lists
        handle "handle" in Path: Handle;
    }
}

/// A service that has passkeys.
pub(super) struct PasskeysOn;

impl FromRequestParts<Arc<Auth>> for PasskeysOn {
    type Rejection = Problem;

    async fn from_request_parts(_parts: &mut Parts, auth: &Arc<Auth>) -> Result<Self, Problem> {
        auth.enrolment.factors.site()?;
        Ok(Self)
    }
}

/// The logged-in account of a service that has passkeys.
pub(super) struct PasskeysOf(LoggedInAccount);

impl FromRequestParts<Arc<Auth>> for PasskeysOf {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, auth: &Arc<Auth>) -> Result<Self, Problem> {
        let logged_in = LoggedInAccount::from_request_parts(parts, auth).await?;
        let PasskeysOn = PasskeysOn::from_request_parts(parts, auth).await?;
        Ok(Self(logged_in))
    }
}

/// Makes a challenge for a new passkey. The passkey is on after `POST /second-factor/passkeys/confirm`, within
/// five minutes.
#[utoipa::path(
    post, operation_id = "beginPasskey", path = "/second-factor/passkeys", tag = "account",
    security(("session" = [])), request_body = ConfirmationBody,
    responses(
        (status = 200, body = NewPasskeyOptions),
        (
            status = 404, description = "The service has no passkeys (`--public-url`)",
            body = ProblemDetails<'static>, content_type = "application/problem+json",
        ),
        (
            status = 409, description = "The account has ten passkeys",
            body = ProblemDetails<'static>, content_type = "application/problem+json",
        ),
        LoginNeeded, SecondFactorNeeded, BodyProblems, Problems,
    ),
)]
pub(super) async fn begin(
    State(auth): State<Arc<Auth>>,
    Checked { passed: PasskeysOf(owner), body, address }: Checked<PasskeysOf, ConfirmationBody>,
) -> Result<Json<CreationChallengeResponse>, Problem> {
    let (requester, confirmation) = (owner.requester(address), owner.confirmation(body)?);
    let begun = auth.enrolment.begin_passkey(requester, confirmation).await;
    begun.map(Json).map_err(of_change)
}

/// Adds the passkey that answers the challenge, and ends the other sessions of the account. If the account had
/// no recovery codes, it gets some.
#[utoipa::path(
    post, operation_id = "confirmPasskey", path = "/second-factor/passkeys/confirm", tag = "account",
    security(("session" = [])), request_body = NewPasskeyBody,
    responses(
        (status = 200, body = MadeRecoveryCodes),
        (
            status = 404, description = "The service has no passkeys (`--public-url`)",
            body = ProblemDetails<'static>, content_type = "application/problem+json",
        ),
        LoginNeeded, Forbidden, BodyProblems, Problems,
    ),
)]
pub(super) async fn confirm(
    State(auth): State<Arc<Auth>>,
    Checked { passed: PasskeysOf(owner), body, address }: Checked<PasskeysOf, NewPasskeyBody>,
) -> Result<impl IntoResponse, Problem> {
    let NewPasskeyBody { name, passkey } = body;
    let made = auth.enrolment.confirm_passkey(owner.requester(address), name.0, &passkey.0).await;
    Ok(with_codes(made.map_err(of_change)?))
}

/// Removes a passkey, and ends the other sessions of the account. This is no `DELETE`, because the content of
/// such a request has no meaning in HTTP.
#[utoipa::path(
    post, operation_id = "removePasskey", path = "/second-factor/passkeys/{handle}/remove",
    tag = "account", security(("session" = [])), params(PasskeyPath), request_body = ConfirmationBody,
    responses(
        (status = 200, content_type = "text/plain", body = String, description = "`OK`"),
        (
            status = 404,
            description = "There is no such passkey",
            body = ProblemDetails<'static>, content_type = "application/problem+json",
        ),
        LoginNeeded, SecondFactorNeeded, BodyProblems, Problems,
    ),
)]
pub(super) async fn remove(
    State(auth): State<Arc<Auth>>,
    PathParameters(of): PathParameters<PasskeyPath>,
    Checked { passed, body, address }: OfAccount<ConfirmationBody>,
) -> Result<impl IntoResponse, Problem> {
    let (requester, confirmation) = (passed.requester(address), passed.confirmation(body)?);
    let made = auth.enrolment.remove_passkey(requester, of.handle.0, confirmation).await;
    Ok((made.map_err(of_change)?.device.map(DeviceCookie).map(Extension), "OK"))
}

/// Makes a challenge for the passkeys of the account, before a change that needs the second factor. One of
/// them answers it once, within five minutes.
#[utoipa::path(
    post, operation_id = "challengePasskey", path = "/second-factor/challenge", tag = "account",
    security(("session" = [])),
    responses(
        (status = 200, body = PasskeyOptions),
        (
            status = 404,
            description = "The account has no passkey, or the service has none (`--public-url`)",
            body = ProblemDetails<'static>, content_type = "application/problem+json",
        ),
        LoginNeeded, Forbidden, Problems,
    ),
)]
pub(super) async fn challenge(
    State(auth): State<Arc<Auth>>,
    PasskeysOf(LoggedInAccount { session, account, .. }): PasskeysOf,
) -> Result<Json<RequestChallengeResponse>, Problem> {
    let challenge = Challenge::of_session(session.id().as_str());
    Ok(Json(auth.enrolment.factors.challenge(account.id, &challenge).await?))
}

/// Makes a challenge for the passkeys of the account whose login is pending. One of them answers it once, in
/// `POST /login/second-factor`.
#[utoipa::path(
    post, operation_id = "challengeAtLogin", path = "/login/second-factor/challenge", tag = "account",
    security(()), request_body = PendingLoginBody,
    responses(
        (status = 200, body = PasskeyOptions),
        (
            status = 404,
            description = "The account has no passkey, or the service has none (`--public-url`)",
            body = ProblemDetails<'static>, content_type = "application/problem+json",
        ),
        LoginNeeded, Forbidden, BodyProblems, Problems,
    ),
)]
pub(super) async fn challenge_of_login(
    State(auth): State<Arc<Auth>>,
    Checked { body: PendingLoginBody { pending_login }, .. }: Checked<PasskeysOn, PendingLoginBody>,
) -> Result<Json<RequestChallengeResponse>, Problem> {
    Ok(Json(auth.login.challenge(&pending_login.0).await?))
}

/// Makes a challenge for the passkeys of the account whose password may be reset with the token of a message.
/// One of them answers it once, in `POST /password/reset`.
#[utoipa::path(
    post, operation_id = "challengeAtReset", path = "/password/reset/challenge", tag = "account",
    security(()), request_body = ResetTokenBody,
    responses(
        (status = 200, body = PasskeyOptions),
        (
            status = 404,
            description = "The account has no passkey, or the service has none (`--public-url`) or sends no \
                           mail (`--mail-url` or `--mail-command`)",
            body = ProblemDetails<'static>, content_type = "application/problem+json",
        ),
        Forbidden, BodyProblems, Problems,
    ),
)]
pub(super) async fn challenge_of_reset(
    Checked { passed: Mail(reset), body, .. }: WithMail<ResetTokenBody>,
) -> Result<Json<RequestChallengeResponse>, Problem> {
    Ok(Json(reset.challenge(&body.token.0).await?))
}
