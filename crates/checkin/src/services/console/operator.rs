//! The pages for operators: the state of the deployment, sessions, dead letters, the doctor.

use askama::Template;
use axum::http::{Method, StatusCode};
use axum::response::{IntoResponse, Response};
use futures_util::try_join;
use serde::Deserialize;

use super::client::{Visitor, add, encoded};
use super::notice::Notice;
use super::operator_views::{
    AccountOfOthers, DeadLetter, DeadLetterList, Diagnosis, Finding, Overview, Replayed,
};
use super::page::{Frame, Page, told};
use super::refusal::Refusal;
use super::views::{ListedSession, Sessions};
use crate::http::{FormBody, FormQuery, Problem};

const SESSIONS: &str = "/operator/sessions";

#[derive(Template)]
#[template(path = "operator.html")]
pub(super) struct OverviewPage {
    frame: Frame,
    /// The part of the navigation of these pages.
    tab: &'static str,
    overview: Overview,
}

pub(super) async fn show(visitor: Visitor) -> Result<Page<OverviewPage>, Refusal> {
    let (overview, frame) =
        try_join!(visitor.get("/operations/overview"), Frame::of(&visitor, "operator"))?;
    Ok(Page(OverviewPage { frame, tab: "overview", overview }))
}

#[derive(Template)]
#[template(path = "operator_doctor.html")]
pub(super) struct DoctorPage {
    frame: Frame,
    tab: &'static str,
    summary: &'static str,
    findings: Vec<Finding>,
}

pub(super) async fn show_diagnosis(visitor: Visitor) -> Result<Page<DoctorPage>, Refusal> {
    let (Diagnosis { mut findings }, frame) =
        try_join!(visitor.get("/operations/doctor"), Frame::of(&visitor, "operator"))?;
    let has = |severity| findings.iter().any(|finding: &Finding| finding.severity == severity);
    let summary = match (has("problem"), has("warning")) {
        (true, _) => "Something must be repaired.",
        (false, true) => "Everything works, but not as safely as it could.",
        (false, false) => "Everything is as it should be.",
    };
    // The worst come first.
    let rank =
        |finding: &Finding| ["problem", "warning"].iter().position(|it| finding.severity == *it);
    findings.sort_by_key(|finding| rank(finding).unwrap_or(usize::MAX));
    Ok(Page(DoctorPage { frame, tab: "doctor", summary, findings }))
}

#[derive(Template)]
#[template(path = "operator_dead_letters.html")]
pub(super) struct DeadLettersPage {
    frame: Frame,
    tab: &'static str,
    letters: Vec<DeadLetter>,
    /// What the next page begins behind.
    next: Option<String>,
    result: Option<Replayed>,
    failure: Option<String>,
}

impl DeadLettersPage {
    async fn of(visitor: &Visitor, after: Option<&str>) -> Result<Self, Refusal> {
        let mut list = "/operations/dead-letters?limit=100".to_owned();
        add(&mut list, "after", after);
        let (DeadLetterList { dead_letters: letters, next }, frame) =
            try_join!(visitor.get(&list), Frame::of(visitor, "operator"))?;
        Ok(Self { frame, tab: "dead-letters", letters, next, result: None, failure: None })
    }
}

pub(super) async fn list_dead_letters(
    visitor: Visitor,
    FormQuery(query): FormQuery,
) -> Result<Page<DeadLettersPage>, Refusal> {
    let after = query.get("after").map(String::as_str);
    DeadLettersPage::of(&visitor, after).await.map(Page)
}

/// Replays a dead letter, or all.
pub(super) async fn replay(
    visitor: Visitor,
    FormBody(form): FormBody,
) -> Result<(StatusCode, Page<DeadLettersPage>), Refusal> {
    let route = "/operations/dead-letters/replay";
    let route = match (form.get("id"), form.get("all")) {
        (Some(id), _) => format!("{route}?id={}", encoded(id)),
        (None, Some(_)) => route.to_owned(),
        // An empty id does not mean all.
        (None, None) => return Err(visitor.malformed("the form must have an id, or all")),
    };
    let replayed = match visitor.send(Method::POST, &route, None).await {
        Ok(answer) => Ok(visitor.read::<Replayed>(&answer)?),
        Err(refusal) if is_shown(&refusal) => Err(refusal),
        Err(refusal) => return Err(refusal),
    };
    let page = DeadLettersPage::of(&visitor, None).await?;
    Ok(match replayed {
        Ok(result) => (StatusCode::OK, Page(DeadLettersPage { result: Some(result), ..page })),
        Err(refusal) => {
            let failure = Some(told(&refusal));
            (refusal.status, Page(DeadLettersPage { failure, ..page }))
        }
    })
}

#[derive(Template)]
#[template(path = "operator_sessions.html")]
pub(super) struct SessionsPage {
    frame: Frame,
    tab: &'static str,
    found: Option<Found>,
    failure: Option<String>,
}

