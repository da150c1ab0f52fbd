//! Why Redis cannot be used, told apart.

use std::error::Error as StdError;
use std::fmt;
use std::io::ErrorKind as IoErrorKind;
use std::sync::Arc;

use redis::{ErrorKind as RedisErrorKind, RedisError};

use crate::error::{Error, ErrorKind};

/// What is in the way between a [`Client`](super::Client) and its Redis.
///
/// [`is_lasting`](Self::is_lasting) says whether it stays until somebody changes a setting. Its text
/// is the reason, without addresses.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Obstacle {
    /// The host's name has no address.
    UnknownHost,
    /// Nothing listens at the address.
    Refused,
    /// No answer in time.
    TimedOut,
    /// The connection was closed, or it failed in another way.
    Closed,
    /// TLS was spoken to a port that has none.
    PlainPort,
    /// TLS was not spoken to a port that wants it.
    TlsPort,
    /// The server's certificate is not trusted, has expired, or is for another host.
    Certificate,
    /// The server ended the TLS handshake.
    TlsRefused,
    /// Another service answers at the address.
    NotRedis,
    /// Redis has neither a password nor an address to listen on, and takes local clients only.
    ProtectedMode,
    /// As many clients are connected as Redis takes.
    TooManyClients,
    /// Redis wants a password, and there is none in the address.
    LoginRequired,
    /// The user or the password is wrong.
    WrongLogin,
    /// The address has a password, and Redis has none.
    LoginNotNeeded,
    /// The sentinels do not take the login.
    SentinelLogin,
    /// The sentinels want a password, and there is none in the address.
    SentinelLoginRequired,
    /// The user may not run a command that is needed.
    NoPermission,
    /// There is no database of this number.
    NoSuchDatabase,
    /// Redis loads its data.
    Loading,
    /// A replica that has lost its master, or a master that the sentinels are replacing.
    MasterDown,
    /// A server that takes no writes is named directly.
    Replica,
    /// The server takes no writes now: it has just become a replica.
    ReadOnly,
    /// A sentinel is named as if it were a server.
    Sentinel,
    /// A server is named as if it were a sentinel.
    NotSentinel,
    /// The sentinels do not know the master's name.
    UnknownMaster,
    /// A server of a cluster is named as if it stood alone.
    Cluster,
    /// A server that stands alone is named as a cluster.
    NotCluster,
    /// The cluster does not serve all its slots now.
    ClusterDown,
    /// The cluster is moving the slot, and some of the keys are in each place.
    SlotMoves,
    /// A script runs that does not end.
    Busy,
    /// The memory that Redis may use is full.
    MemoryFull,
    /// Redis stopped taking writes: it cannot save, or has too few replicas.
    WritesStopped,
    /// Something else, which the log describes.
    Other,
}

impl Obstacle {
    /// The obstacle behind an error of the Redis store or client; none if the error is no outage.
    #[must_use]
    pub fn of(error: &Error) -> Option<Self> {
        error.source()?.downcast_ref::<RedisError>().map(Self::from)
    }

    /// Of what is in the way at two servers, rather what stays.
    pub(super) fn or(self, other: Self) -> Self {
        if self.is_lasting() { self } else { other }
    }

    /// Whether the server refuses writes and may answer all else.
    pub(super) fn is_of_writes(self) -> bool {
        matches!(self, Self::ReadOnly | Self::MemoryFull | Self::WritesStopped)
    }

