//! The values of settings: each is parsed here, and each error is the rule.

use std::net::SocketAddr;
use std::ops::RangeInclusive;
use std::str::FromStr;
use std::time::Duration;

use clap::Command;
use clap::builder::{BoolishValueParser, TypedValueParser};

/// The prefix of all keys in Redis.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct KeyPrefix(String);

impl KeyPrefix {
    /// Returns the prefix, without the colon that follows it.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl FromStr for KeyPrefix {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let ordinary = |c: char| c.is_ascii_alphanumeric() || "-_.:".contains(c);
        // Braces would put all keys into one slot of a cluster, and stars would match other keys.
        if text.is_empty() || text.len() > 64 || !text.chars().all(ordinary) {
            return Err("must have 1 to 64 letters, digits and - _ . :".to_owned());
        }
        Ok(Self(text.to_owned()))
    }
}

/// The maximum of settings without a limit of their own: the largest integer that JSON and TOML
/// readers agree on.
pub const MAX_INTEGER: u64 = 9_007_199_254_740_991;

/// Returns a parser of integers in `range`.
///
/// # Errors
///
/// The parser returns the rule if the text is not an integer in `range`.
pub fn integer<T: TryFrom<u64>>(
    range: RangeInclusive<u64>,
) -> impl Fn(&str) -> Result<T, String> + Clone {
    move |text| {
        let number = text.parse().ok().filter(|number| range.contains(number));
        number
            .and_then(|number| T::try_from(number).ok())
            .ok_or_else(|| format!("must be an integer from {} to {}", range.start(), range.end()))
    }
}

/// Parses the value of a switch that comes from a variable or from the file.
///
/// # Errors
///
/// The rule, if the text is not a switch.
pub fn switch(text: &str) -> Result<bool, String> {
    let rule = |_| "must be true or false".to_owned();
    BoolishValueParser::new().parse_ref(&Command::new("setting"), None, text.as_ref()).map_err(rule)
}

pub(super) fn log_level(text: &str) -> Result<tracing::Level, String> {
    let rule = |_| "must be error, warn, info, debug or trace".to_owned();
    text.parse().map_err(rule)
}

/// Parses a time such as `250ms`, `10s`, `15m`, `24h`, `7d`, or `0`.
///
/// # Errors
///
/// The rule, if the text is not a time.
pub fn time(text: &str) -> Result<Duration, String> {
    let time = match text {
        "0" => Duration::ZERO,
        text => humantime::parse_duration(text).map_err(|_| {
            "must be numbers with units, such as 250ms, 10s, 15m, 24h, 7d or 1h30m".to_owned()
        })?,
    };
    match time {
        time if time > MAX_TIME => Err("must be at most 3650d".to_owned()),
        // The stores work in milliseconds.
        time if time.subsec_nanos() % 1_000_000 > 0 => Err("must be whole milliseconds".to_owned()),
        time => Ok(time),
    }
}

/// Returns a time in the form in which [`time`] reads it, such as `24h` or `1m 30s`. A time of two days or more has
/// days, and one below a millisecond is rounded up, because `0` means another thing.
#[must_use]
pub fn shown_time(time: Duration) -> String {
    const DAY: u64 = 24 * 60 * 60;
    let milliseconds = time.as_nanos().div_ceil(1_000_000);
    let time = Duration::from_millis(u64::try_from(milliseconds).unwrap_or(u64::MAX));
    let seconds = time.as_secs();
    let days = if seconds < 2 * DAY { 0 } else { seconds / DAY };
    let below_days = seconds - days * DAY;
    let parts = [
        (days, "d"),
        (below_days / (60 * 60), "h"),
        (below_days / 60 % 60, "m"),
        (below_days % 60, "s"),
        (time.subsec_millis().into(), "ms"),
    ];
    let parts = parts.iter().filter(|(count, _)| *count > 0);
    let shown = parts.map(|(count, unit)| format!("{count}{unit}")).collect::<Vec<_>>().join(" ");
    if shown.is_empty() { "0".to_owned() } else { shown }
}

const MAX_TIME: Duration = Duration::from_secs(3650 * 24 * 60 * 60);

/// Parses a [`time`] that is longer than 0.
///
/// # Errors
///
/// The rule, if the text is not such a time.
pub fn positive_time(text: &str) -> Result<Duration, String> {
    time(text).and_then(|time| {
        if time.is_zero() { Err("must be longer than 0".to_owned()) } else { Ok(time) }
    })
}

/// Parses an address to listen on. A port alone means 127.0.0.1.
///
/// # Errors
///
/// The rule, if the text is not an address.
pub fn listen_address(text: &str) -> Result<SocketAddr, String> {
    let local = |port: u16| SocketAddr::from(([127, 0, 0, 1], port));
    let bare_port = text.strip_prefix(':').unwrap_or(text).parse().map(local);
    bare_port
        .or_else(|_| text.replace("localhost:", "127.0.0.1:").parse())
        .map_err(|_| "must be HOST:PORT, such as 127.0.0.1:8080 or [::]:8080".to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_have_units() {
        for (text, ms) in [
            ("0", 0),
            ("250ms", 250),
            ("10s", 10_000),
            ("10m", 600_000),
            ("1h", 3_600_000),
            ("2d", 172_800_000),
            ("1h30m", 5_400_000),
            ("3650d", 315_360_000_000),
        ] {
            assert_eq!(time(text), Ok(Duration::from_millis(ms)), "{text}");
        }
        for (text, shown) in [
            ("0", "0"),
            ("90s", "1m 30s"),
            ("1d", "24h"),
            ("47h59m", "47h 59m"),
            ("30d", "30d"),
            ("400d", "400d"),
            ("49h1s5ms", "2d 1h 1s 5ms"),
        ] {
            let duration = time(text).unwrap();
            assert_eq!(shown_time(duration), shown);
            assert_eq!(time(shown), Ok(duration));
        }
        for wrong in [
            "",
            "5",
            "-1s",
            "1,5s",
            "s",
            "10x",
            "1e9d",
            "99999999999d",
            "18446744073709551615s",
            "3651d",
        ] {
            assert!(time(wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn addresses_may_be_short() {
        for (text, address) in [
            ("8080", "127.0.0.1:8080"),
            (":0", "127.0.0.1:0"),
            ("localhost:1", "127.0.0.1:1"),
            ("[::]:80", "[::]:80"),
        ] {
            assert_eq!(
                listen_address(text).map(|address| address.to_string()),
                Ok(address.to_owned())
            );
        }
        for wrong in ["", "x", "127.0.0.1", "1.2.3.4:99999"] {
            assert!(listen_address(wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn prefixes_stay_inside_their_keys() {
        assert!("ncc".parse::<KeyPrefix>().is_ok());
        for wrong in ["", "*", "{a}", "a b", "é"] {
            assert!(wrong.parse::<KeyPrefix>().is_err(), "{wrong}");
        }
    }
}
