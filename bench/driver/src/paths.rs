//! The paths whose instructions are counted.

use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result};

use crate::callgrind;
use crate::programs::{self, Ours, SHORT_WINDOW};
use crate::redis_server::RedisServer;
use crate::server::Server;
use crate::stacks::Stacks;
use crate::workload::{LoggedIn, Workload, keyed_checkins};

#[derive(Clone, Copy, Debug)]
pub enum RequestPath {
    Plain,
    Healthz,
    CachedRead,
    Read,
    Session,
    SessionOfRedisRs,
    Checkin,
    CheckinOfRedisRs,
}

impl RequestPath {
    pub const ALL: [Self; 8] = [
        Self::Plain,
        Self::Healthz,
        Self::CachedRead,
        Self::Read,
        Self::Session,
        Self::SessionOfRedisRs,
        Self::Checkin,
        Self::CheckinOfRedisRs,
    ];

    pub fn name(self) -> &'static str {
        match self {
            Self::Plain => "plain route of axum",
            Self::Healthz => "GET /healthz of a service",
            Self::CachedRead => "cached read, session layer alone",
            Self::Read => "read, session layer alone",
            Self::Session => "GET /session",
            Self::SessionOfRedisRs => "GET /session, axum and redis-rs alone",
            Self::Checkin => "check-in",
            Self::CheckinOfRedisRs => "check-in, axum and redis-rs alone",
        }
    }

    fn status(self) -> u16 {
        match self {
            Self::Checkin | Self::CheckinOfRedisRs => 202,
            _ => 200,
        }
    }

    /// Returns the paths whose names contain this text.
    pub fn named(text: &str) -> impl Iterator<Item = Self> {
        Self::ALL.into_iter().filter(move |path| path.name().contains(text))
    }
}

/// A Redis with the demo data and the session of a user.
pub struct Site<'a> {
    ours: &'a Ours,
    redis_rs: PathBuf,
    redis: RedisServer,
    session: LoggedIn,
}

impl<'a> Site<'a> {
    pub async fn start(ours: &'a Ours) -> Result<Self> {
        let redis = RedisServer::start()?;
        let accounts = ours.load_demo(&redis.url)?;
        let auth = Server::start_any(&mut ours.service(&redis.url, &["auth"]))?;
        let sessions = programs::log_in(&auth, &accounts, 1).await?;
        let redis_rs = programs::build_redis_rs()?;
        Ok(Self { ours, redis_rs, redis, session: sessions[0].clone() })
    }

    /// Returns the instructions of a request.
    pub async fn instructions(&self, path: RequestPath, directory: &Path) -> Result<u64> {
        let work = |run| self.work(path, run);
        let count = callgrind::per_request(directory, path.status(), work).await;
        count.with_context(|| path.name())
    }

    /// Returns the call stacks of the counted requests.
    pub async fn stacks(&self, path: RequestPath, directory: &Path) -> Result<Stacks> {
        let stacks = callgrind::stacks(directory, path.status(), |run| self.work(path, run)).await;
        stacks.with_context(|| path.name())
    }

    /// Returns the command of the peer with only axum and redis-rs.
    fn redis_rs(&self) -> Command {
        let mut command = programs::peer(&self.redis_rs, &self.redis);
        command.env("ACCOUNT", self.session.account.id.to_string());
        command
    }

    fn work(&self, path: RequestPath, run: usize) -> (Command, Vec<Vec<u8>>) {
        let (ours, store) = (self.ours, &self.redis.url);
        let sessions = std::slice::from_ref(&self.session);
        let plain = |path| Workload::Plain.requests(path, sessions);
        let read = || Workload::Read.requests("", sessions);
        match path {
            RequestPath::Plain => (ours.layer(&self.redis), plain("/plain")),
            RequestPath::Healthz => (ours.service(store, &["auth"]), plain("/healthz")),
            RequestPath::CachedRead => {
                let mut command = ours.layer(&self.redis);
                command.env("CACHED", "true");
                (command, read())
            }
            RequestPath::Read => (ours.layer(&self.redis), read()),
            RequestPath::Session => (ours.service(store, &["auth"]), read()),
            RequestPath::SessionOfRedisRs => (self.redis_rs(), read()),
            RequestPath::Checkin => {
                (ours.receiver(store, SHORT_WINDOW), keyed_checkins(&self.session, run))
            }
            RequestPath::CheckinOfRedisRs => (self.redis_rs(), keyed_checkins(&self.session, run)),
        }
    }
}
