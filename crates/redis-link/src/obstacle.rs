//! Why Redis cannot be used, told apart.

use std::error::Error as StdError;
use std::fmt;

use redis::RedisError;

/// What is in the way between a [`Client`](crate::Client) and its Redis.
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
    /// The obstacle behind an error: behind one of a [`Client`](crate::Client), or one of another type
    /// that has it among its [sources](StdError::source). `None` if Redis or its client is not the
    /// cause.
    #[must_use]
    pub fn of(error: &(dyn StdError + 'static)) -> Option<Self> {
        let causes = std::iter::successors(Some(error), |error| StdError::source(*error));
        causes.filter_map(|cause| cause.downcast_ref::<RedisError>()).map(Self::from).next()
    }

    /// Of what is in the way at two servers, rather what stays.
    pub(crate) fn or(self, other: Self) -> Self {
        if self.is_lasting() { self } else { other }
    }

    /// Whether the server refuses writes and may answer all else.
    pub(crate) fn is_of_writes(self) -> bool {
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
