//! Listing and revoking the sessions of an account, on all stores.

use std::collections::HashMap;
use std::net::{IpAddr, Ipv4Addr};
use std::time::{Duration, UNIX_EPOCH};

use axum::Router;
use axum::http::Request;
use axum::http::header::{COOKIE, USER_AGENT};
use bytes::Bytes;
use testkit::{RedisServer, until};
use tower_express_session::accounts::{AccountOptions, Outdated, Revoked};
use tower_express_session::request::ClientAddress;
use tower_express_session::{AccountSessions, SessionId, SessionLayer, Store};

use crate::app::{SECRET, cookie_pair, id_in, routes, send, text, visit};
use crate::backend::{self, Backend};

const TTL: Duration = Duration::from_secs(1000);
const AL: &str = "al";
const ADDRESS: ClientAddress = ClientAddress(IpAddr::V4(Ipv4Addr::new(192, 0, 2, 1)));

fn now_ms() -> u128 {
    UNIX_EPOCH.elapsed().unwrap().as_millis()
}

/// An application with an index of its accounts' sessions.
struct Site {
    backend: Backend,
    accounts: AccountSessions,
    router: Router,
}

fn site(backend: Backend, options: impl FnOnce(AccountOptions) -> AccountOptions) -> Site {
    let layer = SessionLayer::builder(backend.store.clone(), [SECRET])
        .ttl(TTL)
        .account_sessions(options(AccountOptions::new("user")))
        .build()
        .unwrap();
    let accounts = layer.account_sessions().unwrap();
    Site { router: routes().layer(layer), backend, accounts }
}

impl Site {
    /// Logs in with a browser of this name.
    async fn log_in(&self, user: &str, browser: &str) -> String {
        let request = Request::get(format!("/login/{user}"));
        let request = request.header(USER_AGENT, browser).extension(ADDRESS);
        let cookie = cookie_pair(&send(&self.router, request).await);
        // Sessions are sorted by the millisecond in which they were created.
        let created_ms = now_ms();
        until("the next millisecond begins", async || now_ms() > created_ms).await;
        cookie
    }

