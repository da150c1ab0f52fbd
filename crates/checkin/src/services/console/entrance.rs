//! Signing up, logging in and out.

use std::collections::BTreeMap;

use askama::Template;
use axum::http::{Method, StatusCode};
use axum::response::{IntoResponse, Response};
use reqwest::Url;
use serde_json::{Value, json};

use super::client::Visitor;
use super::notice::Notice;
use super::page::{Frame, Page, sentence};
use super::refusal::{Pending, Refusal};
use crate::http::{FormBody, FormQuery};

/// A form as it was sent, and why it was refused. Passwords and codes are not shown again.
#[derive(Default)]
struct Attempt {
    form: BTreeMap<String, String>,
    refusal: Option<Refusal>,
}

impl Attempt {
    fn value(&self, field: &str) -> &str {
        self.form.get(field).map_or("", String::as_str)
    }

    /// Returns the rule that a field breaks, as a sentence without its full stop.
    fn rule(&self, field: &str) -> Option<&str> {
        self.refusal.as_ref()?.rule(field)
    }

    /// Returns why the form was refused, if it was not for a field.
    fn failure(&self) -> Option<String> {
        let refusal = self.refusal.as_ref().filter(|refusal| refusal.errors.is_empty())?;
        Some(match refusal.status {
            StatusCode::UNAUTHORIZED => {
                "The address and the password do not belong together.".to_owned()
            }
            _ => format!("{}.", sentence(&refusal.detail)),
        })
    }

    /// Returns whether the form was refused because a code is missing or wrong.
    fn needs_code(&self) -> bool {
        let Some(refusal) = &self.refusal else { return false };
        refusal.pending.is_some() || refusal.rule("code").is_some()
    }

    fn status(&self) -> StatusCode {
        self.refusal.as_ref().map_or(StatusCode::OK, |refusal| refusal.status)
    }
}

#[derive(Template)]
#[template(path = "log_in.html")]
struct LoginPage {
    frame: Frame,
    attempt: Attempt,
    next: String,
}

#[derive(Template)]
#[template(path = "second_factor.html")]
struct SecondFactorPage {
    frame: Frame,
    pending: Pending,
    next: String,
    failure: Option<&'static str>,
}

#[derive(Template)]
#[template(path = "sign_up.html")]
struct RegistrationPage {
    frame: Frame,
    attempt: Attempt,
}

/// The page that says that a message was sent.
#[derive(Template)]
#[template(path = "message_sent.html")]
struct MessageSent {
    frame: Frame,
    /// What the message is good for.
    what: &'static str,
}

/// The page of a visitor who has forgotten the password.
#[derive(Template)]
#[template(path = "forgotten.html")]
struct ForgottenPage {
    frame: Frame,
    attempt: Attempt,
}

/// The page behind the link of a message about a forgotten password.
#[derive(Template)]
#[template(path = "new_password.html")]
struct NewPasswordPage {
    frame: Frame,
    attempt: Attempt,
}

/// The page behind the link of a message about a new account.
#[derive(Template)]
#[template(path = "confirm_registration.html")]
struct ConfirmRegistrationPage {
    frame: Frame,
    attempt: Attempt,
}

pub(super) async fn show_login(
    visitor: Visitor,
    FormQuery(query): FormQuery,
) -> Result<impl IntoResponse, Refusal> {
    let frame = Frame::of(&visitor, "log-in").await?;
    let (attempt, next) = (Attempt::default(), next(&query).to_owned());
    Ok(Page(LoginPage { frame, attempt, next }))
}

