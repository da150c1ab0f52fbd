//! Two instances of each service behind nginx, with the configuration of `deploy/nginx/`, restarted and
//! killed one after the other while clients use them.

use std::collections::HashSet;
use std::fs;
use std::process::Command;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use serde_json::json;
use testkit::{Client, Method, Program, Response, Signal, free_port, until};
use tokio::task::JoinSet;

use crate::harness::{CHECKIN, EMAIL, PASSWORD, PATIENCE, Site, USER, at, expect_plain, log_in};

const SNIPPET: &str = include_str!("../../../../deploy/nginx/checkin.conf");
const ROUTES: &str = include_str!("../../../../deploy/nginx/checkin-routes.conf");

/// The services, the ports that the snippet has for their two instances, and what they log when they
/// listen.
const SERVICES: [(&str, [&str; 2], &str); 3] = [
    ("auth", ["127.0.0.1:8083", "127.0.0.1:8183"], "Authentication service listening"),
    ("receiver", ["127.0.0.1:8082", "127.0.0.1:8182"], "Checkin receiver listening"),
    ("api", ["127.0.0.1:8081", "127.0.0.1:8181"], "API service listening"),
];

/// Longer than nginx avoids an instance that was down, as the snippet says, even on a busy machine.
const DRAIN: &str = "4s";

/// The pause of a client between two requests, so that the load leaves time for other tests.
const PAUSE: Duration = Duration::from_millis(8);

/// A running instance of each service.
struct Instances {
    addresses: [String; 3],
    programs: Vec<Program>,
}

impl Instances {
    fn start(site: &Site) -> Instances {
        let addresses = [(); 3].map(|()| format!("127.0.0.1:{}", free_port()));
        let mut instances = Instances { addresses, programs: Vec::new() };
        instances.start_again(site);
        instances
    }

    fn start_again(&mut self, site: &Site) {
        let start = |((name, _, line), address): ((&str, _, &'static str), &String)| {
            let mut args = vec!["--listen", address, "--trust-proxy", "--drain", DRAIN];
            if name == "receiver" {
                args.extend(["--checkin-rate", "0", "--duplicate-window", "0"]);
            }
            (site.start(name, &args), line)
        };
        let started: Vec<_> = SERVICES.into_iter().zip(&self.addresses).map(start).collect();
        let ready = |(program, line): (Program, &str)| {
            program.wait_for_line(line, PATIENCE);
            program
        };
        self.programs = started.into_iter().map(ready).collect();
    }

    fn stop(&mut self) {
        self.programs.iter().for_each(|program| program.signal(Signal::SIGTERM));
        for program in &mut self.programs {
            assert_eq!(program.wait(PATIENCE).code(), Some(0), "{program:?}");
        }
    }
}

/// nginx in front of the instances.
struct Front {
    _nginx: Program,
    url: String,
    log: std::path::PathBuf,
}

impl Front {
    fn start(site: &Site, instances: [&Instances; 2]) -> Front {
        let (directory, port) = (site.directory.path(), free_port());
        let listen = format!("listen 127.0.0.1:{port};");
        let mut snippet = SNIPPET.replacen("listen 80;", &listen, 1);
        for (service, (_, addresses, _)) in SERVICES.iter().enumerate() {
            for (instance, address) in addresses.iter().enumerate() {
                let server = |address: &str| format!("server {address} ");
                let new = server(&instances[instance].addresses[service]);
                assert!(snippet.contains(&server(address)), "{address}");
                snippet = snippet.replace(&server(address), &new);
            }
        }
        let at = directory.display();
        let temporary: String = ["client_body", "proxy", "fastcgi", "uwsgi", "scgi"]
            .map(|kind| format!("{kind}_temp_path {at}/{kind};\n"))
            .concat();
        let main = format!(
            "daemon off; master_process off; pid {at}/nginx.pid; error_log stderr;\n\
             events {{}}\nhttp {{\n{temporary}\
             log_format tries '$upstream_addr | $upstream_status | $upstream_bytes_sent';\n\
             access_log {at}/access.log tries;\ninclude {at}/checkin.conf;\n}}\n"
        );
        fs::write(directory.join("checkin.conf"), snippet).unwrap();
        fs::write(directory.join("checkin-routes.conf"), ROUTES).unwrap();
        fs::write(directory.join("nginx.conf"), main).unwrap();
        let run = |more: &[&str]| {
            let path = std::env::var("PATH").unwrap_or_default();
            let mut nginx = Command::new("nginx");
            // Debian has it where only root looks for programs.
            nginx.env("PATH", format!("{path}:/usr/sbin")).arg("-p").arg(directory);
            nginx.arg("-c").arg(directory.join("nginx.conf")).args(more);
            Program::spawn(nginx)
        };
        let mut test = run(&["-t"]);
        assert_eq!(test.wait(PATIENCE).code(), Some(0), "{test:?}");
        let nginx = run(&[]);
        let url = format!("http://127.0.0.1:{port}");
        Front { _nginx: nginx, url, log: directory.join("access.log") }
    }

