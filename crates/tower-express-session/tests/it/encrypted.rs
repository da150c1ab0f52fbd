//! Sessions that are encrypted before they are stored.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use tower_express_session::accounts::{Outdated, Revoked};
use tower_express_session::store::encrypted::{EncryptedStore, EncryptionKeys};
use tower_express_session::store::{AccountStore, Created, Freshness, IndexedSession, Updated};
use tower_express_session::{AccountSessions, ConfigError, MemoryStore, SessionId, Store};

const ID_KEY: &str = "the key of the ids, which stays as it is";
const FIRST: &str = "the key of the last quarter, of its sessions";
const SECOND: &str = "the key of this quarter, also of its sessions";
const TTL: Duration = Duration::from_secs(100);

struct Setting {
    /// What a copy of the store contains.
    inner: Arc<MemoryStore>,
    keys: EncryptionKeys,
    store: Arc<EncryptedStore<Arc<MemoryStore>>>,
}

fn setting(keys: &[&str]) -> Setting {
    with_keys(Arc::new(MemoryStore::new()), keys)
}

fn with_keys(inner: Arc<MemoryStore>, keys: &[&str]) -> Setting {
    let keys = EncryptionKeys::new(ID_KEY, keys).unwrap();
    let store = Arc::new(EncryptedStore::new(Arc::clone(&inner), keys.clone()));
    Setting { inner, keys, store }
}

impl Setting {
    async fn created(&self, value: &'static str) -> SessionId {
        let id = SessionId::generate().unwrap();
        let created = self.store.create(&id, Bytes::from(value), TTL, Some(7)).await.unwrap();
        assert_eq!(created, Created::Stored);
        id
    }

    async fn load(&self, id: &SessionId) -> Option<Bytes> {
        let stored = self.store.load(id, Freshness::Latest).await.unwrap();
        stored.map(|stored| stored.value)
    }

    async fn sealed(&self, id: &SessionId) -> Option<Bytes> {
        let stored = self.inner.load(&self.store.inner_id(id), Freshness::Latest).await.unwrap();
        stored.map(|stored| stored.value)
    }

    async fn replace_sealed(&self, id: &SessionId, sealed: Bytes) {
        self.inner.overwrite(&self.store.inner_id(id), sealed, TTL).await.unwrap();
    }

    async fn update(&self, id: &SessionId, base: &'static str, value: &'static str) -> Updated {
        self.store.update(id, &Bytes::from(base), Bytes::from(value), TTL).await.unwrap()
    }
}

#[tokio::test]
async fn a_copy_of_the_store_contains_neither_ids_nor_values() {
    let site = setting(&[FIRST]);
    let id = site.created("{\"user\":\"al\"}").await;
    let mut session = IndexedSession::new(id.clone(), 1);
    session.device = "Netscape/4.0".to_owned();
    session.address = "192.0.2.77".to_owned();
    site.store.index("al", &session, TTL).await.unwrap();
    assert_eq!(site.store.indexed("al").await.unwrap(), [session]);

    let mut copy = format!("{:?}", site.inner.indexed("al").await.unwrap()).into_bytes();
    let mut sessions = 0;
    let mut visit = |id: SessionId, value: Bytes| {
        sessions += 1;
        copy.extend([id.as_str().as_bytes(), &value].concat());
    };
    site.inner.each(&mut visit).await.unwrap();
    assert_eq!(sessions, 1);
    for secret in [id.as_str(), "user", "\"al", "Netscape", "192.0.2.77"] {
        assert!(!copy.windows(secret.len()).any(|part| part == secret.as_bytes()), "{secret}");
    }
    let stolen = site.store.inner_id(&id);
    assert_eq!(site.load(&stolen).await, None, "a hash gives access to nothing");
}

#[tokio::test]
async fn only_what_a_key_encrypted_for_this_place_is_a_session() {
    let site = setting(&[FIRST]);
    let (id, other) = (site.created("mine").await, site.created("theirs").await);
    let good = site.sealed(&id).await.unwrap();
    let mut forged = vec![
        Bytes::from("mine"),
        Bytes::from("{\"cookie\":{},\"user\":\"al\"}"),
        Bytes::new(),
        site.sealed(&other).await.unwrap(),
        good.slice(..good.len() - 1),
        Bytes::from([&good[..], b"x"].concat()),
    ];
    forged.extend((0..good.len()).map(|at| {
        let mut bytes = good.to_vec();
        bytes[at] ^= 1;
        Bytes::from(bytes)
    }));
    for sealed in forged {
        site.replace_sealed(&id, sealed.clone()).await;
        assert_eq!(site.load(&id).await, None, "{sealed:?}");
        assert_eq!(site.update(&id, "mine", "new").await, Updated::Gone, "{sealed:?}");
        assert_eq!(site.sealed(&id).await, Some(sealed), "nothing is deleted or changed");
        let mut visited = Vec::new();
        site.store.each(&mut |id, value| visited.push((id, value))).await.unwrap();
        assert_eq!(visited, [(other.clone(), Bytes::from("theirs"))]);
    }
    site.replace_sealed(&id, good).await;
    assert_eq!(site.load(&id).await.as_deref(), Some(&b"mine"[..]));

    // A session without encryption, under its own id, is not found, and stays.
    let plain = SessionId::generate().unwrap();
    site.inner.create(&plain, Bytes::from("plain"), TTL, None).await.unwrap();
    assert_eq!(site.load(&plain).await, None);
    assert!(!site.store.destroy(&plain, TTL).await.unwrap());
    assert!(site.inner.load(&plain, Freshness::Latest).await.unwrap().is_some());
}

