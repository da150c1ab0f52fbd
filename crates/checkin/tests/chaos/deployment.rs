//! A store in one of its forms, with two receivers, an authentication service and two processors.

use std::fmt;
use std::process::Command;
use std::time::{Duration, Instant};

use redis_link::{Client as Redis, Timeouts};
use serde_json::json;
use testkit::{Host, Program, Proxy, RedisCluster, RedisServer, Sentinel, free_port};

use super::books::{ALL_LOCATIONS, ALL_USERS, Books, Observed};
use super::clocks::{Clock, Clocks};
use super::history::PASSWORD;
use super::network::Network;
use super::sqlite_books;
use super::volume::Volume;
use crate::harness::{AUTH_READY, PATIENCE, PROCESSOR_READY, RECEIVER_READY, Service, Site};

/// The form of the store.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Form {
    /// One Redis with this `appendfsync`.
    Server(&'static str),
    /// One Redis behind a proxy, which can be cut, frozen or delayed.
    Proxy,
    /// A master with two replicas and three sentinels.
    Sentinel,
    /// Three primaries with a replica each.
    Cluster,
    /// An SQLite file.
    Sqlite,
}

impl fmt::Display for Form {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Server(policy) => write!(f, "one server, appendfsync {policy}"),
            Self::Proxy => f.write_str("one server behind a TCP proxy"),
            Self::Sentinel => f.write_str("Sentinel, 1 + 2 + 3"),
            Self::Cluster => f.write_str("Cluster, 3 + 3"),
            Self::Sqlite => f.write_str("SQLite"),
        }
    }
}

/// Where a deployment runs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Place {
    /// All of it on this machine.
    Here,
    /// On three hosts with a network between them. One Redis is alone on the first host. Of several
    /// servers, each host has some, and the first two hosts have a receiver and a processor each.
    Hosts,
    /// With clocks that can be set.
    Clocks,
    /// With the data on a volume that can be full.
    SmallVolume,
    /// With the data on a disk that can lose power.
    Disk,
}

/// What a place needs as long as something runs there.
pub(crate) enum World {
    Here,
    Hosts(Network),
    Clocks(Clocks),
    Volume(Volume),
}

pub(crate) enum Servers {
    One(RedisServer),
    Proxy { proxy: Proxy, _server: RedisServer },
    Sentinel(Sentinel),
    Cluster(RedisCluster),
    None,
}

/// A running program.
#[derive(Clone, Copy, Debug)]
enum Part {
    Server,
    Authentication,
    Receiver(usize),
    Processor(usize),
}

/// Running servers and services.
pub(crate) struct Deployment {
    pub(crate) receivers: Vec<Service>,
    pub(crate) auth: Service,
    pub(crate) processors: Vec<Program>,
    pub(crate) servers: Servers,
    pub(crate) world: World,
    site: Site,
    form: Form,
    settings: Vec<String>,
    /// Of the authentication service and the receivers, which keep them.
    ports: [u16; 3],
}

impl World {
    fn at(place: Place) -> Self {
        match place {
            Place::Here => Self::Here,
            Place::Hosts => Self::Hosts(Network::start()),
            Place::Clocks => Self::Clocks(Clocks::start()),
            Place::SmallVolume => Self::Volume(Volume::small()),
            Place::Disk => Self::Volume(Volume::disk()),
        }
    }

    fn host(&self, part: Part, form: Form) -> Host {
        match self {
            Self::Here | Self::Volume(_) => Host::local(),
            Self::Hosts(network) => {
                let alone = usize::from(matches!(form, Form::Server(_)));
                network.hosts()[match part {
                    Part::Server => 0,
                    Part::Authentication => 1,
                    Part::Receiver(number) | Part::Processor(number) => number + alone,
                }]
                .clone()
            }
            Self::Clocks(clocks) => match part {
                _ if form == Form::Sqlite => clocks.host(Clock::Services),
                Part::Server => clocks.host(Clock::Server),
                Part::Authentication => clocks.host(Clock::Authentication),
                Part::Receiver(0) => clocks.host(Clock::Receiver),
                Part::Processor(0) => clocks.host(Clock::Processor),
                Part::Receiver(_) | Part::Processor(_) => Host::local(),
            },
        }
    }

