//! The second factor of the logged-in account. Each change needs the password, and the second factor that is on.

use std::collections::BTreeMap;
use std::net::IpAddr;
use std::sync::Arc;

use axum::Json;
use axum::extract::{Extension, State};
use axum::response::IntoResponse;
use serde::Serialize;
use utoipa::openapi::{ContentBuilder, Ref, RefOr, Response, ResponseBuilder};
use utoipa::{IntoResponses, ToSchema};

use super::bodies::{ConfirmationBody, TotpCodeBody};
use super::checked::{Checked, OfAccount};
use super::logged_in::LoggedInAccount;
use super::passkeys::ListedPasskey;
use super::problems::of_change;
use super::proofs::proof;
use super::state::Auth;
use crate::http::document::{BodyProblems, LoginNeeded, Problems};
use crate::http::{DeviceCookie, Problem};
use crate::second_factor::{Challenge, Code, Method};
use crate::usecases::enrolment::Made;
use crate::usecases::login::LoginError;
use crate::usecases::session_change::{Confirmation, Requester};

/// The second factor of an account.
#[derive(Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub(super) struct SecondFactorState {
    /// Whether an authenticator app is on.
    totp: bool,
    /// The passkeys, the oldest first.
    passkeys: Vec<ListedPasskey>,
    /// The number of recovery codes that are left.
    recovery_codes: usize,
}

/// The secret of an authenticator app that is not on yet.
#[derive(Serialize, ToSchema)]
pub(super) struct NewTotp {
    /// The secret in base32.
    secret: String,
    /// The address that an app reads from a QR code: `otpauth://totp/…`.
    uri: String,
}

/// The recovery codes that were made. Nobody can read them again.
#[derive(Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub(super) struct MadeRecoveryCodes {
    recovery_codes: Vec<String>,
}

/// The problem of an account whose second factor is missing.
#[derive(ToSchema)]
#[expect(dead_code, reason = "only the document has it")]
pub(super) struct SecondFactorRequired {
    /// `second-factor-required`.
    r#type: String,
    /// The meaning of the status.
    title: String,
    /// The status.
    status: u16,
    /// A description of this error.
    detail: String,
    /// The token for `POST /login/second-factor`; only in the response to `POST /login`.
    #[schema(rename = "pendingLogin", required = false)]
    pending_login: String,
    /// The kinds of proofs that the account has: `totp`, `passkey`, `recovery`.
    methods: Vec<String>,
}

/// The response if a change needs the second factor, or if a page of another site sent it.
pub(super) struct SecondFactorNeeded;

impl IntoResponses for SecondFactorNeeded {
    fn responses() -> BTreeMap<String, RefOr<Response>> {
        let problem = Ref::from_schema_name("Problem");
        let content = ContentBuilder::new().schema(Some(problem)).build();
        let description = "A problem of the type `second-factor-required`, whose `methods` are the kinds of \
                           proofs that the account has; or a page of another site sent the request; or, at the \
                           console, it is the demo account, which visitors share";
        let response = ResponseBuilder::new()
            .description(description)
            .content("application/problem+json", content);
        BTreeMap::from([("403".to_owned(), RefOr::T(response.build()))])
    }
}

/// Returns what the account has as a second factor.
#[utoipa::path(
    get, operation_id = "getSecondFactor", path = "/second-factor", tag = "account",
    security(("session" = [])),
    responses((status = 200, body = SecondFactorState), LoginNeeded, Problems),
)]
pub(super) async fn show(
    State(auth): State<Arc<Auth>>,
    LoggedInAccount { account, .. }: LoggedInAccount,
) -> Result<Json<SecondFactorState>, Problem> {
    let factor = auth.enrolment.factors.of(account.id).await?.unwrap_or_default();
    let (totp, recovery_codes) = (factor.has(Method::Totp), factor.recovery_codes());
    let passkeys = factor.passkeys().iter().map(ListedPasskey::new).collect();
    Ok(Json(SecondFactorState { totp, passkeys, recovery_codes }))
}

