//! The command `checkin checkins`.

use std::process::ExitCode;

use anyhow::Context;
use clap::{Args, Subcommand};

use super::account::AccountArgument;
use super::one_shot::on_store;
use super::say;
use crate::app::App;
use crate::config::Common;
use crate::domain::CheckinId;
use crate::storage::Retracted;

pub(super) const EXAMPLES: &str = "\
Examples:
  checkin checkins delete al.appelhof@example.com 1609602085397-0
  checkin checkins delete 77 1609602085397-0 1609602095123-0";

#[derive(Args, Debug)]
pub(super) struct Options {
    #[command(subcommand)]
    action: Action,
}

#[derive(Debug, Subcommand)]
enum Action {
    /// Deletes check-ins of a user. The histories and figures follow when a processor runs
    #[command(after_help = EXAMPLES)]
    Delete {
        /// The id or the e-mail address of the user
        #[arg(value_name = "ACCOUNT")]
        account: AccountArgument,

        /// The ids of the check-ins, as the receiver returned them in `Checkin-Id`
        #[arg(value_name = "ID", required = true)]
        ids: Vec<CheckinId>,
    },
}

pub(super) async fn run(config: &Common, options: Options) -> anyhow::Result<ExitCode> {
    let Action::Delete { account, ids } = options.action;
    on_store(config, async |app| delete(app, &account, ids).await).await
}

async fn delete(
    app: &App,
    account: &AccountArgument,
    ids: Vec<CheckinId>,
) -> anyhow::Result<ExitCode> {
    let user = account.find_id(&*app.storage).await?;
    let (mut deleted, mut left) = (0, 0);
    for id in ids {
        let why = match app.storage.retract(user, id).await.context("cannot delete a check-in")? {
            Retracted::Done => {
                deleted += 1;
                continue;
            }
            Retracted::Unknown => "the user has no such check-in",
            Retracted::TooOld => "check-ins of this age may be in the figures only",
        };
        left += 1;
        say(format_args!("{id}  {why}"))?;
    }
    say(format_args!("{deleted} check-ins are deleted, {left} are not"))?;
    Ok(if left == 0 { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}
