//! The parts of an address.

use percent_encoding::percent_decode_str;
use redis::RedisConnectionInfo;

use crate::error::{Error, rule};
use crate::tls::{Tls, TlsFiles};

const SCHEMES: &str = "the scheme must be redis, rediss, redis-sentinel, rediss-sentinel, \
    redis-cluster or rediss-cluster";

const RESERVED: &str = "must write / ? and @ in a user or password as %2F %3F and %40";

#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Topology {
    Server,
    Sentinel,
    Cluster,
}

/// The parts of an address. Only the parameters are percent-decoded already.
pub(super) struct Parts<'a> {
    has_tls: bool,
    pub(super) topology: Topology,
    userinfo: Option<&'a str>,
    pub(super) hosts: &'a str,
    pub(super) path: &'a str,
    parameters: Parameters,
}

#[derive(Default)]
struct Parameters {
    db: Option<String>,
    password: Option<String>,
    sentinel_user: Option<String>,
    sentinel_password: Option<String>,
    tls: TlsFiles,
}

impl<'a> Parts<'a> {
    pub(super) fn split(url: &'a str) -> Result<Self, Error> {
        let (scheme, rest) = url
            .split_once("://")
            .ok_or_else(|| rule("must begin with a scheme, such as redis://"))?;
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
        if path.contains('@') {
            return Err(rule(RESERVED));
        }
        let (userinfo, hosts) = match authority.rsplit_once('@') {
            Some((userinfo, hosts)) => (Some(userinfo), hosts),
            None => (None, authority),
        };
        let parameters = Parameters::parse(query, topology, has_tls)?;
        Ok(Self { has_tls, topology, userinfo, hosts, path, parameters })
    }

    /// Returns how servers are reached with TLS, if the address asks for it.
    pub(super) fn tls(&self) -> Result<Option<Tls>, Error> {
        self.has_tls.then(|| Tls::read(&self.parameters.tls)).transpose()
    }

    /// Returns the database. It may be given in the path, in the query, or in both with the same
    /// value.
    pub(super) fn database(&self, path: &str) -> Result<i64, Error> {
        let path = path.strip_suffix('/').unwrap_or(path);
        let path = if path.is_empty() { None } else { Some(number(path)?) };
        let query = self.parameters.db.as_deref().map(number).transpose()?;
        match (path, query) {
            (Some(path), Some(query)) if path != query => {
                Err(rule("must not name two different databases, in the path and in db"))
            }
            (path, query) => Ok(path.or(query).unwrap_or(0)),
        }
    }

    /// Returns the login and the database of the servers.
    pub(super) fn login(&self, db: i64) -> Result<RedisConnectionInfo, Error> {
        let (user, password) = match self.userinfo {
            None => ("", ""),
            Some(userinfo) => userinfo.split_once(':').unwrap_or((userinfo, "")),
        };
        let user = decoded(user, "the user")?;
        let password = match (decoded(password, "the password")?, &self.parameters.password) {
            (own, None) => own,
            (own, Some(other)) if own.is_empty() || own == *other => other.clone(),
            _ => {
                return Err(rule(
                    "must not have two different passwords, before the host and in password",
                ));
            }
        };
        settings(&user, &password, db)
    }

    /// Returns the logins to try with the sentinels: their own, if it is given, otherwise first
    /// none and then the master's.
    pub(super) fn sentinel_logins(
        &self,
        server: &RedisConnectionInfo,
    ) -> Result<Vec<RedisConnectionInfo>, Error> {
        let user = self.parameters.sentinel_user.as_deref().unwrap_or_default();
        if let Some(password) = &self.parameters.sentinel_password {
            return Ok(vec![settings(user, password, 0)?]);
        }
        if !user.is_empty() {
            return Err(rule("must have sentinel_password if it has sentinel_user"));
        }
        let of_master = server.password().map(|_| server.clone().set_db(0));
        Ok([RedisConnectionInfo::default()].into_iter().chain(of_master).collect())
    }
}

impl Parameters {
    fn parse(query: &str, topology: Topology, has_tls: bool) -> Result<Self, Error> {
        let mut parameters = Self::default();
        for pair in query.split('&').filter(|pair| !pair.is_empty()) {
            let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
            // It may be the end of a password. The name of a file may contain it.
            if pair.contains('@') && !name.starts_with("ssl_") {
                return Err(rule(RESERVED));
            }
            let of_sentinels = topology == Topology::Sentinel;
            let place = match name {
                "db" => &mut parameters.db,
                "password" => &mut parameters.password,
                "sentinel_user" if of_sentinels => &mut parameters.sentinel_user,
                "sentinel_password" if of_sentinels => &mut parameters.sentinel_password,
                "ssl_ca_certs" if has_tls => &mut parameters.tls.authorities,
                "ssl_certfile" if has_tls => &mut parameters.tls.certificate,
                "ssl_keyfile" if has_tls => &mut parameters.tls.key,
                "ssl_ca_certs" | "ssl_certfile" | "ssl_keyfile" => {
                    return Err(rule(&format!("the scheme must be rediss if it has {name}")));
                }
                // Not echoed: it may be part of a password.
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

fn settings(user: &str, password: &str, db: i64) -> Result<RedisConnectionInfo, Error> {
    let settings = RedisConnectionInfo::default().set_db(db);
    match (user, password) {
        ("", "") => Ok(settings),
        (_, "") => Err(rule("must have a password if it has a user: user:password@host")),
        ("", password) => Ok(settings.set_password(password)),
        (user, password) => Ok(settings.set_username(user).set_password(password)),
    }
}

fn number(text: &str) -> Result<i64, Error> {
    let digits = !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
    let number = if digits { text.parse::<u32>().ok() } else { None };
    number.map(i64::from).ok_or_else(|| rule("the database must be a number from 0"))
}

/// Decodes percent-encoded text. `what` names the text in the error.
pub(super) fn decoded(text: &str, what: &str) -> Result<String, Error> {
    let mut bytes = text.bytes();
    while let Some(byte) = bytes.next() {
        let digit = |byte: Option<u8>| byte.is_some_and(|byte| byte.is_ascii_hexdigit());
        if byte == b'%' && !(digit(bytes.next()) && digit(bytes.next())) {
            return Err(rule(&format!("{what} must write % as %25")));
        }
    }
    let decoded = percent_decode_str(text).decode_utf8();
    decoded.map(Into::into).map_err(|_| rule(&format!("{what} must be UTF-8")))
}
