//! What servers report of themselves.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

use redis_link::{Client, ErrorKind, Reply};

use crate::reply::{text, texts};

/// Sections of `INFO`, of every node.
#[derive(Default)]
pub(crate) struct Info {
    /// The address of each node of a cluster, or else an empty one, and its sections.
    nodes: BTreeMap<String, String>,
    /// The addresses of the nodes of a cluster that do not answer.
    silent: BTreeSet<String>,
    /// The commands that nodes of a cluster refuse, with their addresses.
    refused: BTreeMap<String, BTreeSet<String>>,
}

impl Info {
    /// Returns what nodes with some addresses would have reported.
    #[cfg(test)]
    pub(crate) fn of(nodes: Vec<String>) -> Self {
        let numbered = nodes.into_iter().enumerate();
        let nodes = numbered.map(|(number, node)| (number.to_string(), node)).collect();
        Self { nodes, ..Self::default() }
    }

    /// Asks each node, and adds what is read from its reply. What is forbidden is left out.
    async fn ask(
        &mut self,
        client: &Client,
        command: &str,
        field: &str,
        read: impl Fn(Reply) -> Option<String>,
    ) {
        let words: Vec<&[u8]> = command.split(' ').chain([field]).map(str::as_bytes).collect();
        for (address, reply) in client.call_each(&words).await.into_iter().flatten() {
            match reply {
                Ok(reply) => self.nodes.entry(address).or_default().extend(read(reply)),
                Err(error) if error.kind() == ErrorKind::Unavailable && !address.is_empty() => {
                    self.silent.insert(address);
                }
                Err(_) if !address.is_empty() => {
                    self.refused.entry(command.to_owned()).or_default().insert(address);
                }
                Err(_) => {}
            }
        }
    }

    /// Returns the addresses of the nodes of a cluster that do not answer.
    pub(crate) fn silent(&self) -> impl Iterator<Item = &str> {
        self.silent.iter().map(String::as_str)
    }

    /// Returns the commands that nodes of a cluster refuse, with their addresses.
    pub(crate) fn refused(&self) -> impl Iterator<Item = (&str, Vec<&str>)> {
        self.refused
            .iter()
            .map(|(command, nodes)| (command.as_str(), nodes.iter().map(String::as_str).collect()))
    }

    /// Returns the program of each node, from the section `server`.
    pub(crate) fn engines(&self) -> impl Iterator<Item = Engine> {
        self.nodes().filter_map(Engine::read)
    }

    /// Returns the sections of each node.
    pub(crate) fn nodes(&self) -> impl Iterator<Item = Node<'_>> {
        self.addressed_nodes().map(|(_, node)| node)
    }

    /// Returns the address and the sections of each node.
    pub(crate) fn addressed_nodes(&self) -> impl Iterator<Item = (&str, Node<'_>)> {
        self.nodes.iter().map(|(address, node)| (address.as_str(), Node(node)))
    }

    /// Returns the value of a field on each node.
    pub(crate) fn values<'a>(&'a self, field: &'a str) -> impl Iterator<Item = &'a str> {
        self.nodes().filter_map(move |node| node.field(field))
    }
}

/// Sections of `INFO` of one node, and its settings in the same form.
#[derive(Clone, Copy)]
pub(crate) struct Node<'a>(pub(crate) &'a str);

impl<'a> Node<'a> {
    pub(crate) fn field(self, name: &str) -> Option<&'a str> {
        let mut fields = self.0.lines().filter_map(|line| line.split_once(':'));
        fields.find(|(field, _)| *field == name).map(|(_, value)| value.trim())
    }

    pub(crate) fn number(self, name: &str) -> Option<u64> {
        self.field(name)?.parse().ok()
    }
}

/// A server's program, by its own name and version.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Engine {
    name: String,
    version: String,
    /// The release of Redis whose commands it supports.
    pub(crate) redis_version: String,
}

impl Engine {
    /// Reads the section `server`. Programs other than Redis have the compatible release of Redis in
    /// `redis_version`, and their own version in a field that begins with their name.
    fn read(section: Node<'_>) -> Option<Self> {
        let field = |name: &str| section.field(name).map(str::to_owned);
        let redis_version = field("redis_version")?;
        let own = [
            ("Valkey", "valkey_version"),
            ("Dragonfly", "dragonfly_version"),
            ("KeyDB", "keydb_version"),
            ("Kvrocks", "kvrocks_version"),
            ("Garnet", "garnet_version"),
        ];
        let mut own = own.into_iter().filter_map(|(name, version)| Some((name, field(version)?)));
        let (name, version) = match (own.next(), field("server_name")) {
            (Some((name, version)), _) => (name.to_owned(), version),
            (None, Some(name)) => {
                let version = field(&format!("{name}_version"));
                (name, version.unwrap_or_else(|| redis_version.clone()))
            }
            (None, None) => ("Redis".to_owned(), redis_version.clone()),
        };
        // Dragonfly writes `df-v1.2.3`.
        let version = version.trim_start_matches("df-").trim_start_matches('v').to_owned();
        Some(Self { name, version, redis_version })
    }
}

impl fmt::Display for Engine {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}", self.name, self.version)?;
        match self.version == self.redis_version {
            true => Ok(()),
            false => write!(f, " (compatible with Redis {})", self.redis_version),
        }
    }
}

/// The command that returns a setting.
pub(crate) const CONFIG_GET: &str = "CONFIG GET";

/// The settings that the doctor looks at. One command for each: `CONFIG GET` takes several names since Redis 7.0 only.
const SETTINGS: [&str; 5] = [
    "appendfsync",
    "no-appendfsync-on-rewrite",
    "auto-aof-rewrite-percentage",
    "min-replicas-to-write",
    "timeout",
];

/// Returns sections of `INFO` of each server, as far as they are not forbidden.
pub(crate) async fn info(client: &Client, sections: &[&str]) -> Info {
    let mut info = Info::default();
    for section in sections {
        info.ask(client, "INFO", section, |reply| text(reply).ok()).await;
    }
    info
}

/// Returns what each server reports of itself in these sections of `INFO`, and its settings, as far as they are not
/// forbidden.
pub(crate) async fn facts(client: &Client, sections: &[&str]) -> Info {
    let mut facts = info(client, sections).await;
    for name in SETTINGS {
        let read = |reply| Some(format!("{name}:{}\r\n", texts(reply).ok()?.pop()?));
        facts.ask(client, CONFIG_GET, name, read).await;
    }
    facts
}

/// Returns whether `INFO` reports a cluster.
pub(crate) async fn is_cluster(client: &Client) -> bool {
    let info = info(client, &["cluster"]).await;
    info.values("cluster_enabled").any(|value| value == "1")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_engine_has_its_own_name_and_version() {
        for (section, name) in [
            ("# Server\r\nredis_version:7.0.15\r\nredis_mode:standalone\r\n", "Redis 7.0.15"),
            (
                "# Server\r\nredis_version:7.2.4\r\nserver_name:valkey\r\nvalkey_version:9.1.2\r\n",
                "Valkey 9.1.2 (compatible with Redis 7.2.4)",
            ),
            (
                "redis_version:7.4.0\r\ndragonfly_version:df-v1.30.0\r\n",
                "Dragonfly 1.30.0 (compatible with Redis 7.4.0)",
            ),
            ("redis_version:6.3.4\r\nserver_name:futuredb\r\n", "futuredb 6.3.4"),
        ] {
            assert_eq!(Engine::read(Node(section)).unwrap().to_string(), name);
        }
        assert_eq!(Engine::read(Node("# Server\r\n")), None);
    }
}