    /// Whether it stays until somebody changes a setting here or there. What may pass by itself is
    /// worth another attempt.
    #[must_use]
    pub fn is_lasting(self) -> bool {
        match self {
            Self::UnknownHost
            | Self::Refused
            | Self::TimedOut
            | Self::Closed
            | Self::TooManyClients
            | Self::Loading
            | Self::MasterDown
            | Self::ReadOnly
            | Self::ClusterDown
            | Self::SlotMoves
            | Self::Busy
            | Self::MemoryFull
            | Self::WritesStopped
            | Self::Other => false,
            Self::PlainPort
            | Self::TlsPort
            | Self::Certificate
            | Self::TlsRefused
            | Self::NotRedis
            | Self::ProtectedMode
            | Self::LoginRequired
            | Self::WrongLogin
            | Self::LoginNotNeeded
            | Self::SentinelLogin
            | Self::SentinelLoginRequired
            | Self::NoPermission
            | Self::NoSuchDatabase
            | Self::Replica
            | Self::Sentinel
            | Self::NotSentinel
            | Self::UnknownMaster
            | Self::Cluster
            | Self::NotCluster => true,
        }
    }
}

impl fmt::Display for Obstacle {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::UnknownHost => "the host's name has no address",
            Self::Refused => "the connection was refused",
            Self::TimedOut => "Redis did not answer in time",
            Self::Closed => "the connection was closed",
            Self::PlainPort => "the port does not speak TLS",
            Self::TlsPort => "the port speaks TLS",
            Self::Certificate => "the server's certificate is not trusted",
            Self::TlsRefused => "the server ended the TLS handshake",
            Self::NotRedis => "another service answers at this address, not Redis",
            Self::ProtectedMode => "Redis is in protected mode and takes local clients only",
            Self::TooManyClients => "Redis has as many clients as it takes (maxclients)",
            Self::LoginRequired => "Redis requires a password (NOAUTH)",
            Self::WrongLogin => "the user or the password is wrong (WRONGPASS)",
            Self::LoginNotNeeded => "there is a password for Redis, and Redis has none",
            Self::SentinelLogin => "the sentinels do not accept the login",
            Self::SentinelLoginRequired => "the sentinels require a password (NOAUTH)",
            Self::NoPermission => "the user lacks a permission (NOPERM)",
            Self::NoSuchDatabase => "Redis has no database of this number",
            Self::Loading => "Redis is loading its data (LOADING)",
            Self::MasterDown => "there is no master now",
            Self::Replica => "the server is a replica and takes no writes",
            Self::ReadOnly => "the server takes no writes (READONLY)",
            Self::Sentinel => "the server is a sentinel",
            Self::NotSentinel => "the server is no sentinel",
            Self::UnknownMaster => "the sentinels know no master of this name",
            Self::Cluster => "the server is part of a cluster",
            Self::NotCluster => "the server is not part of a cluster",
            Self::ClusterDown => "the cluster does not serve all keys (CLUSTERDOWN)",
            Self::SlotMoves => "the cluster is moving these keys (TRYAGAIN)",
            Self::Busy => "Redis runs a script that does not end (BUSY)",
            Self::MemoryFull => "the memory of Redis is full (OOM)",
            Self::WritesStopped => "Redis has stopped accepting writes",
            Self::Other => "Redis cannot be used",
        })
    }
}

impl std::error::Error for Obstacle {}

impl From<&RedisError> for Obstacle {
    fn from(error: &RedisError) -> Self {
        let text = error.detail().unwrap_or_default();
        match error.code() {
            Some("NOAUTH") => return Self::LoginRequired,
            Some("WRONGPASS") => return Self::WrongLogin,
            Some("NOPERM") => return Self::NoPermission,
            Some("LOADING") => return Self::Loading,
            Some("MASTERDOWN") => return Self::MasterDown,
            Some("READONLY") => return Self::ReadOnly,
            Some("CLUSTERDOWN" | "MOVED" | "ASK") => return Self::ClusterDown,
            Some("TRYAGAIN") => return Self::SlotMoves,
            Some("BUSY") => return Self::Busy,
            Some("OOM") => return Self::MemoryFull,
            Some("MISCONF" | "NOREPLICAS") => return Self::WritesStopped,
            Some("DENIED") => return Self::ProtectedMode,
            Some("ERR") if text.contains("max number of clients") => return Self::TooManyClients,
            Some("ERR") if text.contains("out of range") => return Self::NoSuchDatabase,
            Some("ERR") if text.contains("without any password") => return Self::LoginNotNeeded,
            Some("ERR") if text.contains("cluster support disabled") => return Self::NotCluster,
            Some(_) => return Self::Other,
            None => {}
        }
        match error.kind() {
            RedisErrorKind::AuthenticationFailed => Self::WrongLogin,
            RedisErrorKind::MasterNameNotFoundBySentinel => Self::MasterDown,
            _ => of_connection(error),
        }
    }
}

