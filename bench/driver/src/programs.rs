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
const SHORT_WINDOW: &str = "5ms";

/// Other load on the machine may delay Redis for longer than the default time-out of the check-in
/// services. The peers have no time-out.
const STORE_TIMEOUT: &str = "10s";

/// The paths of the programs.
pub struct Paths {
    checkin: PathBuf,
    express: PathBuf,
    layer: PathBuf,
    tower_sessions: PathBuf,
}

impl Paths {
    /// Finds all programs, and builds the peers in Rust.
    pub fn find(checkin: &Path, express: &Path) -> Result<Self> {
        let Ok(checkin) = checkin.canonicalize() else {
            bail!(
                "{} does not exist: run cargo build --release, or use --binary FILE",
                checkin.display()
            );
        };
        if !express.join("node_modules/express-session").is_dir() {
            bail!("the packages of Express are missing: run cd express && npm ci");
        }
        let built = build(&["peer-tower-express-session", "peer-tower-sessions"])?;
        Ok(Self {
            checkin,
            express: express.join("service.js"),
            layer: built.join("peer-tower-express-session"),
            tower_sessions: built.join("peer-tower-sessions"),
        })
    }
}

/// Builds these packages in the target directory of this program, and returns the directory.
fn build(packages: &[&str]) -> Result<PathBuf> {
    let manifest = concat!(env!("CARGO_MANIFEST_DIR"), "/Cargo.toml");
    let directory = env::current_exe()?.parent().context("a program has a directory")?.to_owned();
    let target = directory.parent().context("a profile has a directory")?;
    let mut cargo = Command::new(env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
    cargo.args(["build", "--release", "--manifest-path", manifest, "--target-dir"]).arg(target);
    cargo.args(packages.iter().flat_map(|package| ["-p", *package]));
    ensure!(cargo.status().context("cannot run cargo")?.success(), "cannot build the peers");
    Ok(target.join("release"))
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
    load_demo(paths, redis)?;
    let mut programs = ours(paths, redis, core).await?;
    let tower_sessions = || Command::new(&paths.tower_sessions);
    let mut always_saving = tower_sessions();
    always_saving.env("ALWAYS_SAVE", "true");
    let layer = |name: &str, value: &str| {
        let mut layer = Command::new(&paths.layer);
        layer.env(name, value);
        layer
    };
    let peers = [
        ("axum + tower-express-session", Command::new(&paths.layer)),
        ("axum + tower-express-session, always touching", layer("TOUCH_AFTER", "0")),
        ("axum + tower-express-session, cached", layer("CACHED", "true")),
        ("axum + tower-sessions", tower_sessions()),
        ("axum + tower-sessions, always saving", always_saving),
        ("Express", express(&paths.express)),
    ];
    for (name, mut command) in peers {
        command.env("STORE", &redis.url).env("SECRET", SECRET).env("PREFIX", PREFIX);
        command.env("PASSWORD", workload::PASSWORD);
        let server = Server::start(core, &mut command)?;
        let cookie = log_in(&server).await.with_context(|| format!("cannot log in at {name}"))?;
        let workloads = &Workload::ALL;
        programs.push(Program { name, server, plain_path: "/plain", cookie, workloads });
    }
    Ok(programs)
}

async fn ours(paths: &Paths, redis: &RedisServer, core: usize) -> Result<Vec<Program>> {
    let service = |arguments: &[&str]| {
        Server::start(core, checkin(paths, redis).args(arguments).args(["--listen", "127.0.0.1:0"]))
    };
    let receiver = |window| {
        let limits = ["--checkin-rate", "0", "--duplicate-window", window];
        service(&[&["receiver"], &limits[..]].concat())
    };
    let auth = service(&["auth"])?;
    let cookie = log_in(&auth).await.context("cannot log in at checkin auth")?;
    let program = |name, server, workloads| {
        let cookie = cookie.clone();
        Program { name, server, plain_path: "/healthz", cookie, workloads }
    };
    let checkins = &[Workload::Checkin];
    Ok(vec![
        program("checkin auth", auth, &[Workload::Plain, Workload::Read]),
        program("checkin receiver", receiver("0")?, checkins),
        program("checkin receiver, duplicates looked for", receiver(SHORT_WINDOW)?, checkins),
    ])
}

fn load_demo(paths: &Paths, redis: &RedisServer) -> Result<()> {
    let mut command = checkin(paths, redis);
    let output = command.args(["load", "--demo"]).output().context("cannot run checkin")?;
    let errors = String::from_utf8_lossy(&output.stderr);
    ensure!(output.status.success(), "cannot load the demo data: {errors}");
    Ok(())
}

fn checkin(paths: &Paths, redis: &RedisServer) -> Command {
    let mut command = Command::new(&paths.checkin);
    command.env("CHECKIN_STORE", &redis.url).env("CHECKIN_SESSION_SECRET", SECRET);
    command.env("CHECKIN_KEY_PREFIX", PREFIX).env("CHECKIN_STORE_TIMEOUT", STORE_TIMEOUT);
    command
}

fn express(service: &Path) -> Command {
    let mut command = Command::new("node");
    command.arg(service).env("NODE_ENV", "production").env("PORT", "0");
    command
}

/// Logs in and returns the cookie of the new session.
async fn log_in(server: &Server) -> Result<String> {
    let mut connection = Connection::open(server.address).await?;
    let answer = connection.exchange(&workload::login()).await?;
    ensure!(answer.status == 200, "the login returned status {}", answer.status);
    let cookie = answer.header("set-cookie").context("the login set no cookie")?;
    Ok(cookie.split(';').next().unwrap_or(cookie).to_owned())
}