    /// Starts the servers. Returns them with the address of the store.
    fn start_servers(&self, form: Form) -> (Servers, String) {
        let hosts = match self {
            Self::Hosts(network) => network.hosts(),
            _ => vec![self.host(Part::Server, form)],
        };
        let (servers, url) = match form {
            Form::Server(policy) => {
                let mut settings = vec!["--appendonly", "yes", "--appendfsync", policy];
                if let Self::Volume(volume) = self {
                    settings.extend(["--dir", volume.path()]);
                }
                let server = RedisServer::start_on(&hosts[0], &settings);
                let url = server.url();
                (Servers::One(server), url)
            }
            Form::Proxy => {
                let server = RedisServer::start_with(&["--appendonly", "yes"]);
                let proxy = Proxy::start(server.port());
                let url = format!("redis://127.0.0.1:{}", proxy.port());
                (Servers::Proxy { proxy, _server: server }, url)
            }
            Form::Sentinel => {
                let sentinel = Sentinel::start_on(&hosts, 2, 3);
                let url = sentinel.url();
                (Servers::Sentinel(sentinel), url)
            }
            Form::Cluster => {
                let cluster = RedisCluster::with_replicas_on(&hosts, 3);
                let url = cluster.url();
                (Servers::Cluster(cluster), url)
            }
            Form::Sqlite => (Servers::None, String::new()),
        };
        (servers, url)
    }
}

impl Deployment {
    /// Starts everything, with users and locations loaded. `replicas` is the setting
    /// `--wait-replicas`.
    pub(crate) fn start(form: Form, replicas: u32, place: Place) -> Self {
        let world = World::at(place);
        let (servers, store) = world.start_servers(form);
        let mut site = Site::at(store);
        if form == Form::Sqlite {
            let directory = match &world {
                World::Volume(volume) => volume.path(),
                _ => site.directory.path().to_str().unwrap(),
            };
            site.store = format!("sqlite:{directory}/checkin.db");
        }
        let partitions = if form == Form::Cluster { "4" } else { "1" };
        let partitions = ["--partitions", partitions];
        load(&site, &partitions);
        let replicas = replicas.to_string();
        let limits = ["--store-timeout", "250ms", "--wait-replicas", &replicas];
        let settings: Vec<_> = partitions.iter().chain(&limits).map(ToString::to_string).collect();
        let ports = std::array::from_fn(|_| free_port());
        let auth = service(&site, &world, form, Part::Authentication, ports[0], &settings);
        let mut deployment = Self {
            receivers: Vec::new(),
            auth,
            processors: Vec::new(),
            servers,
            world,
            site,
            form,
            settings,
            ports,
        };
        deployment.start_services();
        deployment
    }

    /// Ends all services at once (SIGKILL).
    pub(crate) fn kill_services(&mut self) {
        self.auth.program.kill();
        self.receivers.clear();
        self.processors.clear();
    }

    /// Starts the services that do not run.
    pub(crate) fn start_services(&mut self) {
        if !self.auth.program.is_running() {
            self.auth = self.service(Part::Authentication, self.ports[0]);
        }
        for number in self.receivers.len()..2 {
            self.receivers.push(self.receiver(number));
        }
        for number in self.processors.len()..2 {
            self.processors.push(self.processor(number, ["one", "two"][number]));
        }
    }

    pub(crate) fn receiver(&self, number: usize) -> Service {
        self.service(Part::Receiver(number), self.ports[number + 1])
    }

    pub(crate) fn processor(&self, number: usize, name: &str) -> Program {
        let settings = self.settings(&["--lease", "1s", "--name", name]);
        let command = self.site.command("processor", &settings);
        let host = self.world.host(Part::Processor(number), self.form);
        let processor = Program::spawn(host.command(command));
        processor.wait_for_line(PROCESSOR_READY, PATIENCE);
        processor
    }

