//! Check-ins as they happen.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpStream;
use std::time::{Duration, Instant};

use serde_json::Value;
use testkit::{Client, RedisServer};

use crate::harness::{CHECKIN, COOKIE, PATIENCE, Service, Site, accepted, at, expect_problem};

const DEMO_CHECKINS: usize = 19_735;

const PARTITIONS: [&str; 2] = ["--partitions", "3"];

/// An open stream, read on a thread of its own by blocking calls.
pub(crate) struct Events {
    lines: BufReader<TcpStream>,
}

#[derive(Debug)]
pub(crate) struct Event {
    id: String,
    pub(crate) checkin: Value,
}

impl Events {
    /// Opens the stream, behind the event of this id.
    pub(crate) fn open(api: &Service, client: &Client, after: Option<&str>) -> Events {
        Events::open_at(api, client, "", after)
    }

    /// The same, with a query.
    fn open_at(api: &Service, client: &Client, query: &str, after: Option<&str>) -> Events {
        let mut connection = TcpStream::connect(("127.0.0.1", api.port())).unwrap();
        connection.set_read_timeout(Some(PATIENCE)).unwrap();
        let cookie = client.jar().get(COOKIE).unwrap();
        let after = after.map(|id| format!("last-event-id: {id}\r\n")).unwrap_or_default();
        let request = format!(
            "GET /api/checkins/stream{query} HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\
             cookie: {COOKIE}={cookie}\r\n{after}\r\n"
        );
        connection.write_all(request.as_bytes()).unwrap();
        let mut lines = BufReader::new(connection);
        let mut status = String::new();
        lines.read_line(&mut status).unwrap();
        assert!(status.contains(" 200 "), "{status}");
        Events { lines }
    }

    /// The next event with data; none at the end of the stream.
    pub(crate) fn next(&mut self) -> Option<Event> {
        let (mut id, mut line) = (String::new(), String::new());
        loop {
            line.clear();
            if self.lines.read_line(&mut line).unwrap() == 0 {
                return None;
            }
            if let Some(text) = line.trim_end().strip_prefix("id: ") {
                id = text.to_owned();
            }
            if let Some(data) = line.strip_prefix("data: ") {
                return Some(Event { id, checkin: serde_json::from_str(data).unwrap() });
            }
        }
    }

    /// The id that comes before the first event.
    pub(crate) fn start(&mut self) -> String {
        let mut line = String::new();
        loop {
            line.clear();
            assert!(self.lines.read_line(&mut line).unwrap() > 0);
            if let Some(id) = line.trim_end().strip_prefix("id: ") {
                return id.to_owned();
            }
        }
    }

    /// How long it takes until the stream ends.
    fn end(mut self) -> Duration {
        let started = Instant::now();
        self.lines.read_to_end(&mut Vec::new()).unwrap();
        started.elapsed()
    }
}

struct Scene {
    auth: Service,
    receiver: Service,
    al: Client,
}

impl Scene {
    async fn on(site: &Site, args: &[&str]) -> Scene {
        let at_receiver = [&["--duplicate-window", "0", "--checkin-rate", "0"], args].concat();
        let (auth, receiver) = (site.auth(args), site.receiver(&at_receiver));
        let al = auth.logged_in().await;
        Scene { auth, receiver, al }
    }

    async fn check_in(&self, location: u64) -> String {
        let mut client = self.receiver.client_like(&self.al);
        accepted(&client.post(CHECKIN, &at(location, 5)).await)
    }
}

/// A Redis with the demo data in a log of so many partitions.
fn parted(args: &[&str]) -> Site {
    let site = Site::on(RedisServer::start());
    let loaded = site.run("load", &[args, &["--demo"]].concat());
    assert_eq!(loaded.code, 0, "{}{}", loaded.stdout, loaded.stderr);
    site
}

