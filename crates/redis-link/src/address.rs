//! The addresses of Redis deployments.

mod hosts;
mod parts;

use std::fmt;
use std::str::FromStr;

use redis::{ConnectionAddr, ConnectionInfo, IntoConnectionInfo, RedisConnectionInfo};

use self::parts::{Parts, Topology, decoded};
use crate::client::Client;
use crate::error::{Error, rule};
use crate::tls::Tls;

/// The address of a Redis deployment.
///
/// - `redis://[user:password@]host:port[/db]`: one server
/// - `redis-sentinel://host:port,host:port/master[/db]`: the master that the sentinels know by this
///   name
/// - `redis-cluster://host:port,host:port`: the cluster to which these nodes belong
///
/// For TLS, each scheme begins with `rediss` instead of `redis`. Ports may be omitted. As in the
/// registered scheme, the database and the password may be parameters: `?db=2&password=p`. The
/// client connects to a sentinel first without a login, then with the login of the master. If the
/// sentinels have a login of their own, it is given as `?sentinel_user=u&sentinel_password=p`.
///
/// With TLS, `?ssl_ca_certs=FILE` names the certificate authorities to trust instead of the system's, and
/// `?ssl_certfile=FILE&ssl_keyfile=FILE` a client certificate with its key, as in the addresses of
/// redis-py. The files are in PEM, and are read when the address is parsed.
///
/// An address with a part that cannot be used is rejected. The `Debug` output shows no password.
///
/// ```
/// use redis_link::Address;
///
/// assert!("redis-sentinel://a,b,c/mymaster?db=2".parse::<Address>().is_ok());
/// let error = "redis://localhost:66000".parse::<Address>().unwrap_err();
/// assert!(error.to_string().starts_with("not a Redis address: a port must be a number"));
/// ```
#[derive(Clone)]
pub struct Address {
    pub(crate) deployment: Deployment,
    pub(crate) tls: Option<Tls>,
}

/// The kind of deployment, with its servers.
#[derive(Clone, Debug)]
pub(crate) enum Deployment {
    Server(ConnectionInfo),
    Sentinel(SentinelAddress),
    Cluster(Vec<ConnectionInfo>),
}

/// Sentinels, and the name of the master that they monitor.
#[derive(Clone, Debug)]
pub(crate) struct SentinelAddress {
    pub(crate) sentinels: Vec<ConnectionAddr>,
    pub(crate) master: String,
    /// The login and the database of the master.
    pub(crate) server: RedisConnectionInfo,
    /// The logins to try with the sentinels, in this order.
    pub(crate) logins: Vec<RedisConnectionInfo>,
    pub(crate) tls: Option<Tls>,
}

impl FromStr for Address {
    type Err = Error;

    fn from_str(url: &str) -> Result<Self, Error> {
        let parts = Parts::split(url)?;
        let tls = parts.tls()?;
        Ok(Self { deployment: Deployment::of(&parts, tls.as_ref())?, tls })
    }
}

impl Client {
    /// Returns the user with which the client logs in; `None` for the default user, and for a client made
    /// by [`from_connection`](Self::from_connection).
    #[must_use]
    pub fn user(&self) -> Option<&str> {
        let settings = match &self.address()?.deployment {
            Deployment::Server(server) => server.redis_settings(),
            Deployment::Sentinel(address) => &address.server,
            Deployment::Cluster(nodes) => nodes.first()?.redis_settings(),
        };
        settings.username()
    }
}

impl fmt::Debug for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Address").field(&self.deployment.name()).finish()
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

    fn of(parts: &Parts<'_>, tls: Option<&Tls>) -> Result<Self, Error> {
        match parts.topology {
            Topology::Server => {
                let server = parts.login(parts.database(parts.path)?)?;
                let mut addresses = hosts::addresses(parts.hosts, hosts::PORT, tls)?;
                match (addresses.pop(), addresses.is_empty()) {
                    (Some(address), true) => Ok(Self::Server(info(address, &server)?)),
                    _ => Err(rule(
                        "must name one host (redis-sentinel and redis-cluster take several)",
                    )),
                }
            }
            Topology::Cluster => {
                let server = parts.login(parts.database(parts.path)?)?;
                if server.db() != 0 {
                    return Err(rule("the database of a cluster must be 0"));
                }
                let nodes = hosts::addresses(parts.hosts, hosts::PORT, tls)?.into_iter();
                nodes.map(|node| info(node, &server)).collect::<Result<_, _>>().map(Self::Cluster)
            }
            Topology::Sentinel => {
                let (master, database) = parts.path.split_once('/').unwrap_or((parts.path, ""));
                if master.is_empty() {
                    return Err(rule("must name the master: redis-sentinel://host:port/master"));
                }
                let server = parts.login(parts.database(database)?)?;
                Ok(Self::Sentinel(SentinelAddress {
                    sentinels: hosts::addresses(parts.hosts, hosts::SENTINEL_PORT, tls)?,
                    master: decoded(master, "the master's name")?,
                    logins: parts.sentinel_logins(&server)?,
                    server,
                    tls: tls.cloned(),
                }))
            }
        }
    }
}

/// Returns how to connect to an address. Connections with a login do not name the client library: an access list would
/// have to permit `CLIENT SETINFO`, and Redis 7.0 refuses a rule for it. The client of a cluster does it on its own.
/// Without a login it is the first command, whose failure says why TLS refuses the connection.
pub(crate) fn info(
    address: ConnectionAddr,
    settings: &RedisConnectionInfo,
) -> Result<ConnectionInfo, Error> {
    let info = address.into_connection_info().map_err(|_| rule("must be an address"))?;
    let mut settings = settings.clone();
    if settings.password().is_some() {
        settings = settings.set_skip_set_lib_name();
    }
    Ok(info.set_redis_settings(settings))
}

#[cfg(test)]
mod tests;
