//! Single values, out of the raw text they are written as.
//!
//! The raw text, and not a parsed number: `1`, `1.0` and `1e0` are three spellings, and only the
//! first is an id in every program that shares the store.

use std::fmt::Display;
use std::str::FromStr;

use jiff::Timestamp;
use serde_json::value::RawValue;

use super::fields::Entries;
use crate::domain::number::{MAX_SAFE_INTEGER, decimal};
use crate::domain::text::{MAX_NAME_CHARS, check_line, check_prose};
use crate::domain::{LocationId, Social, StarRating, Weekday};

/// Longer than any number in any country, extension included.
const MAX_PHONE_CHARS: usize = 40;

/// A page of text.
const MAX_DESCRIPTION_CHARS: usize = 4000;

/// More networks than anybody keeps up with.
const MAX_SOCIALS: usize = 20;

pub(super) type Outcome<T> = Result<T, String>;

pub(super) fn text(raw: &RawValue) -> Outcome<String> {
    serde_json::from_str(raw.get()).map_err(|_| "must be a text".to_owned())
}

/// A whole number, written as a number or as a string of digits.
pub(super) fn whole(raw: &RawValue) -> Outcome<u64> {
    let digits = raw.get();
    let digits = digits.strip_prefix('"').and_then(|s| s.strip_suffix('"')).unwrap_or(digits);
    match decimal(digits) {
        Some(number) if number <= MAX_SAFE_INTEGER => Ok(number),
        Some(_) => Err(format!("must be at most {MAX_SAFE_INTEGER}")),
        None => Err("must be an integer".to_owned()),
    }
}

pub(super) fn id<T: TryFrom<u64, Error: Display>>(raw: &RawValue) -> Outcome<T> {
    T::try_from(whole(raw)?).map_err(|error| error.to_string())
}

/// The highest id that a file may give a user or a place: new ones get the ids behind the highest,
/// and half of all ids stay free for them.
const MAX_NEW_ID: u64 = 1 << 52;

/// The id of a user or a place that a file brings along.
pub(super) fn new_id<T: TryFrom<u64, Error: Display>>(raw: &RawValue) -> Outcome<T> {
    match whole(raw) {
        Ok(number) if number > MAX_NEW_ID => Err(format!("must be at most {MAX_NEW_ID}")),
        _ => id(raw),
    }
}

/// Any type of the domain that is written as text.
pub(super) fn parsed<T: FromStr<Err: Display>>(raw: &RawValue) -> Outcome<T> {
    text(raw)?.parse().map_err(|error: T::Err| error.to_string())
}

pub(super) fn name(raw: &RawValue) -> Outcome<String> {
    let text = text(raw)?;
    check_line(&text, MAX_NAME_CHARS).map_err(|error| error.to_string())?;
    Ok(text)
}

pub(super) fn name_or_empty(raw: &RawValue) -> Outcome<String> {
    if is_empty(raw) { Ok(String::new()) } else { name(raw) }
}

pub(super) fn description(raw: &RawValue) -> Outcome<String> {
    let text = text(raw)?;
    check_prose(&text, MAX_DESCRIPTION_CHARS).map_err(|error| error.to_string())?;
    Ok(text)
}

pub(super) fn phone(raw: &RawValue) -> Outcome<Option<String>> {
    if is_empty(raw) {
        return Ok(None);
    }
    let text = text(raw)?;
    check_line(&text, MAX_PHONE_CHARS).map_err(|error| error.to_string())?;
    Ok(Some(text))
}

pub(super) fn stars(raw: &RawValue) -> Outcome<StarRating> {
    StarRating::try_from(whole(raw)?).map_err(|error| error.to_string())
}

/// A number from 0 to 5, checked and forgotten.
pub(super) fn average(raw: &RawValue) -> Outcome<()> {
    let digits = raw.get().trim_matches('"');
    match digits.parse::<f64>() {
        Ok(average) if (0.0..=5.0).contains(&average) => Ok(()),
        _ => Err("must be a number from 0 to 5".to_owned()),
    }
}

