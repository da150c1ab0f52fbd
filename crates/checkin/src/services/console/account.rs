//! The visitor's account: sessions, privacy, password, second factor, the end of the account.

use askama::Template;
use axum::http::{Method, StatusCode};
use axum::response::{IntoResponse, Response};
use futures_util::try_join;

use super::answer::Answer;
use super::client::{Visitor, encoded};
use super::entrance::body_of;
use super::notice::Notice;
use super::page::{Frame, Page, told};
use super::qr_code::QrCode;
use super::refusal::Refusal;
use super::views::{
    Account, ListedSession, NewTotp, RecoveryCodes, SecondFactor, Sessions, Settings,
};
use crate::http::{FormBody, Problem};

#[derive(Template)]
#[template(path = "account.html")]
pub(super) struct AccountPage {
    frame: Frame,
    email: String,
    sessions: Vec<ListedSession>,
    audience: String,
    second_factor: SecondFactor,
    /// Whether visitors of the walk-through share the account, so that nobody may change it.
    is_shared: bool,
    failure: Option<String>,
}

impl AccountPage {
    async fn of(visitor: &Visitor) -> Result<Self, Refusal> {
        let account: Account = visitor.own_account().await?;
        let (Sessions { sessions }, Settings { audience }, second_factor) = try_join!(
            visitor.get("/sessions"),
            visitor.get("/settings"),
            visitor.get("/second-factor"),
        )?;
        let email = account.email.clone();
        let is_shared = visitor.shares(&account).await;
        let frame = Frame::of_account(visitor, account, "account");
        Ok(Self { frame, email, sessions, audience, second_factor, is_shared, failure: None })
    }
}

/// The page on which an authenticator app is set up.
#[derive(Template)]
#[template(path = "authenticator.html")]
struct AuthenticatorPage {
    frame: Frame,
    totp: NewTotp,
    qr_code: Option<QrCode>,
    failure: Option<String>,
}

/// The page that shows recovery codes, once.
#[derive(Template)]
#[template(path = "recovery_codes.html")]
struct RecoveryCodesPage {
    frame: Frame,
    codes: Vec<String>,
}

pub(super) async fn show(visitor: Visitor) -> Result<Page<AccountPage>, Refusal> {
    AccountPage::of(&visitor).await.map(Page)
}

pub(super) async fn change_password(visitor: Visitor, FormBody(form): FormBody) -> Response {
    let body = body_of(&form, &["currentPassword", "newPassword", "code", "passkey"]);
    let sent = visitor.send(Method::POST, "/password", Some(&body)).await;
    changed(&visitor, sent, Notice::PasswordChanged).await
}

pub(super) async fn set_audience(visitor: Visitor, FormBody(form): FormBody) -> Response {
    let body = body_of(&form, &["audience"]);
    let sent = visitor.send(Method::PUT, "/settings", Some(&body)).await;
    changed(&visitor, sent, Notice::AudienceStored).await
}

/// Ends a session, or all others.
pub(super) async fn end_session(visitor: Visitor, FormBody(form): FormBody) -> Response {
    let (sessions, notice) = match form.get("handle") {
        Some(handle) => (format!("/sessions/{}", encoded(handle)), Notice::SessionEnded),
        None if form.contains_key("all") => ("/sessions".to_owned(), Notice::OtherSessionsEnded),
        None => {
            let problem = Problem::new(StatusCode::BAD_REQUEST, "the form names no session");
            return problem.field("handle", "must be the handle of a session").into_response();
        }
    };
    changed(&visitor, visitor.send(Method::DELETE, &sessions, None).await, notice).await
}

/// Begins to set up an authenticator app.
pub(super) async fn begin_totp(visitor: Visitor, FormBody(form): FormBody) -> Response {
    let body = body_of(&form, &["currentPassword", "code", "passkey"]);
    match visitor.post("/second-factor/totp", &body).await {
        Ok((_, totp)) => authenticator(&visitor, totp, None).await,
        Err(refusal) => refused(&visitor, refusal).await,
    }
}

