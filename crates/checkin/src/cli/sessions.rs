//! The command `checkin sessions`.

use std::process::ExitCode;

use anyhow::{Context, bail};
use clap::{Args, Subcommand};
use jiff::Timestamp;
use serde::Serialize;
use tower_express_session::accounts::{AccountSession, Revoked};

use super::account::AccountArgument;
use super::account_changes::{complete, number, said, say_ended};
use super::one_shot::on_store;
use super::progress::Working;
use super::say;
use super::table::{List, Listed};
use crate::app::{self, App};
use crate::config::Common;
use crate::domain::{Email, UserId};
use crate::storage::EventKind;
use crate::usecases::second_factors::end_pending;

pub(super) const EXAMPLES: &str = "\
Examples:
  checkin sessions list --user al@example.com
  checkin sessions show Zq3lqQ1xTf2k
  checkin sessions revoke Zq3lqQ1xTf2k
  checkin sessions revoke --user 77";

const LIST_EXAMPLES: &str = "\
Examples:
  checkin sessions list
  checkin sessions list --user al@example.com
  checkin sessions list --json";

const SHOW_EXAMPLES: &str = "\
Examples:
  checkin sessions show Zq3lqQ1xTf2k
  checkin sessions show Zq3lqQ1xTf2k --store redis://127.0.0.1:6379 --session-secret-file secret.txt";

const REVOKE_EXAMPLES: &str = "\
Examples:
  checkin sessions revoke Zq3lqQ1xTf2k
  checkin sessions revoke --user 77
  checkin sessions revoke --all";

/// The maximum length of a browser's name in the list.
const DEVICE_CHARS: usize = 40;

#[derive(Args, Debug)]
pub(super) struct Options {
    #[command(subcommand)]
    action: Action,
}

#[derive(Debug, Subcommand)]
enum Action {
    /// Lists the sessions of all accounts or of one, the newest of each account first
    #[command(after_help = LIST_EXAMPLES)]
    List {
        /// Lists the sessions of this account only
        #[arg(long, value_name = "ID|EMAIL")]
        user: Option<AccountArgument>,

        /// Prints one JSON object per line
        #[arg(long)]
        json: bool,
    },
    /// Shows one session
    #[command(after_help = SHOW_EXAMPLES)]
    Show {
        /// The handle of the session, as `list` prints it
        // One handle in 64 begins with a dash.
        #[arg(value_name = "HANDLE", allow_hyphen_values = true)]
        handle: String,
    },
    /// Ends sessions
    #[command(after_help = REVOKE_EXAMPLES)]
    Revoke {
        /// The handles of the sessions to end, as `list` prints them
        #[arg(value_name = "HANDLE", allow_hyphen_values = true, required_unless_present_any = ["user", "all"])]
        handles: Vec<String>,

        /// Ends all sessions of this account
        #[arg(long, value_name = "ID|EMAIL", conflicts_with = "handles")]
        user: Option<AccountArgument>,

        /// Ends the sessions of all accounts, logins that wait for their second factor, and the links of messages
        /// that were sent. All users must log in again
        #[arg(long, conflicts_with_all = ["handles", "user"])]
        all: bool,
    },
}

pub(super) async fn run(config: &Common, options: Options) -> anyhow::Result<ExitCode> {
    on_store(config, async |app| match options.action {
        Action::List { user, json } => {
            list(app, user, json).await?;
            reach_encrypted(config, "listed").await
        }
        Action::Show { handle } => match show(app, &handle).await? {
            true => Ok(ExitCode::SUCCESS),
            false => {
                reach_encrypted(config, "searched").await?;
                bail!("there is no session {handle}; checkin sessions list shows the handles")
            }
        },
        Action::Revoke { all: true, .. } => {
            revoke_everybody(app).await?;
            reach_all(config).await
        }
        Action::Revoke { user: Some(user), .. } => revoke_all(app, &user).await,
        Action::Revoke { handles, .. } => match revoke(app, handles).await?.as_slice() {
            [] => Ok(ExitCode::SUCCESS),
            unknown => {
                reach_encrypted(config, "searched").await?;
                let unknown = unknown.join(" or ");
                bail!("there is no session {unknown}; checkin sessions list shows the handles")
            }
        },
    })
    .await
}

/// Fails if there are sessions that these settings cannot decrypt. `done` says what was not done with them.
async fn reach_encrypted(config: &Common, done: &str) -> anyhow::Result<ExitCode> {
    let left = app::out_of_reach(config).await.context("cannot read the sessions")?;
    expect_no_encrypted(left.encrypted, done)
}

fn expect_no_encrypted(number: usize, done: &str) -> anyhow::Result<ExitCode> {
    match number {
        0 => Ok(ExitCode::SUCCESS),
        _ => bail!(
            "sessions that were not {done}, because these settings do not have their keys \
             (--session-encryption-key-file): {number}"
        ),
    }
}

/// Fails if there are sessions that these settings do not end.
async fn reach_all(config: &Common) -> anyhow::Result<ExitCode> {
    let left = app::out_of_reach(config).await.context("cannot read the sessions")?;
    expect_no_encrypted(left.encrypted, "ended")?;
    match left.plain {
        0 => Ok(ExitCode::SUCCESS),
        number => bail!(
            "sessions that were not ended, because they are stored without encryption: {number}; end them by \
             the same command without --session-encryption-key-file"
        ),
    }
}