    /// The servers of each request so far, what they answered, and the bytes that each was sent.
    fn tries(&self) -> Vec<String> {
        let log = fs::read_to_string(&self.log).unwrap_or_default();
        log.lines().map(str::to_owned).collect()
    }
}

/// What clients do all the time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    LogIn,
    CheckIn,
    CheckInWithKey,
    Session,
    Read,
}

/// Clients that use the services, each over its own connections.
#[derive(Clone)]
struct Load {
    url: String,
    al: Client,
    ends: Arc<AtomicBool>,
    seen: Arc<Mutex<Seen>>,
}

#[derive(Default)]
struct Seen {
    count: usize,
    failed: Vec<(Kind, String)>,
    /// The ids of accepted check-ins.
    ids: Vec<String>,
}

impl Load {
    fn start(url: &str, al: &Client) -> (Load, JoinSet<()>) {
        let (url, al) = (url.to_owned(), al.clone());
        let load = Load { url, al, ends: Arc::default(), seen: Arc::default() };
        let mut clients = JoinSet::new();
        for kind in [Kind::LogIn, Kind::CheckIn, Kind::CheckInWithKey, Kind::Session, Kind::Read] {
            clients.spawn(load.clone().run(kind));
        }
        (load, clients)
    }

    async fn run(self, kind: Kind) {
        // Not the pool of the others.
        let mut client = Client::new(self.url);
        *client.jar_mut() = self.al.jar().clone();
        let mut number = 0;
        while !self.ends.load(Ordering::Relaxed) {
            number += 1;
            let (status, request) = match kind {
                Kind::LogIn => {
                    let body = json!({"email": EMAIL, "password": PASSWORD});
                    (200, client.request(Method::POST, "/login").without_jar().json(&body))
                }
                Kind::CheckIn => {
                    let body = at(number % 220 + 1, number % 6);
                    (202, client.request(Method::POST, CHECKIN).json(&body))
                }
                Kind::CheckInWithKey => {
                    let request = client.request(Method::POST, CHECKIN);
                    let key = format!("load {number}");
                    (202, request.header("idempotency-key", key).json(&at(number % 220 + 1, 5)))
                }
                Kind::Session => (200, client.request(Method::GET, "/session")),
                Kind::Read => {
                    (200, client.request(Method::GET, &format!("/api/user/{USER}/checkins")))
                }
            };
            let answer = request.try_send().await;
            self.seen.lock().unwrap().add(kind, status, answer);
            tokio::time::sleep(PAUSE).await;
        }
    }

    /// Waits for so many further requests.
    async fn goes_on(&self, count: usize) {
        let done = self.seen.lock().unwrap().count + count;
        until("the load goes on", async || self.seen.lock().unwrap().count >= done).await;
    }

    fn failed(&self) -> Vec<(Kind, String)> {
        self.seen.lock().unwrap().failed.clone()
    }
}

impl Seen {
    fn add<E: std::fmt::Debug>(&mut self, kind: Kind, status: u16, answer: Result<Response, E>) {
        self.count += 1;
        match answer {
            Ok(answer) if answer.status == status && answer.is_complete => {
                self.ids.extend(answer.header("checkin-id").map(str::to_owned));
            }
            Ok(answer) => self.failed.push((kind, answer.status.to_string())),
            Err(error) => self.failed.push((kind, format!("{error:?}"))),
        }
    }
}

