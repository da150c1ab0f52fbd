//! Compares the times of failed logins to accounts whose passwords are hashed in different ways. See the
//! README.

use std::path::PathBuf;
use std::process::{Command, ExitCode};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use clap::Parser;
use hdrhistogram::Histogram;
use tokio::runtime::Builder;
use tokio::task::JoinSet;

use driver::http::Connection;
use driver::redis_server::RedisServer;
use driver::server::Server;

/// The stored value of each kind; `None` stands for accounts that do not exist. No password matches.
const KINDS: [(&str, Option<&str>); 6] = [
    ("bcrypt, cost 5", Some("$2b$05$UHtyI/tJ1cK5EjTCkQi6geBXH3dnC5tKcZT6l.pjA4av9FinGSGce")),
    ("bcrypt, cost 10", Some("$2b$10$UHtyI/tJ1cK5EjTCkQi6geBXH3dnC5tKcZT6l.pjA4av9FinGSGce")),
    ("bcrypt, cost 12", Some("$2b$12$UHtyI/tJ1cK5EjTCkQi6geBXH3dnC5tKcZT6l.pjA4av9FinGSGce")),
    (
        "argon2id, 19 MiB, 2 passes",
        Some(
            "$argon2id$v=19$m=19456,t=2,p=1$AAAAAAAAAAAAAAAAAAAAAA$AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA",
        ),
    ),
    ("unknown account", None),
    ("bcrypt, cost 13", Some("$2b$13$UHtyI/tJ1cK5EjTCkQi6geBXH3dnC5tKcZT6l.pjA4av9FinGSGce")),
];

/// The number of failures of an account that cost nothing is larger.
const LOGINS_OF_AN_ACCOUNT: usize = 4;

/// The maximum ratio of two medians.
const MAX_RATIO: f64 = 1.05;

/// Compares the times of failed logins.
#[derive(Debug, Parser)]
struct Options {
    /// The program `checkin`, a release build
    #[arg(long, value_name = "FILE", default_value = concat!(env!("CARGO_MANIFEST_DIR"), "/../../target/release/checkin"), hide_default_value = true)]
    binary: PathBuf,

    /// Number of logins of each kind
    #[arg(long, default_value_t = 500)]
    logins: usize,

    /// Number of connections, each with one login in progress
    #[arg(long, default_value_t = 2)]
    connections: usize,

    /// The setting of the service
    #[arg(long, default_value = "500ms")]
    failed_login_time: String,
}

fn main() -> Result<ExitCode> {
    let options = Options::parse();
    let redis = RedisServer::start()?;
    store_accounts(&redis.url, options.logins)?;
    let mut auth = Command::new(&options.binary);
    auth.args(["auth", "--listen", "127.0.0.1:0", "--trust-proxy", "--store", &redis.url])
        .args(["--session-secret", "not a secret but it is long enough", "--store-timeout", "10s"])
        .args(["--failed-login-time", &options.failed_login_time]);
    let auth = Server::start_any(&mut auth)?;
    let runtime = Builder::new_current_thread().enable_all().build()?;
    let times = runtime.block_on(measure(&auth, &options))?;
    let mut medians = Vec::new();
    for ((kind, _), times) in KINDS.iter().zip(&times) {
        let [median, low, high] =
            [0.5, 0.05, 0.95].map(|part| times.value_at_quantile(part) as f64 / 1e3);
        println!("| {kind} | {} | {median:.1} | {low:.1} | {high:.1} |", times.len());
        medians.push(median);
    }
    let least = medians.iter().copied().fold(f64::INFINITY, f64::min);
    let most = medians.iter().copied().fold(0.0, f64::max);
    println!("the medians differ by {:.1} %", (most / least - 1.0) * 100.0);
    Ok(if most / least <= MAX_RATIO { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

fn address(kind: usize, account: usize) -> String {
    format!("user{}@example.com", 1 + account * KINDS.len() + kind)
}

fn store_accounts(url: &str, logins: usize) -> Result<()> {
    let mut redis = redis::Client::open(url)?.get_connection()?;
    for account in 0..logins.div_ceil(LOGINS_OF_AN_ACCOUNT) {
        for (kind, (_, password)) in KINDS.iter().enumerate() {
            let Some(password) = password else { continue };
            let (id, email) = (1 + account * KINDS.len() + kind, address(kind, account));
            let mut user = redis::cmd("HSET");
            user.arg(format!("ncc:user:{id}")).arg("id").arg(id).arg("firstName").arg("Al");
            user.arg("lastName").arg("A").arg("email").arg(&email).arg("password").arg(password);
            user.exec(&mut redis)?;
            redis::cmd("HSET").arg("ncc:users:email").arg(&email).arg(id).exec(&mut redis)?;
        }
    }
    Ok(())
}

/// Returns the times of each kind in microseconds.
async fn measure(auth: &Server, options: &Options) -> Result<Vec<Histogram<u64>>> {
    let mut connections = JoinSet::new();
    for first in 0..options.connections {
        let (address, logins, step) = (auth.address, options.logins, options.connections);
        connections.spawn(async move {
            let mut connection = Connection::open(address).await?;
            let mut times = Vec::new();
            for login in (first..logins).step_by(step) {
                for kind in 0..KINDS.len() {
                    let took = failed_login(&mut connection, kind, login).await?;
                    times.push((kind, u64::try_from(took.as_micros())?));
                }
            }
            anyhow::Ok(times)
        });
    }
    let mut times = vec![Histogram::<u64>::new(3)?; KINDS.len()];
    while let Some(of_one) = connections.join_next().await {
        for (kind, micros) in of_one?? {
            times[kind].record(micros)?;
        }
    }
    Ok(times)
}

async fn failed_login(connection: &mut Connection, kind: usize, login: usize) -> Result<Duration> {
    let email = address(kind, login / LOGINS_OF_AN_ACCOUNT);
    let body = serde_json::json!({ "email": email, "password": "a wrong password" }).to_string();
    let number = login * KINDS.len() + kind;
    let request = format!(
        "POST /login HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n\
         X-Forwarded-For: 10.{}.{}.{}\r\nContent-Length: {}\r\n\r\n{body}",
        number >> 16 & 255,
        number >> 8 & 255,
        number & 255,
        body.len()
    );
    let started = Instant::now();
    let answer = connection.exchange(request.as_bytes()).await.context("no response")?;
    let took = started.elapsed();
    ensure!(answer.status == 401, "{} instead of 401 for {}", answer.status, KINDS[kind].0);
    Ok(took)
}
