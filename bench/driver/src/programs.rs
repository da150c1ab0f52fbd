//! Starts the programs that are compared.

use std::env;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::Arc;

use anyhow::{Context, Result, bail, ensure};
use tokio::task::JoinSet;

use crate::http::Connection;
use crate::redis_server::RedisServer;
use crate::server::Server;
use crate::workload::{self, Account, LoggedIn, Workload};

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

/// Builds the peer with only axum and redis-rs.
pub fn build_redis_rs() -> Result<PathBuf> {
    build("peer-redis-rs")
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

    /// Returns the command of a check-in service or a tool on this store, without its arguments.
    pub fn checkin(&self, store: &str) -> Command {
        let mut command = Command::new(&self.checkin);
        command.env("CHECKIN_STORE", store).env("CHECKIN_SESSION_SECRET", SECRET);
        command.env("CHECKIN_KEY_PREFIX", PREFIX).env("CHECKIN_STORE_TIMEOUT", STORE_TIMEOUT);
        command
    }

    /// Returns the command of a check-in service that listens on a free port.
    pub fn service(&self, store: &str, arguments: &[&str]) -> Command {
        let mut command = self.checkin(store);
        command.args(arguments).args(["--listen", "127.0.0.1:0"]);
        command
    }

    /// Returns the command of the receiver. A user may check in any number of times.
    pub fn receiver(&self, store: &str, window: &str) -> Command {
        let limits = ["--checkin-rate", "1000000", "--duplicate-window", window];
        self.service(store, &[&["receiver"], &limits[..]].concat())
    }

    /// Returns the command of the peer with only the session layer.
    pub fn layer(&self, redis: &RedisServer) -> Command {
        peer(&self.layer, redis)
    }

    /// Loads the demo data, and returns its users.
    pub fn load_demo(&self, store: &str) -> Result<Vec<Account>> {
        self.run(store, &["load", "--demo"])?;
        let accounts = self.run(store, &["users", "list", "--json"])?;
        let accounts = serde_json::Deserializer::from_slice(&accounts).into_iter();
        accounts.collect::<Result<_, _>>().context("checkin lists its users as JSON")
    }

    fn run(&self, store: &str, arguments: &[&str]) -> Result<Vec<u8>> {
        let output = self.checkin(store).args(arguments).output();
        let output = output.context("cannot run checkin")?;
        let errors = String::from_utf8_lossy(&output.stderr);
        ensure!(output.status.success(), "checkin {} failed: {errors}", arguments.join(" "));
        Ok(output.stdout)
    }
}

/// The paths of all programs.
pub struct Paths {
    pub ours: Ours,
    express: PathBuf,
    tower_sessions: PathBuf,
    salvo: PathBuf,
    actix: PathBuf,
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
            salvo: build("peer-salvo-express-session")?,
            actix: build("peer-actix-session")?,
        })
    }
}

/// Builds a package in the target directory of this program, and returns its program.
pub(crate) fn build(package: &str) -> Result<PathBuf> {
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
    pub sessions: Arc<[LoggedIn]>,
    pub workloads: &'static [Workload],
    /// The file of an embedded store, to which the program appends instead of Redis.
    pub database: Option<PathBuf>,
}

impl Program {
    pub fn takes_part(&self, workload: Workload) -> bool {
        self.workloads.contains(&workload)
    }
}

/// The workloads of a variant of a program whose plain route is measured already.
const WITH_SESSION: &[Workload] = &[Workload::Read, Workload::Checkin];

