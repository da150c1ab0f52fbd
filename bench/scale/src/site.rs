//! The store of one run, and the programs that use it.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::Arc;
use std::time::Duration;

use anyhow::Result;
use checkin::storage::Storage;
use checkin_redis::RedisStorage;
use checkin_sqlite::SqliteStorage;
use redis_link::{Client, Timeouts};
use sqlite_writer::Database;
use tempfile::TempDir;
use testkit::{Program, RedisServer};

/// The time limit for a response of a busy machine while a million users are written.
const PATIENCE: Duration = Duration::from_secs(60);

pub const SECRET: &str = "a secret of measurements alone, long enough";

pub struct Site {
    pub store: String,
    pub redis: Option<RedisServer>,
    binary: PathBuf,
    directory: TempDir,
}

impl Site {
    pub fn start(store: &str, binary: &Path) -> Result<Site> {
        let directory = tempfile::tempdir()?;
        let redis = (store == "redis").then(RedisServer::start);
        let store = match &redis {
            Some(redis) => redis.url(),
            None => format!("sqlite:{}", directory.path().join("checkin.db").display()),
        };
        Ok(Site { store, redis, binary: binary.to_owned(), directory })
    }

    pub async fn storage(&self) -> Result<Arc<dyn Storage>> {
        match &self.redis {
            Some(_) => Ok(Arc::new(self.on_redis()?)),
            None => Ok(Arc::new(self.on_sqlite().await?)),
        }
    }

    fn on_redis(&self) -> Result<RedisStorage> {
        let timeouts = Timeouts { connect: PATIENCE, response: PATIENCE };
        Ok(RedisStorage::new(Client::with_timeouts(&self.store, timeouts)?, "ncc", 1))
    }

    async fn on_sqlite(&self) -> Result<SqliteStorage> {
        let path = self.store.trim_start_matches("sqlite:");
        Ok(SqliteStorage::open(Database::open(Path::new(path))?).await?)
    }

    pub fn run(&self, command: &str, args: &[&str]) -> Program {
        let mut program = Command::new(&self.binary);
        program
            .current_dir(self.directory.path())
            .env("CHECKIN_STORE", &self.store)
            .env("CHECKIN_SESSION_SECRET", SECRET)
            .env("CHECKIN_LISTEN", "127.0.0.1:0")
            .arg(command)
            .args(args);
        Program::spawn(program)
    }
}
