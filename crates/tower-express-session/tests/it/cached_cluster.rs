//! Cached reads on a cluster: after a logout has returned, no cache accepts the session, however its
//! slot moves.

use std::sync::atomic::{AtomicUsize, Ordering::SeqCst};
use std::thread;
use std::time::{Duration, Instant};

use redis_link::{Client, hash_slot};
use testkit::{RedisCluster, RedisServer, Rng, random, wait_until};
use tokio::runtime::Runtime;
use tower_express_session::store::Freshness;
use tower_express_session::store::redis::{CacheOptions, RedisStore};
use tower_express_session::{SessionId, Store};

use crate::backend::patient;
use crate::staleness::Reader;

const PREFIX: &str = "ncc:session:";
const LEASE: Duration = Duration::from_millis(250);
const READERS: usize = 2;

/// The number of races for each fault, in place of which the environment variable `RACES` sets
/// another one.
const RACES: usize = 1;

struct Races {
    cluster: RedisCluster,
    runtime: Runtime,
    /// The store that logs out.
    store: RedisStore,
    chance: Rng,
    races: usize,
    /// The number of cached reads, for the report.
    cached: usize,
}

impl Races {
    fn start() -> Self {
        let cluster = RedisCluster::with_replicas(3);
        let client = Client::open(&cluster.url()).unwrap();
        let store = RedisStore::new(client).prefix(PREFIX).destroy_waits(LEASE);
        let races = std::env::var("RACES").ok().map_or(RACES, |races| races.parse().unwrap());
        Self {
            cluster,
            runtime: Runtime::new().unwrap(),
            store,
            chance: random(),
            races,
            cached: 0,
        }
    }

    /// Returns a new session in a slot of this server.
    fn session_of(&self, server: usize) -> (SessionId, u16) {
        let slot = |id: &SessionId| hash_slot(&format!("{PREFIX}{}", id.as_str()));
        let mut ids = std::iter::repeat_with(|| SessionId::generate().unwrap());
        let id = ids.find(|id| self.cluster.owner(slot(id)) == server).unwrap();
        let value = r#"{"cookie":{},"v":0}"#;
        let ttl = Duration::from_secs(600);
        wait_until("the session is stored", || {
            let create = self.store.create(&id, value.into(), ttl, None);
            self.runtime.block_on(create).is_ok()
        });
        let slot = slot(&id);
        (id, slot)
    }

    /// Logs out while something happens to the session's slot. Nothing must accept the session
    /// afterwards; a primary that was suspended may, but no cache.
    fn race(
        &mut self,
        what: &str,
        server: usize,
        before: impl FnOnce(&mut RedisCluster, u16),
        meanwhile: impl FnOnce(&RedisCluster, u16) + Send,
    ) {
        let (id, slot) = self.session_of(server);
        let url = self.cluster.url();
        let options = CacheOptions::default();
        let readers = [(); READERS].map(|()| Reader::start(&url, PREFIX, &id, options));
        for reader in &readers {
            wait_until("the session is cached", || reader.cached() > 20);
        }
        before(&mut self.cluster, slot);
        let delay = Duration::from_millis(self.chance.u64(..60));
        let cluster = &self.cluster;
        let ended = thread::scope(|scope| {
            let fault = scope.spawn(move || meanwhile(cluster, slot));
            thread::sleep(delay);
            wait_until("the session is destroyed", || {
                let destroy = self.store.destroy(&id, Duration::from_secs(600));
                self.runtime.block_on(destroy).is_ok()
            });
            let ended = Instant::now();
            fault.join().unwrap();
            ended
        });
        for reader in &readers {
            let before = reader.count();
            wait_until("the readers go on", || reader.count() > before + 200);
        }
        for reader in readers {
            self.cached += reader.cached();
            let accepted = reader.accepted_after(ended);
            let of_cache: Vec<_> = accepted.iter().filter(|(_, is_cached)| *is_cached).collect();
            assert!(of_cache.is_empty(), "{what}: {of_cache:?}");
            report(what, &accepted);
        }
    }
}

#[expect(clippy::print_stdout, reason = "the test reports what a primary accepted")]
fn report(what: &str, accepted: &[(Duration, bool)]) {
    if let Some((last, _)) = accepted.last() {
        println!("{what}: {} reads by an old primary, the last after {last:?}", accepted.len());
    }
}

/// Returns the servers of this part, the primary first.
fn roles(cluster: &RedisCluster, part: usize, slot: u16) -> [&RedisServer; 2] {
    let mut pair = [&cluster.servers()[part], &cluster.replicas()[part]];
    wait_until("one of them is the primary", || {
        let has = pair.map(|server| RedisCluster::has_slot(server, slot));
        if has == [false, true] {
            pair.reverse();
        }
        has[0] != has[1]
    });
    pair[0].wait_for_replicas(1);
    pair
}

/// Waits until a store returns a session from its cache.
fn becomes_cached(races: &Races, store: &RedisStore, id: &SessionId) {
    wait_until("the session is cached", || {
        let hits = store.cache_counts().unwrap().hits;
        let found = races.runtime.block_on(store.load(id, Freshness::Cached));
        matches!(found, Ok(Some(_))) && store.cache_counts().unwrap().hits > hits
    });
}