#[tokio::test]
async fn an_entry_of_the_index_belongs_to_one_account_and_is_no_session() {
    let site = setting(&[FIRST]);
    let id = site.created("value").await;
    site.store.index("al", &IndexedSession::new(id.clone(), 1), TTL).await.unwrap();
    let entry = site.inner.indexed("al").await.unwrap().remove(0);
    site.inner.index("bo", &entry, TTL).await.unwrap();
    site.inner.index("bo", &IndexedSession::new(id.clone(), 1), TTL).await.unwrap();
    assert_eq!(site.store.indexed("bo").await.unwrap(), []);
    assert_eq!(site.store.indexed("al").await.unwrap().len(), 1);
}

#[tokio::test]
async fn keys_are_replaced_while_sessions_are_in_use() {
    let site = setting(&[FIRST]);
    let (used, unused) = (site.created("used").await, site.created("unused").await);
    let (written, by_first) = (site.created("one").await, site.sealed(&used).await);

    site.keys.replace(ID_KEY, [SECOND, FIRST]).unwrap();
    // A request that loaded the session before writes it afterwards.
    assert_eq!(site.update(&written, "other", "two").await, Updated::Changed(Bytes::from("one")));
    assert_eq!(site.update(&written, "one", "two").await, Updated::Stored);
    let stored = site.store.load(&used, Freshness::Cached).await.unwrap().unwrap();
    assert_eq!((&stored.value[..], stored.epoch), (&b"used"[..], Some(7)));
    assert_ne!(site.sealed(&used).await, by_first, "the first key encrypts it when it is loaded");
    let mut visited = Vec::new();
    site.store.each(&mut |id, _| visited.push(id)).await.unwrap();
    assert_eq!(visited.len(), 3);

    site.keys.replace(ID_KEY, [SECOND]).unwrap();
    assert_eq!(site.load(&used).await.as_deref(), Some(&b"used"[..]));
    assert_eq!(site.load(&written).await.as_deref(), Some(&b"two"[..]));
    assert_eq!(site.load(&unused).await, None);
    assert!(site.sealed(&unused).await.is_some(), "it is left to those who can read it");

    let service_with_other_id_key = EncryptionKeys::new(FIRST, [SECOND]).unwrap();
    let other = EncryptedStore::new(site.inner.clone(), service_with_other_id_key);
    assert_eq!(other.load(&used, Freshness::Latest).await.unwrap(), None);
}

#[tokio::test]
async fn sessions_of_an_account_are_found_and_ended_beside_some_that_cannot_be_read() {
    let site = setting(&[FIRST]);
    let unreadable = with_keys(site.inner.clone(), &[SECOND]);
    let value = r#"{"cookie":{"originalMaxAge":null},"user":"al"}"#;
    let (id, foreign) = (site.created(value).await, unreadable.created(value).await);
    let plain = SessionId::generate().unwrap();
    site.inner.create(&plain, Bytes::from(value), TTL, Some(7)).await.unwrap();

    let sessions = AccountSessions::new(Arc::clone(&site.store), "user");
    let listed = sessions.scan("al").await.unwrap();
    assert_eq!(listed.iter().map(|session| &session.handle).collect::<Vec<_>>(), [&id.handle()]);
    assert_eq!(sessions.accounts().await.unwrap(), ["al"]);
    let outdated = HashMap::from([("al".to_owned(), Outdated::before(8))]);
    let mut revoked = Revoked::default();
    sessions.revoke_scanned(&outdated, &mut revoked).await.unwrap();
    assert_eq!(revoked.number(), 1);
    assert_eq!(site.load(&id).await, None);
    assert!(unreadable.load(&foreign).await.is_some());
    assert!(site.inner.load(&plain, Freshness::Latest).await.unwrap().is_some());
}

#[test]
fn wrong_keys_are_named() {
    let rule = |error: ConfigError| error.to_string();
    let new = |id_key: &str, keys: &[&str]| EncryptionKeys::new(id_key, keys);
    let short = "option key: must be at least 32 bytes long";
    assert_eq!(rule(new(&FIRST[..31], &[FIRST]).unwrap_err()), short);
    assert_eq!(rule(new(ID_KEY, &[FIRST, ""]).unwrap_err()), short);
    assert_eq!(rule(new(ID_KEY, &[]).unwrap_err()), "option keys: must not be empty");
    let keys = new(ID_KEY, &[FIRST]).unwrap();
    let other = rule(keys.replace(SECOND, [FIRST]).unwrap_err());
    assert!(other.starts_with("option id_key: must stay the same"), "{other}");
    assert_eq!(format!("{keys:?}"), "EncryptionKeys(1)");
}
