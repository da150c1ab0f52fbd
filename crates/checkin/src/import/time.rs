//! Parses the times of files: texts, or numbers since 1970, in milliseconds in our own files and in
//! seconds in those of Swarm.
//!
//! Times before the year 2000 are refused: a smaller number is in another unit, such as seconds, or
//! the days of a spreadsheet.

use jiff::Timestamp;
use jiff::civil::Time;
use jiff::fmt::temporal::Pieces;
use jiff::tz::Offset;

use super::value::{Outcome, digits, number};
use crate::domain::{CheckinId, CheckinIdError, EARLIEST_MS, MAX_SAFE_INTEGER};
use crate::input::{Fields, Given, Input};

/// The rule for times in the future.
pub(super) const LATER_THAN_NOW: &str = "must not be later than now";

/// The latest time that is accepted, in milliseconds since 1970.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct TimeLimit(pub(super) u64);

impl TimeLimit {
    /// Refuses a field whose time is later.
    pub(super) fn check(self, fields: &mut Fields<'_>, name: &str, time_ms: Option<u64>) {
        if time_ms.is_some_and(|ms| ms > self.0) {
            fields.refuse(name, LATER_THAN_NOW);
        }
    }
}

const BEFORE_2000: &str = "must not be before the year 2000";

/// The years 2000 and 2100, in seconds since 1970.
const CENTURY_S: (f64, f64) = (946_684_800.0, 4_102_444_800.0);

/// The time of a check-in in milliseconds since 1970: a time with its offset (RFC 3339), or the
/// number itself.
#[derive(Clone, Copy)]
pub(super) struct MadeAt(pub(super) u64);

impl Input for MadeAt {
    fn read(given: &Given<'_>) -> Outcome<Self> {
        let text = given.written();
        let Some(number) = number(text) else {
            let form = "must be a time with its offset, like 2026-11-01T12:00:00Z, or milliseconds \
                        since 1970";
            return from_2000_on(instant(text, None).ok_or(form)?).map(Self);
        };
        let early = "must be milliseconds since 1970, from the year 2000 on, or a time like \
                     2026-11-01T12:00:00Z";
        milliseconds(text, number, early).map(Self)
    }
}

/// The time of a user's last check-in in milliseconds since 1970. Empty and 0 mean "never", because
/// the hashes of new users contain either.
#[derive(Clone, Copy)]
pub(super) struct LastTime(pub(super) Option<u64>);

impl Input for LastTime {
    fn read(given: &Given<'_>) -> Outcome<Self> {
        let text = given.written();
        let rule = "must be milliseconds since 1970, from the year 2000 on, or 0 for never";
        match number(text) {
            _ if given.is_empty() || digits(text) == Some(0) => Ok(Self(None)),
            Some(number) => milliseconds(text, number, rule).map(|ms| Self(Some(ms))),
            None => Err(rule.to_owned()),
        }
    }
}

/// The id of a check-in, which begins with a time.
#[derive(Clone, Copy)]
pub(super) struct TimedId(pub(super) CheckinId);

impl Input for TimedId {
    fn read(given: &Given<'_>) -> Outcome<Self> {
        let parts = given.text()?.split_once('-');
        let parts = parts.and_then(|(ms, seq)| Some((ms, digits(ms)?, digits(seq)?)));
        let Some((ms, number, seq)) = parts else {
            return Err(CheckinIdError.to_string());
        };
        if seq > MAX_SAFE_INTEGER {
            return Err(format!("must have a sequence number of at most {MAX_SAFE_INTEGER}"));
        }
        let early = "must begin with milliseconds since 1970, from the year 2000 on";
        let ms = milliseconds(ms, number as f64, early)?;
        Ok(Self(CheckinId { ms, seq }))
    }
}

/// Parses the time of a Swarm check-in to milliseconds since 1970: a time, in UTC unless it has an
/// offset, or a number of seconds.
pub(super) fn swarm_time(given: &Given<'_>) -> Outcome<u64> {
    let text = given.written();
    let Some(seconds) = number(text) else {
        let form = "must be a time like 2016-01-01 12:00:00, or seconds since 1970";
        return from_2000_on(instant(text, Some(Offset::UTC)).ok_or(form)?);
    };
    let (first, end) = CENTURY_S;
    if (first * 1000.0..end * 1000.0).contains(&seconds) {
        return Err("must be in seconds since 1970, and looks like milliseconds".to_owned());
    }
    if seconds < first {
        let early = "must be seconds since 1970, from the year 2000 on, or a time like \
                     2016-01-01 12:00:00";
        return Err(early.to_owned());
    }
    Ok((seconds * 1000.0).round() as u64)
}

/// Returns a number of milliseconds; the maximum if the number is larger.
fn milliseconds(text: &str, number: f64, early: &str) -> Outcome<u64> {
    let (first, end) = CENTURY_S;
    if (first..end).contains(&number) {
        return Err("must be in milliseconds since 1970, and looks like seconds".to_owned());
    }
    if number < first * 1000.0 {
        return Err(early.to_owned());
    }
    digits(text).ok_or_else(|| "must be a whole number of milliseconds, in digits alone".to_owned())
}

/// Parses a time to milliseconds since 1970; times beyond the calendar become the maximum or the
/// minimum. A time without an offset is in `offset`, and may be only a date.
fn instant(text: &str, offset: Option<Offset>) -> Option<i64> {
    let pieces = Pieces::parse(text).ok()?;
    let time = pieces.time().or(offset.map(|_| Time::midnight()))?;
    let offset = pieces.to_numeric_offset().or(offset)?;
    let beyond = if pieces.date().year() > 0 { i64::MAX } else { i64::MIN };
    let instant = offset.to_timestamp(pieces.date().to_datetime(time));
    Some(instant.map_or(beyond, Timestamp::as_millisecond))
}

fn from_2000_on(ms: i64) -> Outcome<u64> {
    let ms = u64::try_from(ms).ok().filter(|ms| *ms >= EARLIEST_MS);
    ms.ok_or_else(|| BEFORE_2000.to_owned())
}