/// Shows the secret of an authenticator app. After a wrong code the form gives it back.
async fn authenticator(visitor: &Visitor, totp: NewTotp, failure: Option<Refusal>) -> Response {
    let status = failure.as_ref().map_or(StatusCode::OK, |refusal| refusal.status);
    let qr_code = QrCode::of(&totp.uri);
    let failure = failure.map(|refusal| told(&refusal));
    match Frame::of(visitor, "account").await {
        Ok(frame) => {
            (status, Page(AuthenticatorPage { frame, totp, qr_code, failure })).into_response()
        }
        Err(refusal) => refusal.into_response(),
    }
}

/// Turns an authenticator app on, and shows the recovery codes if it is the first factor.
pub(super) async fn confirm_totp(visitor: Visitor, FormBody(form): FormBody) -> Response {
    let body = body_of(&form, &["code"]);
    match visitor.post("/second-factor/totp/confirm", &body).await {
        Ok((answer, codes)) => recovery_codes(&visitor, answer, codes).await,
        Err(refusal) if refusal.rule("code").is_some() && form.contains_key("secret") => {
            let field = |name: &str| form.get(name).cloned().unwrap_or_default();
            let totp = NewTotp { secret: field("secret"), uri: field("uri") };
            authenticator(&visitor, totp, Some(refusal)).await
        }
        Err(refusal) => refused(&visitor, refusal).await,
    }
}

pub(super) async fn renew_recovery_codes(visitor: Visitor, FormBody(form): FormBody) -> Response {
    let body = body_of(&form, &["currentPassword", "code", "passkey"]);
    match visitor.post("/second-factor/recovery-codes", &body).await {
        Ok((answer, codes)) => recovery_codes(&visitor, answer, codes).await,
        Err(refusal) => refused(&visitor, refusal).await,
    }
}

async fn recovery_codes(visitor: &Visitor, answer: Answer, made: RecoveryCodes) -> Response {
    if made.recovery_codes.is_empty() {
        return answer.redirect_with("/me/account", Notice::SecondFactorChanged);
    }
    match Frame::of(visitor, "account").await {
        Ok(frame) => {
            let page = Page(RecoveryCodesPage { frame, codes: made.recovery_codes });
            answer.set_cookies(page.into_response())
        }
        Err(refusal) => refusal.into_response(),
    }
}

/// Turns the second factor off.
pub(super) async fn remove_second_factor(visitor: Visitor, FormBody(form): FormBody) -> Response {
    let body = body_of(&form, &["currentPassword", "code", "passkey"]);
    let removed = visitor.send(Method::POST, "/second-factor/remove", Some(&body)).await;
    changed(&visitor, removed, Notice::SecondFactorChanged).await
}

/// Removes a passkey.
pub(super) async fn remove_passkey(visitor: Visitor, FormBody(form): FormBody) -> Response {
    let body = body_of(&form, &["currentPassword", "code", "passkey"]);
    let handle = encoded(form.get("handle").map_or("", String::as_str));
    let path = format!("/second-factor/passkeys/{handle}/remove");
    let sent = visitor.send(Method::POST, &path, Some(&body)).await;
    changed(&visitor, sent, Notice::SecondFactorChanged).await
}

/// Deletes the account.
pub(super) async fn delete(visitor: Visitor, FormBody(form): FormBody) -> Response {
    let body = body_of(&form, &["currentPassword", "code", "passkey"]);
    match visitor.send(Method::DELETE, "/account", Some(&body)).await {
        Ok(answer) => answer.redirect_with("/", Notice::AccountDeleted),
        Err(refusal) => refused(&visitor, refusal).await,
    }
}

/// Shows the page again after a change, which says what was done or why it was not.
async fn changed(visitor: &Visitor, change: Result<Answer, Refusal>, notice: Notice) -> Response {
    match change {
        Ok(answer) => answer.redirect_with("/me/account", notice),
        Err(refusal) => refused(visitor, refusal).await,
    }
}

/// Shows the page again, and why a change was refused.
async fn refused(visitor: &Visitor, refusal: Refusal) -> Response {
    if refusal.status == StatusCode::UNAUTHORIZED {
        return refusal.into_response();
    }
    match AccountPage::of(visitor).await {
        Ok(page) => {
            let page = AccountPage { failure: Some(told(&refusal)), ..page };
            (refusal.status, Page(page)).into_response()
        }
        Err(refusal) => refusal.into_response(),
    }
}
