//! Points in time in the form of JavaScript's `Date`: milliseconds since 1970 in a double.

use std::time::{SystemTime, UNIX_EPOCH};

use time::format_description::well_known::{Iso8601, Rfc2822, Rfc3339};
use time::{Date, OffsetDateTime, PrimitiveDateTime, UtcDateTime};

/// The last millisecond that a JavaScript `Date` can represent, before or after 1970.
const LIMIT_MS: f64 = 8.64e15;

/// Returns `Date.now()`. Only this function of the crate reads the clock.
pub(crate) fn now_ms() -> f64 {
    match SystemTime::now().duration_since(UNIX_EPOCH) {
        Ok(since) => since.as_millis() as f64,
        Err(before) => -(before.duration().as_millis() as f64),
    }
}

/// Returns the value of `new Date(ms)`: whole milliseconds, or NaN beyond the limit.
pub(crate) fn clip(ms: f64) -> f64 {
    if ms.abs() <= LIMIT_MS { ms.trunc() + 0.0 } else { f64::NAN }
}

/// Returns `Date.parse(text)` for the formats that programs write: ISO 8601 with a time zone or in
/// UTC, a date without a time, and the format of HTTP and e-mail. `None` corresponds to
/// JavaScript's NaN.
pub(crate) fn parse(text: &str) -> Option<f64> {
    let iso = &Iso8601::DEFAULT;
    let moment = OffsetDateTime::parse(text, &Rfc3339)
        .or_else(|_| OffsetDateTime::parse(text, &Rfc2822))
        .or_else(|_| OffsetDateTime::parse(text, iso))
        .or_else(|_| PrimitiveDateTime::parse(text, iso).map(PrimitiveDateTime::assume_utc))
        .or_else(|error| match text.contains('T') {
            // The parser for dates would ignore the time.
            true => Err(error),
            false => Date::parse(text, &Iso8601::DATE).map(|date| date.midnight().assume_utc()),
        });
    Some((moment.ok()?.unix_timestamp_nanos() / 1_000_000) as f64)
}

/// Returns `toISOString()`; `None` for an invalid date.
pub(crate) fn to_iso(ms: f64) -> Option<String> {
    let t = utc(ms)?;
    let year = match t.year() {
        year @ 0..=9999 => format!("{year:04}"),
        year => format!("{}{:06}", if year < 0 { '-' } else { '+' }, year.unsigned_abs()),
    };
    let (month, day, millisecond) = (u8::from(t.month()), t.day(), t.millisecond());
    let (hour, minute, second) = t.as_hms();
    Some(format!("{year}-{month:02}-{day:02}T{hour:02}:{minute:02}:{second:02}.{millisecond:03}Z"))
}

/// Returns `toUTCString()`, the format of `Expires`, without milliseconds.
pub(crate) fn to_utc(ms: f64) -> Option<String> {
    let t = utc(ms)?;
    let weekday = &t.weekday().to_string()[..3];
    let month = &t.month().to_string()[..3];
    let sign = if t.year() < 0 { "-" } else { "" };
    let (day, year, (hour, minute, second)) = (t.day(), t.year().unsigned_abs(), t.as_hms());
    Some(format!(
        "{weekday}, {day:02} {month} {sign}{year:04} {hour:02}:{minute:02}:{second:02} GMT"
    ))
}

fn utc(ms: f64) -> Option<UtcDateTime> {
    if clip(ms).is_nan() {
        return None;
    }
    UtcDateTime::from_unix_timestamp_nanos(ms as i128 * 1_000_000).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn dates_are_parsed_and_formatted_as_in_node() {
        let ms = 1_794_000_123_456.0;
        assert_eq!(to_iso(ms).unwrap(), "2026-11-06T21:22:03.456Z");
        assert_eq!(to_utc(ms).unwrap(), "Fri, 06 Nov 2026 21:22:03 GMT");
        assert_eq!(parse("2026-11-06T21:22:03.456Z"), Some(ms));
        assert_eq!(parse("Fri, 06 Nov 2026 21:22:03 GMT"), Some(1_794_000_123_000.0));
        assert_eq!(parse("2026-11-06"), Some(1_793_923_200_000.0));
        assert_eq!(parse("2026-11-06T21:22:03"), Some(1_794_000_123_000.0));
        assert_eq!(parse("2026-11-06T21:22Z"), Some(1_794_000_120_000.0));
        assert_eq!(parse("+012026-01-01T00:00:00.001Z"), Some(317_336_745_600_001.0));
        for garbage in ["garbage", "2026-11-06Tx", "2026-13-06", ""] {
            assert_eq!(parse(garbage), None, "{garbage}");
        }
    }

    #[test]
    fn far_dates_have_six_digit_years_and_dates_beyond_the_limit_are_invalid() {
        assert_eq!(to_iso(8.64e15).unwrap(), "+275760-09-13T00:00:00.000Z");
        assert_eq!(to_iso(-8.64e15).unwrap(), "-271821-04-20T00:00:00.000Z");
        assert_eq!(to_utc(8.64e15).unwrap(), "Sat, 13 Sep 275760 00:00:00 GMT");
        assert_eq!(to_iso(8.65e15), None);
        assert_eq!(to_iso(f64::NAN), None);
    }
}
