//! Classifies the errors of the client crate.

use std::error::Error as StdError;
use std::io::ErrorKind as IoErrorKind;
use std::sync::Arc;

use redis::{ErrorKind as RedisErrorKind, RedisError};

use crate::error::ErrorKind;
use crate::obstacle::Obstacle;

/// What Redis says when a script may not use a command or a key. The first two are of versions before 7.2.
const DENIED_IN_SCRIPT: [&str; 3] =
    ["can't run this command", "can't access at least one", "ACL failure in script"];

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
            Some("ERR") if DENIED_IN_SCRIPT.iter().any(|denied| text.contains(denied)) => {
                return Self::NoPermission;
            }
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

/// Returns the kind of an error of the client crate.
pub(crate) fn kind(cause: &RedisError) -> ErrorKind {
    match cause.code() {
        Some("WRONGTYPE") => ErrorKind::WrongType,
        // Redis runs but cannot serve the command now: it is starting, failing over, or out of
        // memory or disk space.
        Some(
            "LOADING" | "MASTERDOWN" | "READONLY" | "CLUSTERDOWN" | "TRYAGAIN" | "MOVED" | "ASK"
            | "BUSY" | "OOM" | "MISCONF" | "NOREPLICAS" | "NOAUTH" | "WRONGPASS",
        ) => ErrorKind::Unavailable,
        Some("ERR") if Obstacle::from(cause) == Obstacle::TooManyClients => ErrorKind::Unavailable,
        Some(_) => ErrorKind::Server,
        None => ErrorKind::Unavailable,
    }
}

type SharedCause = Arc<dyn StdError + Send + Sync>;

/// Returns why a connection failed, from the innermost cause that tells.
fn of_connection(error: &RedisError) -> Obstacle {
    // The client crate returns a shared pointer to the cause in place of the cause.
    let mut cause = error.source().map(|cause| match cause.downcast_ref::<SharedCause>() {
        Some(shared) => &**shared as &(dyn StdError + 'static),
        None => cause,
    });
    let mut found = if error.is_io_error() { Obstacle::Closed } else { Obstacle::Other };
    while let Some(error) = cause {
        #[cfg(feature = "tls")]
        if let Some(error) = error.downcast_ref::<rustls::Error>() {
            return match error {
                rustls::Error::InvalidCertificate(_) => Obstacle::Certificate,
                rustls::Error::InvalidMessage(_) => Obstacle::PlainPort,
                _ => Obstacle::TlsRefused,
            };
        }
        if let Some(error) = error.downcast_ref::<std::io::Error>() {
            found = of_io(error);
            // `source` skips the error that an I/O error wraps.
            if let Some(inner) = error.get_ref() {
                cause = Some(inner);
                continue;
            }
        }
        cause = error.source();
    }
    found
}

pub(crate) fn of_io(error: &std::io::Error) -> Obstacle {
    match error.kind() {
        IoErrorKind::ConnectionRefused => Obstacle::Refused,
        IoErrorKind::TimedOut | IoErrorKind::WouldBlock => Obstacle::TimedOut,
        // A failed name lookup has no error kind of its own.
        _ if error.to_string().contains("lookup address") => Obstacle::UnknownHost,
        _ => Obstacle::Closed,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn error_codes_map_to_obstacles_and_kinds() {
        for (code, obstacle, outage) in [
            ("TRYAGAIN", Obstacle::SlotMoves, ErrorKind::Unavailable),
            ("CLUSTERDOWN", Obstacle::ClusterDown, ErrorKind::Unavailable),
            ("BUSY", Obstacle::Busy, ErrorKind::Unavailable),
            ("MISCONF", Obstacle::WritesStopped, ErrorKind::Unavailable),
            ("WRONGTYPE", Obstacle::Other, ErrorKind::WrongType),
        ] {
            let cause = redis::make_extension_error(code.to_owned(), None);
            assert_eq!((Obstacle::from(&cause), kind(&cause)), (obstacle, outage), "{code}");
        }
    }
}
