//! Reads each account and finds those that somebody should look at.

use crate::config::{Common, StoreUrl};
use crate::domain::{Email, PasswordScheme, User, UserId};
use crate::storage::{Finding, Status, Storage, readable};

/// The number of accounts that are read at once.
const PAGE: usize = 500;

/// The maximum number of accounts that a finding names.
const MAX_NAMED: usize = 10;

/// Returns a finding for each kind of accounts that somebody should look at.
pub(super) async fn account_findings(
    config: &Common,
    store: &dyn Storage,
) -> anyhow::Result<Vec<Finding>> {
    let (mut unusable, mut shared, mut hidden) =
        (Named::default(), Named::default(), Named::default());
    let mut after = None;
    loop {
        let page = store.users_after(after, PAGE).await?;
        let Some(last) = page.last() else { break };
        after = Some(last.id);
        for user in page {
            if user.password.scheme() == PasswordScheme::Unusable
                && store.standing(user.id).await?.status != Status::Deleted
            {
                unusable.add(user.id);
            }
            match owner_of_address(store, &user).await? {
                Some(owner) if owner == user.id => {}
                Some(_) => shared.add(user.id),
                // SQLite files index such accounts again when they are upgraded.
                None if matches!(config.store, StoreUrl::Sqlite(_)) => {}
                None => hidden.add(user.id),
            }
        }
    }
    let findings = [
        unusable.warning(
            "accounts with a password hash that no login verifies, because its kind is unknown or because it costs too \
             much",
            "set a new password with `checkin users passwd ID`, unless the account is locked on purpose",
        ),
        shared.warning(
            "accounts whose addresses differ from those of others in their Unicode form only, with which they share \
             their sessions and their attempts",
            "delete one account of each pair with `checkin users delete ID`",
        ),
        hidden.warning(
            "accounts that an earlier version indexed, and that are found under one Unicode form of their addresses only",
            &format!(
                "`redis-cli HSETNX {}:users:email ADDRESS ID`, with the address in normal form C and in lower case",
                config.key_prefix.as_str()
            ),
        ),
    ];
    Ok(findings.into_iter().flatten().collect())
}

/// Returns the account that is found by the address of this one, as others may type it.
async fn owner_of_address(store: &dyn Storage, user: &User) -> anyhow::Result<Option<UserId>> {
    // Most addresses have one form.
    if user.email.as_str().is_ascii() {
        return Ok(Some(user.id));
    }
    let Ok(composed) = Email::stored(&user.email.canonical()) else { return Ok(Some(user.id)) };
    Ok(readable(store.user_by_email(&composed).await)?.map(|owner| owner.id))
}

/// Accounts that a finding is about.
#[derive(Default)]
struct Named {
    first: Vec<String>,
    number: usize,
}

impl Named {
    fn add(&mut self, id: UserId) {
        self.number += 1;
        if self.number <= MAX_NAMED {
            self.first.push(format!("user {id}"));
        }
    }

    fn warning(self, what: &str, advice: &str) -> Option<Finding> {
        let (number, named) = (self.number, self.first.join(", "));
        let more = if number > MAX_NAMED { ", …" } else { "" };
        (number > 0).then(|| Finding::warning(format!("{what}: {number} ({named}{more})"), advice))
    }
}
