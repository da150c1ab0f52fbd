//! The routes of `express/service.js` on salvo and salvo-express-session, which touches the session
//! on each request, as Express does.
//!
//! It reads the environment variables `STORE` (a Redis URL), `SECRET` (signs the cookie), `PREFIX`
//! (default `ncc`) and `PASSWORD` (of every account, default `secret123`).

use std::env;

use anyhow::{Context, Result};
use redis::aio::ConnectionManager;
use redis::{AsyncCommands, Client};
use salvo::conn::Acceptor;
use salvo::http::StatusCode;
use salvo::prelude::*;
use salvo_express_session::{ExpressSessionHandler, RedisStore, SessionConfig, SessionDepotExt};
use serde::Deserialize;
use serde_json::json;

const USER: &str = "user";
const MAX_RATING: u8 = 5;

#[tokio::main]
async fn main() -> Result<()> {
    let or = |name, default: &str| env::var(name).unwrap_or_else(|_| default.to_owned());
    let client = Client::open(or("STORE", "redis://127.0.0.1:6379"))?;
    let redis = ConnectionManager::new(client).await?;
    let prefix = or("PREFIX", "ncc");
    let store = RedisStore::from_connection_manager(redis.clone())
        .with_custom_prefix(&format!("{prefix}:session:"));
    let config = SessionConfig::new(env::var("SECRET")?)
        .with_cookie_name("checkinapp")
        .with_max_age(None)
        .with_resave(false)
        .with_save_uninitialized(false);
    let checkins = Checkins { redis, log: format!("{prefix}:checkins") };
    let sessions = Router::new()
        .hoop(ExpressSessionHandler::new(store, config))
        .push(Router::with_path("login").post(Login { password: or("PASSWORD", "secret123") }))
        .push(Router::with_path("session").get(show))
        .push(Router::with_path("api/checkin").post(checkins));
    let app = Router::new().push(Router::with_path("plain").get(plain)).push(sessions);
    let acceptor = TcpListener::new("127.0.0.1:0").bind().await;
    let address = acceptor.holdings().first().context("the listener has no address")?;
    println!("listening on {}", address.local_addr.to_string().trim_start_matches("socket://"));
    Server::new(acceptor).serve(app).await;
    Ok(())
}

#[handler]
async fn plain() -> &'static str {
    "OK"
}

struct Login {
    password: String,
}

#[derive(Deserialize)]
struct Credentials {
    email: String,
    password: String,
}

#[handler]
impl Login {
    async fn handle(&self, request: &mut Request, depot: &mut Depot, response: &mut Response) {
        let Ok(credentials) = request.parse_json::<Credentials>().await else {
            return invalid(response, "Email and password are required.");
        };
        if credentials.password != self.password {
            return unauthenticated(response, "Invalid login.");
        }
        let Some(session) = depot.session_mut() else { return failed(response) };
        session.regenerate();
        session.set(USER, credentials.email);
        response.render("OK");
    }
}

#[handler]
async fn show(depot: &mut Depot, response: &mut Response) {
    match user(depot) {
        Some(user) => response.render(Json(json!({ "user": user, "all": { "user": user } }))),
        None => unauthenticated(response, "Authentication required."),
    }
}

struct Checkins {
    redis: ConnectionManager,
    log: String,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Checkin {
    user_id: u64,
    location_id: u64,
    star_rating: u8,
}

#[handler]
impl Checkins {
    async fn handle(&self, request: &mut Request, depot: &mut Depot, response: &mut Response) {
        if user(depot).is_none() {
            return unauthenticated(response, "Authentication required.");
        }
        let checkin = request.parse_json::<Checkin>().await;
        let Some(checkin) = checkin.ok().filter(|checkin| {
            checkin.user_id > 0 && checkin.location_id > 0 && checkin.star_rating <= MAX_RATING
        }) else {
            return invalid(response, "Invalid check-in.");
        };
        let fields = [
            ("userId", checkin.user_id.to_string()),
            ("locationId", checkin.location_id.to_string()),
            ("starRating", checkin.star_rating.to_string()),
        ];
        match self.redis.clone().xadd::<_, _, _, _, String>(&self.log, "*", &fields).await {
            Ok(id) => {
                response.status_code(StatusCode::ACCEPTED);
                drop(response.add_header("checkin-id", id, true));
            }
            Err(error) => {
                eprintln!("{error}");
                failed(response);
            }
        }
    }
}

fn user(depot: &Depot) -> Option<String> {
    depot.session()?.get(USER)
}

fn unauthenticated(response: &mut Response, why: &'static str) {
    response.status_code(StatusCode::UNAUTHORIZED);
    response.render(why);
}

fn invalid(response: &mut Response, why: &'static str) {
    response.status_code(StatusCode::BAD_REQUEST);
    response.render(why);
}

fn failed(response: &mut Response) {
    response.status_code(StatusCode::INTERNAL_SERVER_ERROR);
}
