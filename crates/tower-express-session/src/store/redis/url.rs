//! The addresses of Redis deployments.

use redis::{ConnectionAddr, ConnectionInfo, IntoConnectionInfo};

use crate::error::ConfigError;

/// Where Redis is, and how its servers stand together.
#[derive(Debug)]
pub(super) enum Address {
    Server(ConnectionInfo),
    /// The sentinels, the name of their master, and how to log in at it (its address is a stand-in).
    Sentinel {
        sentinels: Vec<ConnectionAddr>,
        master: String,
        server: ConnectionInfo,
    },
    Cluster(Vec<ConnectionInfo>),
}

/// The port of a Redis server that the address leaves out.
const PORT: u16 = 6379;
/// The port of a sentinel that the address leaves out.
const SENTINEL_PORT: u16 = 26_379;

impl Address {
    /// Reads `redis://[user:password@]host:port[/db]`, `redis-sentinel://host:port,host:port/master[/db]`
    /// and `redis-cluster://host:port,host:port`; each with `rediss` for TLS.
    pub(super) fn parse(url: &str) -> Result<Self, ConfigError> {
        let (scheme, rest) = url.split_once("://").ok_or_else(|| rule("it has no scheme"))?;
        let (plain, topology) = match scheme.split_once('-') {
            Some((plain, topology)) => (plain, topology),
            None => (scheme, ""),
        };
        if !matches!(plain, "redis" | "rediss") {
            return Err(rule(
                "the scheme is redis://, rediss://, redis-sentinel:// or redis-cluster://",
            ));
        }
        let (login, rest) = rest.rsplit_once('@').map_or(("", rest), |(login, rest)| (login, rest));
        let (hosts, path) = rest.split_once('/').unwrap_or((rest, ""));
        let info = |host: &str, port: u16, db: &str| {
            let at = if login.is_empty() { "" } else { "@" };
            let host = if has_port(host) { host.to_owned() } else { format!("{host}:{port}") };
            let url = format!("{plain}://{login}{at}{host}/{db}");
            // The cause may quote the URL, and with it the password.
            url.into_connection_info()
                .map_err(|_| rule("host, port, user, password or database is not valid"))
        };
        match topology {
            "" => Ok(Self::Server(info(hosts, PORT, path)?)),
            "cluster" if !path.is_empty() => Err(rule("a cluster has no databases")),
            "cluster" => {
                let nodes = hosts.split(',').map(|host| info(host, PORT, ""));
                Ok(Self::Cluster(nodes.collect::<Result<_, _>>()?))
            }
            "sentinel" => {
                let (master, db) = path.split_once('/').unwrap_or((path, ""));
                if master.is_empty() {
                    return Err(rule(
                        "the name of the master is missing: redis-sentinel://host:port/master",
                    ));
                }
                let infos = hosts.split(',').map(|host| info(host, SENTINEL_PORT, db));
                let infos = infos.collect::<Result<Vec<_>, _>>()?;
                Ok(Self::Sentinel {
                    sentinels: infos.iter().map(|info| info.addr().clone()).collect(),
                    master: master.to_owned(),
                    server: infos[0].clone(),
                })
            }
            _ => Err(rule(
                "the scheme is redis://, rediss://, redis-sentinel:// or redis-cluster://",
            )),
        }
    }
}

fn has_port(host: &str) -> bool {
    host.rsplit_once(':').is_some_and(|(name, port)| !name.is_empty() && !port.contains(']'))
}

fn rule(rule: &str) -> ConfigError {
    ConfigError::option("store", format!("not a Redis address: {rule}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_every_form() {
        for url in [
            "redis://localhost",
            "redis://127.0.0.1:6380/3",
            "redis://user:p%40ss@h:1",
            "redis://:p@h:1/0",
            "rediss://h",
            "redis://[::1]:6379",
            "redis://[::1]",
        ] {
            assert!(matches!(Address::parse(url).unwrap(), Address::Server(_)), "{url}");
        }
        let Address::Sentinel { sentinels, master, server } =
            Address::parse("redis-sentinel://u:p@a:1,b/mymaster/2").unwrap()
        else {
            panic!("not a sentinel")
        };
        assert_eq!(
            sentinels,
            [ConnectionAddr::Tcp("a".into(), 1), ConnectionAddr::Tcp("b".into(), 26_379)]
        );
        assert_eq!((master.as_str(), server.redis_settings().db()), ("mymaster", 2));
        let Address::Cluster(nodes) = Address::parse("rediss-cluster://a:1,b:2").unwrap() else {
            panic!("not a cluster")
        };
        assert_eq!(nodes.len(), 2);
    }

    #[test]
    fn says_what_is_wrong_without_the_password() {
        for (url, says) in [
            ("localhost:6379", "no scheme"),
            ("http://localhost", "the scheme is"),
            ("redis-moon://localhost", "the scheme is"),
            ("redis-sentinel://u:hunter2@a:1", "name of the master"),
            ("redis-cluster://a:1/3", "no databases"),
            ("redis://u:hunter2@h:99999", "not valid"),
            ("redis://u:hunter2@h:1/x", "not valid"),
        ] {
            let error = Address::parse(url).unwrap_err().to_string();
            assert!(error.contains(says) && !error.contains("hunter2"), "{error}");
        }
    }
}
