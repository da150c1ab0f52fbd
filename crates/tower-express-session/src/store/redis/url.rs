//! The addresses of Redis deployments.

use std::net::Ipv6Addr;

use percent_encoding::percent_decode_str;
use redis::{ConnectionAddr, ConnectionInfo, IntoConnectionInfo, RedisConnectionInfo};

use crate::error::ConfigError;

/// Where Redis is, and how its servers stand together.
#[derive(Clone, Debug)]
pub(super) enum Address {
    Server(ConnectionInfo),
    Sentinel(SentinelAddress),
    Cluster(Vec<ConnectionInfo>),
}

/// Sentinels, and the master that they know by a name.
#[derive(Clone, Debug)]
pub(super) struct SentinelAddress {
    pub(super) sentinels: Vec<ConnectionAddr>,
    pub(super) master: String,
    /// The login and the database at the master.
    pub(super) server: RedisConnectionInfo,
    /// The logins to try at the sentinels, in this order.
    pub(super) logins: Vec<RedisConnectionInfo>,
    pub(super) has_tls: bool,
}

/// The port of a Redis server that the address leaves out.
const PORT: u16 = 6379;
/// The port of a sentinel that the address leaves out.
const SENTINEL_PORT: u16 = 26_379;

const SCHEMES: &str = "the scheme must be redis, rediss, redis-sentinel, rediss-sentinel, \
    redis-cluster or rediss-cluster";

impl Address {
    /// Reads `redis://[user:password@]host:port[/db]`, `redis-sentinel://host:port,host:port/master[/db]`
    /// and `redis-cluster://host:port,host:port`; each with `rediss` for TLS. As in the registered
    /// scheme, the database and the password may be parameters instead: `?db=2&password=p`. The
    /// sentinels' own login is `?sentinel_user=u&sentinel_password=p`.
    ///
    /// Every part is used, or the address is refused.
    pub(super) fn parse(url: &str) -> Result<Self, ConfigError> {
        let parts = Parts::split(url)?;
        let has_tls = parts.has_tls;
        match parts.topology {
            Topology::Server => {
                let server = parts.login(parts.database(parts.path)?)?;
                let mut addresses = addresses(parts.hosts, PORT, has_tls)?;
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
                let nodes = addresses(parts.hosts, PORT, has_tls)?.into_iter();
                nodes.map(|node| info(node, &server)).collect::<Result<_, _>>().map(Self::Cluster)
            }
            Topology::Sentinel => {
                let (master, database) = parts.path.split_once('/').unwrap_or((parts.path, ""));
                if master.is_empty() {
                    return Err(rule("must name the master: redis-sentinel://host:port/master"));
                }
                let server = parts.login(parts.database(database)?)?;
                Ok(Self::Sentinel(SentinelAddress {
                    sentinels: addresses(parts.hosts, SENTINEL_PORT, has_tls)?,
                    master: decoded(master, "the master's name")?,
                    logins: parts.sentinel_logins(&server)?,
                    server,
                    has_tls,
                }))
            }
        }
    }
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Topology {
    Server,
    Sentinel,
    Cluster,
}

/// The parts of an address, still percent-encoded but for the parameters.
struct Parts<'a> {
    has_tls: bool,
    topology: Topology,
    userinfo: Option<&'a str>,
    hosts: &'a str,
    path: &'a str,
    parameters: Parameters,
}

#[derive(Default)]
struct Parameters {
    db: Option<String>,
    password: Option<String>,
    sentinel_user: Option<String>,
    sentinel_password: Option<String>,
}

impl<'a> Parts<'a> {
    fn split(url: &'a str) -> Result<Self, ConfigError> {
        let (scheme, rest) = url.split_once("://").ok_or_else(|| rule("must have a scheme"))?;
        let (has_tls, topology) = match scheme.to_ascii_lowercase().as_str() {
            "redis" => (false, Topology::Server),
            "rediss" => (true, Topology::Server),
            "redis-sentinel" => (false, Topology::Sentinel),
            "rediss-sentinel" => (true, Topology::Sentinel),
            "redis-cluster" => (false, Topology::Cluster),
            "rediss-cluster" => (true, Topology::Cluster),
            _ => return Err(rule(SCHEMES)),
        };
        if rest.contains('#') {
            return Err(rule("must not have a fragment (write # in a password as %23)"));
        }
        let (rest, query) = rest.split_once('?').unwrap_or((rest, ""));
        let (authority, path) = rest.split_once('/').unwrap_or((rest, ""));
        if path.contains('@') || query.contains('@') {
            return Err(rule("must have / ? and @ in a user or password as %2F %3F and %40"));
        }
        let (userinfo, hosts) = match authority.rsplit_once('@') {
            Some((userinfo, hosts)) => (Some(userinfo), hosts),
            None => (None, authority),
        };
        let parameters = Parameters::parse(query, topology)?;
        Ok(Self { has_tls, topology, userinfo, hosts, path, parameters })
    }