/// Makes the secret of an authenticator app. The app is on after `POST /second-factor/totp/confirm`, within five
/// minutes.
#[utoipa::path(
    post, operation_id = "beginTotp", path = "/second-factor/totp", tag = "account",
    security(("session" = [])), request_body = ConfirmationBody,
    responses(
        (status = 200, body = NewTotp),
        LoginNeeded, SecondFactorNeeded, BodyProblems, Problems,
    ),
)]
pub(super) async fn begin_totp(
    State(auth): State<Arc<Auth>>,
    Checked { passed, body, address }: OfAccount<ConfirmationBody>,
) -> Result<Json<NewTotp>, Problem> {
    let confirmation = passed.confirmation(body)?;
    let secret = auth.enrolment.begin_totp(passed.requester(address), confirmation).await;
    let secret = secret.map_err(of_change)?;
    let uri = secret.uri(&passed.account.email).ok_or_else(Problem::internal)?;
    Ok(Json(NewTotp { secret: secret.base32(), uri }))
}

/// Turns the authenticator app on, in place of one that was on before, and ends the other sessions of the
/// account. If the account had no recovery codes, it gets some.
#[utoipa::path(
    post, operation_id = "confirmTotp", path = "/second-factor/totp/confirm", tag = "account",
    security(("session" = [])), request_body = TotpCodeBody,
    responses(
        (status = 200, body = MadeRecoveryCodes),
        LoginNeeded, SecondFactorNeeded, BodyProblems, Problems,
    ),
)]
pub(super) async fn confirm_totp(
    State(auth): State<Arc<Auth>>,
    Checked { passed, body, address }: OfAccount<TotpCodeBody>,
) -> Result<impl IntoResponse, Problem> {
    let Code::Totp(code) = body.code else { return Err(not_of_an_app()) };
    let made = auth.enrolment.confirm_totp(passed.requester(address), code).await;
    Ok(with_codes(made.map_err(of_change)?))
}

/// Replaces the recovery codes by new ones, and ends the other sessions of the account. An account without a
/// second factor gets 400.
#[utoipa::path(
    post, operation_id = "renewRecoveryCodes", path = "/second-factor/recovery-codes",
    tag = "account", security(("session" = [])), request_body = ConfirmationBody,
    responses(
        (status = 200, body = MadeRecoveryCodes),
        LoginNeeded, SecondFactorNeeded, BodyProblems, Problems,
    ),
)]
pub(super) async fn renew_recovery_codes(
    State(auth): State<Arc<Auth>>,
    Checked { passed, body, address }: OfAccount<ConfirmationBody>,
) -> Result<impl IntoResponse, Problem> {
    let (requester, confirmation) = (passed.requester(address), passed.confirmation(body)?);
    let made = auth.enrolment.renew_recovery_codes(requester, confirmation).await;
    Ok(with_codes(made.map_err(of_change)?))
}

/// Turns the second factor of the account off, and ends its other sessions. An account without one gets 400. This is no `DELETE`,
/// because the content of such a request has no meaning in HTTP.
#[utoipa::path(
    post, operation_id = "removeSecondFactor", path = "/second-factor/remove", tag = "account",
    security(("session" = [])), request_body = ConfirmationBody,
    responses(
        (status = 200, content_type = "text/plain", body = String, description = "`OK`"),
        LoginNeeded, SecondFactorNeeded, BodyProblems, Problems,
    ),
)]
pub(super) async fn remove(
    State(auth): State<Arc<Auth>>,
    Checked { passed, body, address }: OfAccount<ConfirmationBody>,
) -> Result<impl IntoResponse, Problem> {
    let (requester, confirmation) = (passed.requester(address), passed.confirmation(body)?);
    let made = auth.enrolment.remove(requester, confirmation).await;
    let made = made.map_err(of_change)?;
    Ok((made.device.map(DeviceCookie).map(Extension), "OK"))
}

impl LoggedInAccount {
    pub(super) fn requester(&self, address: Option<IpAddr>) -> Requester {
        let (session, account) = (self.session.clone(), self.account.clone());
        Requester { session, account, address }
    }

    /// Returns the step-up before a change by this session.
    pub(super) fn confirmation(&self, body: ConfirmationBody) -> Result<Confirmation, Problem> {
        self.expect_own(&body.current.0)?;
        let ConfirmationBody { current, code, passkey } = body;
        let proof = proof(code, passkey, || Challenge::of_session(self.session.id().as_str()))?;
        Ok(Confirmation { current: current.0, proof })
    }
}

pub(super) fn with_codes(Made { recovery_codes, device }: Made) -> impl IntoResponse {
    (device.map(DeviceCookie).map(Extension), Json(MadeRecoveryCodes { recovery_codes }))
}

fn not_of_an_app() -> Problem {
    of_change(LoginError::WrongSecondFactor)
}
