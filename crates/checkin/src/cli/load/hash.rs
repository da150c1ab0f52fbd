//! Hashes the passwords of accounts that are loaded.

use std::collections::HashMap;
use std::num::NonZeroUsize;
use std::thread;

use anyhow::Context;
use indicatif::ProgressBar;
use tokio::task::JoinSet;

use crate::cli::progress;
use crate::domain::{PasswordHash, User};
use crate::import::{Password, UserRecord};
use crate::passwords;

/// Hashes plain passwords on all cores. Equal passwords are hashed once, so that the thousand demo
/// accounts with one password load quickly. (They then share a salt, which shows that their
/// passwords are equal. Within one import file that is no secret.)
pub(super) async fn hash_passwords(records: Vec<UserRecord>) -> anyhow::Result<Vec<User>> {
    let mut hashes = HashMap::<String, Option<PasswordHash>>::new();
    for record in &records {
        if let Password::Plain(plain) = &record.password {
            hashes.insert(plain.clone(), None);
        }
    }
    let bar = progress::bar("passwords", hashes.len());
    let cores = thread::available_parallelism().map_or(1, NonZeroUsize::get);
    let mut waiting: Vec<String> = hashes.keys().cloned().collect();
    let mut running = JoinSet::new();
    while let Some(plain) = waiting.pop() {
        if running.len() >= cores {
            keep(&mut running, &mut hashes, &bar).await?;
        }
        running.spawn_blocking(move || (passwords::hash(&plain), plain));
    }
    while !running.is_empty() {
        keep(&mut running, &mut hashes, &bar).await?;
    }
    bar.finish_and_clear();
    let hash_of = |record: &UserRecord| match &record.password {
        Password::Hash(hash) => Some(hash.clone()),
        Password::Plain(plain) => hashes.get(plain).cloned().flatten(),
    };
    let users = records.into_iter().map(|record| {
        let hash = hash_of(&record).context("a password was not hashed")?;
        Ok(record.with_password(hash))
    });
    users.collect()
}

async fn keep(
    running: &mut JoinSet<(PasswordHash, String)>,
    hashes: &mut HashMap<String, Option<PasswordHash>>,
    bar: &ProgressBar,
) -> anyhow::Result<()> {
    if let Some(hashed) = running.join_next().await {
        let (hash, plain) = hashed.context("cannot hash a password")?;
        hashes.insert(plain, Some(hash));
        bar.inc(1);
    }
    Ok(())
}
