//! The command `checkin dead-letters`.

use std::process::ExitCode;

use anyhow::Context;
use clap::{Args, Subcommand};
use serde::Serialize;

use super::one_shot::on_store;
use super::say;
use super::table::{List, Listed, clean};
use crate::config::Common;
use crate::storage::{DeadLetter, DeadLetterId, DeadLetters, Replay};

pub(super) const EXAMPLES: &str = "\
Examples:
  checkin dead-letters list
  checkin dead-letters replay --all
  checkin dead-letters replay 0/1609602085397-0";

const LIST_EXAMPLES: &str = "\
Examples:
  checkin dead-letters list
  checkin dead-letters list --json";

const REPLAY_EXAMPLES: &str = "\
Examples:
  checkin dead-letters replay --all
  checkin dead-letters replay 0/1609602085397-0";

/// The number of dead letters that are read at once.
const PAGE: usize = 500;

#[derive(Args, Debug)]
pub(super) struct Options {
    #[command(subcommand)]
    action: Action,
}

#[derive(Debug, Subcommand)]
enum Action {
    /// Lists the entries of the log that cannot be applied, with the reasons
    #[command(after_help = LIST_EXAMPLES)]
    List {
        /// Prints one JSON object per line
        #[arg(long)]
        json: bool,
    },
    /// Tries again to apply dead letters: the ones that are named, or all
    #[command(after_help = REPLAY_EXAMPLES)]
    Replay {
        /// The dead letters, as `list` prints them: PARTITION/MILLISECONDS-SEQUENCE
        #[arg(value_name = "ID", required_unless_present = "all")]
        ids: Vec<DeadLetterId>,

        /// Replays all dead letters
        #[arg(long, conflicts_with = "ids")]
        all: bool,
    },
}

pub(super) async fn run(config: &Common, options: Options) -> anyhow::Result<ExitCode> {
    on_store(config, async |app| act(&*app.storage, options.action).await).await
}

async fn act(letters: &dyn DeadLetters, action: Action) -> anyhow::Result<ExitCode> {
    match action {
        Action::List { json } => list(letters, json).await,
        Action::Replay { ids, all: false } => replay(letters, ids).await,
        Action::Replay { .. } => {
            let mut ids = Vec::new();
            each(letters, |letter| {
                ids.push(letter.id);
                Ok(())
            })
            .await?;
            replay(letters, ids).await
        }
    }
}

async fn list(letters: &dyn DeadLetters, json: bool) -> anyhow::Result<ExitCode> {
    let (mut list, mut count) = (List::new(json), 0);
    each(letters, |letter| {
        count += 1;
        list.push(&ListedLetter {
            id: letter.id.to_string(),
            reason: letter.reason,
            fields: letter.fields,
        })
    })
    .await?;
    list.finish::<ListedLetter>(Some(format!("{count} dead letters")))?;
    Ok(ExitCode::SUCCESS)
}

/// A dead letter in the list.
#[derive(Serialize)]
struct ListedLetter {
    id: String,
    reason: String,
    fields: String,
}

impl Listed for ListedLetter {
    const COLUMNS: &'static [&'static str] = &["id", "reason", "fields"];

    fn cells(&self) -> Vec<String> {
        vec![self.id.clone(), self.reason.clone(), self.fields.clone()]
    }
}

async fn each(
    letters: &dyn DeadLetters,
    mut take: impl FnMut(DeadLetter) -> anyhow::Result<()>,
) -> anyhow::Result<()> {
    let mut after = None;
    loop {
        let page = letters.dead_letters(after, PAGE).await.context("cannot read dead letters")?;
        let Some(last) = page.last() else {
            return Ok(());
        };
        after = Some(last.id);
        page.into_iter().try_for_each(&mut take)?;
    }
}

async fn replay(letters: &dyn DeadLetters, ids: Vec<DeadLetterId>) -> anyhow::Result<ExitCode> {
    let (mut applied, mut left) = (0, 0);
    for id in ids {
        let why = match letters.replay(id).await.context("cannot replay a dead letter")? {
            Replay::Applied => {
                applied += 1;
                continue;
            }
            Replay::Unknown => "there is no such dead letter".to_owned(),
            Replay::StillDead(reason) => reason,
        };
        left += 1;
        say(format_args!("{id}  {}", clean(&why)))?;
    }
    say(format_args!("{applied} dead letters are counted now, {left} are not"))?;
    Ok(if left == 0 { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}
