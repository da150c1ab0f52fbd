//! The reasons why Redis cannot be used.

use std::error::Error as StdError;
use std::fmt;

use redis::RedisError;

/// The reason why a [`Client`](crate::Client) cannot use Redis.
///
/// [`is_lasting`](Self::is_lasting) tells whether it remains until somebody changes a setting. The
/// text describes the reason without addresses.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Obstacle {
    /// The host name cannot be resolved.
    UnknownHost,
    /// Nothing listens at the address.
    Refused,
    /// There was no answer in time.
    TimedOut,
    /// The connection was closed, or it failed in another way.
    Closed,
    /// The client uses TLS, and the port does not.
    PlainPort,
    /// The port requires TLS, and the client does not use it.
    TlsPort,
    /// The server's certificate is not trusted, has expired, or is for another host.
    Certificate,
    /// The server ended the TLS handshake.
    TlsRefused,
    /// Another service answers at the address.
    NotRedis,
    /// Redis is in protected mode: it has neither a password nor a bind address, and accepts only
    /// local clients.
    ProtectedMode,
    /// The maximum number of clients is connected.
    TooManyClients,
    /// Redis requires a password, and the address has none.
    LoginRequired,
    /// The user or the password is wrong.
    WrongLogin,
    /// The address has a password, and Redis requires none.
    LoginNotNeeded,
    /// The sentinels reject the login.
    SentinelLogin,
    /// The sentinels require a password, and the address has none.
    SentinelLoginRequired,
    /// The user lacks the permission for a required command.
    NoPermission,
    /// Redis has no database with this number.
    NoSuchDatabase,
    /// Redis is still loading its data.
    Loading,
    /// There is no master: the replica has lost it, or the sentinels are replacing it.
    MasterDown,
    /// The address names a replica, which accepts no writes.
    Replica,
    /// The server has become a replica and accepts no writes.
    ReadOnly,
    /// The address names a sentinel as a server.
    Sentinel,
    /// The address names a server as a sentinel.
    NotSentinel,
    /// The sentinels do not know the master's name.
    UnknownMaster,
    /// The address names a cluster node as a standalone server.
    Cluster,
    /// The address names a standalone server as a cluster.
    NotCluster,
    /// The cluster does not serve all slots at the moment.
    ClusterDown,
    /// The cluster is moving the slot, and each of the two servers has some of the keys.
    SlotMoves,
    /// A script has been running for too long.
    Busy,
    /// Redis has reached its memory limit.
    MemoryFull,
    /// Redis has stopped accepting writes: it cannot save, or has too few replicas.
    WritesStopped,
    /// Fewer replicas than required have a write.
    TooFewReplicas,
    /// Another reason, which the log describes.
    Other,
}

impl Obstacle {
    /// Returns the obstacle behind an error of a [`Client`](crate::Client), or behind an error of
    /// another type that has such an error among its [sources](StdError::source). `None` if the
    /// error does not come from Redis or its client.
    #[must_use]
    pub fn of(error: &(dyn StdError + 'static)) -> Option<Self> {
        let mut causes = std::iter::successors(Some(error), |error| StdError::source(*error));
        causes.find_map(|cause| match cause.downcast_ref::<Self>() {
            Some(obstacle) => Some(*obstacle),
            None => cause.downcast_ref::<RedisError>().map(Self::from),
        })
    }

    /// Returns the more useful of two obstacles: a lasting one, if there is one.
    pub(crate) fn or(self, other: Self) -> Self {
        if self.is_lasting() { self } else { other }
    }

    /// Returns whether the server refuses writes only.
    pub(crate) fn is_of_writes(self) -> bool {
        matches!(self, Self::ReadOnly | Self::MemoryFull | Self::WritesStopped)
    }

    /// Returns whether the obstacle remains until somebody changes a setting of the client or of
    /// Redis. Another obstacle may pass by itself, so a later attempt may succeed.
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
            | Self::TooFewReplicas
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
            Self::UnknownHost => "the host name cannot be resolved",
            Self::Refused => "the connection was refused",
            Self::TimedOut => "Redis did not answer in time",
            Self::Closed => "the connection was closed",
            Self::PlainPort => "the port does not use TLS",
            Self::TlsPort => "the port requires TLS",
            Self::Certificate => "the server's certificate is not trusted",
            Self::TlsRefused => "the server ended the TLS handshake",
            Self::NotRedis => "the service at this address is not Redis",
            Self::ProtectedMode => "Redis is in protected mode and accepts only local clients",
            Self::TooManyClients => {
                "the maximum number of clients is connected to Redis (maxclients)"
            }
            Self::LoginRequired => "Redis requires a password (NOAUTH)",
            Self::WrongLogin => "the user or the password is wrong (WRONGPASS)",
            Self::LoginNotNeeded => "the address has a password, and Redis requires none",
            Self::SentinelLogin => "the sentinels reject the login",
            Self::SentinelLoginRequired => "the sentinels require a password (NOAUTH)",
            Self::NoPermission => "the user lacks a permission (NOPERM)",
            Self::NoSuchDatabase => "Redis has no database with this number",
            Self::Loading => "Redis is loading its data (LOADING)",
            Self::MasterDown => "there is no master at the moment",
            Self::Replica => "the server is a replica and accepts no writes",
            Self::ReadOnly => "the server accepts no writes (READONLY)",
            Self::Sentinel => "the server is a sentinel",
            Self::NotSentinel => "the server is not a sentinel",
            Self::UnknownMaster => "the sentinels know no master with this name",
            Self::Cluster => "the server is part of a cluster",
            Self::NotCluster => "the server is not part of a cluster",
            Self::ClusterDown => "the cluster does not serve all keys (CLUSTERDOWN)",
            Self::SlotMoves => "the cluster is moving these keys (TRYAGAIN)",
            Self::Busy => "Redis is busy with a script that runs for too long (BUSY)",
            Self::MemoryFull => "the memory of Redis is full (OOM)",
            Self::WritesStopped => "Redis has stopped accepting writes",
            Self::TooFewReplicas => "too few replicas have a write",
            Self::Other => "Redis cannot be used",
        })
    }
}

impl std::error::Error for Obstacle {}