/// What a caller can do about an error of Redis.
pub(super) fn kind(cause: &RedisError) -> ErrorKind {
    match cause.code() {
        Some("WRONGTYPE") => ErrorKind::Corrupt,
        // Redis is there but cannot serve now: starting, failing over, out of memory or disk.
        Some(
            "LOADING" | "MASTERDOWN" | "READONLY" | "CLUSTERDOWN" | "TRYAGAIN" | "MOVED" | "ASK"
            | "BUSY" | "OOM" | "MISCONF" | "NOREPLICAS" | "NOAUTH" | "WRONGPASS",
        ) => ErrorKind::Unavailable,
        Some("ERR") if Obstacle::from(cause) == Obstacle::TooManyClients => ErrorKind::Unavailable,
        Some(_) => ErrorKind::Store,
        None => ErrorKind::Unavailable,
    }
}

type Shared = Arc<dyn StdError + Send + Sync>;

/// What became of a connection, read from the innermost cause that says so.
fn of_connection(error: &RedisError) -> Obstacle {
    // The client crate gives a shared pointer to the cause as if it were the cause.
    let mut cause = error.source().map(|cause| match cause.downcast_ref::<Shared>() {
        Some(shared) => &**shared as &(dyn StdError + 'static),
        None => cause,
    });
    let mut found = if error.is_io_error() { Obstacle::Closed } else { Obstacle::Other };
    while let Some(error) = cause {
        if let Some(error) = error.downcast_ref::<rustls::Error>() {
            return match error {
                rustls::Error::InvalidCertificate(_) => Obstacle::Certificate,
                rustls::Error::InvalidMessage(_) => Obstacle::PlainPort,
                _ => Obstacle::TlsRefused,
            };
        }
        if let Some(error) = error.downcast_ref::<std::io::Error>() {
            found = of_io(error);
            // Its `source` passes over the error that it wraps.
            if let Some(inner) = error.get_ref() {
                cause = Some(inner);
                continue;
            }
        }
        cause = error.source();
    }
    found
}

pub(super) fn of_io(error: &std::io::Error) -> Obstacle {
    match error.kind() {
        IoErrorKind::ConnectionRefused => Obstacle::Refused,
        IoErrorKind::TimedOut | IoErrorKind::WouldBlock => Obstacle::TimedOut,
        // What the resolver answers has no kind of its own.
        _ if error.to_string().contains("lookup address") => Obstacle::UnknownHost,
        _ => Obstacle::Closed,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_code_has_its_obstacle() {
        for (code, obstacle, outage) in [
            ("TRYAGAIN", Obstacle::SlotMoves, ErrorKind::Unavailable),
            ("CLUSTERDOWN", Obstacle::ClusterDown, ErrorKind::Unavailable),
            ("BUSY", Obstacle::Busy, ErrorKind::Unavailable),
            ("MISCONF", Obstacle::WritesStopped, ErrorKind::Unavailable),
            ("WRONGTYPE", Obstacle::Other, ErrorKind::Corrupt),
        ] {
            let cause = redis::make_extension_error(code.to_owned(), None);
            assert_eq!((Obstacle::from(&cause), kind(&cause)), (obstacle, outage), "{code}");
            assert!(!Error::new(kind(&cause), cause).to_string().contains("session"), "{code}");
        }
    }
}
