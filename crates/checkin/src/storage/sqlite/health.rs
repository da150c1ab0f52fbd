//! What `checkin doctor` asks an SQLite file.

use async_trait::async_trait;
use tower_express_session::store::sqlite::Database;
use tower_express_session::store::sqlite::rusqlite::{self, Connection};

use super::checkins::id_finding;
use super::{SCHEMA_VERSION, SqliteStorage, now_ms};
use crate::storage::{Finding, Health, Result};

/// `PRAGMA synchronous` as a number; 3 (EXTRA) is stricter still.
const SYNCHRONOUS_FULL: i64 = 2;

#[async_trait]
impl Health for SqliteStorage {
    async fn ping(&self) -> Result<()> {
        let read = |connection: &Connection| connection.query_row("SELECT 1", [], |_| Ok(()));
        Ok(self.database.read(read).await?)
    }

    /// The tables were made when the file was opened.
    async fn prepare(&self) -> Result<()> {
        Ok(())
    }

    /// Likewise.
    async fn upgrade(&self) -> Result<()> {
        Ok(())
    }

    async fn diagnose(&self) -> Result<Vec<Finding>> {
        let facts = self.database.read(Facts::read).await?;
        let mut findings = facts.findings(&self.database);
        let now = now_ms(&self.clock);
        let read = move |connection: &Connection| id_finding(connection, now);
        findings.extend(self.database.read(read).await?);
        Ok(findings)
    }
}

struct Facts {
    journal_mode: String,
    synchronous: i64,
    integrity: String,
    schema_version: i64,
    users: i64,
    locations: i64,
    checkins: i64,
}

impl Facts {
    fn read(connection: &Connection) -> rusqlite::Result<Self> {
        let number = |sql: &str| connection.query_row(sql, [], |row| row.get::<_, i64>(0));
        let text = |sql: &str| connection.query_row(sql, [], |row| row.get::<_, String>(0));
        Ok(Self {
            journal_mode: text("PRAGMA journal_mode")?,
            synchronous: number("PRAGMA synchronous")?,
            integrity: text("PRAGMA quick_check(1)")?,
            schema_version: number("PRAGMA user_version")?,
            users: number("SELECT count(*) FROM users")?,
            locations: number("SELECT count(*) FROM locations")?,
            checkins: number("SELECT count(*) FROM checkins")?,
        })
    }

    fn findings(&self, database: &Database) -> Vec<Finding> {
        let (path, version) = (database.path().display(), rusqlite::version());
        let Self { users, locations, checkins, .. } = self;
        vec![
            Finding::fine(format!("the store is the file {path}, with SQLite {version}")),
            self.tables(),
            self.journal(),
            self.sync(),
            self.soundness(),
            Finding::fine(format!(
                "it holds {users} users, {locations} locations and {checkins} check-ins"
            )),
        ]
    }

    fn tables(&self) -> Finding {
        let found = self.schema_version;
        if found == SCHEMA_VERSION {
            return Finding::fine(format!("the tables have version {found}"));
        }
        Finding::problem(
            format!("the tables have version {found}, this program knows {SCHEMA_VERSION}"),
            "use the program that made them, or a later one",
        )
    }

    fn journal(&self) -> Finding {
        if self.journal_mode == "wal" {
            return Finding::fine("readers and the writer do not wait for each other (WAL)");
        }
        Finding::problem(
            format!("the journal mode is {} and not wal", self.journal_mode),
            "move the file to a local disk: file systems of a network have no WAL",
        )
    }

    fn sync(&self) -> Finding {
        if self.synchronous >= SYNCHRONOUS_FULL {
            return Finding::fine("each commit is synced to the disk before it is answered");
        }
        Finding::problem(
            "commits are not synced to the disk: a loss of power loses answered check-ins",
            "set PRAGMA synchronous to FULL",
        )
    }

    fn soundness(&self) -> Finding {
        if self.integrity == "ok" {
            return Finding::fine("the file is sound (quick_check)");
        }
        Finding::problem(
            format!("the file is damaged: {}", self.integrity),
            "stop every service, keep a copy of the file, and restore a backup or use sqlite3's .recover",
        )
    }
}