    /// Returns all services.
    pub(crate) fn programs(&self) -> Vec<&Program> {
        let receivers = self.receivers.iter().map(|receiver| &receiver.program);
        receivers.chain(&self.processors).chain([&self.auth.program]).collect()
    }

    /// Waits until everything is applied, and recounts it. Returns what the doctor said if the figures were not
    /// found to be the sums over the log.
    pub(crate) fn unverified(&self) -> Option<String> {
        let doctor = self.settings(&[]);
        self.site.wait_for_doctor(&doctor, " 0 check-ins wait to be applied");
        let said = self.site.run("doctor", &self.settings(&["--verify"]));
        let is_verified = said.stdout.contains("are the sums over the log");
        (!is_verified).then(|| format!("{}{}", said.stdout, said.stderr))
    }

    /// Waits until all deleted accounts are erased. A search that is interrupted begins again after half a minute.
    /// Returns those that are not erased then.
    pub(crate) async fn wait_for_erasures(&self) -> Vec<u64> {
        let begin = Instant::now();
        loop {
            let left = match self.file() {
                Some(path) => sqlite_books::not_erased(path),
                None => Observed(&self.observer()).not_erased().await,
            };
            if left.is_empty() || begin.elapsed() > PATIENCE {
                return left;
            }
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
    }

    /// Reads what is applied.
    pub(crate) async fn books(&self) -> Books {
        match self.file() {
            Some(path) => sqlite_books::books(path),
            None => Observed(&self.observer()).books().await,
        }
    }

    /// Returns the path of the SQLite file, if that is the store.
    fn file(&self) -> Option<&str> {
        self.site.store.strip_prefix("sqlite:")
    }

    fn observer(&self) -> Redis {
        let patience = Duration::from_secs(10);
        let timeouts = Timeouts { connect: patience, response: patience };
        Redis::with_timeouts(&self.site.store, timeouts).unwrap()
    }

    fn service(&self, part: Part, port: u16) -> Service {
        service(&self.site, &self.world, self.form, part, port, &self.settings)
    }

    fn settings<'a>(&'a self, more: &[&'a str]) -> Vec<&'a str> {
        self.settings.iter().map(String::as_str).chain(more.iter().copied()).collect()
    }
}

fn load(site: &Site, partitions: &[&str]) {
    let users: Vec<_> = (1..=ALL_USERS)
        .map(|id| {
            let email = format!("u{id}@example.com");
            json!({"id": id, "firstName": "U", "lastName": "V", "email": email, "password": PASSWORD})
        })
        .collect();
    let locations: Vec<_> = (1..=ALL_LOCATIONS)
        .map(|id| {
            let place = format!("4.{id:04},52.37");
            json!({"id": id, "name": format!("L{id}"), "category": "bar", "location": place})
        })
        .collect();
    let file = site.directory.path().join("people.json");
    std::fs::write(&file, json!({"users": users, "locations": locations}).to_string()).unwrap();
    let loaded = site.run("load", &[partitions, &[file.to_str().unwrap()]].concat());
    assert_eq!(loaded.code, 0, "{}{}", loaded.stdout, loaded.stderr);
}

/// Starts a service with a port.
fn service(
    site: &Site,
    world: &World,
    form: Form,
    part: Part,
    port: u16,
    settings: &[String],
) -> Service {
    let host = world.host(part, form);
    let (name, ready, more) = match part {
        Part::Authentication => ("auth", AUTH_READY, &[][..]),
        _ => {
            let open = &["--no-auth", "--checkin-rate", "0", "--duplicate-window", "0"][..];
            ("receiver", RECEIVER_READY, open)
        }
    };
    let mut command: Command = site.command(name, more);
    command.args(["--listen", &format!("{}:{port}", host.address())]).args(settings);
    Service::ready_at(host.address(), Program::spawn(host.command(command)), ready)
}
