//! The lifetimes of sessions.

use std::time::Duration;

use clap::{Args, ValueEnum};

use super::common::SERVICE_OPTIONS;
use super::values::time;

const MINUTE: Duration = Duration::from_secs(60);
const HOUR: Duration = Duration::from_secs(60 * 60);
const DAY: Duration = Duration::from_secs(24 * 60 * 60);

/// The longest lifetimes that NIST SP 800-63B-4 has for its authentication assurance levels (AAL), the highest
/// level first.
const LEVELS: [(u8, Lifetimes); 3] = [
    (
        3,
        Lifetimes {
            idle: Duration::from_secs(15 * 60),
            absolute: Some(Duration::from_secs(12 * 60 * 60)),
        },
    ),
    (2, Lifetimes { idle: HOUR, absolute: Some(DAY) }),
    (1, Lifetimes { idle: Duration::MAX, absolute: Some(Duration::from_secs(30 * 24 * 60 * 60)) }),
];

/// The settings of the lifetimes of sessions. All services of a deployment must have the same.
#[derive(Args, Clone, Debug)]
#[command(next_help_heading = SERVICE_OPTIONS)]
pub struct LifetimeSettings {
    /// The lifetimes of sessions. compatible: a session ends 24h after its last use, as with
    /// connect-redis. strict: 30m after its last use, and 12h after the login. It must be the same for
    /// all services
    #[arg(
        long,
        global = true,
        env = "CHECKIN_SESSION_PROFILE",
        value_name = "PROFILE",
        default_value = "compatible"
    )]
    pub session_profile: Profile,

    /// The time after its last use at which a session ends, in whole seconds. Default: that of the
    /// profile. It must be the same for all services
    #[arg(
        long,
        global = true,
        env = "CHECKIN_IDLE_TIMEOUT",
        value_name = "DURATION",
        value_parser = idle_timeout
    )]
    pub idle_timeout: Option<Duration>,

    /// The time after the login at which a session ends however much it is used, in whole seconds. 0
    /// means none. Default: that of the profile. It must be the same for all services
    #[arg(
        long,
        global = true,
        env = "CHECKIN_ABSOLUTE_TIMEOUT",
        value_name = "DURATION",
        value_parser = absolute_timeout
    )]
    pub absolute_timeout: Option<Duration>,
}

/// A choice of lifetimes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Profile {
    /// Those of express-session and connect-redis.
    Compatible,
    /// Within those that NIST SP 800-63B-4 recommends for AAL2.
    Strict,
}

/// The lifetimes of sessions.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Lifetimes {
    /// The time after the last use.
    pub idle: Duration,
    /// The time after the login; `None` means unlimited.
    pub absolute: Option<Duration>,
}

impl LifetimeSettings {
    /// Returns the lifetimes that the settings mean together.
    #[must_use]
    pub fn lifetimes(&self) -> Lifetimes {
        let (idle, absolute) = match self.session_profile {
            Profile::Compatible => (24 * HOUR, Duration::ZERO),
            Profile::Strict => (30 * MINUTE, 12 * HOUR),
        };
        let absolute = self.absolute_timeout.unwrap_or(absolute);
        Lifetimes {
            idle: self.idle_timeout.unwrap_or(idle),
            absolute: (!absolute.is_zero()).then_some(absolute),
        }
    }
}

impl Lifetimes {
    /// Returns the highest level of NIST SP 800-63B-4 (AAL1 to AAL3) whose lifetimes are not exceeded.
    #[must_use]
    pub fn level(&self) -> Option<u8> {
        LEVELS.iter().find(|(_, most)| self.are_within(most)).map(|(level, _)| *level)
    }

    /// Returns whether no session lives longer than with these.
    fn are_within(&self, most: &Self) -> bool {
        let limit = |time: Option<Duration>| time.unwrap_or(Duration::MAX);
        let absolute = limit(self.absolute);
        self.idle.min(absolute) <= most.idle && absolute <= limit(most.absolute)
    }
}

/// Parses a [`time`] of at least a second.
fn idle_timeout(text: &str) -> Result<Duration, String> {
    match absolute_timeout(text)? {
        Duration::ZERO => Err("must be longer than 0".to_owned()),
        time => Ok(time),
    }
}

/// Parses a [`time`] in whole seconds.
fn absolute_timeout(text: &str) -> Result<Duration, String> {
    let time = time(text)?;
    if time.subsec_nanos() > 0 { Err("must be whole seconds".to_owned()) } else { Ok(time) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn flags_override_the_profile() {
        for (session_profile, idle, absolute, expected, level) in [
            (Profile::Compatible, None, None, (24 * 60, None), None),
            (Profile::Strict, None, None, (30, Some(12 * 60)), Some(2)),
            (Profile::Strict, Some("1h"), Some("24h"), (60, Some(24 * 60)), Some(2)),
            (Profile::Strict, Some("61m"), None, (61, Some(12 * 60)), Some(1)),
            (Profile::Strict, None, Some("25h"), (30, Some(25 * 60)), Some(1)),
            (Profile::Strict, None, Some("0"), (30, None), None),
            // No session lives longer than the absolute timeout.
            (Profile::Compatible, None, Some("1h"), (24 * 60, Some(60)), Some(2)),
            (Profile::Strict, Some("15m"), None, (15, Some(12 * 60)), Some(3)),
        ] {
            let settings = LifetimeSettings {
                session_profile,
                idle_timeout: idle.map(|text| idle_timeout(text).unwrap()),
                absolute_timeout: absolute.map(|text| absolute_timeout(text).unwrap()),
            };
            let (idle, absolute) = expected;
            let minutes = |number: u32| number * MINUTE;
            let expected = Lifetimes { idle: minutes(idle), absolute: absolute.map(minutes) };
            let lifetimes = settings.lifetimes();
            assert_eq!(lifetimes, expected, "{settings:?}");
            assert_eq!(lifetimes.level(), level, "{settings:?}");
        }
    }

    #[test]
    fn lifetimes_are_whole_seconds() {
        assert_eq!(idle_timeout("1500ms"), Err("must be whole seconds".to_owned()));
        assert_eq!(idle_timeout("0"), Err("must be longer than 0".to_owned()));
        assert_eq!(absolute_timeout("0"), Ok(Duration::ZERO));
    }
}
