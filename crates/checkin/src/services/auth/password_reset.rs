//! A forgotten password: a message with a token, and a new password in return for it.

use axum::http::StatusCode;

use super::bodies::{ForgottenBody, ResetBody};
use super::checked::{Checked, Mail, WithMail};
use super::problems::of_change;
use super::proofs::proof;
use super::second_factor::SecondFactorNeeded;
use crate::http::document::{BodyProblems, Forbidden, Problems};
use crate::http::{Problem, ProblemDetails};
use crate::second_factor::Challenge;
use crate::usecases::password_reset::Reset;

/// Sends a message with a token to the address, if it is that of an account. The response does not tell
/// whether it is.
#[utoipa::path(
    post, operation_id = "forgotPassword", path = "/password/forgotten", tag = "account", security(()),
    request_body = ForgottenBody,
    responses(
        (status = 202, content_type = "text/plain", body = String, description = "`OK`"),
        (
            status = 404, description = "The service sends no mail (`--mail-url` or `--mail-command`)",
            body = ProblemDetails<'static>, content_type = "application/problem+json",
        ),
        Forbidden, BodyProblems, Problems,
    ),
)]
pub(super) async fn forgotten(
    Checked { passed: Mail(reset), body, address }: WithMail<ForgottenBody>,
) -> Result<(StatusCode, &'static str), Problem> {
    reset.ask(body.email.0, address)?;
    Ok((StatusCode::ACCEPTED, "OK"))
}

/// Sets a new password with the token of a message, and ends all sessions of the account. An account with a
/// second factor needs a code of it. The session is not logged in.
#[utoipa::path(
    post, operation_id = "resetPassword", path = "/password/reset", tag = "account", security(()),
    request_body = ResetBody,
    responses(
        (status = 200, content_type = "text/plain", body = String, description = "`OK`"),
        (
            status = 404, description = "The service sends no mail (`--mail-url` or `--mail-command`)",
            body = ProblemDetails<'static>, content_type = "application/problem+json",
        ),
        SecondFactorNeeded, BodyProblems, Problems,
    ),
)]
pub(super) async fn reset(
    Checked { passed: Mail(reset), body, address }: WithMail<ResetBody>,
) -> Result<&'static str, Problem> {
    let ResetBody { token, new, code, passkey } = body;
    let proof = proof(code, passkey, || Challenge::of_reset(&token.0))?;
    let new = Reset { token: token.0, new: new.0, proof };
    reset.reset(new, address).await.map_err(of_change)?;
    Ok("OK")
}