    /// The database, which may stand in the path, in the query, or in both alike.
    fn database(&self, path: &str) -> Result<i64, ConfigError> {
        let path = path.strip_suffix('/').unwrap_or(path);
        let path = if path.is_empty() { None } else { Some(number(path)?) };
        let query = self.parameters.db.as_deref().map(number).transpose()?;
        match (path, query) {
            (Some(path), Some(query)) if path != query => {
                Err(rule("must not name two databases, in the path and in db"))
            }
            (path, query) => Ok(path.or(query).unwrap_or(0)),
        }
    }

    /// The login and the database of the servers.
    fn login(&self, db: i64) -> Result<RedisConnectionInfo, ConfigError> {
        let (user, password) = match self.userinfo {
            None => ("", ""),
            Some(userinfo) => userinfo.split_once(':').unwrap_or((userinfo, "")),
        };
        let user = decoded(user, "the user")?;
        let password = match (decoded(password, "the password")?, &self.parameters.password) {
            (own, None) => own,
            (own, Some(other)) if own.is_empty() || own == *other => other.clone(),
            _ => return Err(rule("must not have two passwords, before the host and in password")),
        };
        settings(&user, &password, db)
    }

    /// Their own, or none and then the master's.
    fn sentinel_logins(
        &self,
        server: &RedisConnectionInfo,
    ) -> Result<Vec<RedisConnectionInfo>, ConfigError> {
        let user = self.parameters.sentinel_user.as_deref().unwrap_or_default();
        if let Some(password) = &self.parameters.sentinel_password {
            return Ok(vec![settings(user, password, 0)?]);
        }
        if !user.is_empty() {
            return Err(rule("sentinel_user must come with sentinel_password"));
        }
        let of_master = server.password().map(|_| server.clone().set_db(0));
        Ok([RedisConnectionInfo::default()].into_iter().chain(of_master).collect())
    }
}

impl Parameters {
    fn parse(query: &str, topology: Topology) -> Result<Self, ConfigError> {
        let mut parameters = Self::default();
        for pair in query.split('&').filter(|pair| !pair.is_empty()) {
            let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
            let of_sentinels = topology == Topology::Sentinel;
            let place = match name {
                "db" => &mut parameters.db,
                "password" => &mut parameters.password,
                "sentinel_user" if of_sentinels => &mut parameters.sentinel_user,
                "sentinel_password" if of_sentinels => &mut parameters.sentinel_password,
                // A long one is no name.
                _ if name.len() > 40 || name.contains([':', '%']) => {
                    return Err(rule("must not have parameters other than db and password"));
                }
                _ => return Err(rule(&format!("must not have the unknown parameter {name}"))),
            };
            let value = decoded(value, name)?;
            if value.is_empty() {
                return Err(rule(&format!("the parameter {name} must not be empty")));
            }
            if place.replace(value).is_some() {
                return Err(rule(&format!("must not have the parameter {name} twice")));
            }
        }
        Ok(parameters)
    }
}

fn settings(user: &str, password: &str, db: i64) -> Result<RedisConnectionInfo, ConfigError> {
    let settings = RedisConnectionInfo::default().set_db(db);
    match (user, password) {
        ("", "") => Ok(settings),
        (_, "") => Err(rule("must have a password where it has a user: user:password@host")),
        ("", password) => Ok(settings.set_password(password)),
        (user, password) => Ok(settings.set_username(user).set_password(password)),
    }
}

fn number(text: &str) -> Result<i64, ConfigError> {
    let digits = !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
    let number = if digits { text.parse::<u32>().ok() } else { None };
    number.map(i64::from).ok_or_else(|| rule("the database must be a number"))
}

fn addresses(
    hosts: &str,
    default_port: u16,
    has_tls: bool,
) -> Result<Vec<ConnectionAddr>, ConfigError> {
    let address = |host: &str| {
        let (host, port) = host_and_port(host, default_port)?;
        Ok(match has_tls {
            true => ConnectionAddr::TcpTls { host, port, insecure: false, tls_params: None },
            false => ConnectionAddr::Tcp(host, port),
        })
    };
    hosts.split(',').map(address).collect()
}

