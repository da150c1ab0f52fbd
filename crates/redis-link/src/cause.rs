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

/// The beginning of a place in a script.
const PLACE: &str = "@user_script:";

impl From<&RedisError> for Obstacle {
    fn from(error: &RedisError) -> Self {
        let text = error.detail().unwrap_or_default();
        match code(error) {
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
    match code(cause) {
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

/// Returns the code of an error of Redis. Redis 6.2 puts the place in the script in front of the code of an error in a
/// script: `ERR Error running script (call to f_…): @user_script:28: @user_script: 28: -OOM command not allowed …`. If
/// the script catches the error and returns it, its place is all that is in front.
pub(crate) fn code(error: &RedisError) -> Option<&str> {
    let after = match error.code()? {
        "ERR" => error.detail().and_then(|text| text.rsplit_once(PLACE)).map(|(_, after)| after),
        PLACE => error.detail(),
        code => return Some(code),
    };
    after.and_then(code_after_line).or(Some("ERR"))
}

/// Returns the code behind the number of a line.
fn code_after_line(text: &str) -> Option<&str> {
    let (_, error) = text.split_once(": ")?;
    let code = error.strip_prefix('-').unwrap_or(error).split(' ').next()?;
    let is_code = code.len() > 2 && code.bytes().all(|byte| byte.is_ascii_uppercase());
    is_code.then_some(code)
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
        // A primary of a cluster, without which the others work.
        IoErrorKind::NotConnected => Obstacle::ClusterDown,
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

    /// The last one is of Redis 7.0, the others are of Redis 6.2.
    #[test]
    fn errors_in_scripts_have_the_code_of_their_cause() {
        let script = "Error running script (call to f_4ad233bc26479c6535c97fc60467238583cab2f3): ";
        for (text, expected) in [
            (
                "@user_script:2: @user_script: 2: -OOM command not allowed when used memory > 'maxmemory'.",
                "OOM",
            ),
            (
                "@user_script:1: WRONGTYPE Operation against a key holding the wrong kind of value",
                "WRONGTYPE",
            ),
            (
                "@user_script:1: @user_script: 1: The user executing the script can't run this command",
                "ERR",
            ),
            (
                "The user executing the script can't run this command script: 5a34, on @user_script:1.",
                "ERR",
            ),
        ] {
            for text in [text.to_owned(), format!("{script}{text}")] {
                let cause = redis::make_extension_error("ERR".to_owned(), Some(text.clone()));
                assert_eq!(code(&cause), Some(expected), "{text}");
            }
        }
        let returned = "28: -READONLY You can't write against a read only replica.";
        let cause = redis::make_extension_error(PLACE.to_owned(), Some(returned.to_owned()));
        assert_eq!(code(&cause), Some("READONLY"));
    }
}
