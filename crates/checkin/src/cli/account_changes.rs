//! Changes of the role and the status of accounts, for the command `checkin users`.

use std::fmt;
use std::process::ExitCode;

use anyhow::{Context, bail};
use tower_express_session::accounts::Revoked;

use super::account::AccountArgument;
use super::say;
use crate::app::{App, EndedSessions, OPEN_OPERATOR};
use crate::storage::{AccountChange, EventKind, Role, Status};
use crate::usecases::demo_account::is_open_operator;

pub(super) async fn set_role(
    app: &App,
    account: &AccountArgument,
    role: Role,
) -> anyhow::Result<ExitCode> {
    let user = account.find(&*app.storage).await?;
    let id = user.id;
    if user.standing.status == Status::Deleted {
        bail!("user {id} is deleted");
    }
    if user.standing.role == role {
        say(format_args!("user {id} has the role {role} already"))?;
        return Ok(ExitCode::SUCCESS);
    }
    let change = app.storage.change_account(id, None, AccountChange::Role(role));
    let ended = app.end_sessions(&user, change).await.context("cannot change the role")?;
    let log = app.operators_log("users role");
    log.record(EventKind::RoleChanged, Some(id), None, Some(role.to_string())).await;
    say_ended(format_args!("user {id} has the role {role} now, "), &ended)?;
    if is_open_operator(&*app.storage).await.context("cannot read the demo account")? {
        tracing::warn!("{OPEN_OPERATOR}; set another one with checkin users passwd");
    }
    complete(ended, format_args!("checkin sessions revoke --user {id}"))
}

pub(super) async fn set_status(
    app: &App,
    account: &AccountArgument,
    status: Status,
) -> anyhow::Result<ExitCode> {
    let user = account.find(&*app.storage).await?;
    let (id, now) = (user.id, user.standing.status);
    if now == Status::Deleted && status != Status::Deleted {
        bail!("user {id} is deleted");
    }
    // An account that is deleted may not be erased yet.
    if now == status && status != Status::Deleted {
        say(format_args!("user {id} is {status} already"))?;
        return Ok(ExitCode::SUCCESS);
    }
    let change = async {
        match now == status {
            true => app.storage.raise_epoch(id, None).await,
            false => app.storage.change_account(id, None, AccountChange::Status(status)).await,
        }
    };
    let ended = app.end_sessions(&user, change).await.context("cannot change the account")?;
    if now != status {
        let log = app.operators_log(match status {
            Status::Active => "users enable",
            Status::Disabled => "users disable",
            Status::Deleted => "users delete",
        });
        log.record(status.event(), Some(id), None, None).await;
    }
    let when = if now == status { "already" } else { "now" };
    say_ended(format_args!("user {id} is {status} {when}, "), &ended)?;
    match status {
        // Its personal data are erased afterwards.
        Status::Deleted => complete(ended, format_args!("checkin users delete {id}")),
        _ => complete(ended, format_args!("checkin sessions revoke --user {id}")),
    }
}

/// Says what a command has done, and how many sessions it has ended.
pub(super) fn say_ended(done: fmt::Arguments<'_>, ended: &EndedSessions) -> anyhow::Result<()> {
    say(format_args!("{done}{}", said(&ended.revoked)))?;
    Ok(())
}

/// Returns how many sessions were ended, in words.
pub(super) fn said(revoked: &Revoked) -> String {
    format!("{} ended", number(revoked))
}

/// Returns how many sessions these are, in words.
pub(super) fn number(revoked: &Revoked) -> String {
    let at_least = if revoked.may_be_more() { "at least " } else { "" };
    format!("{at_least}{} sessions", revoked.number())
}

/// Fails if a command could not search for all sessions. `again` is the command that does so.
pub(super) fn complete(
    ended: EndedSessions,
    again: fmt::Arguments<'_>,
) -> anyhow::Result<ExitCode> {
    let Some(failure) = ended.failure else { return Ok(ExitCode::SUCCESS) };
    Err(failure.context(format!(
        "sessions from before may be left in the store; this program's services refuse them, but services with \
         Express do not: a running authentication service ends them, or run {again}"
    )))
}