/// Loads the demo data, starts all programs, and opens this many sessions at each. The check-in
/// services are the first.
pub async fn start(
    paths: &Paths,
    redis: &RedisServer,
    core: usize,
    sessions: usize,
) -> Result<Vec<Program>> {
    let accounts = paths.ours.load_demo(&redis.url)?;
    let with = |mut command: Command, name: &str, value: &str| {
        command.env(name, value);
        command
    };
    let layer = || paths.ours.layer(redis);
    let tower_sessions = || peer(&paths.tower_sessions, redis);
    let peers = [
        ("axum + tower-express-session", layer(), &Workload::ALL[..]),
        (
            "axum + tower-express-session, always touching",
            with(layer(), "TOUCH_AFTER", "0"),
            WITH_SESSION,
        ),
        ("axum + tower-express-session, cached", with(layer(), "CACHED", "true"), WITH_SESSION),
        ("axum + tower-sessions", tower_sessions(), &Workload::ALL),
        (
            "axum + tower-sessions, always saving",
            with(tower_sessions(), "ALWAYS_SAVE", "true"),
            WITH_SESSION,
        ),
        ("salvo-express-session", peer(&paths.salvo, redis), &Workload::ALL),
        ("actix-session", peer(&paths.actix, redis), &Workload::ALL),
        ("Express", express(&paths.express, redis), &Workload::ALL),
        (
            "Express, merging-session-store",
            with(express(&paths.express, redis), "MODULE", "merging-session-store"),
            WITH_SESSION,
        ),
    ];
    let mut programs = Vec::new();
    for (name, mut command, workloads) in peers {
        let server = Server::start(core, &mut command)?;
        let sessions = log_in(&server, &accounts, sessions).await;
        let sessions = sessions.with_context(|| format!("cannot log in at {name}"))?;
        let plain_path = "/plain";
        programs.push(Program { name, server, plain_path, sessions, workloads, database: None });
    }
    // The check-in services accept the sessions of the peer with their layer, which checks no
    // password hash at a login.
    let sessions = log_in(&programs[0].server, &accounts, sessions).await?;
    let mut all = ours(&paths.ours, &redis.url, core, &sessions, None)?;
    let receiver = Server::start(core, &mut paths.ours.receiver(&redis.url, SHORT_WINDOW))?;
    all.push(Program {
        name: "checkin receiver, duplicates looked for",
        server: receiver,
        plain_path: "/healthz",
        sessions,
        workloads: &[Workload::Checkin],
        database: None,
    });
    all.extend(programs);
    Ok(all)
}

/// Starts the check-in services.
pub(crate) fn ours(
    paths: &Ours,
    store: &str,
    core: usize,
    sessions: &Arc<[LoggedIn]>,
    database: Option<&Path>,
) -> Result<Vec<Program>> {
    let program = |name, mut command: Command, workloads| -> Result<Program> {
        let (sessions, database) = (sessions.clone(), database.map(Path::to_owned));
        let server = Server::start(core, &mut command)?;
        Ok(Program { name, server, plain_path: "/healthz", sessions, workloads, database })
    };
    let auth = paths.service(store, &["auth"]);
    Ok(vec![
        program("checkin auth", auth, &[Workload::Plain, Workload::Read][..])?,
        program("checkin receiver", paths.receiver(store, "0"), &[Workload::Checkin])?,
    ])
}

/// Returns the command of a peer, with the settings that all of them read.
pub(crate) fn peer(program: &Path, redis: &RedisServer) -> Command {
    let mut command = Command::new(program);
    command.env("STORE", &redis.url).env("SECRET", SECRET).env("PREFIX", PREFIX);
    command.env("PASSWORD", workload::PASSWORD);
    command
}

fn express(service: &Path, redis: &RedisServer) -> Command {
    let mut command = peer(Path::new("node"), redis);
    command.arg(service).env("NODE_ENV", "production").env("PORT", "0");
    // The store of this repository needs no packages of its own.
    command.env("NODE_PATH", service.with_file_name("node_modules"));
    command
}

/// The number of logins at the same time.
const LOGINS_AT_ONCE: usize = 16;

/// Opens this many sessions, of the accounts in turn.
pub async fn log_in(
    server: &Server,
    accounts: &[Account],
    number: usize,
) -> Result<Arc<[LoggedIn]>> {
    let accounts: Vec<Account> = accounts.iter().cycle().take(number).cloned().collect();
    let mut tasks = JoinSet::new();
    for part in accounts.chunks(number.div_ceil(LOGINS_AT_ONCE)) {
        tasks.spawn(log_in_each(server.address, part.to_owned()));
    }
    let mut sessions = Vec::new();
    while let Some(part) = tasks.join_next().await {
        sessions.extend(part??);
    }
    ensure!(sessions.len() == number, "there are {} sessions", sessions.len());
    Ok(sessions.into())
}

async fn log_in_each(address: SocketAddr, accounts: Vec<Account>) -> Result<Vec<LoggedIn>> {
    let mut connection = Connection::open(address).await?;
    let mut sessions = Vec::new();
    for account in accounts {
        let answer = connection.exchange(&workload::login(&account.email)).await?;
        ensure!(answer.status == 200, "the login returned status {}", answer.status);
        let cookie = answer.header("set-cookie").context("the login set no cookie")?;
        let cookie = cookie.split(';').next().unwrap_or(cookie).to_owned();
        sessions.push(LoggedIn { account, cookie });
    }
    Ok(sessions)
}