/// `host`, `host:port`, `[::1]` or `[::1]:port`.
fn host_and_port(text: &str, default_port: u16) -> Result<(String, u16), ConfigError> {
    let (host, port) = match text.strip_prefix('[') {
        Some(rest) => {
            let (host, port) = rest.split_once(']').ok_or_else(|| rule("a [ must have its ]"))?;
            let (address, zone) = host.split_once("%25").unwrap_or((host, ""));
            if address.parse::<Ipv6Addr>().is_err() {
                return Err(rule("what stands in [ ] must be an IPv6 address"));
            }
            let zone = if zone.is_empty() { String::new() } else { format!("%{zone}") };
            (format!("{address}{zone}"), port)
        }
        None if text.matches(':').count() > 1 => return Err(port_rule()),
        None => {
            let (host, port) = text.split_at(text.find(':').unwrap_or(text.len()));
            let is_name = |c: char| c.is_alphanumeric() || "-_.".contains(c);
            if host.is_empty() {
                return Err(rule("must name a host"));
            }
            if !host.chars().all(is_name) {
                return Err(rule("a host must be a name or an address"));
            }
            (host.to_owned(), port)
        }
    };
    let port = match port.strip_prefix(':') {
        None if port.is_empty() => default_port,
        Some("") => default_port,
        Some(digits) if digits.bytes().all(|byte| byte.is_ascii_digit()) => {
            digits.parse().ok().filter(|port| *port > 0).ok_or_else(port_rule)?
        }
        _ => return Err(port_rule()),
    };
    Ok((host, port))
}

fn port_rule() -> ConfigError {
    rule("a port must be a number from 1 to 65535 (an IPv6 address stands in [ ])")
}

pub(super) fn info(
    address: ConnectionAddr,
    settings: &RedisConnectionInfo,
) -> Result<ConnectionInfo, ConfigError> {
    let info = address.into_connection_info().map_err(|_| rule("must be an address"))?;
    Ok(info.set_redis_settings(settings.clone()))
}

fn decoded(text: &str, what: &str) -> Result<String, ConfigError> {
    let mut bytes = text.bytes();
    while let Some(byte) = bytes.next() {
        let digit = |byte: Option<u8>| byte.is_some_and(|byte| byte.is_ascii_hexdigit());
        if byte == b'%' && !(digit(bytes.next()) && digit(bytes.next())) {
            return Err(rule(&format!("{what} must have % as %25")));
        }
    }
    let decoded = percent_decode_str(text).decode_utf8();
    decoded.map(Into::into).map_err(|_| rule(&format!("{what} must be UTF-8")))
}

