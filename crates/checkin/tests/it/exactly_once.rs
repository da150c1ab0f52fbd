//! Every check-in that was accepted is in the log once and is counted once, whatever is killed.

use std::collections::{HashMap, HashSet};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use serde_json::json;
use sqlite_writer::rusqlite::Connection;
use testkit::{Client, Method, Program, wait_for};
use tokio::sync::watch;

use crate::harness::{CHECKIN, Service, Site};

const CHECKINS: u64 = 30_000;
const KILLS: u64 = 20;
const USERS: u64 = 1000;
const LOCATIONS: u64 = 220;

/// Requests under way at a time.
const VISITORS: u64 = 128;

/// A load that is slower than this hangs.
const LONG: Duration = Duration::from_secs(600);

/// Everybody may check in, as often as they like.
const ANYBODY: [&str; 5] = ["--no-auth", "--checkin-rate", "0", "--duplicate-window", "0"];
const PROCESSOR: [&str; 4] = ["--lease", "1s", "--batch", "500"];

/// People who check in until every visit has its 202.
#[derive(Clone)]
struct Load {
    /// Where the receivers are: it changes when they are started again.
    receivers: Arc<Mutex<Vec<Client>>>,
    next: Arc<AtomicU64>,
    retries: Arc<AtomicU64>,
    /// The id of each visit's check-in.
    accepted: Arc<watch::Sender<HashMap<u64, String>>>,
}

impl Load {
    fn on(receivers: Vec<Client>) -> Load {
        Load {
            receivers: Arc::new(Mutex::new(receivers)),
            next: Arc::default(),
            retries: Arc::default(),
            accepted: Arc::default(),
        }
    }

    async fn run(&self) {
        let visitors = (0..VISITORS).map(|_| tokio::spawn(self.clone().visit()));
        for visitor in visitors.collect::<Vec<_>>() {
            visitor.await.unwrap();
        }
    }

    async fn visit(self) {
        loop {
            let visit = self.next.fetch_add(1, Ordering::Relaxed);
            if visit >= CHECKINS {
                return;
            }
            let id = self.check_in(visit).await;
            self.accepted.send_modify(|accepted| drop(accepted.insert(visit, id)));
        }
    }

