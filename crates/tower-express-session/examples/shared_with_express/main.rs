//! How does a Rust service join an Express deployment? Both share their logins. To see it in one
//! command:
//!
//! ```console
//! $ cargo run -p tower-express-session --example shared_with_express
//! ```
//!
//! It starts a `redis-server`, the Express service in `service.js` and a Rust service, sends
//! requests to both like one browser, and prints the result of each step. It exits with 0 if every
//! step had the expected result, otherwise with 1, and stops the servers that it started. It needs
//! `redis-server`, or the program that `REDIS_SERVER` names, `node` and `npm`; the npm packages of
//! `express/` are installed if they are missing.

#![expect(clippy::print_stdout, reason = "prints the result of each step")]

mod walk;

use std::process::{Command, ExitCode, Stdio};

use axum::Router;
use axum::extract::Path;
use axum::routing::{get, post};
use testkit::{Express, RedisServer, server_program};
use tower_express_session::store::redis::RedisStore;
use tower_express_session::{Error, Session, SessionLayer};

const SECRET: &str = "keyboard cat";

#[tokio::main]
async fn main() -> ExitCode {
    let programs = [server_program(), Command::new("node"), Command::new("npm")];
    if let Some(program) = programs.into_iter().find_map(missing) {
        eprintln!("{program} is not installed; this example needs redis-server and Node 20");
        return ExitCode::FAILURE;
    }
    // Runs in a separate task, so that a panic also results in an exit code.
    match tokio::spawn(run()).await {
        Ok(Ok(true)) => {
            println!("\nall steps as expected");
            ExitCode::SUCCESS
        }
        Ok(Ok(false)) => {
            println!("\nsome steps were not as expected");
            ExitCode::FAILURE
        }
        Ok(Err(error)) => {
            eprintln!("cannot start: {error}");
            ExitCode::FAILURE
        }
        Err(_) => ExitCode::FAILURE,
    }
}

/// Starts the servers, and stops them when it returns. Returns whether every step had the expected
/// result.
async fn run() -> Result<bool, Box<dyn std::error::Error + Send + Sync>> {
    let redis = RedisServer::start();
    println!("Redis    {}", redis.url());

    let script = concat!(env!("CARGO_MANIFEST_DIR"), "/examples/shared_with_express/service.js");
    let packages = concat!(env!("CARGO_MANIFEST_DIR"), "/../../express/node_modules");
    let store = redis.url();
    let env = [("STORE", store.as_str()), ("SECRET", SECRET), ("NODE_PATH", packages)];
    let mut express = Express::start(script, &env);
    println!("Express  {}", express.url());

    let listener = tokio::net::TcpListener::bind(("127.0.0.1", 0)).await?;
    let rust = format!("http://{}", listener.local_addr()?);
    println!("Rust     {rust}\n");
    let app = service(&redis.url())?;
    let server = tokio::spawn(async { axum::serve(listener, app).await });

    let all_well = walk::walk(&redis, &mut express, &rust).await;
    server.abort();
    Ok(all_well)
}

/// The Rust service. It has the same secret, cookie name and prefix as the Express service. The cookie
/// name and the prefix are the defaults on both sides.
fn service(redis: &str) -> Result<Router, Box<dyn std::error::Error + Send + Sync>> {
    let store = RedisStore::open(redis)?;
    let sessions = SessionLayer::builder(store, [SECRET]).build()?;
    Ok(Router::new()
        .route("/login/{name}", post(login))
        .route("/me", get(me))
        .route("/logout", post(logout))
        .route("/cart/{item}", post(add_to_cart))
        .layer(sessions))
}

async fn login(session: Session, Path(name): Path<String>) -> Result<String, Error> {
    session.log_in(&name, &[]).await?;
    Ok(format!("welcome, {name}"))
}

async fn me(session: Session) -> Result<String, Error> {
    Ok(session.get("user")?.unwrap_or_else(|| "nobody".to_owned()))
}

async fn logout(session: Session) -> Result<&'static str, Error> {
    session.log_out().await?;
    Ok("bye")
}

async fn add_to_cart(session: Session, Path(item): Path<String>) -> Result<String, Error> {
    let add = |cart: Option<Vec<String>>| {
        let mut cart = cart.unwrap_or_default();
        cart.push(item.clone());
        cart
    };
    Ok(session.update("cart", add).await?.join(", "))
}

/// Returns the name of a program that cannot be started.
fn missing(mut program: Command) -> Option<String> {
    let version = program.arg("--version").stdout(Stdio::null()).status();
    version.is_err().then(|| program.get_program().to_string_lossy().into_owned())
}