pub(super) async fn log_in(visitor: Visitor, FormBody(form): FormBody) -> Response {
    let next = next(&form).to_owned();
    let login = body_of(&form, &["email", "password"]);
    let refusal = match visitor.send(Method::POST, "/login", Some(&login)).await {
        Ok(answer) => return answer.redirect(&next),
        Err(refusal) => refusal,
    };
    let frame = Frame::of_nobody("log-in");
    match refusal.pending.clone() {
        Some(pending) => {
            let pending = *pending;
            Page(SecondFactorPage { frame, pending, next, failure: None }).into_response()
        }
        None => {
            let attempt = Attempt { form, refusal: Some(refusal) };
            let page = LoginPage { frame, attempt, next };
            (page.attempt.status(), Page(page)).into_response()
        }
    }
}

pub(super) async fn log_in_with_second_factor(
    visitor: Visitor,
    FormBody(form): FormBody,
) -> Response {
    let next = next(&form).to_owned();
    let login = body_of(&form, &["pendingLogin", "code", "passkey"]);
    match visitor.send(Method::POST, "/login/second-factor", Some(&login)).await {
        Ok(answer) => answer.redirect(&next),
        Err(refusal) => {
            let frame = Frame::of_nobody("log-in");
            let field = |name: &str| form.get(name).cloned().unwrap_or_default();
            let pending = Pending { token: field("pendingLogin"), methods: field("methods") };
            let failure = Some(match refusal.status {
                StatusCode::UNAUTHORIZED => {
                    "The code is wrong or was used before, or it took too long: then begin again."
                }
                StatusCode::BAD_REQUEST => "The code must be six digits, or a recovery code.",
                _ => "This did not work. Please try again later.",
            });
            let page = SecondFactorPage { frame, pending, next, failure };
            (refusal.status, Page(page)).into_response()
        }
    }
}

pub(super) async fn show_forgotten(visitor: Visitor) -> Result<impl IntoResponse, Refusal> {
    let frame = Frame::of(&visitor, "log-in").await?;
    Ok(Page(ForgottenPage { frame, attempt: Attempt::default() }))
}

/// Asks for a message about a forgotten password.
pub(super) async fn forgotten(visitor: Visitor, FormBody(form): FormBody) -> Response {
    let body = body_of(&form, &["email"]);
    let frame = Frame::of_nobody("log-in");
    match visitor.send(Method::POST, "/password/forgotten", Some(&body)).await {
        Ok(_) => {
            let what =
                "If the address has an account, its link leads to a page for a new password.";
            Page(MessageSent { frame, what }).into_response()
        }
        Err(mut refusal) => {
            if refusal.status == StatusCode::NOT_FOUND {
                "this site sends no messages; ask its operator for a new password"
                    .clone_into(&mut refusal.detail);
            }
            let attempt = Attempt { form, refusal: Some(refusal) };
            (attempt.status(), Page(ForgottenPage { frame, attempt })).into_response()
        }
    }
}

pub(super) async fn show_reset(visitor: Visitor) -> Result<impl IntoResponse, Refusal> {
    let frame = Frame::of(&visitor, "log-in").await?;
    Ok(Page(NewPasswordPage { frame, attempt: Attempt::default() }))
}

/// Stores a new password with the token of a message.
pub(super) async fn reset(visitor: Visitor, FormBody(form): FormBody) -> Response {
    let body = body_of(&form, &["token", "newPassword", "code"]);
    match visitor.send(Method::POST, "/password/reset", Some(&body)).await {
        Ok(answer) => answer.redirect_with("/log-in", Notice::PasswordReset),
        Err(refusal) => {
            let attempt = Attempt { form, refusal: Some(refusal) };
            let frame = Frame::of_nobody("log-in");
            (attempt.status(), Page(NewPasswordPage { frame, attempt })).into_response()
        }
    }
}

pub(super) async fn show_confirmation(visitor: Visitor) -> Result<impl IntoResponse, Refusal> {
    let frame = Frame::of(&visitor, "sign-up").await?;
    Ok(Page(ConfirmRegistrationPage { frame, attempt: Attempt::default() }))
}

