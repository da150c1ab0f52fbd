//! The page of the security events, for operators.

use askama::Template;
use axum::http::StatusCode;
use futures_util::try_join;
use serde::Deserialize;

use super::client::{Visitor, add};
use super::operator::is_shown;
use super::page::{Frame, Page, told};
use super::refusal::Refusal;
use super::time::Moment;
use crate::http::FormQuery;
use crate::storage::EventKind;

#[derive(Template)]
#[template(path = "operator_security_events.html")]
pub(super) struct SecurityEventsPage {
    frame: Frame,
    tab: &'static str,
    filter: Filter,
    events: Vec<Event>,
    /// The address of the next page.
    next: Option<String>,
    failure: Option<String>,
}

/// What the form has.
#[derive(Default)]
struct Filter {
    account: Option<String>,
    kind: Option<String>,
    after: Option<String>,
}

#[derive(Default, Deserialize)]
struct EventList {
    events: Vec<Event>,
    next: Option<String>,
}

/// A security event.
#[derive(Deserialize)]
struct Event {
    time: u64,
    kind: String,
    account: Option<u64>,
    source: String,
    detail: Option<String>,
}

impl Filter {
    fn is(&self, kind: &EventKind) -> bool {
        self.kind.as_deref() == Some(kind.as_str())
    }

    /// Returns the address of a list with the filter.
    fn address(&self, list: &str, after: Option<&str>) -> String {
        let mut address = format!("{list}?limit=50");
        add(&mut address, "account", self.account.as_deref());
        add(&mut address, "kind", self.kind.as_deref());
        add(&mut address, "after", after);
        address
    }
}

impl Event {
    fn at(&self) -> Moment {
        Moment(self.time)
    }
}

pub(super) async fn show(
    visitor: Visitor,
    FormQuery(mut query): FormQuery,
) -> Result<(StatusCode, Page<SecurityEventsPage>), Refusal> {
    let mut field = |name: &str| query.remove(name).map(|text| text.trim().to_owned());
    let filter = Filter { account: field("account"), kind: field("kind"), after: field("after") };
    let list = filter.address("/operations/security-events", filter.after.as_deref());
    let (listed, frame) = try_join!(
        async {
            match visitor.get::<EventList>(&list).await {
                Err(refusal) if is_shown(&refusal) => Ok(Err(refusal)),
                listed => listed.map(Ok),
            }
        },
        Frame::of(&visitor, "operator")
    )?;
    let (status, failure) = match &listed {
        Ok(_) => (StatusCode::OK, None),
        Err(refusal) => (refusal.status, Some(told(refusal))),
    };
    let EventList { events, next } = listed.unwrap_or_default();
    let next = next.map(|next| filter.address("/operator/security-events", Some(&next)));
    let tab = "security-events";
    Ok((status, Page(SecurityEventsPage { frame, tab, filter, events, next, failure })))
}
