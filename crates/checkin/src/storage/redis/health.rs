//! What `checkin doctor` asks Redis. All of it is in `INFO`: `CONFIG` is often forbidden.

use async_trait::async_trait;

use super::{RedisStorage, Reply, at_once, number, text};
use crate::storage::{Finding, Health, Result, StorageError};

/// The first release with all that we use.
const OLDEST_VERSION: (u32, u32) = (6, 2);

#[async_trait]
impl Health for RedisStorage {
    /// Asks for a key: a node that lost its place in a cluster answers `PING` all the same.
    async fn ping(&self) -> Result<()> {
        self.call(&["GET", &self.keys.last_user_id()]).await?;
        Ok(())
    }

    /// A log of another number of partitions would be read in part.
    async fn prepare(&self) -> Result<()> {
        let (key, wanted) = (self.keys.partition_count(), self.keys.partitions().to_string());
        let found = match self.call(&["GET", &key]).await? {
            Reply::Nil if self.exists(&self.keys.only_partition()).await? => "1".to_owned(),
            // One partition is what everybody begins with: no key says so.
            Reply::Nil if wanted == "1" => return Ok(()),
            Reply::Nil => {
                self.call(&["SET", &key, &wanted, "NX"]).await?;
                text(self.call(&["GET", &key]).await?)?
            }
            found => text(found)?,
        };
        if found == wanted {
            return Ok(());
        }
        Err(StorageError::new(format!(
            "the log has {found} partitions and not {wanted}: start every service with --partitions {found}"
        )))
    }

    async fn upgrade(&self) -> Result<()> {
        self.upgrade_words().await
    }

    async fn diagnose(&self) -> Result<Vec<Finding>> {
        self.ping().await?;
        let mut findings = Vec::new();
        for (section, field, check) in [
            ("server", "redis_version", version as Check),
            ("memory", "maxmemory_policy", eviction),
            ("persistence", "aof_enabled", persistence),
        ] {
            findings.push(self.check(section, field, check).await);
        }
        // Which node of a cluster is a master is the cluster's affair.
        if !self.is_cluster().await {
            findings.push(self.check("replication", "role", role).await);
        }
        findings.push(self.counts().await);
        findings.extend(self.id_findings().await?);
        Ok(findings)
    }
}

/// Makes a finding of what each node says of a field.
type Check = fn(&[&str]) -> Finding;

impl RedisStorage {
    async fn check(&self, section: &str, field: &str, check: Check) -> Finding {
        let info = self.info(section).await;
        let mut values: Vec<&str> = info.iter().flat_map(|info| info.values(field)).collect();
        values.sort_unstable();
        values.dedup();
        if values.is_empty() {
            return Finding::warning(
                format!("Redis does not tell its {field} (INFO {section})"),
                "allow the command INFO to this login, or check by hand",
            );
        }
        check(&values)
    }

    async fn counts(&self) -> Finding {
        let count = async |command, key: String| number(self.call(&[command, &key]).await?);
        let users = count("ZCARD", self.keys.user_ids()).await;
        let locations = count("ZCARD", self.keys.location_ids()).await;
        let partitions = (0..self.keys.partitions()).map(|partition| self.keys.log(partition));
        let lengths = partitions.map(|log| count("XLEN", log));
        let checkins = at_once(lengths.collect()).await.map(|lengths| lengths.iter().sum::<i64>());
        match (users, locations, checkins) {
            (Ok(users), Ok(locations), Ok(checkins)) => Finding::fine(format!(
                "it holds {users} users, {locations} locations and {checkins} check-ins"
            )),
            _ => Finding::problem(
                "users, locations or check-ins cannot be counted",
                "allow ZCARD and XLEN to this login, and look for keys of another type under the prefix",
            ),
        }
    }
}

fn version(versions: &[&str]) -> Finding {
    let listed = versions.join(", ");
    if versions.iter().all(|version| is_new_enough(version)) {
        return Finding::fine(format!("the store is Redis {listed}"));
    }
    Finding::problem(
        format!("the store is Redis {listed}, and 6.2 or later is needed"),
        "upgrade Redis",
    )
}

fn is_new_enough(version: &str) -> bool {
    let mut numbers = version.split('.').map(|number| number.parse::<u32>().unwrap_or(0));
    (numbers.next().unwrap_or(0), numbers.next().unwrap_or(0)) >= OLDEST_VERSION
}

fn eviction(policies: &[&str]) -> Finding {
    const MEND: &str =
        "set maxmemory-policy to noeviction, and maxmemory so that it is never reached";
    let policy = policies.iter().find(|policy| **policy != "noeviction");
    match policy {
        None => Finding::fine("Redis evicts nothing when its memory is full (noeviction)"),
        Some(policy) if policy.starts_with("volatile") => Finding::warning(
            format!("with {policy}, a full Redis ends sessions and forgets idempotency keys"),
            MEND,
        ),
        Some(policy) => Finding::problem(
            format!("with {policy}, a full Redis deletes check-ins, users and locations"),
            MEND,
        ),
    }
}

fn persistence(enabled: &[&str]) -> Finding {
    if enabled == ["1"] {
        return Finding::fine("Redis keeps an append-only file");
    }
    Finding::warning(
        "Redis keeps no append-only file: acknowledged check-ins may be lost when it ends",
        "set appendonly to yes, and appendfsync to everysec or always",
    )
}

fn role(roles: &[&str]) -> Finding {
    if roles == ["master"] {
        return Finding::fine("the server is a master");
    }
    Finding::problem(
        "the server is a replica, and takes no writes",
        "name the master in the store's URL, or the sentinels (redis-sentinel://)",
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn versions_compare_as_numbers() {
        for (version, new_enough) in
            [("6.2.0", true), ("10.0.1", true), ("6.0.16", false), ("5.9", false), ("", false)]
        {
            assert_eq!(is_new_enough(version), new_enough, "{version}");
        }
    }
}
