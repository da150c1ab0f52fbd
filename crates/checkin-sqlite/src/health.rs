//! The checks of `checkin doctor` on an SQLite file.

use crate::file::File;
use async_trait::async_trait;
use sqlite_writer::rusqlite::{self, Connection};

use super::log::id_finding;
use super::volume::volume_findings;
use super::{SqliteStorage, column};
use checkin_domain::MAX_SAFE_INTEGER;
use checkin_storage::health::used_up_ids;
use checkin_storage::{Fault, Finding, Health, Result, ServiceKind};

/// `PRAGMA synchronous` as a number; 3 (EXTRA) is even stricter.
const SYNCHRONOUS_FULL: u64 = 2;

#[async_trait]
impl Health for SqliteStorage {
    async fn ping(&self) -> Result<(), Fault> {
        let read = |connection: &Connection| connection.query_row("SELECT 1", [], |_| Ok(()));
        let answered = self.file.read(read).await;
        answered.map_err(|_| Fault::passing("the database file cannot be read", ""))?;
        self.file.check_writable().await
    }

    /// Does nothing: the tables were checked and made when the file was opened. A full disk is no reason not
    /// to read.
    async fn check(&self) -> Result<(), Fault> {
        Ok(())
    }

    async fn prepare(&self) -> Result<(), Fault> {
        self.check().await
    }

    /// Does nothing: a file has no logins.
    async fn permitted(&self, _services: &[ServiceKind]) -> Result<(), Fault> {
        Ok(())
    }

    /// Does nothing: the file was upgraded when it was opened.
    async fn upgrade(&self) -> Result<(), Fault> {
        Ok(())
    }

    async fn diagnose(&self, findings: &mut Vec<Finding>) -> Result<()> {
        let facts = self.file.read(Facts::read).await?;
        findings.extend(facts.findings(&self.file));
        let path = self.file.path().to_owned();
        findings.extend(self.file.read(move |_| Ok(volume_findings(&path))).await?);
        let now = self.file.now_ms();
        let read = move |connection: &Connection| id_finding(connection, now);
        findings.extend(self.file.read(read).await?);
        findings.extend(used_up_ids(facts.has_last_user, facts.has_last_location));
        Ok(())
    }
}

struct Facts {
    synchronous: u64,
    users: u64,
    locations: u64,
    checkins: u64,
    has_last_user: bool,
    has_last_location: bool,
}

impl Facts {
    fn read(connection: &Connection) -> rusqlite::Result<Self> {
        let number = |sql: &str| connection.query_row(sql, [], |row| column::whole(row, 0));
        let has_last = |table: &str| {
            let sql = format!("SELECT EXISTS (SELECT 1 FROM {table} WHERE id = ?1)");
            connection.query_row(&sql, [column::number(MAX_SAFE_INTEGER)], |row| row.get(0))
        };
        Ok(Self {
            synchronous: number("PRAGMA synchronous")?,
            users: number("SELECT count(*) FROM accounts")?,
            locations: number("SELECT count(*) FROM locations")?,
            checkins: number("SELECT count(*) FROM checkins")?,
            has_last_user: has_last("accounts")?,
            has_last_location: has_last("locations")?,
        })
    }

    fn findings(&self, file: &File) -> Vec<Finding> {
        let (path, version) = (file.path().display(), rusqlite::version());
        vec![
            Finding::fine(format!("the store is the file {path}, with SQLite {version}")),
            self.sync(),
            Finding::content(self.users, self.locations, self.checkins),
        ]
    }

    fn sync(&self) -> Finding {
        if self.synchronous >= SYNCHRONOUS_FULL {
            return Finding::fine("each commit is synced to the disk before the response");
        }
        Finding::problem(
            "commits are not synced to the disk: a loss of power loses accepted check-ins",
            "set PRAGMA synchronous to FULL",
        )
    }
}
