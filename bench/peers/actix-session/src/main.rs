//! The routes of `express/service.js` on actix-web and actix-session with its Redis store, signed
//! cookies, and the time to live restarted on each request, as Express does.
//!
//! It reads the environment variables `STORE` (a Redis URL), `PREFIX` (of the check-in log, default
//! `ncc`) and `PASSWORD` (of every account, default `secret123`).

use std::env;

use actix_session::config::{BrowserSession, CookieContentSecurity, TtlExtensionPolicy};
use actix_session::storage::RedisSessionStore;
use actix_session::{Session, SessionMiddleware};
use actix_web::cookie::Key;
use actix_web::error::ErrorInternalServerError;
use actix_web::web::{self, Data, Json};
use actix_web::{App, HttpResponse, HttpServer, Responder};
use anyhow::{Context, Result};
use redis::aio::ConnectionManager;
use redis::{AsyncCommands, Client};
use serde::Deserialize;
use serde_json::json;

const USER: &str = "user";
const MAX_RATING: u8 = 5;

#[actix_web::main]
async fn main() -> Result<()> {
    let or = |name, default: &str| env::var(name).unwrap_or_else(|_| default.to_owned());
    let url = or("STORE", "redis://127.0.0.1:6379");
    let store = RedisSessionStore::new(&url).await?;
    let redis = ConnectionManager::new(Client::open(url)?).await?;
    let log = format!("{}:checkins", or("PREFIX", "ncc"));
    let peer = Data::new(Peer { redis, log, password: or("PASSWORD", "secret123") });
    let key = Key::generate();
    let server = HttpServer::new(move || {
        let lifecycle = BrowserSession::default()
            .state_ttl_extension_policy(TtlExtensionPolicy::OnEveryRequest);
        let sessions = SessionMiddleware::builder(store.clone(), key.clone())
            .cookie_name("checkinapp".to_owned())
            .cookie_secure(false)
            .cookie_content_security(CookieContentSecurity::Signed)
            .session_lifecycle(lifecycle)
            .build();
        let with_session = web::scope("")
            .wrap(sessions)
            .route("/login", web::post().to(login))
            .route("/session", web::get().to(show))
            .route("/api/checkin", web::post().to(checkin));
        App::new()
            .app_data(peer.clone())
            .route("/plain", web::get().to(async || "OK"))
            .service(with_session)
    });
    let server = server.bind("127.0.0.1:0")?;
    println!("listening on {}", server.addrs().first().context("the server has no address")?);
    server.run().await?;
    Ok(())
}

struct Peer {
    redis: ConnectionManager,
    log: String,
    password: String,
}

#[derive(Deserialize)]
struct Login {
    email: String,
    password: String,
}

async fn login(
    peer: Data<Peer>,
    session: Session,
    Json(login): Json<Login>,
) -> actix_web::Result<HttpResponse> {
    if login.password != peer.password {
        return Ok(HttpResponse::Unauthorized().body("Invalid login."));
    }
    session.renew();
    session.insert(USER, login.email)?;
    Ok(HttpResponse::Ok().body("OK"))
}

async fn show(session: Session) -> actix_web::Result<impl Responder> {
    Ok(match session.get::<String>(USER)? {
        Some(user) => HttpResponse::Ok().json(json!({ "user": user, "all": { "user": user } })),
        None => unauthenticated(),
    })
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Checkin {
    user_id: u64,
    location_id: u64,
    star_rating: u8,
}

async fn checkin(
    peer: Data<Peer>,
    session: Session,
    Json(checkin): Json<Checkin>,
) -> actix_web::Result<HttpResponse> {
    if session.get::<String>(USER)?.is_none() {
        return Ok(unauthenticated());
    }
    if checkin.user_id == 0 || checkin.location_id == 0 || checkin.star_rating > MAX_RATING {
        return Ok(HttpResponse::BadRequest().body("Invalid check-in."));
    }
    let fields = [
        ("userId", checkin.user_id.to_string()),
        ("locationId", checkin.location_id.to_string()),
        ("starRating", checkin.star_rating.to_string()),
    ];
    let id: String =
        peer.redis.clone().xadd(&peer.log, "*", &fields).await.map_err(ErrorInternalServerError)?;
    Ok(HttpResponse::Accepted().insert_header(("checkin-id", id)).finish())
}

fn unauthenticated() -> HttpResponse {
    HttpResponse::Unauthorized().body("Authentication required.")
}
