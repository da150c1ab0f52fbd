//! Why Redis cannot be used, and what to do about it.

use redis_link::Obstacle;

use checkin_storage::{Fault, StorageError};

/// Returns the storage error for an error of the connection.
pub(crate) fn failed(cause: redis_link::Error) -> StorageError {
    match cause.kind() {
        redis_link::ErrorKind::WrongType => StorageError::unreadable(cause),
        _ if cause.is_logged() => StorageError::logged(cause),
        _ => StorageError::new(cause),
    }
}

/// Returns the fault for an obstacle, with advice for the operator.
pub(crate) fn fault(obstacle: Obstacle) -> Fault {
    let what = obstacle.to_string();
    let advice = advice(obstacle);
    match obstacle.is_lasting() {
        true => Fault::lasting(what, advice),
        false => Fault::passing(what, advice),
    }
}

/// Returns the fault for a storage error.
pub(crate) fn of_error(error: &StorageError) -> Fault {
    match Obstacle::of(error) {
        Some(obstacle) => fault(obstacle),
        None => Fault::passing("the store failed", "look at its log"),
    }
}

fn advice(obstacle: Obstacle) -> &'static str {
    match obstacle {
        Obstacle::UnknownHost => "correct the host in --store, or its DNS entry",
        Obstacle::Refused => "start Redis there, or name another address with --store",
        Obstacle::TimedOut => {
            "check that a firewall lets the connection through and that Redis is not overloaded; \
             --store-timeout sets how long to wait"
        }
        Obstacle::Closed => "check the network and the log of Redis",
        Obstacle::PlainPort => "use redis in place of rediss in --store, or the TLS port of Redis",
        Obstacle::TlsPort => "use rediss in place of redis in --store",
        Obstacle::Certificate => {
            "name the host as the certificate does, renew it, or name a file with its authority in --store: \
             ?ssl_ca_certs=FILE (without it, the system's authorities count, or those in SSL_CERT_FILE)"
        }
        Obstacle::TlsRefused => {
            "name a client certificate that Redis accepts in --store (?ssl_certfile=FILE&ssl_keyfile=FILE), or set \
             tls-auth-clients to no in Redis"
        }
        Obstacle::NotRedis => "correct the host and the port in --store",
        Obstacle::ProtectedMode => "set a password (requirepass) and bind in Redis",
        Obstacle::TooManyClients => "raise maxclients in Redis, or close other clients",
        Obstacle::LoginRequired => "put the login into --store: redis://user:password@host",
        Obstacle::WrongLogin => "correct the user and the password in --store",
        Obstacle::LoginNotNeeded => {
            "take the password out of --store, or set one in Redis (requirepass)"
        }
        Obstacle::SentinelLogin | Obstacle::SentinelLoginRequired => {
            "correct the password in --store (redis-sentinel://user:password@host), or add that of the \
             sentinels if they have their own: ?sentinel_user=USER&sentinel_password=PASSWORD"
        }
        Obstacle::NoPermission => {
            "allow this user every command on the keys under the prefix (ACL SETUSER)"
        }
        Obstacle::NoSuchDatabase => "use a lower database in --store, or raise databases in Redis",
        Obstacle::Loading => "wait until it has finished",
        Obstacle::MasterDown => "wait for the fail-over, or start the master",
        Obstacle::Replica | Obstacle::ReadOnly => {
            "name the master in --store, or the sentinels (redis-sentinel://)"
        }
        Obstacle::Sentinel => "use redis-sentinel://host:port/master-name in --store",
        Obstacle::NotSentinel => "name the sentinels and their port (26379), or use redis://",
        Obstacle::UnknownMaster => "correct the master's name in --store",
        Obstacle::Cluster => "use redis-cluster:// in place of redis:// in --store",
        Obstacle::NotCluster => "use redis:// in place of redis-cluster:// in --store",
        Obstacle::ClusterDown => "look at CLUSTER INFO and CLUSTER NODES",
        Obstacle::SlotMoves => "wait until the slot has moved; see CLUSTER NODES",
        Obstacle::Busy => "wait until the script ends, or end it with SCRIPT KILL",
        Obstacle::MemoryFull => "raise maxmemory in Redis, or free memory",
        Obstacle::WritesStopped => "look at the log of Redis: it cannot save, or lacks replicas",
        _ => "look at the log of Redis",
    }
}