async fn list(app: &App, user: Option<AccountArgument>, json: bool) -> anyhow::Result<()> {
    let mut list = List::new(json);
    for account in accounts(app, user).await? {
        for session in sessions_of(app, &account).await? {
            list.push(&ListedSession::new(&account, &session))?;
        }
    }
    list.finish::<ListedSession<'_>>(None)
}

/// Returns whether there is such a session.
async fn show(app: &App, handle: &str) -> anyhow::Result<bool> {
    for account in accounts(app, None).await? {
        let sessions = sessions_of(app, &account).await?;
        if let Some(session) = sessions.iter().find(|session| session.handle == handle) {
            say(format_args!("handle     {}", session.handle))?;
            say(format_args!("account    {account}"))?;
            say(format_args!("since      {}", time(session.created_ms)))?;
            say(format_args!("last seen  {}", time(session.last_seen_ms)))?;
            say(format_args!("device     {}", printable(&session.device)))?;
            say(format_args!("address    {}", session.address))?;
            return Ok(true);
        }
    }
    Ok(false)
}

/// Returns the handles of which there are no sessions.
async fn revoke(app: &App, mut handles: Vec<String>) -> anyhow::Result<Vec<String>> {
    let mut ended = 0;
    for account in accounts(app, None).await? {
        for session in sessions_of(app, &account).await? {
            let Some(at) = handles.iter().position(|handle| *handle == session.handle) else {
                continue;
            };
            let handle = handles.swap_remove(at);
            let end = app.account_sessions.revoke(&account, &handle).await;
            if end.context("cannot end the session")? {
                ended += 1;
                record(app, id_of(app, &account).await, format!("session {handle}")).await;
            }
        }
    }
    say(format_args!("{ended} sessions ended"))?;
    Ok(handles)
}

async fn revoke_all(app: &App, user: &AccountArgument) -> anyhow::Result<ExitCode> {
    let account = user.find(&*app.storage).await.context("--user")?;
    let ended = app.end_sessions(&account, app.storage.raise_epoch(account.id, None)).await;
    let ended = ended.context("cannot end all sessions")?;
    record(app, Some(account.id), number(&ended.revoked)).await;
    say_ended(format_args!(""), &ended)?;
    complete(ended, format_args!("checkin sessions revoke --user {}", account.id))
}

/// Ends the pending logins first, so that none of them becomes a session that is not found.
async fn revoke_everybody(app: &App) -> anyhow::Result<()> {
    end_pending(&*app.storage).await.context("cannot end the pending logins")?;
    let working = Working::on("ending all sessions");
    let mut revoked = Revoked::default();
    let ended = app.account_sessions.revoke_everybody(&mut revoked).await;
    drop(working);
    if ended.is_ok() || revoked.number() > 0 || revoked.may_be_more() {
        // One event for all accounts, because an event for each would take longer than to end the sessions.
        record(app, None, format!("{} of all accounts", number(&revoked))).await;
        say(format_args!("{}", said(&revoked)))?;
    }
    ended.context("sessions are left; run the command again")
}

/// Returns the id of an account, if it exists.
async fn id_of(app: &App, account: &str) -> Option<UserId> {
    let email = Email::known(account).ok()?;
    app.storage.credentials_by_email(&email).await.ok().flatten().map(|account| account.id)
}

/// Records that sessions of an account, or of all accounts, were revoked.
async fn record(app: &App, account: Option<UserId>, detail: String) {
    let log = app.operators_log("sessions revoke");
    log.record(EventKind::SessionsRevoked, account, None, Some(detail)).await;
}

/// Returns the accounts that have sessions, or only the one that is asked for.
async fn accounts(app: &App, user: Option<AccountArgument>) -> anyhow::Result<Vec<String>> {
    let found = app.account_sessions.accounts().await.context("cannot read the sessions")?;
    let Some(user) = user else { return Ok(found) };
    let name = user.find(&*app.storage).await.context("--user")?.email.canonical();
    Ok(found.into_iter().filter(|found| *found == name).collect())
}

async fn sessions_of(app: &App, account: &str) -> anyhow::Result<Vec<AccountSession>> {
    app.account_sessions.list(account).await.context("cannot read the sessions")
}

/// Formats a time to the second, in UTC.
fn time(ms: u64) -> String {
    let time = i64::try_from(ms).ok().and_then(|ms| Timestamp::from_millisecond(ms).ok());
    time.map_or_else(|| ms.to_string(), |time| time.strftime("%Y-%m-%dT%H:%M:%SZ").to_string())
}

/// Returns the browser's name without control characters, which could change the terminal.
fn printable(device: &str) -> String {
    device.chars().filter(|c| !c.is_control()).collect()
}

/// A session in a list. Nothing in it gives access to the session.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct ListedSession<'a> {
    handle: &'a str,
    account: &'a str,
    since: u64,
    last_seen: u64,
    device: &'a str,
    address: &'a str,
}

impl<'a> ListedSession<'a> {
    fn new(account: &'a str, session: &'a AccountSession) -> Self {
        Self {
            handle: &session.handle,
            account,
            since: session.created_ms,
            last_seen: session.last_seen_ms,
            device: &session.device,
            address: &session.address,
        }
    }
}

impl Listed for ListedSession<'_> {
    const COLUMNS: &'static [&'static str] =
        &["handle", "account", "since", "last seen", "address", "device"];

    fn cells(&self) -> Vec<String> {
        let device = printable(self.device).chars().take(DEVICE_CHARS).collect();
        let (since, last_seen) = (time(self.since), time(self.last_seen));
        vec![self.handle.into(), self.account.into(), since, last_seen, self.address.into(), device]
    }
}
