//! Figures as text.

use jiff::Timestamp;

use super::super::table::clean;
use crate::usecases::overview::{Overview, SessionCount, Unanswered};

/// Returns an overview as one line, for a program or a log.
pub(super) fn text(time_ms: u64, overview: &Overview) -> String {
    let time = i64::try_from(time_ms).ok().and_then(|ms| Timestamp::from_millisecond(ms).ok());
    let time = time.map_or_else(|| time_ms.to_string(), |time| format!("{time:.3}"));
    let Overview { services, unanswered, store, .. } = overview;
    let mut line = format!(
        "{time}  services {}  check-ins {}/s  applied {}/s  waiting {}  oldest {}  dead letters {}  logins {}/s  \
         failed {}/s  throttled {}/s  sessions {}  cache {}  store {}",
        services.len(),
        number(overview.checkins_per_second),
        number(overview.applied_per_second),
        overview.waiting(),
        age(overview.oldest_waiting_seconds()),
        overview.dead_letters(),
        number(overview.logins_per_second),
        number(overview.failed_logins_per_second),
        number(overview.throttled_per_second),
        sessions(overview.sessions),
        percent(overview.cache_hit_rate),
        store.ping_ms.map_or_else(|| "unavailable".to_owned(), |ms| milliseconds(Some(ms))),
    );
    for Unanswered { address, reason } in unanswered {
        line += &format!("  no answer from {address}: {}", clean(reason));
    }
    line
}

/// Returns numbers in order as ranges, such as `0-3,7`.
pub(super) fn ranges(numbers: &[u64]) -> String {
    let follows = |a: &u64, b: &u64| *b == a + 1;
    let ranges = numbers.chunk_by(follows).map(|range| match range {
        [one] => one.to_string(),
        [first, .., last] => format!("{first}-{last}"),
        [] => String::new(),
    });
    ranges.collect::<Vec<_>>().join(",")
}

/// Returns a number with one decimal below 100, and without one from there on.
pub(super) fn number(number: f64) -> String {
    if number < 100.0 { format!("{number:.1}") } else { format!("{number:.0}") }
}

pub(super) fn milliseconds(ms: Option<f64>) -> String {
    ms.map_or_else(|| "-".to_owned(), |ms| format!("{} ms", number(ms)))
}

pub(super) fn percent(share: Option<f64>) -> String {
    share.map_or_else(|| "-".to_owned(), |share| format!("{:.0} %", share * 100.0))
}

pub(super) fn mebibytes(bytes: f64) -> String {
    format!("{:.0} MiB", bytes / f64::from(1 << 20))
}

/// Returns a time in its two largest units.
pub(super) fn age(seconds: f64) -> String {
    // Saturates.
    let whole = seconds.max(0.0) as u64;
    match whole {
        0..60 => format!("{seconds:.1} s"),
        60..3600 => format!("{} min {} s", whole / 60, whole % 60),
        3600..86_400 => format!("{} h {} min", whole / 3600, whole % 3600 / 60),
        _ => format!("{} d {} h", whole / 86_400, whole % 86_400 / 3600),
    }
}

pub(super) fn sessions(count: Option<SessionCount>) -> String {
    match count {
        None => "-".to_owned(),
        Some(SessionCount { number, is_at_least: false }) => number.to_string(),
        Some(SessionCount { number, is_at_least: true }) => format!("over {number}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn figures_are_short() {
        for (seconds, text) in [
            (0.0, "0.0 s"),
            (1.26, "1.3 s"),
            (61.0, "1 min 1 s"),
            (3_700.0, "1 h 1 min"),
            (200_000.0, "2 d 7 h"),
            (-1.0, "-1.0 s"),
        ] {
            assert_eq!(age(seconds), text);
        }
        assert_eq!([number(1.26), number(123.4)], ["1.3", "123"]);
        for (numbers, text) in
            [(&[0, 1, 2, 3, 7][..], "0-3,7"), (&[4], "4"), (&[1, 3, 5, 6], "1,3,5-6"), (&[], "")]
        {
            assert_eq!(ranges(numbers), text);
        }
        assert_eq!([milliseconds(None), milliseconds(Some(0.44))], ["-", "0.4 ms"]);
        assert_eq!([percent(None), percent(Some(0.987))], ["-", "99 %"]);
        let count = |is_at_least| Some(SessionCount { number: 7, is_at_least });
        assert_eq!(
            [sessions(None), sessions(count(false)), sessions(count(true))],
            ["-", "7", "over 7"]
        );
    }
}
