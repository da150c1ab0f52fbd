//! The addresses of Redis deployments.

mod hosts;
mod parts;

use std::fmt;
use std::str::FromStr;

use redis::{ConnectionAddr, ConnectionInfo, IntoConnectionInfo, RedisConnectionInfo};

use self::parts::{Parts, Topology, decoded};
use crate::error::{Error, rule};

/// The address of a Redis deployment.
///
/// - `redis://[user:password@]host:port[/db]`: one server
/// - `redis-sentinel://host:port,host:port/master[/db]`: the master of this name, as sentinels know it
/// - `redis-cluster://host:port,host:port`: a cluster, from any of its nodes on
///
/// Each is with `rediss` instead of `redis` for TLS. Ports may be left out. As in the registered
/// scheme, the database and the password may be parameters: `?db=2&password=p`. Sentinels are asked
/// without a login, and with that of the master where they require one; if they have their own, it is
/// `?sentinel_user=u&sentinel_password=p`.
///
/// Every part is used, or the address is refused. Its `Debug` shows no password.
///
/// ```
/// use redis_link::Address;
///
/// assert!("redis-sentinel://a,b,c/mymaster?db=2".parse::<Address>().is_ok());
/// let error = "redis://localhost:66000".parse::<Address>().unwrap_err();
/// assert!(error.to_string().starts_with("not a Redis address: a port must be a number"));
/// ```
#[derive(Clone)]
pub struct Address(pub(crate) Deployment);

/// How the servers stand together.
#[derive(Clone, Debug)]
pub(crate) enum Deployment {
    Server(ConnectionInfo),
    Sentinel(SentinelAddress),
    Cluster(Vec<ConnectionInfo>),
}

/// Sentinels, and the master that they know by a name.
#[derive(Clone, Debug)]
pub(crate) struct SentinelAddress {
    pub(crate) sentinels: Vec<ConnectionAddr>,
    pub(crate) master: String,
    /// The login and the database at the master.
    pub(crate) server: RedisConnectionInfo,
    /// The logins to try at the sentinels, in this order.
    pub(crate) logins: Vec<RedisConnectionInfo>,
    pub(crate) has_tls: bool,
}

impl FromStr for Address {
    type Err = Error;

    fn from_str(url: &str) -> Result<Self, Error> {
        Deployment::parse(url).map(Self)
    }
}

impl Address {
    pub(crate) fn has_tls(&self) -> bool {
        let is_tls = |address: &ConnectionAddr| matches!(address, ConnectionAddr::TcpTls { .. });
        match &self.0 {
            Deployment::Server(server) => is_tls(server.addr()),
            Deployment::Sentinel(address) => address.has_tls,
            Deployment::Cluster(nodes) => nodes.iter().any(|node| is_tls(node.addr())),
        }
    }
}

impl fmt::Debug for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Address").field(&self.0.name()).finish()
    }
}

impl Deployment {
    pub(crate) fn name(&self) -> &'static str {
        match self {
            Self::Server(_) => "server",
            Self::Sentinel(_) => "sentinel",
            Self::Cluster(_) => "cluster",
        }
    }

    fn parse(url: &str) -> Result<Self, Error> {
        let parts = Parts::split(url)?;
        let has_tls = parts.has_tls;
        match parts.topology {
            Topology::Server => {
                let server = parts.login(parts.database(parts.path)?)?;
                let mut addresses = hosts::addresses(parts.hosts, hosts::PORT, has_tls)?;
                match (addresses.pop(), addresses.is_empty()) {
                    (Some(address), true) => Ok(Self::Server(info(address, &server)?)),
                    _ => Err(rule("must name one host; several are sentinels or a cluster")),
                }
            }
            Topology::Cluster => {
                let server = parts.login(parts.database(parts.path)?)?;
                if server.db() != 0 {
                    return Err(rule("a cluster has database 0 only"));
                }
                let nodes = hosts::addresses(parts.hosts, hosts::PORT, has_tls)?.into_iter();
                nodes.map(|node| info(node, &server)).collect::<Result<_, _>>().map(Self::Cluster)
            }
            Topology::Sentinel => {
                let (master, database) = parts.path.split_once('/').unwrap_or((parts.path, ""));
                if master.is_empty() {
                    return Err(rule("must name the master: redis-sentinel://host:port/master"));
                }
                let server = parts.login(parts.database(database)?)?;
                Ok(Self::Sentinel(SentinelAddress {
                    sentinels: hosts::addresses(parts.hosts, hosts::SENTINEL_PORT, has_tls)?,
                    master: decoded(master, "the master's name")?,
                    logins: parts.sentinel_logins(&server)?,
                    server,
                    has_tls,
                }))
            }
        }
    }
}

pub(crate) fn info(
    address: ConnectionAddr,
    settings: &RedisConnectionInfo,
) -> Result<ConnectionInfo, Error> {
    let info = address.into_connection_info().map_err(|_| rule("must be an address"))?;
    Ok(info.set_redis_settings(settings.clone()))
}

#[cfg(test)]
mod tests;