/// One after another, because they share a cluster.
#[test]
fn after_a_logout_no_cache_accepts_the_session_wherever_its_slot_went() {
    let mut races = Races::start();
    changes_on_each_primary_are_seen(&races);
    for _ in 0..races.races {
        slots_move_key_by_key(&mut races);
        primaries_are_replaced(&mut races);
    }
    sessions_of_a_new_primary_are_cached(&mut races);
    for _ in 0..races.races {
        a_suspended_primary_is_replaced(&mut races);
        a_killed_primary_is_replaced(&mut races);
    }
    assert!(races.cached > 0);
}

fn changes_on_each_primary_are_seen(races: &Races) {
    let cached = RedisStore::new(patient(&races.cluster.url())).prefix(PREFIX);
    let cached = cached.cached(CacheOptions::default());
    for server in 0..3 {
        let (id, _) = races.session_of(server);
        becomes_cached(races, &cached, &id);
        let (base, value) = (r#"{"cookie":{},"v":0}"#, r#"{"cookie":{},"v":1}"#);
        let (base, ttl) = (base.into(), Duration::from_secs(600));
        races.runtime.block_on(races.store.update(&id, &base, value.into(), ttl)).unwrap();
        wait_until("the change is seen", || {
            let found = races.runtime.block_on(cached.load(&id, Freshness::Cached)).unwrap();
            found.unwrap().value == value
        });
        becomes_cached(races, &cached, &id);
    }
    let counts = cached.cache_counts().unwrap();
    assert!(counts.invalidations >= 3, "{counts:?}");
    races.runtime.block_on(cached.shut_down());
}

fn slots_move_key_by_key(races: &mut Races) {
    let to = |from: usize| (from + 1) % 3;
    for from in 0..3 {
        let moves = |cluster: &RedisCluster, slot| cluster.move_slot(slot, from, to(from));
        races.race("a slot moves", from, |_, _| {}, moves);
        let and_back = |cluster: &RedisCluster, slot| {
            cluster.move_slot(slot, from, to(from));
            cluster.move_slot(slot, to(from), from);
        };
        races.race("a slot moves and comes back", from, |_, _| {}, and_back);
    }
}

fn primaries_are_replaced(races: &mut Races) {
    races.race("a planned fail-over", 0, |_, _| {}, |cluster, _| cluster.fail_over(0));
    let follows = |cluster: &mut RedisCluster, slot| {
        roles(cluster, 0, slot);
    };
    races.race("a planned fail-over", 0, follows, |cluster, _| cluster.fail_back(0));
    let (_, slot) = races.session_of(0);
    roles(&races.cluster, 0, slot);
}

fn sessions_of_a_new_primary_are_cached(races: &mut Races) {
    let new = races.cluster.add_server();
    let cached = RedisStore::new(patient(&races.cluster.url())).prefix(PREFIX);
    let cached = cached.cached(CacheOptions::default());
    let (id, slot) = races.session_of(1);
    becomes_cached(races, &cached, &id);
    races.cluster.move_slot(slot, 1, new);
    becomes_cached(races, &cached, &id);
    races.runtime.block_on(races.store.destroy(&id, Duration::from_secs(600))).unwrap();
    let found = races.runtime.block_on(cached.load(&id, Freshness::Cached)).unwrap();
    assert_eq!(found, None);
    races.runtime.block_on(cached.shut_down());
}

fn a_suspended_primary_is_replaced(races: &mut Races) {
    let longer = Duration::from_millis(races.chance.u64(..700));
    let suspended = &AtomicUsize::new(0);
    let suspend = |cluster: &mut RedisCluster, slot| {
        let [primary, _] = roles(cluster, 2, slot);
        suspended.store(usize::from(primary.port() != cluster.servers()[2].port()), SeqCst);
        primary.pause();
    };
    let resume = |cluster: &RedisCluster, slot| {
        let pair = [&cluster.servers()[2], &cluster.replicas()[2]];
        let old = suspended.load(SeqCst);
        wait_until("the other one is the primary", || RedisCluster::has_slot(pair[1 - old], slot));
        thread::sleep(longer);
        pair[old].resume();
        wait_until("it has noticed", || !RedisCluster::has_slot(pair[old], slot));
    };
    races.race("a suspended primary", 2, suspend, resume);
}

fn a_killed_primary_is_replaced(races: &mut Races) {
    let (_, slot) = races.session_of(1);
    let is_first = roles(&races.cluster, 1, slot)[0].port() == races.cluster.servers()[1].port();
    let kill = |cluster: &mut RedisCluster, _| match is_first {
        true => cluster.server_mut(1).kill(),
        false => cluster.replica_mut(1).kill(),
    };
    races.race("a killed primary", 1, kill, |_, _| {});
    match is_first {
        true => races.cluster.server_mut(1).restart(),
        false => races.cluster.replica_mut(1).restart(),
    }
    roles(&races.cluster, 1, slot);
}
