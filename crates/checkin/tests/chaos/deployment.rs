//! Redis in one of its forms, with two receivers, an authentication service and two processors.

use std::fmt;
use std::time::Duration;

use redis_link::{Client as Redis, Timeouts};
use serde_json::json;
use testkit::{Program, Proxy, RedisCluster, RedisServer, Sentinel};

use super::history::{LOCATIONS, PASSWORD, USERS};
use crate::harness::{Service, Site};

/// The form of Redis.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Form {
    /// One server with this `appendfsync`.
    Server(&'static str),
    /// One server behind a proxy, which can be cut or frozen.
    Proxy,
    /// A master with two replicas and three sentinels.
    Sentinel,
    /// Three primaries with a replica each.
    Cluster,
}

impl fmt::Display for Form {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Server(policy) => write!(f, "one server, appendfsync {policy}"),
            Self::Proxy => f.write_str("one server behind a TCP proxy"),
            Self::Sentinel => f.write_str("Sentinel, 1 + 2 + 3"),
            Self::Cluster => f.write_str("Cluster, 3 + 3"),
        }
    }
}

pub(crate) enum Servers {
    One(RedisServer),
    Proxy { proxy: Proxy, _server: RedisServer },
    Sentinel(Sentinel),
    Cluster(RedisCluster),
}

/// Running servers and services.
pub(crate) struct Deployment {
    pub(crate) servers: Servers,
    pub(crate) site: Site,
    pub(crate) receivers: Vec<Service>,
    pub(crate) auth: Service,
    pub(crate) processors: Vec<Program>,
    settings: Vec<String>,
}

impl Deployment {
    /// Starts everything, with users and locations loaded. `replicas` is the setting
    /// `--wait-replicas`.
    pub(crate) fn start(form: Form, replicas: u32) -> Self {
        let servers = match form {
            Form::Server(policy) => {
                let settings = ["--appendonly", "yes", "--appendfsync", policy];
                Servers::One(RedisServer::start_with(&settings))
            }
            Form::Proxy => {
                let server = RedisServer::start_with(&["--appendonly", "yes"]);
                let proxy = Proxy::start(server.port());
                Servers::Proxy { proxy, _server: server }
            }
            Form::Sentinel => Servers::Sentinel(Sentinel::start_with(2, 3)),
            Form::Cluster => Servers::Cluster(RedisCluster::with_replicas(3)),
        };
        let site = Site::at(match &servers {
            Servers::One(server) => server.url(),
            Servers::Proxy { proxy, .. } => format!("redis://127.0.0.1:{}", proxy.port()),
            Servers::Sentinel(sentinel) => sentinel.url(),
            Servers::Cluster(cluster) => cluster.url(),
        });
        let users: Vec<_> = (1..=USERS)
            .map(|id| {
                let email = format!("u{id}@example.com");
                json!({"id": id, "firstName": "U", "lastName": "V", "email": email, "password": PASSWORD})
            })
            .collect();
        let locations: Vec<_> = (1..=LOCATIONS)
            .map(|id| {
                let place = format!("4.{id:03},52.37");
                json!({"id": id, "name": format!("L{id}"), "category": "bar", "location": place})
            })
            .collect();
        let file = site.directory.path().join("people.json");
        std::fs::write(&file, json!({"users": users, "locations": locations}).to_string()).unwrap();
        let partitions = if form == Form::Cluster { "4" } else { "1" };
        // Loading may take longer than a request.
        let load = ["--partitions", partitions, file.to_str().unwrap()];
        let loaded = site.run("load", &load);
        assert_eq!(loaded.code, 0, "{}{}", loaded.stdout, loaded.stderr);
        let replicas = replicas.to_string();
        let limits = ["--store-timeout", "250ms", "--wait-replicas", &replicas];
        let settings: Vec<String> =
            load[..2].iter().chain(&limits).copied().map(str::to_owned).collect();
        let auth = site.auth(&settings.iter().map(String::as_str).collect::<Vec<_>>());
        let mut deployment =
            Self { servers, auth, receivers: Vec::new(), processors: Vec::new(), site, settings };
        deployment.receivers = (0..2).map(|_| deployment.receiver()).collect();
        deployment.processors =
            ["one", "two"].map(|name| deployment.processor(name)).into_iter().collect();
        deployment
    }

    pub(crate) fn receiver(&self) -> Service {
        let open = ["--no-auth", "--checkin-rate", "0", "--duplicate-window", "0"];
        self.site.receiver(&self.settings(&open))
    }

    pub(crate) fn processor(&self, name: &str) -> Program {
        self.site.processor(&self.settings(&["--lease", "1s", "--name", name]))
    }

    fn settings<'a>(&'a self, more: &[&'a str]) -> Vec<&'a str> {
        self.settings.iter().map(String::as_str).chain(more.iter().copied()).collect()
    }

    /// Returns a client with the patience of an observer.
    pub(crate) fn redis(&self) -> Redis {
        let patience = Duration::from_secs(10);
        Redis::with_timeouts(&self.site.store, Timeouts { connect: patience, response: patience })
            .unwrap()
    }

    /// Waits until everything is applied, and returns whether a recount finds no difference.
    pub(crate) fn is_verified(&self) -> bool {
        let doctor = self.settings(&[]);
        self.site.wait_for_doctor(&doctor, " 0 check-ins wait to be applied");
        let verified = self.site.run("doctor", &self.settings(&["--verify"])).stdout;
        verified.contains("are the sums over the log")
    }
}