/// Opens an account with the token of a message.
pub(super) async fn confirm(visitor: Visitor, FormBody(form): FormBody) -> Response {
    let body = body_of(&form, &["token", "password"]);
    match visitor.send(Method::POST, "/register/confirm", Some(&body)).await {
        Ok(answer) => answer.redirect_with("/log-in", Notice::AccountOpened),
        Err(refusal) => {
            let attempt = Attempt { form, refusal: Some(refusal) };
            let frame = Frame::of_nobody("sign-up");
            (attempt.status(), Page(ConfirmRegistrationPage { frame, attempt })).into_response()
        }
    }
}

pub(super) async fn show_registration(visitor: Visitor) -> Result<impl IntoResponse, Refusal> {
    let frame = Frame::of(&visitor, "sign-up").await?;
    Ok(Page(RegistrationPage { frame, attempt: Attempt::default() }))
}

/// Opens an account and logs in to it, or says that a message was sent.
pub(super) async fn sign_up(visitor: Visitor, FormBody(form): FormBody) -> Response {
    let account = body_of(&form, &["firstName", "lastName", "email", "password"]);
    match visitor.send(Method::POST, "/register", Some(&account)).await {
        Ok(answer) if answer.status == StatusCode::ACCEPTED => {
            let frame = Frame::of_nobody("sign-up");
            Page(MessageSent { frame, what: "Its link opens your account." }).into_response()
        }
        Ok(_) => {
            let login = body_of(&form, &["email", "password"]);
            match visitor.send(Method::POST, "/login", Some(&login)).await {
                Ok(answer) => answer.redirect("/"),
                Err(refusal) => refusal.into_response(),
            }
        }
        Err(refusal) => {
            let attempt = Attempt { form, refusal: Some(refusal) };
            let frame = Frame::of_nobody("sign-up");
            (attempt.status(), Page(RegistrationPage { frame, attempt })).into_response()
        }
    }
}

pub(super) async fn log_out(visitor: Visitor) -> Response {
    match visitor.send(Method::POST, "/logout", Some(&json!({}))).await {
        Ok(answer) => answer.redirect("/"),
        Err(refusal) => refusal.into_response(),
    }
}

/// Returns these fields of a form as a JSON object of texts. A passkey is an object itself; one that is not stays
/// text, which the services refuse.
pub(super) fn body_of(form: &BTreeMap<String, String>, fields: &[&str]) -> Value {
    let value = |name: &str, text: &String| match name {
        "passkey" => serde_json::from_str(text).unwrap_or_else(|_| text.clone().into()),
        _ => text.clone().into(),
    };
    let given = fields.iter().filter_map(|name| {
        let text = form.get(*name)?;
        Some(((*name).to_owned(), value(name, text)))
    });
    Value::Object(given.collect())
}

/// Returns the page after the login. Only a path of this site may be one.
fn next(form: &BTreeMap<String, String>) -> &str {
    let is_path = |next: &&str| {
        next.starts_with('/')
            && !next.starts_with("//")
            && !next.contains(|c: char| c == '\\' || c.is_control())
            // As a browser reads it, with dots. The logout would end the session at once.
            && Url::parse("http://site.invalid")
                .and_then(|site| site.join(next))
                .is_ok_and(|url| url.path() != "/logout")
    };
    form.get("next").map(String::as_str).filter(is_path).unwrap_or("/")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_login_returns_to_a_page_of_this_site_only() {
        for (given, to) in [
            ("/places/5", "/places/5"),
            ("/places?q=a&lat=1", "/places?q=a&lat=1"),
            ("//evil.example", "/"),
            ("/\\evil.example", "/"),
            ("/\t/evil.example", "/"),
            ("https://evil.example", "/"),
            ("/logout?a=b", "/"),
            ("/./logout", "/"),
            ("/x/%2e%2e/logout#a", "/"),
            ("", "/"),
        ] {
            assert_eq!(
                next(&BTreeMap::from([("next".to_owned(), given.to_owned())])),
                to,
                "{given:?}"
            );
        }
        assert_eq!(next(&BTreeMap::new()), "/");
    }
}