/// An account with its sessions.
struct Found {
    account: AccountOfOthers,
    sessions: Vec<ListedSession>,
}

#[derive(Deserialize)]
struct Id {
    id: u64,
}

impl SessionsPage {
    /// Returns the page of an account, or without one. The visitor must be an operator, also if no account is
    /// asked for.
    async fn of(visitor: &Visitor, account: Option<&str>) -> Result<Self, Refusal> {
        let frame = Frame::of(visitor, "operator").await?;
        let found = match account {
            Some(id) => {
                let account = format!("/accounts/{}", encoded(id));
                let sessions = format!("{account}/sessions");
                let (account, Sessions { sessions }) =
                    try_join!(visitor.get(&account), visitor.get(&sessions))?;
                Some(Found { account, sessions })
            }
            None => {
                visitor.send(Method::GET, "/operations/dead-letters?limit=1", None).await?;
                None
            }
        };
        Ok(Self { frame, tab: "sessions", found, failure: None })
    }
}

pub(super) async fn show_sessions(
    visitor: Visitor,
    FormQuery(query): FormQuery,
) -> Result<(StatusCode, Page<SessionsPage>), Refusal> {
    match SessionsPage::of(&visitor, query.get("account").map(String::as_str)).await {
        Ok(page) => Ok((StatusCode::OK, Page(page))),
        Err(refusal) if is_shown(&refusal) => not_found(&visitor, &refusal).await,
        Err(refusal) => Err(refusal),
    }
}

/// Finds an account, ends sessions, disables or enables the account.
pub(super) async fn change_sessions(visitor: Visitor, FormBody(form): FormBody) -> Response {
    let account = form.get("account").map_or("", |account| account.trim());
    let action = form.get("action").map_or("find", String::as_str);
    let path = format!("/accounts/{}", encoded(account));
    let (method, path, notice) = match (action, form.get("handle")) {
        ("find", _) => return find(&visitor, account).await,
        ("end", Some(handle)) => {
            let session = format!("{path}/sessions/{}", encoded(handle));
            (Method::DELETE, session, Notice::SessionEnded)
        }
        ("end-all", _) => (Method::DELETE, format!("{path}/sessions"), Notice::SessionsEnded),
        ("disable", _) => (Method::POST, format!("{path}/disable"), Notice::AccountDisabled),
        ("enable", _) => (Method::POST, format!("{path}/enable"), Notice::AccountEnabled),
        _ => {
            let problem = Problem::new(StatusCode::BAD_REQUEST, "the form names no action");
            let rule = "must be find, end with a handle, end-all, disable or enable";
            return problem.field("action", rule).into_response();
        }
    };
    let refusal = match visitor.send(method, &path, None).await {
        Ok(answer) => {
            let to = format!("{SESSIONS}?account={}", encoded(account));
            return answer.redirect_with(&to, notice);
        }
        Err(refusal) => refusal,
    };
    match is_shown(&refusal) {
        true => match SessionsPage::of(&visitor, Some(account)).await {
            Ok(page) => {
                let failure = Some(told(&refusal));
                (refusal.status, Page(SessionsPage { failure, ..page })).into_response()
            }
            // There is no such account.
            Err(_) => not_found(&visitor, &refusal).await.into_response(),
        },
        false => refusal.into_response(),
    }
}

/// Leads to the page of an account. Its address is not in the address of the page, which others may log.
async fn find(visitor: &Visitor, account: &str) -> Response {
    let id = match account.contains('@') {
        true => {
            let found = visitor.get::<Id>(&format!("/api/user/email/{}", encoded(account))).await;
            match found {
                Ok(Id { id }) => id.to_string(),
                Err(refusal) if is_shown(&refusal) => {
                    return not_found(visitor, &refusal).await.into_response();
                }
                Err(refusal) => return refusal.into_response(),
            }
        }
        false => account.to_owned(),
    };
    axum::response::Redirect::to(&format!("{SESSIONS}?account={}", encoded(&id))).into_response()
}

async fn not_found(
    visitor: &Visitor,
    refusal: &Refusal,
) -> Result<(StatusCode, Page<SessionsPage>), Refusal> {
    let page = SessionsPage::of(visitor, None).await?;
    let failure = Some(match refusal.status {
        StatusCode::NOT_FOUND => "There is no such account.".to_owned(),
        _ => told(refusal),
    });
    Ok((refusal.status, Page(SessionsPage { failure, ..page })))
}

/// Returns whether a page with its form says why a request was refused.
pub(super) fn is_shown(refusal: &Refusal) -> bool {
    let shown = [StatusCode::NOT_FOUND, StatusCode::BAD_REQUEST, StatusCode::CONFLICT];
    shown.contains(&refusal.status)
}