fn ids(events: &[Event]) -> Vec<String> {
    events.iter().map(|event| event.checkin["id"].as_str().unwrap().to_owned()).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn on_sqlite() {
    resumes_without_loss(&Site::sqlite(), &[]).await;
}

#[cfg(feature = "external-tests")]
#[tokio::test(flavor = "multi_thread")]
async fn on_redis() {
    resumes_without_loss(&Site::redis(), &[]).await;
}

#[cfg(feature = "external-tests")]
#[tokio::test(flavor = "multi_thread")]
async fn on_redis_with_partitions() {
    resumes_without_loss(&parted(&PARTITIONS), &PARTITIONS).await;
}

async fn resumes_without_loss(site: &Site, args: &[&str]) {
    let scene = Scene::on(site, args).await;
    let mut api = site.api(args);
    let mut first = Events::open(&api, &scene.al, None);
    let mut second = Events::open(&api, &scene.al, None);
    let start = first.start();
    let mut sent = Vec::new();
    for location in 1..=5 {
        sent.push(scene.check_in(location).await);
    }
    let mut seen: Vec<Event> = (0..5).map(|_| first.next().unwrap()).collect();
    assert_eq!(ids(&seen), sent);
    assert_eq!(ids(&(0..5).map(|_| second.next().unwrap()).collect::<Vec<_>>()), sent);
    assert_eq!(seen[4].checkin["locationId"], 5);
    assert_eq!(
        (&seen[4].checkin["firstName"], &seen[4].checkin["lastName"]),
        (&"Al".into(), &"Appelhof".into())
    );

    // The service is told to stop: its streams end, and with them the process.
    let stopped = Instant::now();
    assert_eq!(api.program.stop().code(), Some(0));
    assert!(stopped.elapsed() < Duration::from_secs(8), "{:?}", stopped.elapsed());
    assert!(first.next().is_none() && second.next().is_none());
    for location in 6..=8 {
        sent.push(scene.check_in(location).await);
    }
    api = site.api(args);
    for known in 0..=5 {
        let last = if known == 0 { &start } else { &seen[known - 1].id };
        let mut again = Events::open(&api, &scene.al, Some(last));
        let read: Vec<Event> = (known..8).map(|_| again.next().unwrap()).collect();
        assert_eq!(ids(&read), sent[known..], "after {last}");
        if known == 5 {
            seen.extend(read);
        }
    }
    // From the beginning, over many pages, into what happens now.
    let from_the_start = start.split(',').map(|_| "0-0").collect::<Vec<_>>().join(",");
    let mut everything = Events::open(&api, &scene.al, Some(&from_the_start));
    let mut read: Vec<Event> = (0..10_000).map(|_| everything.next().unwrap()).collect();
    for location in 9..=12 {
        sent.push(scene.check_in(location).await);
    }
    read.extend((read.len()..DEMO_CHECKINS + sent.len()).map(|_| everything.next().unwrap()));
    let mut read = ids(&read);
    // Each partition is in its order, and Al's check-ins are all in one.
    let al: Vec<&String> = read.iter().filter(|id| sent.contains(id)).collect();
    assert_eq!(al, sent.iter().collect::<Vec<_>>());
    read.sort_unstable();
    read.dedup();
    assert_eq!(read.len(), DEMO_CHECKINS + sent.len());
    scene_still_ends_with_the_session(scene, &api).await;
}

/// A stream ends soon after its session, which others do not notice.
async fn scene_still_ends_with_the_session(scene: Scene, api: &Service) {
    let other = scene.auth.logged_in().await;
    let mut others = Events::open(api, &other, None);
    let mine = Events::open(api, &scene.al, None);
    assert_eq!(scene.auth.client_like(&scene.al).get("/logout").await.status, 200);
    assert!(tokio::task::spawn_blocking(|| mine.end()).await.unwrap() < Duration::from_secs(10));
    let scene = Scene { al: other, ..scene };
    let id = scene.check_in(20).await;
    assert_eq!(ids(&[others.next().unwrap()]), [id]);
}

#[cfg(feature = "external-tests")]
#[tokio::test(flavor = "multi_thread")]
async fn what_comes_meanwhile_is_neither_lost_nor_repeated() {
    const CHECKINS: usize = 300;
    let args = ["--partitions", "4"];
    let site = parted(&args);
    let scene = Scene::on(&site, &args).await;
    let api = site.api(&args);
    let mut events = Events::open(&api, &scene.al, None);
    let mut client = scene.receiver.client_like(&scene.al);
    let sending = tokio::spawn(async move {
        let mut sent = Vec::new();
        for number in 0..CHECKINS {
            sent.push(accepted(&client.post(CHECKIN, &at(number as u64 % 50 + 1, 3)).await));
        }
        sent
    });
    let mut read: Vec<Event> = Vec::new();
    // Cut off again and again, it goes on behind the last event each time.
    while read.len() < CHECKINS {
        let event = events.next().unwrap();
        read.push(event);
        if read.len().is_multiple_of(17) {
            events = Events::open(&api, &scene.al, Some(&read.last().unwrap().id));
        }
    }
    assert_eq!(ids(&read), sending.await.unwrap());
}

/// A browser that is refused gives up for good, so its header never is.
#[cfg(feature = "external-tests")]
#[tokio::test(flavor = "multi_thread")]
async fn a_position_of_another_log_begins_at_the_end() {
    for (site, args, foreign) in
        [(Site::sqlite(), &[][..], "1-1,1-1"), (parted(&PARTITIONS), &PARTITIONS[..], "1-1")]
    {
        let scene = Scene::on(&site, args).await;
        let api = site.api(args);
        let end = Events::open(&api, &scene.al, None).start();
        let long = ["1-1"; 2000].join(",");
        let far = end.split(',').map(|_| "9007199254740991-0").collect::<Vec<_>>().join(",");
        for id in ["x", "7", "-1-0", "\u{e9}", "1-1,", ",", "null", foreign, &long, &far] {
            assert_eq!(Events::open(&api, &scene.al, Some(id)).start(), end, "after {id:.40}");
        }
        let mut client = api.client_like(&scene.al);
        for id in ["x", "7", "-1-0", "%C3%A9", "1-1,", ""] {
            let response = client.get(&format!("/api/checkins/stream?lastEventId={id}")).await;
            expect_problem(&response, 400, &["lastEventId"]);
        }
        let mut events = Events::open_at(&api, &scene.al, &format!("?lastEventId={foreign}"), None);
        assert_eq!(events.start(), end);
        let sent = scene.check_in(7).await;
        assert_eq!(ids(&[events.next().unwrap()]), [sent]);
    }
}
