//! `checkin backup` and `checkin restore`: copies of an embedded store.

use std::fmt::Display;
use std::path::PathBuf;
use std::process::ExitCode;

use clap::Args;

use super::one_shot::until_signal;
use super::progress::Working;
use super::say;
use crate::app::{self, Copied};
use crate::config::{Common, secret_path};

pub(super) const BACKUP_EXAMPLES: &str = "\
Examples:
  checkin backup /backups/monday.db
  checkin backup /backups/monday.db --store sqlite:/var/lib/checkin/checkin.db";

pub(super) const RESTORE_EXAMPLES: &str = "\
Examples:
  checkin restore /backups/monday.db
  checkin restore /backups/monday.db --store sqlite:/var/lib/checkin/checkin.db";

#[derive(Args, Debug)]
pub(super) struct BackUp {
    /// The file to write. It must not exist. The session secret is copied to FILE.session-secret
    #[arg(value_name = "FILE")]
    file: PathBuf,
}

#[derive(Args, Debug)]
pub(super) struct Restore {
    /// The backup to restore, with its session secret in FILE.session-secret. It is copied to the
    /// path of --store, which must not exist
    #[arg(value_name = "FILE")]
    file: PathBuf,
}

pub(super) async fn back_up(config: &Common, options: BackUp) -> anyhow::Result<ExitCode> {
    let working = Working::on("copying the store");
    let copied = until_signal(async { Ok(app::back_up(config, &options.file).await?) }).await?;
    drop(working);
    let file = options.file.display();
    report(&copied, format_args!("backup of {} written to {file}", config.store))?;
    if copied.has_secret {
        say(format_args!("session secret written to {}", secret_path(&options.file).display()))?;
    }
    if config.session_secret.is_some() {
        say("the session secret of the settings is not in the backup: keep a copy of it")?;
    } else if !copied.has_secret {
        say("the store has no session secret yet")?;
    }
    if config.session_encryption.is_some() {
        say("the keys of sessions are not in the backup: keep a copy of their file")?;
    }
    Ok(ExitCode::SUCCESS)
}

pub(super) async fn restore(config: &Common, options: Restore) -> anyhow::Result<ExitCode> {
    let working = Working::on("copying the backup");
    let copied = until_signal(async { Ok(app::restore(config, &options.file).await?) }).await?;
    drop(working);
    report(&copied, format_args!("{} restored from {}", config.store, options.file.display()))?;
    if !copied.has_secret && config.session_secret.is_none() {
        say(
            "the backup has no session secret: set the previous one with --session-secret. Otherwise the next \
             start creates a new one, and all users must log in again",
        )?;
    }
    Ok(ExitCode::SUCCESS)
}

fn report(copied: &Copied, what: impl Display) -> anyhow::Result<()> {
    let Copied { users, locations, checkins, .. } = copied;
    Ok(say(format_args!("{what}: {users} users, {locations} locations, {checkins} check-ins"))?)
}