/// Empty and 0 mean "never": the hashes of new users hold either.
pub(super) fn moment(raw: &RawValue) -> Outcome<Option<u64>> {
    if is_empty(raw) {
        return Ok(None);
    }
    whole(raw).map(|ms| Some(ms).filter(|&ms| ms > 0))
}

/// When a check-in was made: RFC 3339, or milliseconds since 1970. Empty means that its id says it.
pub(super) fn time(raw: &RawValue) -> Outcome<Option<u64>> {
    if is_empty(raw) {
        return Ok(None);
    }
    if let Ok(ms) = whole(raw) {
        return Ok(Some(ms));
    }
    let rule = || "must be a time like 2026-11-01T12:00:00Z, or milliseconds since 1970".to_owned();
    let time: Timestamp = text(raw).ok().and_then(|text| text.parse().ok()).ok_or_else(rule)?;
    u64::try_from(time.as_millisecond()).map(Some).map_err(|_| rule())
}

/// A text that is not used.
pub(super) fn any_text(raw: &RawValue) -> Outcome<()> {
    text(raw).map(drop)
}

/// A number that is checked and forgotten.
pub(super) fn degrees(raw: &RawValue) -> Outcome<()> {
    match raw.get().trim_matches('"').parse::<f64>() {
        Ok(degrees) if degrees.abs() <= 180.0 => Ok(()),
        _ => Err("must be a number from -180 to 180".to_owned()),
    }
}

/// Empty and 0 mean "nowhere".
pub(super) fn last_place(raw: &RawValue) -> Outcome<Option<LocationId>> {
    match moment(raw)? {
        Some(_) => id(raw).map(Some),
        None => Ok(None),
    }
}

pub(super) fn optional<T: FromStr<Err: Display>>(raw: &RawValue) -> Outcome<Option<T>> {
    if is_empty(raw) { Ok(None) } else { parsed(raw).map(Some) }
}

fn is_empty(raw: &RawValue) -> bool {
    raw.get() == "\"\""
}

/// `{"network": "handle"}`, or a list of such objects.
pub(super) fn socials(raw: &RawValue) -> Outcome<Vec<Social>> {
    let objects = list(raw).unwrap_or_else(|_| vec![raw]);
    let mut socials = Vec::new();
    for object in objects {
        let Entries(entries) = entries(object)
            .map_err(|_| "must be an object of networks and handles, or a list of them")?;
        for (network, handle) in entries {
            let handle = name(handle).map_err(|rule| format!("handle {rule}"))?;
            check_line(&network, MAX_NAME_CHARS).map_err(|rule| format!("network {rule}"))?;
            if socials.len() == MAX_SOCIALS {
                return Err(format!("must be at most {MAX_SOCIALS}"));
            }
            socials.push(Social { network, handle });
        }
    }
    Ok(socials)
}

/// Objects like `{"day": "Monday", "hours": "8-19"}`, each with what is wrong with it.
pub(super) fn days(raw: &RawValue) -> Outcome<Vec<Outcome<(Weekday, String)>>> {
    Ok(list(raw)?.into_iter().map(day).collect())
}

fn day(raw: &RawValue) -> Outcome<(Weekday, String)> {
    let wrong = || "must have only objects with a day and its hours".to_owned();
    let Entries(mut entries) = entries(raw).map_err(|_| wrong())?;
    entries.sort_unstable_by(|(a, _), (b, _)| a.cmp(b));
    match entries.as_slice() {
        [(first, day), (second, hours)] if first == "day" && second == "hours" => {
            let day: Weekday = parsed(day)?;
            let hours = text(hours).map_err(|rule| format!("{day} {rule}"))?;
            Ok((day, hours))
        }
        _ => Err(wrong()),
    }
}

pub(super) fn list(raw: &RawValue) -> Outcome<Vec<&RawValue>> {
    serde_json::from_str(raw.get()).map_err(|_| "must be a list".to_owned())
}

pub(super) fn entries(raw: &RawValue) -> Outcome<Entries<'_>> {
    serde_json::from_str(raw.get()).map_err(|_| "must be an object".to_owned())
}