/// Sends two check-ins at the same time, twice. nginx gives one of each two to each receiver. The first
/// receiver does not answer, and is killed when the other has. Returns what the clients get.
async fn killed_under_way(
    instances: &mut Instances,
    al: &Client,
    keys: [Option<&'static str>; 4],
) -> Vec<(Option<&'static str>, u16)> {
    instances.programs[1].signal(Signal::SIGSTOP);
    let (mut under_way, mut answers) = (JoinSet::new(), Vec::new());
    for pair in keys.chunks(2) {
        for key in pair.iter().copied() {
            let mut client = al.clone();
            under_way.spawn(async move {
                let request = client.request(Method::POST, CHECKIN).json(&at(1, 3));
                let request = match key {
                    Some(key) => request.header("idempotency-key", key),
                    None => request,
                };
                (key, request.send().await.status)
            });
        }
        answers.extend(under_way.join_next().await.unwrap());
    }
    instances.programs[1].kill();
    answers.extend(under_way.join_all().await);
    instances.programs.iter_mut().for_each(Program::kill);
    answers
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn no_request_fails_while_instances_are_restarted() {
    let site = Site::redis();
    let before = site.counts().0;
    let mut instances = [Instances::start(&site), Instances::start(&site)];
    let front = Front::start(&site, [&instances[0], &instances[1]]);
    let mut al = Client::new(&front.url);
    until("nginx listens", async || al.clone().request(Method::GET, "/").try_send().await.is_ok())
        .await;
    expect_plain(&log_in(&mut al).await, 200, "OK");
    assert_eq!(al.get("/metrics").await.status, 404);

    // A check-in that may have been accepted is sent again only with its key.
    let uses_all = async |instances: &[Instances; 2]| {
        let seen = front.tries().len();
        until("nginx uses all instances again", async || {
            let mut al = al.clone();
            al.request(Method::POST, CHECKIN).json(&json!({})).send().await;
            al.get("/session").await;
            al.get(&format!("/api/user/{USER}/checkins")).await;
            let tries = front.tries()[seen..].join("\n");
            let mut addresses = instances.iter().flat_map(|instance| &instance.addresses);
            addresses.all(|address| tries.contains(&format!("{address} |")))
        })
        .await;
    };
    uses_all(&instances).await;
    let keys = [None, None, Some("one"), Some("two")];
    let mut answers = killed_under_way(&mut instances[0], &al, keys).await;
    answers.sort_unstable();
    let one_of_each = [(None, 202), (None, 502), (Some("one"), 202), (Some("two"), 202)];
    assert_eq!(answers, one_of_each, "{:?}", front.tries());
    // A receiver that is not there refuses nothing.
    for _ in 0..2 {
        assert_eq!(al.clone().post(CHECKIN, &at(9, 3)).await.status, 202);
    }
    instances[0].start_again(&site);
    let accepted = 3 + 2;
    assert_eq!(site.counts().0 - before, accepted);

    // Each instance is restarted while clients use both.
    let (load, mut clients) = Load::start(&front.url, &al);
    for _ in 0..2 {
        for instance in &mut instances {
            load.goes_on(50).await;
            instance.stop();
            instance.start_again(&site);
        }
    }
    load.goes_on(50).await;
    assert_eq!(load.failed(), []);
    // And killed: then only what must not be sent twice fails.
    uses_all(&instances).await;
    instances[0].programs.iter_mut().for_each(Program::kill);
    load.goes_on(200).await;
    load.ends.store(true, Ordering::Relaxed);
    while let Some(ended) = clients.join_next().await {
        ended.unwrap();
    }
    let is_expected = |(kind, what): &(Kind, String)| {
        matches!(kind, Kind::LogIn | Kind::CheckIn) && what == "502"
    };
    let failed = load.failed();
    assert!(failed.iter().all(is_expected), "{failed:?}");

    let seen = std::mem::take(&mut *load.seen.lock().unwrap());
    let ids: HashSet<&String> = seen.ids.iter().collect();
    assert_eq!(ids.len(), seen.ids.len(), "two check-ins have one id");
    let lost = failed.iter().filter(|(kind, _)| *kind == Kind::CheckIn).count();
    let stored = (site.counts().0 - before - accepted) as usize;
    assert!((ids.len()..=ids.len() + lost).contains(&stored), "{stored} {} {lost}", ids.len());
    eprintln!("{} requests, {} check-ins, {failed:?} after kill -9", seen.count, ids.len());
    site.count_all();
    let doctor = site.run("doctor", &["--verify"]);
    assert!(doctor.stdout.contains("are the sums over the log"), "{}", doctor.stdout);
}
