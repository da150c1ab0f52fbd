//! The visitor's own page: history, statistics, sessions, password, privacy.

use askama::Template;
use axum::http::{Method, StatusCode};
use axum::response::{IntoResponse, Response};
use futures_util::future::try_join_all;
use futures_util::try_join;

use super::client::{Answer, Listed, Refusal, Visitor, add, encoded};
use super::entrance::body_of;
use super::page::{Frame, Page, sentence};
use super::views::{Account, Checkin, ListedSession, Place, Sessions, Settings, Statistics};
use crate::http::{FormBody, FormQuery, Problem};

#[derive(Template)]
#[template(path = "me.html")]
pub(super) struct Me {
    frame: Frame,
    account: u64,
    email: String,
    statistics: Statistics,
    history: Vec<(Checkin, String)>,
    /// The cursor of the next page of the history.
    next: Option<String>,
    sessions: Vec<ListedSession>,
    audience: String,
    notice: Option<&'static str>,
    failure: Option<String>,
}

impl Me {
    async fn of(visitor: &Visitor, cursor: Option<&str>) -> Result<Self, Refusal> {
        let account: Account = visitor.own_account().await?;
        let id = account.id;
        let mut history = format!("/api/user/{id}/checkins?limit=10");
        add(&mut history, "cursor", cursor);
        let statistics = format!("/api/user/{id}/statistics");
        let (statistics, Listed { items, next }, Sessions { sessions }, Settings { audience }) = try_join!(
            visitor.get(&statistics),
            visitor.list(&history),
            visitor.get("/sessions"),
            visitor.get("/settings"),
        )?;
        let history =
            try_join_all(items.into_iter().map(|checkin| with_place(visitor, checkin))).await?;
        let email = account.email.clone();
        let frame = Frame::with(Some(account), "me");
        Ok(Self {
            frame,
            account: id,
            email,
            statistics,
            history,
            next,
            sessions,
            audience,
            notice: None,
            failure: None,
        })
    }
}

async fn with_place(visitor: &Visitor, checkin: Checkin) -> Result<(Checkin, String), Refusal> {
    match visitor.get::<Place>(&format!("/api/location/{}", checkin.location_id)).await {
        Ok(place) => Ok((checkin, place.name)),
        Err(refusal) if refusal.status == StatusCode::NOT_FOUND => {
            Ok((checkin, "a place that is gone".to_owned()))
        }
        Err(refusal) => Err(refusal),
    }
}

pub(super) async fn show(
    visitor: Visitor,
    FormQuery(query): FormQuery,
) -> Result<Page<Me>, Refusal> {
    let page = Me::of(&visitor, query.get("cursor").map(String::as_str)).await?;
    let notice = match query.get("done").map(String::as_str) {
        Some("password") => Some("Your password is changed, and your other sessions have ended."),
        Some("audience") => Some("Your choice is stored."),
        Some("session") => Some("The session has ended."),
        _ => None,
    };
    Ok(Page(Me { notice, ..page }))
}

pub(super) async fn change_password(visitor: Visitor, FormBody(form): FormBody) -> Response {
    let body = body_of(&form, &["currentPassword", "newPassword", "code"]);
    changed(&visitor, visitor.send(Method::POST, "/password", Some(&body)).await, "password").await
}

pub(super) async fn set_audience(visitor: Visitor, FormBody(form): FormBody) -> Response {
    let body = body_of(&form, &["audience"]);
    changed(&visitor, visitor.send(Method::PUT, "/settings", Some(&body)).await, "audience").await
}

/// Ends a session, or all others.
pub(super) async fn end_session(visitor: Visitor, FormBody(form): FormBody) -> Response {
    let sessions = match form.get("handle") {
        Some(handle) => format!("/sessions/{}", encoded(handle)),
        None if form.contains_key("all") => "/sessions".to_owned(),
        None => {
            let problem = Problem::new(StatusCode::BAD_REQUEST, "the form names no session");
            return problem.field("handle", "must be that of a session").into_response();
        }
    };
    changed(&visitor, visitor.send(Method::DELETE, &sessions, None).await, "session").await
}

/// Shows the page again after a change, which says what was done or why it was not.
async fn changed(visitor: &Visitor, change: Result<Answer, Refusal>, done: &str) -> Response {
    let refusal = match change {
        Ok(answer) => return answer.redirect(&format!("/me?done={done}")),
        Err(refusal) if refusal.status == StatusCode::UNAUTHORIZED => {
            return refusal.into_response();
        }
        Err(refusal) => refusal,
    };
    let rules: Vec<_> = refusal
        .errors
        .iter()
        .map(|error| format!("{} {}", label(&error.field), error.rule))
        .collect();
    let failure = match rules.is_empty() {
        true => format!("{}.", sentence(&refusal.detail)),
        false => format!("{}.", rules.join("; ")),
    };
    match Me::of(visitor, None).await {
        Ok(page) => (refusal.status, Page(Me { failure: Some(failure), ..page })).into_response(),
        Err(refusal) => refusal.into_response(),
    }
}

/// Returns the name of a field on the page.
fn label(field: &str) -> &str {
    match field {
        "currentPassword" => "The current password",
        "newPassword" => "The new password",
        "code" => "The code",
        other => other,
    }
}
