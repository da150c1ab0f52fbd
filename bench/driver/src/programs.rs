//! Starts the programs that are compared.

use std::env;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, bail, ensure};

use crate::http::Connection;
use crate::redis_server::RedisServer;
use crate::server::Server;
use crate::workload::{self, Workload};

const SECRET: &str = "not a secret";

/// All programs append to the check-in log under this prefix.
const PREFIX: &str = "ncc";
pub const LOG: &str = "ncc:checkins";

/// So short that no check-in of the workload is rejected: a check-in is repeated after 1,200
/// others. The commands are the same as with any window.
pub const SHORT_WINDOW: &str = "5ms";

/// Other load on the machine may delay Redis for longer than the default time-out of the check-in
/// services. The peers have no time-out.
const STORE_TIMEOUT: &str = "10s";

/// The paths of our programs.
pub struct Ours {
    pub checkin: PathBuf,
    layer: PathBuf,
}

impl Ours {
    /// Finds `checkin`, and builds the peer with only the session layer.
    pub fn find(checkin: &Path) -> Result<Self> {
        let Ok(checkin) = checkin.canonicalize() else {
            bail!(
                "{} does not exist: run cargo build --release, or use --binary FILE",
                checkin.display()
            );
        };
        Ok(Self { checkin, layer: build("peer-tower-express-session")? })
    }

    /// Returns the command of a check-in service or a tool, without its arguments.
    pub fn checkin(&self, redis: &RedisServer) -> Command {
        let mut command = Command::new(&self.checkin);
        command.env("CHECKIN_STORE", &redis.url).env("CHECKIN_SESSION_SECRET", SECRET);
        command.env("CHECKIN_KEY_PREFIX", PREFIX).env("CHECKIN_STORE_TIMEOUT", STORE_TIMEOUT);
        command
    }

    /// Returns the command of a check-in service that listens on a free port.
    pub fn service(&self, redis: &RedisServer, arguments: &[&str]) -> Command {
        let mut command = self.checkin(redis);
        command.args(arguments).args(["--listen", "127.0.0.1:0"]);
        command
    }

    /// Returns the command of the receiver. A user may check in any number of times.
    pub fn receiver(&self, redis: &RedisServer, window: &str) -> Command {
        let limits = ["--checkin-rate", "1000000", "--duplicate-window", window];
        self.service(redis, &[&["receiver"], &limits[..]].concat())
    }

    /// Returns the command of the peer with only the session layer.
    pub fn layer(&self, redis: &RedisServer) -> Command {
        peer(&self.layer, redis)
    }

    pub fn load_demo(&self, redis: &RedisServer) -> Result<()> {
        let output = self.checkin(redis).args(["load", "--demo"]).output();
        let output = output.context("cannot run checkin")?;
        let errors = String::from_utf8_lossy(&output.stderr);
        ensure!(output.status.success(), "cannot load the demo data: {errors}");
        Ok(())
    }
}

/// The paths of all programs.
pub struct Paths {
    ours: Ours,
    express: PathBuf,
    tower_sessions: PathBuf,
}

impl Paths {
    /// Finds all programs, and builds the peers in Rust.
    pub fn find(checkin: &Path, express: &Path) -> Result<Self> {
        if !express.join("node_modules/express-session").is_dir() {
            bail!("the packages of Express are missing: run cd express && npm ci");
        }
        Ok(Self {
            ours: Ours::find(checkin)?,
            express: express.join("service.js"),
            tower_sessions: build("peer-tower-sessions")?,
        })
    }
}

/// Builds a package in the target directory of this program, and returns its program.
fn build(package: &str) -> Result<PathBuf> {
    let manifest = concat!(env!("CARGO_MANIFEST_DIR"), "/Cargo.toml");
    let directory = env::current_exe()?.parent().context("a program has a directory")?.to_owned();
    let target = directory.parent().context("a profile has a directory")?;
    let mut cargo = Command::new(env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
    cargo.args(["build", "--release", "--manifest-path", manifest, "--target-dir"]).arg(target);
    cargo.args(["-p", package]);
    ensure!(cargo.status().context("cannot run cargo")?.success(), "cannot build {package}");
    Ok(target.join("release").join(package))
}

/// A running program.
pub struct Program {
    pub name: &'static str,
    pub server: Server,
    pub plain_path: &'static str,
    pub cookie: String,
    workloads: &'static [Workload],
}

impl Program {
    pub fn takes_part(&self, workload: Workload) -> bool {
        self.workloads.contains(&workload)
    }
}

/// Loads the demo data and starts all programs. The check-in services are the first.
pub async fn start(paths: &Paths, redis: &RedisServer, core: usize) -> Result<Vec<Program>> {
    paths.ours.load_demo(redis)?;
    let mut programs = ours(&paths.ours, redis, core).await?;
    let with = |mut command: Command, name: &str, value: &str| {
        command.env(name, value);
        command
    };
    let layer = || paths.ours.layer(redis);
    let tower_sessions = || peer(&paths.tower_sessions, redis);
    let peers = [
        ("axum + tower-express-session", layer()),
        ("axum + tower-express-session, always touching", with(layer(), "TOUCH_AFTER", "0")),
        ("axum + tower-express-session, cached", with(layer(), "CACHED", "true")),
        ("axum + tower-sessions", tower_sessions()),
        ("axum + tower-sessions, always saving", with(tower_sessions(), "ALWAYS_SAVE", "true")),
        ("Express", express(&paths.express, redis)),
    ];
    for (name, mut command) in peers {
        let server = Server::start(core, &mut command)?;
        let cookie = log_in(&server).await.with_context(|| format!("cannot log in at {name}"))?;
        let workloads = &Workload::ALL;
        programs.push(Program { name, server, plain_path: "/plain", cookie, workloads });
    }
    Ok(programs)
}

async fn ours(paths: &Ours, redis: &RedisServer, core: usize) -> Result<Vec<Program>> {
    let auth = Server::start(core, &mut paths.service(redis, &["auth"]))?;
    let cookie = log_in(&auth).await.context("cannot log in at checkin auth")?;
    let program = |name, server, workloads| {
        let cookie = cookie.clone();
        Program { name, server, plain_path: "/healthz", cookie, workloads }
    };
    let receiver = |window| Server::start(core, &mut paths.receiver(redis, window));
    let checkins = &[Workload::Checkin];
    Ok(vec![
        program("checkin auth", auth, &[Workload::Plain, Workload::Read]),
        program("checkin receiver", receiver("0")?, checkins),
        program("checkin receiver, duplicates looked for", receiver(SHORT_WINDOW)?, checkins),
    ])
}

/// Returns the command of a peer, with the settings that all of them read.
fn peer(program: &Path, redis: &RedisServer) -> Command {
    let mut command = Command::new(program);
    command.env("STORE", &redis.url).env("SECRET", SECRET).env("PREFIX", PREFIX);
    command.env("PASSWORD", workload::PASSWORD);
    command
}

fn express(service: &Path, redis: &RedisServer) -> Command {
    let mut command = peer(Path::new("node"), redis);
    command.arg(service).env("NODE_ENV", "production").env("PORT", "0");
    command
}

/// Logs in and returns the cookie of the new session.
pub async fn log_in(server: &Server) -> Result<String> {
    let mut connection = Connection::open(server.address).await?;
    let answer = connection.exchange(&workload::login()).await?;
    ensure!(answer.status == 200, "the login returned status {}", answer.status);
    let cookie = answer.header("set-cookie").context("the login set no cookie")?;
    Ok(cookie.split(';').next().unwrap_or(cookie).to_owned())
}