    async fn check_in(&self, visit: u64) -> String {
        // Neither in step with each other nor with the partitions.
        let body = json!({
            "userId": visit * 7919 % USERS + 1,
            "locationId": visit * 104_729 % LOCATIONS + 1,
            "starRating": visit * 31 / 7 % 6,
        });
        let key = format!("visit {visit}");
        loop {
            let mut client = {
                let receivers = self.receivers.lock().unwrap();
                receivers[visit as usize % receivers.len()].clone()
            };
            let request = client.request(Method::POST, CHECKIN).without_jar();
            let answer = request.header("idempotency-key", &key).json(&body).try_send().await;
            match answer {
                Ok(answer) if answer.status == 202 => {
                    return answer.header("checkin-id").unwrap().to_owned();
                }
                Ok(answer) => assert_eq!(answer.status, 503, "{}", answer.text()),
                // Killed, or not yet back.
                Err(_) => {}
            }
            self.retries.fetch_add(1, Ordering::Relaxed);
            // As a client does that is told to come again.
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    }

    /// Waits until so many parts of a hundred are accepted.
    async fn reaches(&self, percent: u64) {
        let mut accepted = self.accepted.subscribe();
        let reached = accepted.wait_for(|ids| ids.len() as u64 >= CHECKINS * percent / 100);
        tokio::time::timeout(LONG, reached).await.expect("the load goes on").unwrap();
    }

    fn ids(&self) -> HashSet<String> {
        let accepted = self.accepted.borrow();
        assert_eq!(accepted.len() as u64, CHECKINS);
        let ids: HashSet<String> = accepted.values().cloned().collect();
        assert_eq!(ids.len() as u64, CHECKINS, "two visits have one id");
        ids
    }
}

/// What the log comes to for a user or a location, and what its figures say.
#[derive(Debug, Default, PartialEq, Eq, Clone, Copy)]
struct Figures {
    checkins: u64,
    /// Of a location the stars, of a user the last check-in (ms).
    other: u64,
}

/// The log and the figures of a store, however it keeps them.
struct Books {
    log: Vec<(String, u64, u64, u64)>,
    users: HashMap<u64, Figures>,
    locations: HashMap<u64, Figures>,
}

impl Books {
    fn check(&self, accepted: &HashSet<String>, loaded: usize, retries: u64) {
        let ids: HashSet<&String> = self.log.iter().map(|(id, ..)| id).collect();
        assert_eq!(ids.len(), self.log.len(), "an id stands in the log twice");
        assert_eq!(accepted.iter().filter(|id| !ids.contains(id)).count(), 0, "lost");
        assert_eq!(self.log.len(), accepted.len() + loaded, "stored twice");
        let (mut users, mut locations) =
            (HashMap::<u64, Figures>::new(), HashMap::<u64, Figures>::new());
        for (id, user, location, stars) in &self.log {
            let ms = id.split('-').next().unwrap().parse().unwrap();
            let user = users.entry(*user).or_default();
            user.checkins += 1;
            user.other = user.other.max(ms);
            let location = locations.entry(*location).or_default();
            location.checkins += 1;
            location.other += stars;
        }
        let sum = |figures: &HashMap<u64, Figures>| {
            figures.values().map(|figures| figures.checkins).sum::<u64>()
        };
        eprintln!(
            "{} accepted, {retries} sent again; {} entries in the log; counted for users {}, for \
             locations {}; stars in the log {}, counted {}",
            accepted.len(),
            self.log.len(),
            sum(&self.users),
            sum(&self.locations),
            self.log.iter().map(|(_, _, _, stars)| stars).sum::<u64>(),
            self.locations.values().map(|figures| figures.other).sum::<u64>(),
        );
        assert_eq!(self.users, users);
        assert_eq!(self.locations, locations);
    }
}

/// Waits until nothing waits to be counted, and asks the doctor for a recount.
fn verify(site: &Site) {
    let started = Instant::now();
    let is_counted =
        || site.run("doctor", &[]).stdout.contains(" 0 check-ins wait to be applied").then_some(());
    wait_for(LONG, is_counted).expect("the processors go on");
    eprintln!("all counted {:?} later", started.elapsed());
    let doctor = site.run("doctor", &["--verify"]);
    assert!(doctor.stdout.contains("are the sums over the log"), "{}", doctor.stdout);
    assert_eq!(doctor.code, 0, "{}", doctor.stdout);
    let log = doctor.stdout.lines().find(|line| line.contains("the log has")).unwrap();
    eprintln!("{}", log.trim());
}

#[cfg(feature = "external-tests")]
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn on_redis_with_processors_and_redis_itself_killed() {
    let mut chance = testkit::random();
    let mut site = Site::lasting_redis();
    let loaded = site.counts().0 as usize;
    let receivers = [site.receiver(&ANYBODY), site.receiver(&ANYBODY)];
    let mut processors: Vec<Program> = (0..3).map(|_| site.processor(&PROCESSOR)).collect();
    let load = Load::on(receivers.iter().map(Service::client).collect());
    let running = tokio::spawn({
        let load = load.clone();
        async move { load.run().await }
    });
    let started = Instant::now();
    for kill in 0..KILLS {
        load.reaches(kill * 100 / KILLS + chance.u64(..100 / KILLS)).await;
        let victim = chance.usize(..3);
        processors[victim].kill();
        processors[victim] = site.processor(&PROCESSOR);
        if kill % 10 == 6 {
            site.server_mut().kill();
            // How long it is gone is up to chance.
            tokio::time::sleep(Duration::from_millis(chance.u64(..500))).await;
            site.server_mut().restart();
        }
    }
    running.await.unwrap();
    eprintln!("{CHECKINS} check-ins in {:?}", started.elapsed());
    verify(&site);
    redis_books(&site).check(&load.ids(), loaded, load.retries.load(Ordering::Relaxed));
    for mut processor in processors {
        assert_eq!(processor.stop().code(), Some(0));
    }
}

fn redis_books(site: &Site) -> Books {
    let mut connection = site.server().connection();
    let entries: Vec<(String, HashMap<String, String>)> =
        redis::cmd("XRANGE").arg("ncc:checkins").arg("-").arg("+").query(&mut connection).unwrap();
    let number = |fields: &HashMap<String, String>, name: &str| {
        fields.get(name).map_or(0, |value| value.parse::<u64>().unwrap())
    };
    let entry = |(id, fields): (String, HashMap<String, String>)| {
        let (user, location) = (number(&fields, "userId"), number(&fields, "locationId"));
        (id, user, location, number(&fields, "starRating"))
    };
    let mut figures = |kind: &str, other: &str, most: u64| {
        let mut all = HashMap::new();
        for id in 1..=most {
            let key = format!("ncc:{kind}:{id}");
            let fields = redis::cmd("HGETALL").arg(&key).query(&mut connection).unwrap();
            let base = format!("{{{key}}}:base");
            let base = redis::cmd("HGETALL").arg(base).query(&mut connection).unwrap();
            let checkins = number(&fields, "numCheckins") - number(&base, "numCheckins");
            let before = if other == "numStars" { number(&base, other) } else { 0 };
            let figures = Figures { checkins, other: number(&fields, other) - before };
            if checkins > 0 {
                all.insert(id, figures);
            }
        }
        all
    };
    let users = figures("user", "lastCheckin", USERS);
    let locations = figures("location", "numStars", LOCATIONS);
    Books { log: entries.into_iter().map(entry).collect(), users, locations }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn on_sqlite_with_the_whole_process_killed() {
    let mut chance = testkit::random();
    let site = Site::sqlite();
    let loaded = sqlite_books(&site).log.len();
    // `up` asks for sessions: two receivers that do not, and the processor, are as much of it.
    let start = || {
        let receivers = [site.receiver(&ANYBODY), site.receiver(&ANYBODY)];
        let clients = receivers.iter().map(Service::client).collect::<Vec<_>>();
        let mut programs: Vec<Program> =
            receivers.into_iter().map(|receiver| receiver.program).collect();
        programs.push(site.processor(&PROCESSOR));
        (programs, clients)
    };
    let (mut programs, clients) = start();
    let load = Load::on(clients);
    let running = tokio::spawn({
        let load = load.clone();
        async move { load.run().await }
    });
    let started = Instant::now();
    for kill in 0..KILLS {
        load.reaches(kill * 100 / KILLS + chance.u64(..100 / KILLS)).await;
        for program in &mut programs {
            program.kill();
        }
        let (again, clients) = start();
        programs = again;
        *load.receivers.lock().unwrap() = clients;
    }
    running.await.unwrap();
    eprintln!("{CHECKINS} check-ins in {:?}", started.elapsed());
    verify(&site);
    sqlite_books(&site).check(&load.ids(), loaded, load.retries.load(Ordering::Relaxed));
}

fn sqlite_books(site: &Site) -> Books {
    let path = site.store.strip_prefix("sqlite:").unwrap();
    let connection = Connection::open(path).unwrap();
    let rows = |sql: &str| {
        let mut statement = connection.prepare(sql).unwrap();
        let row = |row: &sqlite_writer::rusqlite::Row<'_>| {
            let id: String = row.get(0)?;
            Ok((
                id,
                row.get::<_, i64>(1)? as u64,
                row.get::<_, i64>(2)? as u64,
                row.get::<_, i64>(3)? as u64,
            ))
        };
        statement.query_map([], row).unwrap().collect::<Result<Vec<_>, _>>().unwrap()
    };
    let figures = |sql: &str| {
        let figures = |(_, id, checkins, other)| (id, Figures { checkins, other });
        rows(sql).into_iter().map(figures).collect()
    };
    Books {
        log: rows("SELECT ms || '-' || seq, user_id, location_id, stars FROM checkins"),
        users: figures(
            "SELECT '', id, num_checkins - base_checkins, last_checkin FROM users
             WHERE num_checkins > base_checkins",
        ),
        locations: figures(
            "SELECT '', id, num_checkins - base_checkins, num_stars - base_stars FROM locations
             WHERE num_checkins > base_checkins",
        ),
    }
}
