//! The command `checkin users second-factor`.

use std::process::ExitCode;

use anyhow::{Context, bail};
use clap::Subcommand;

use super::account::AccountArgument;
use super::account_changes::{complete, say_ended};
use super::say;
use crate::app::App;
use crate::second_factor::SecondFactor;
use crate::storage::{Budget, EventKind, Status};

pub(super) const EXAMPLES: &str = "\
Examples:
  checkin users second-factor show al@example.com
  checkin users second-factor remove 77";

const SHOW_EXAMPLES: &str = "\
Examples:
  checkin users second-factor show al@example.com
  checkin users second-factor show 77";

const REMOVE_EXAMPLES: &str = "\
Examples:
  checkin users second-factor remove al@example.com
  checkin users second-factor remove 77";

#[derive(Debug, Subcommand)]
pub(super) enum Action {
    /// Shows what the account has as a second factor
    #[command(after_help = SHOW_EXAMPLES)]
    Show {
        /// The id or the e-mail address of the account
        #[arg(value_name = "ID|EMAIL")]
        account: AccountArgument,
    },
    /// Removes the second factor of an account whose owner has lost it, and ends all sessions of the
    /// account. Its owner logs in with the password alone afterwards
    #[command(after_help = REMOVE_EXAMPLES)]
    Remove {
        /// The id or the e-mail address of the account
        #[arg(value_name = "ID|EMAIL")]
        account: AccountArgument,
    },
}

pub(super) async fn run(app: &App, action: Action) -> anyhow::Result<ExitCode> {
    match action {
        Action::Show { account } => show(app, &account).await,
        Action::Remove { account } => remove(app, &account).await,
    }
}

async fn show(app: &App, account: &AccountArgument) -> anyhow::Result<ExitCode> {
    let user = account.find(&*app.storage).await?;
    if user.standing.status == Status::Deleted {
        bail!("user {} is deleted", user.id);
    }
    let stored = app.storage.second_factor(user.id).await.context("cannot read the account")?;
    say(match stored {
        Some(stored) => match SecondFactor::read(&stored) {
            Ok(factor) => format!("user {}: {factor}", user.id),
            Err(rule) => bail!("the second factor of user {} {rule}", user.id),
        },
        None => format!("user {}: no second factor", user.id),
    })?;
    Ok(ExitCode::SUCCESS)
}

/// Removes the second factor before it ends the sessions and the pending logins, as a change of the password
/// does. It need not be readable.
async fn remove(app: &App, account: &AccountArgument) -> anyhow::Result<ExitCode> {
    let user = account.find(&*app.storage).await?;
    let cannot = "cannot remove the second factor";
    loop {
        let Some(stored) = app.storage.second_factor(user.id).await.context(cannot)? else {
            bail!("user {} has no second factor", user.id);
        };
        let removed = app.storage.replace_second_factor(user.id, Some(&stored), None).await;
        if removed.context(cannot)? {
            break;
        }
    }
    let raise = app.storage.raise_epoch(user.id, None);
    let ended = app.end_sessions(&user, raise).await.with_context(|| {
        let id = user.id;
        format!("the second factor is removed; end the sessions with checkin sessions revoke --user {id}")
    })?;
    let log = app.operators_log("users second-factor remove");
    log.record(EventKind::SecondFactorRemoved, Some(user.id), None, Some("all".to_owned())).await;
    let forgotten = app.storage.forget_attempts(&Budget::of_second_factor(&user.email)).await;
    forgotten
        .context("the second factor is removed, but wrong codes from before are still counted")?;
    say_ended(format_args!("second factor of user {} removed, ", user.id), &ended)?;
    complete(ended, format_args!("checkin sessions revoke --user {}", user.id))
}
