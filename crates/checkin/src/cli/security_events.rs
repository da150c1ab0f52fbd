//! The command `checkin security-events`.

use std::collections::VecDeque;
use std::process::ExitCode;

use anyhow::Context;
use clap::{Args, Subcommand};
use jiff::Timestamp;
use serde::Serialize;

use super::account::AccountArgument;
use super::now_ms;
use super::one_shot::on_store;
use super::table::{List, Listed};
use crate::app::App;
use crate::config::{Common, time};
use crate::domain::UserId;
use crate::storage::{EventKind, EventList, EventPosition, RecordedEvent, SecurityEvents};

pub(super) const EXAMPLES: &str = "\
Examples:
  checkin security-events list
  checkin security-events list --user al@example.com --since 24h
  checkin security-events list --kind failed-login --since 2026-11-28T08:00:00Z --json";

/// The number of events that are read at once.
const PAGE: usize = 500;

#[derive(Args, Debug)]
pub(super) struct Options {
    #[command(subcommand)]
    action: Action,
}

#[derive(Debug, Subcommand)]
enum Action {
    /// Lists logins, failed logins, logouts, revoked sessions and changes of accounts, the oldest first
    #[command(after_help = EXAMPLES)]
    List(Filter),
}

#[derive(Args, Debug)]
struct Filter {
    /// Lists the events of this account only. The id works for an account that was deleted, too
    #[arg(long, value_name = "ID|EMAIL")]
    user: Option<AccountArgument>,

    /// Lists the events of this kind only
    #[arg(long, value_name = "KIND", value_parser = kind)]
    kind: Option<EventKind>,

    /// Lists only events from this time on: a time such as 2026-11-28T08:00:00Z, or how long ago it
    /// was, such as 24h
    #[arg(long, value_name = "TIME", value_parser = moment)]
    since: Option<u64>,

    /// Lists only events before this time, in the same form
    #[arg(long, value_name = "TIME", value_parser = moment)]
    until: Option<u64>,

    /// Prints one JSON object per line
    #[arg(long)]
    json: bool,
}

fn kind(text: &str) -> Result<EventKind, String> {
    text.parse().map_err(|rule| format!("{rule}"))
}

/// Parses a time and returns it in milliseconds since 1970.
fn moment(text: &str) -> Result<u64, String> {
    if let Ok(ago) = time(text) {
        let ago = u64::try_from(ago.as_millis()).unwrap_or(u64::MAX);
        return Ok(now_ms().saturating_sub(ago));
    }
    let time = text.parse::<Timestamp>().ok();
    time.and_then(|time| u64::try_from(time.as_millisecond()).ok()).ok_or_else(|| {
        "must be a time such as 2026-11-28T08:00:00Z, or how long ago it was, such as 24h"
            .to_owned()
    })
}

pub(super) async fn run(config: &Common, options: Options) -> anyhow::Result<ExitCode> {
    let Action::List(filter) = options.action;
    on_store(config, async |app| list(app, filter).await).await
}

async fn list(app: &App, filter: Filter) -> anyhow::Result<ExitCode> {
    let Filter { user, kind, since, until, json } = filter;
    let user = match user {
        None => None,
        Some(AccountArgument::Id(id)) => Some(id),
        Some(email) => Some(email.find_id(&*app.storage).await?),
    };
    let after = EventPosition::before(since.unwrap_or(0));
    let lists = EventList::ALL.into_iter();
    let lists = lists.filter(|list| kind.is_none_or(|kind| list.may_have(kind)));
    let pages = |list| Pages { list, after, page: VecDeque::new(), has_ended: false };
    let mut lists: Vec<Pages> = lists.map(pages).collect();
    let mut list = List::new(json);
    while let Some(RecordedEvent { position, event }) = next(&*app.storage, &mut lists).await? {
        if until.is_some_and(|until| position.ms >= until) {
            break;
        }
        let is_wanted = user.is_none_or(|user| event.account == Some(user))
            && kind.is_none_or(|kind| event.kind == kind);
        if !is_wanted {
            continue;
        }
        list.push(&ListedEvent {
            time: position.ms,
            kind: event.kind.as_str(),
            account: event.account.map(UserId::get),
            address: event.address.map(|address| address.to_string()),
            source: &event.source,
            detail: event.detail.as_deref(),
        })?;
    }
    list.finish::<ListedEvent<'_>>(None)?;
    Ok(ExitCode::SUCCESS)
}

/// A list of events, which is read in pages.
struct Pages {
    list: EventList,
    after: EventPosition,
    page: VecDeque<RecordedEvent>,
    has_ended: bool,
}

impl Pages {
    /// Returns the time of the next event.
    async fn next_ms(&mut self, store: &dyn SecurityEvents) -> anyhow::Result<Option<u64>> {
        if self.page.is_empty() && !self.has_ended {
            let page = store.security_events(self.list, self.after, PAGE).await;
            self.page = page.context("cannot read the security events")?.into();
            match self.page.back() {
                Some(last) => self.after = last.position,
                None => self.has_ended = true,
            }
        }
        Ok(self.page.front().map(|event| event.position.ms))
    }
}

/// Returns the oldest event that is left in the lists.
async fn next(
    store: &dyn SecurityEvents,
    lists: &mut [Pages],
) -> anyhow::Result<Option<RecordedEvent>> {
    let mut first = None;
    for (index, list) in lists.iter_mut().enumerate() {
        if let Some(ms) = list.next_ms(store).await? {
            first = first.into_iter().chain([(ms, index)]).min();
        }
    }
    Ok(first.and_then(|(_, index)| lists[index].page.pop_front()))
}

/// An event in the list.
#[derive(Serialize)]
struct ListedEvent<'a> {
    time: u64,
    kind: &'static str,
    account: Option<u64>,
    address: Option<String>,
    source: &'a str,
    detail: Option<&'a str>,
}

impl Listed for ListedEvent<'_> {
    const COLUMNS: &'static [&'static str] =
        &["time", "kind", "account", "address", "source", "detail"];

    fn cells(&self) -> Vec<String> {
        let time =
            i64::try_from(self.time).ok().and_then(|ms| Timestamp::from_millisecond(ms).ok());
        let time = time.map_or_else(|| self.time.to_string(), |time| format!("{time:.3}"));
        let account = self.account.map(|id| format!("user {id}")).unwrap_or_default();
        let address = self.address.clone().unwrap_or_default();
        let detail = self.detail.unwrap_or_default().to_owned();
        vec![time, self.kind.to_owned(), account, address, self.source.to_owned(), detail]
    }
}