/// The rule alone: the address may hold a password.
fn rule(rule: &str) -> ConfigError {
    ConfigError::option("store", format!("not a Redis address: {rule}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn server(url: &str) -> ConnectionInfo {
        match Address::parse(url) {
            Ok(Address::Server(info)) => info,
            other => panic!("{url}: {other:?}"),
        }
    }

    fn sentinel(url: &str) -> SentinelAddress {
        match Address::parse(url) {
            Ok(Address::Sentinel(address)) => address,
            other => panic!("{url}: {other:?}"),
        }
    }

    #[test]
    fn hosts_and_ports() {
        for (url, host, port) in [
            ("redis://localhost", "localhost", 6379),
            ("REDIS://localhost/", "localhost", 6379),
            ("redis://127.0.0.1:6380/3", "127.0.0.1", 6380),
            ("redis://redis_1.net-a:1", "redis_1.net-a", 1),
            ("redis://h:", "h", 6379),
            ("redis://[::1]:6380", "::1", 6380),
            ("redis://[::1]", "::1", 6379),
            ("redis://[fe80::1%25eth0]/1", "fe80::1%eth0", 6379),
        ] {
            let expected = ConnectionAddr::Tcp(host.into(), port);
            assert_eq!(server(url).addr(), &expected, "{url}");
        }
        assert!(matches!(server("rediss://h").addr(), ConnectionAddr::TcpTls { .. }));
    }

    #[test]
    fn databases() {
        for (url, db) in [
            ("redis://h", 0),
            ("redis://h/", 0),
            ("redis://h/2", 2),
            ("redis://h/2/", 2),
            ("redis://h?db=2", 2),
            ("redis://h/?db=2", 2),
            ("redis://h/2?db=2", 2),
            ("redis://h/?db=%32", 2),
            ("rediss://h/?db=15&", 15),
        ] {
            assert_eq!(server(url).redis_settings().db(), db, "{url}");
        }
        assert_eq!(sentinel("redis-sentinel://h/m/3").server.db(), 3);
        assert_eq!(sentinel("redis-sentinel://h/m?db=3").server.db(), 3);
        for url in ["redis-cluster://h", "redis-cluster://h/0", "redis-cluster://h/?db=0"] {
            assert!(matches!(Address::parse(url), Ok(Address::Cluster(_))), "{url}");
        }
    }

    #[test]
    fn logins() {
        for (url, user, password) in [
            ("redis://h", None, None),
            ("redis://:@h", None, None),
            ("redis://:p@h", None, Some("p")),
            ("redis://u:p%40s%2Fs%3F%23%25@h", Some("u"), Some("p@s/s?#%")),
            ("redis://u:a:b@h", Some("u"), Some("a:b")),
            ("redis://u:a@b@h", Some("u"), Some("a@b")),
            ("redis://%C3%BC:p+p@h", Some("ü"), Some("p+p")),
            ("redis://h?password=p%26p", None, Some("p&p")),
            ("redis://u:p@h?password=p", Some("u"), Some("p")),
        ] {
            let settings = server(url).redis_settings().clone();
            assert_eq!((settings.username(), settings.password()), (user, password), "{url}");
        }
    }

    #[test]
    fn sentinels() {
        let address = sentinel("redis-sentinel://u:p@a:1,b,[::1]:3/my%20master/2");
        let tcp = |host: &str, port| ConnectionAddr::Tcp(host.into(), port);
        assert_eq!(address.sentinels, [tcp("a", 1), tcp("b", 26_379), tcp("::1", 3)]);
        assert_eq!((address.master.as_str(), address.server.db()), ("my master", 2));
        let logins = |url: &str| {
            let logins = sentinel(url).logins.into_iter();
            let text = |text: Option<&str>| text.unwrap_or("-").to_owned();
            logins.map(|login| text(login.username()) + " " + &text(login.password())).collect()
        };
        let all: Vec<String> = logins("redis-sentinel://a/m");
        assert_eq!(all, ["- -"]);
        let all: Vec<String> = logins("redis-sentinel://u:p@a/m/2");
        assert_eq!(all, ["- -", "u p"], "without a login, then with the master's");
        let all: Vec<String> = logins("redis-sentinel://u:p@a/m?sentinel_password=s");
        assert_eq!(all, ["- s"]);
        let all: Vec<String> =
            logins("redis-sentinel://a/m?sentinel_user=v&sentinel_password=s%26&db=1");
        assert_eq!(all, ["v s&"]);
    }

    #[test]
    fn says_what_is_wrong_without_the_password() {
        for (url, says) in [
            ("localhost:6379", "a scheme"),
            ("http://localhost", "the scheme must"),
            ("redis-moon://localhost", "the scheme must"),
            ("redis://", "name a host"),
            ("redis://u:hunter2@", "name a host"),
            ("redis://a,b", "one host"),
            ("redis-cluster://a,,b", "name a host"),
            ("redis-sentinel://u:hunter2@a:1", "name the master"),
            ("redis-sentinel://u:hunter2@a:1//2", "name the master"),
            ("redis-cluster://a:1/3", "database 0"),
            ("redis-cluster://a:1?db=3", "database 0"),
            ("redis://u:hunter2@h:99999", "a port"),
            ("redis://u:hunter2@h:0", "a port"),
            ("redis://h:+1", "a port"),
            ("redis://::1", "a port"),
            ("redis://[::1", "must have its ]"),
            ("redis://[h]", "IPv6"),
            ("redis://h h", "a name or an address"),
            ("redis://u:hunter2@h:1/x", "the database"),
            ("redis://h/-1", "the database"),
            ("redis://h/1/2", "the database"),
            ("redis://h/99999999999", "the database"),
            ("redis://h?db=", "db must not be empty"),
            ("redis://h?db=two", "the database"),
            ("redis://h/1?db=2", "two databases"),
            ("redis://h?db=1&db=1", "twice"),
            ("redis://h?timeout=5s", "timeout"),
            ("redis://h?DB=2", "DB"),
            ("redis://h?ssl_cert_reqs=none", "ssl_cert_reqs"),
            ("redis://h?sentinel_password=hunter2", "sentinel_password"),
            ("redis-sentinel://h/m?sentinel_user=u", "sentinel_password"),
            ("redis://h/2#hunter2", "fragment"),
            ("redis://:hunter2#@h", "fragment"),
            ("redis://:hunter2/x@h", "%2F"),
            ("redis://:hunter2?x@h", "%2F"),
            ("redis://hunter2@h", "user:password@host"),
            ("redis://hunter2:@h", "user:password@host"),
            ("redis://:hunter2%@h", "%25"),
            ("redis://:hunter2%FF@h", "UTF-8"),
            ("redis://:hunter2@h?password=other", "two passwords"),
        ] {
            let error = Address::parse(url).unwrap_err().to_string();
            assert!(error.contains(says) && !error.contains("hunter2"), "{url}: {error}");
        }
    }
}