    /// Creates a session as an Express service does, without indexing it.
    async fn log_in_at_express(&self, user: &str) -> SessionId {
        let id = SessionId::generate().unwrap();
        let value = Bytes::from(format!(r#"{{"cookie":{{"path":"/"}},"user":{user}}}"#));
        self.backend.store.overwrite(&id, value, TTL).await.unwrap();
        id
    }

    async fn look(&self, cookie: &str) -> String {
        text(visit(&self.router, "/look", cookie).await).await
    }

    /// Returns the browsers of the listed sessions.
    async fn devices(&self, account: &str) -> Vec<String> {
        let sessions = self.accounts.list(account).await.unwrap();
        sessions.into_iter().map(|session| session.device).collect()
    }

    async fn indexed(&self, account: &str) -> usize {
        self.backend.store.indexed(account).await.unwrap().len()
    }
}

#[tokio::test]
async fn logins_are_listed_with_the_newest_first() {
    for backend in backend::all().await {
        let site = site(backend, |accounts| accounts);
        let name = site.backend.name;
        let old = site.log_in(AL, "Old").await;
        site.log_in("eve", "Other").await;
        let new = site.log_in(AL, &"New".repeat(500)).await;
        let sessions = site.accounts.list(AL).await.unwrap();
        let [first, second] = &sessions[..] else { panic!("{name}: {sessions:?}") };
        assert_eq!(first.handle, id_in(&new).handle(), "{name}");
        assert_eq!(second.handle, id_in(&old).handle(), "{name}");
        assert_eq!((first.device.len(), second.device.as_str()), (256, "Old"), "{name}");
        assert_eq!(second.address, "192.0.2.1", "{name}");
        assert!(first.created_ms > second.created_ms && second.created_ms > 1_700_000_000_000);
        assert_eq!(first.last_seen_ms, first.created_ms);
        assert!(!first.handle.contains(id_in(&new).as_str()) && first.handle.len() == 22);
    }
}

#[tokio::test]
async fn sessions_that_ended_or_changed_accounts_are_not_listed_and_leave_the_index() {
    for backend in backend::all().await {
        let site = site(backend, |accounts| accounts);
        site.log_in(AL, "stays").await;
        let ended = site.log_in(AL, "ended").await;
        let changed = site.log_in(AL, "changed").await;
        let over = site.log_in(AL, "over").await;
        visit(&site.router, "/destroy", &ended).await;
        let value = Bytes::from(r#"{"cookie":{},"user":"eve"}"#);
        site.backend.store.overwrite(&id_in(&changed), value, TTL).await.unwrap();
        let second = Duration::from_secs(1);
        assert!(site.backend.store.touch(&id_in(&over), second).await.unwrap());
        site.backend.pass_time(id_in(&over).as_str(), second * 2);
        assert_eq!(site.indexed(AL).await, 4);
        assert_eq!(site.devices(AL).await, ["stays"], "{}", site.backend.name);
        assert_eq!(site.indexed(AL).await, 1, "{}", site.backend.name);
    }
}

#[tokio::test]
async fn one_session_is_revoked_by_its_handle() {
    for backend in backend::all().await {
        let site = site(backend, |accounts| accounts);
        let (first, second) = (site.log_in(AL, "first").await, site.log_in(AL, "second").await);
        let eve = site.log_in("eve", "eve's").await;
        let handle = id_in(&first).handle();
        assert!(
            !site.accounts.revoke("eve", &handle).await.unwrap(),
            "the session belongs to another account"
        );
        assert!(!site.accounts.revoke(AL, "nonsense").await.unwrap());
        assert!(
            !site.accounts.revoke(AL, id_in(&first).as_str()).await.unwrap(),
            "an id is not a handle"
        );
        assert!(site.accounts.revoke(AL, &handle).await.unwrap());
        assert!(!site.accounts.revoke(AL, &handle).await.unwrap(), "it has ended");
        assert_eq!(site.look(&first).await, "{}");
        assert_eq!(site.look(&second).await, r#"{"user":"al"}"#);
        assert_eq!(site.look(&eve).await, r#"{"user":"eve"}"#);
    }
}

#[tokio::test]
async fn revoking_the_others_includes_sessions_of_express() {
    for backend in backend::all().await {
        let site = site(backend, |accounts| accounts);
        let kept = site.log_in(AL, "kept").await;
        site.log_in(AL, "indexed").await;
        let express = site.log_in_at_express(r#""al""#).await;
        let eve = site.log_in_at_express(r#""eve""#).await;
        let ended = site.accounts.revoke_others(AL, &id_in(&kept)).await.unwrap();
        assert_eq!((ended, site.devices(AL).await), (2, vec!["kept".to_owned()]));
        let store = &site.backend.store;
        let is_stored = async |id| store.load(id, Default::default()).await.unwrap().is_some();
        assert!(!is_stored(&express).await && is_stored(&eve).await, "{}", site.backend.name);
        site.log_in_at_express(r#""al""#).await;
        assert_eq!(site.accounts.revoke_all(AL).await.unwrap(), 2);
        assert_eq!(site.look(&kept).await, "{}");
    }
}

#[tokio::test]
async fn revoke_before_ends_sessions_of_earlier_epochs_and_of_express() {
    for backend in backend::all().await {
        let site = site(backend, |accounts| accounts);
        let none = site.log_in(AL, "none").await;
        let express = site.log_in_at_express(r#""al""#).await;
        let eve = site.log_in_at_express(r#""eve""#).await;
        let in_epoch = async |epoch: u64| {
            let request = Request::get(format!("/login/al/{epoch}")).header(USER_AGENT, "x");
            cookie_pair(&send(&site.router, request).await)
        };
        let (before, then, after) = (in_epoch(0).await, in_epoch(1).await, in_epoch(2).await);
        assert_eq!(text(visit(&site.router, "/epoch", &then).await).await, "Some(1)");
        assert_eq!(text(visit(&site.router, "/epoch", &none).await).await, "None");

        assert_eq!(site.accounts.revoke_before(AL, 1).await.unwrap(), 3, "{}", site.backend.name);
        assert_eq!(site.accounts.revoke_before(AL, 1).await.unwrap(), 0);
        for (cookie, left) in [(&none, false), (&before, false), (&then, true), (&after, true)] {
            assert_eq!(site.look(cookie).await != "{}", left, "{}", site.backend.name);
        }
        let is_stored =
            async |id| site.backend.store.load(id, Default::default()).await.unwrap().is_some();
        assert!(!is_stored(&express).await && is_stored(&eve).await);

        // A new session has the epoch of its login, if there is one.
        assert_eq!(text(visit(&site.router, "/set/a", &then).await).await, "");
        assert_eq!(text(visit(&site.router, "/epoch", &then).await).await, "Some(1)");
        let next = cookie_pair(&visit(&site.router, "/regenerate", &then).await);
        assert_eq!(text(visit(&site.router, "/epoch", &next).await).await, "None");
    }
}

#[tokio::test]
async fn outdated_sessions_end_in_the_index_first_and_in_a_scan_for_several_accounts() {
    for backend in backend::all().await {
        let site = site(backend, |accounts| accounts);
        let in_epoch = async |user: &str, epoch: u64| {
            let request = Request::get(format!("/login/{user}/{epoch}")).header(USER_AGENT, "x");
            cookie_pair(&send(&site.router, request).await)
        };
        let (kept, old) = (in_epoch(AL, 0).await, in_epoch(AL, 0).await);
        let (new, eve) = (in_epoch(AL, 1).await, in_epoch("eve", 0).await);
        let express = site.log_in_at_express(r#""al""#).await;
        let bobs = site.log_in_at_express(r#""bob""#).await;
        let is_stored =
            async |id| site.backend.store.load(id, Default::default()).await.unwrap().is_some();
        let is_alive = async |cookie: &String| site.look(cookie).await != "{}";

        let outdated = Outdated::before(1).except(Some(id_in(&kept).handle()));
        let mut revoked = Revoked::default();
        site.accounts.revoke_indexed(AL, &outdated, &mut revoked).await.unwrap();
        assert_eq!(revoked.number(), 1);
        assert!(is_alive(&kept).await && is_alive(&new).await && !is_alive(&old).await);
        assert!(is_stored(&express).await, "a scan finds it");

        // A session that is in no index, because that is only a hint.
        let hidden = in_epoch(AL, 0).await;
        site.backend.store.unindex(AL, &[id_in(&hidden)]).await.unwrap();
        let accounts = HashMap::from([
            (AL.to_owned(), outdated),
            ("bob".to_owned(), Outdated::before(1)),
            ("nobody".to_owned(), Outdated::before(1)),
        ]);
        for _ in 0..2 {
            site.accounts.revoke_scanned(&accounts, &mut revoked).await.unwrap();
            assert_eq!(revoked.number(), 4);
        }
        assert!(!is_stored(&express).await && !is_stored(&bobs).await && !is_alive(&hidden).await);
        assert!(is_alive(&kept).await && is_alive(&new).await && is_alive(&eve).await);
        assert_eq!(site.accounts.list(AL).await.unwrap().len(), 2);

        let nobodys = site.log_in_at_express("[]").await;
        site.accounts.revoke_everybody(&mut revoked).await.unwrap();
        assert_eq!(revoked.number(), 7);
        assert!(!is_alive(&kept).await && !is_alive(&eve).await && is_stored(&nobodys).await);
    }
}

#[cfg(feature = "external-tests")]
#[tokio::test]
async fn an_ended_session_that_express_wrote_back_is_not_listed() {
    let site = site(backend::redis(RedisServer::start()), |accounts| accounts);
    let express = site.log_in_at_express(r#""al""#).await;
    assert_eq!(site.accounts.revoke_all(AL).await.unwrap(), 1);
    let value = Bytes::from(r#"{"cookie":{"path":"/"},"user":"al"}"#);
    site.backend.store.overwrite(&express, value, TTL).await.unwrap();
    assert_eq!(site.accounts.scan(AL).await.unwrap(), []);
}

#[tokio::test]
async fn a_session_is_added_to_the_index_without_those_of_others() {
    for backend in backend::all().await {
        let site = site(backend, |accounts| accounts);
        let own = site.log_in_at_express(r#""al""#).await;
        site.log_in_at_express(r#""al""#).await;
        let eves = site.log_in_at_express(r#""eve""#).await;
        let added = site.accounts.add(AL, &own).await.unwrap();
        assert_eq!(added.len(), 1, "{}", site.backend.name);
        assert_eq!(added[0].handle, own.handle());
        assert_eq!(site.accounts.add(AL, &eves).await.unwrap(), added);
    }
}

#[tokio::test]
async fn with_all_are_indexed_revocation_does_not_scan() {
    let site = site(backend::memory(), AccountOptions::all_are_indexed);
    site.log_in(AL, "indexed").await;
    site.log_in_at_express(r#""al""#).await;
    assert_eq!(site.accounts.revoke_all(AL).await.unwrap(), 1);
}

#[tokio::test]
async fn sessions_of_express_are_listed_after_a_scan() {
    for backend in backend::all().await {
        let site = site(backend, |accounts| accounts);
        site.log_in_at_express(r#""al""#).await;
        site.log_in_at_express("77").await;
        site.log_in_at_express("[1]").await;
        assert_eq!(site.accounts.list(AL).await.unwrap(), []);
        assert_eq!(site.accounts.scan(AL).await.unwrap().len(), 1);
        assert_eq!(site.accounts.list(AL).await.unwrap().len(), 1);
        assert_eq!(site.accounts.rebuild_index().await.unwrap(), 2, "two sessions have an account");
        assert_eq!(site.accounts.list("77").await.unwrap().len(), 1, "the account may be a number");
        site.log_in("eve", "Firefox").await;
        let indexed = site.accounts.list("eve").await.unwrap();
        assert_eq!(site.accounts.rebuild_index().await.unwrap(), 3);
        assert_eq!(
            site.accounts.list("eve").await.unwrap(),
            indexed,
            "existing index entries are unchanged"
        );
    }
}

#[tokio::test]
async fn a_login_beyond_the_maximum_ends_the_oldest_session() {
    for backend in backend::all().await {
        let site = site(backend, |accounts| accounts.max_sessions(2));
        let mut cookies = Vec::new();
        for browser in ["one", "two", "three", "four"] {
            cookies.push(site.log_in(AL, browser).await);
        }
        assert_eq!(site.devices(AL).await, ["four", "three"], "{}", site.backend.name);
        assert_eq!(site.look(&cookies[1]).await, "{}");
        assert_eq!(site.look(&cookies[2]).await, r#"{"user":"al"}"#);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn concurrent_logins_keep_the_maximum() {
    for backend in backend::all().await {
        let site = site(backend, |accounts| accounts.max_sessions(1));
        for _ in 0..20 {
            let (first, second) = tokio::join!(site.log_in(AL, "one"), site.log_in(AL, "two"));
            let looks = [site.look(&first).await, site.look(&second).await];
            let stay = looks.iter().filter(|json| json.contains("al")).count();
            assert_eq!((stay, site.devices(AL).await.len()), (1, 1), "{}", site.backend.name);
        }
    }
}

#[tokio::test]
async fn the_oldest_index_entries_are_removed_first() {
    let site = site(backend::memory(), |accounts| accounts);
    for _ in 0..103 {
        visit(&site.router, "/login/al", "").await;
    }
    assert_eq!(site.indexed(AL).await, 100);
}

#[tokio::test]
async fn named_by_maps_several_spellings_to_one_account() {
    let lower_case = |json: &str| Some(json.trim_matches('"').to_lowercase());
    let site = site(backend::memory(), |accounts| accounts.named_by(lower_case));
    site.log_in("Al", "one").await;
    site.log_in("AL", "two").await;
    assert_eq!(site.devices("al").await, ["two", "one"]);
}

#[tokio::test]
async fn a_touch_updates_the_index_entry() {
    for backend in backend::all().await {
        let site = site(backend, |accounts| accounts);
        let cookie = site.log_in(AL, "Firefox 1").await;
        let made = site.accounts.list(AL).await.unwrap().remove(0);
        site.backend.pass_time(id_in(&cookie).as_str(), TTL / 2);
        let request = Request::get("/look").header(COOKIE, &cookie);
        text(send(&site.router, request.header(USER_AGENT, "Firefox 2")).await).await;
        until("the index entry is updated", async || site.devices(AL).await == ["Firefox 2"]).await;
        let seen = site.accounts.list(AL).await.unwrap().remove(0);
        assert_eq!(seen.created_ms, made.created_ms, "{}", site.backend.name);
        assert!(seen.last_seen_ms > made.last_seen_ms, "{}", site.backend.name);
    }
}
