//! Single values, out of the raw text they are written as.
//!
//! The raw text, and not a parsed number: `1`, `1.0` and `1e0` are three spellings, and only the
//! first is an id in every program that shares the store.

use std::borrow::Cow;
use std::fmt::Display;
use std::ops::RangeInclusive;
use std::str::FromStr;

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

/// JSON can name one half of a character that has two (a surrogate pair).
const HALF_A_CHARACTER: &str = "must not contain half a character, such as \\ud83d alone";

pub(super) type Outcome<T> = Result<T, String>;

pub(super) fn text(raw: &RawValue) -> Outcome<String> {
    serde_json::from_str(raw.get()).map_err(|_| match raw.get().starts_with('"') {
        true => HALF_A_CHARACTER.to_owned(),
        false => "must be a text".to_owned(),
    })
}

/// What a number or a text says, and anything else as JSON has it.
pub(super) fn written(raw: &RawValue) -> Cow<'_, str> {
    text(raw).map_or(Cow::Borrowed(raw.get()), Cow::Owned)
}

/// A number in any spelling.
pub(super) fn number(text: &str) -> Option<f64> {
    // The parser also takes words, such as `inf`.
    let is_numeric = |c: char| c.is_ascii_digit() || matches!(c, '+' | '-' | '.' | 'e' | 'E');
    text.trim().parse().ok().filter(|_| text.trim().chars().all(is_numeric))
}

/// A whole number in its one spelling, as [`decimal`] has it; the largest there is for one that is
/// larger.
pub(super) fn digits(text: &str) -> Option<u64> {
    let is_long = text.bytes().all(|byte| byte.is_ascii_digit()) && text.len() > 19;
    decimal(text).or_else(|| (is_long && !text.starts_with('0')).then_some(u64::MAX))
}

/// A whole number, written as a number or as a string of digits.
fn integer(raw: &RawValue, range: RangeInclusive<u64>) -> Outcome<u64> {
    let (text, (least, most)) = (written(raw), (range.start(), range.end()));
    match digits(&text) {
        Some(integer) if range.contains(&integer) => return Ok(integer),
        Some(_) => {}
        // Such as `1.0` and `01`.
        None => {
            let bounds = *least as f64..=*most as f64;
            if number(&text).is_some_and(|number| number.fract() == 0.0 && bounds.contains(&number))
            {
                return Err(format!(
                    "must be an integer from {least} to {most}, without a sign, a point, an \
                     exponent, blanks or leading zeros"
                ));
            }
        }
    }
    Err(format!("must be an integer from {least} to {most}"))
}

/// A number of things.
pub(super) fn count(raw: &RawValue) -> Outcome<u64> {
    integer(raw, 0..=MAX_SAFE_INTEGER)
}

pub(super) fn id<T: TryFrom<u64, Error: Display>>(raw: &RawValue) -> Outcome<T> {
    T::try_from(integer(raw, 1..=MAX_SAFE_INTEGER)?).map_err(|error| error.to_string())
}

/// The highest id that a file may give a user or a place: new ones get the ids behind the highest,
/// and half of all ids stay free for them.
const MAX_NEW_ID: u64 = 1 << 52;

/// The id of a user or a place that a file brings along.
pub(super) fn new_id<T: TryFrom<u64, Error: Display>>(raw: &RawValue) -> Outcome<T> {
    integer(raw, 1..=MAX_NEW_ID).and_then(|_| id(raw))
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
    let stars = integer(raw, 0..=StarRating::MAX.into())?;
    StarRating::try_from(stars).map_err(|error| error.to_string())
}

/// A number that is checked and forgotten.
fn checked_number(raw: &RawValue, range: RangeInclusive<f64>) -> Outcome<()> {
    match number(&written(raw)) {
        Some(number) if range.contains(&number) => Ok(()),
        _ => Err(format!("must be a number from {} to {}", range.start(), range.end())),
    }
}

pub(super) fn average(raw: &RawValue) -> Outcome<()> {
    checked_number(raw, 0.0..=5.0)
}

pub(super) fn longitude(raw: &RawValue) -> Outcome<()> {
    checked_number(raw, -180.0..=180.0)
}

pub(super) fn latitude(raw: &RawValue) -> Outcome<()> {
    checked_number(raw, -90.0..=90.0)
}

/// A text that is not used.
pub(super) fn any_text(raw: &RawValue) -> Outcome<()> {
    text(raw).map(drop)
}

/// Empty and 0 mean "nowhere".
pub(super) fn last_place(raw: &RawValue) -> Outcome<Option<LocationId>> {
    if is_empty(raw) || digits(&written(raw)) == Some(0) { Ok(None) } else { id(raw).map(Some) }
}

pub(super) fn optional<T: FromStr<Err: Display>>(raw: &RawValue) -> Outcome<Option<T>> {
    if is_empty(raw) { Ok(None) } else { parsed(raw).map(Some) }
}

pub(super) fn is_empty(raw: &RawValue) -> bool {
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
                return Err(format!("must be at most {MAX_SOCIALS} accounts"));
            }
            socials.push(Social { network, handle });
        }
    }
    Ok(socials)
}

/// A day with its hours, or with the rule that these break; without a day, only the rule.
pub(super) type Day = Result<(Weekday, Outcome<String>), String>;

/// Objects like `{"day": "Monday", "hours": "8-19"}`.
pub(super) fn days(raw: &RawValue) -> Outcome<Vec<Day>> {
    Ok(list(raw)?.into_iter().map(day).collect())
}

fn day(raw: &RawValue) -> Day {
    let wrong = || "must have only objects with a day and its hours".to_owned();
    let Entries(mut entries) = entries(raw).map_err(|_| wrong())?;
    entries.sort_unstable_by(|(a, _), (b, _)| a.cmp(b));
    match entries.as_slice() {
        [(first, day), (second, hours)] if first == "day" && second == "hours" => {
            let names = Weekday::ALL.map(Weekday::as_str).join(", ");
            let day = parsed(day).map_err(|_| format!("must have days that are one of {names}"))?;
            Ok((day, text(hours)))
        }
        _ => Err(wrong()),
    }
}

pub(super) fn list(raw: &RawValue) -> Outcome<Vec<&RawValue>> {
    serde_json::from_str(raw.get()).map_err(|_| "must be a list".to_owned())
}

pub(super) fn entries(raw: &RawValue) -> Outcome<Entries<'_>> {
    serde_json::from_str(raw.get()).map_err(|_| match raw.get().starts_with('{') {
        true => HALF_A_CHARACTER.to_owned(),
        false => "must be an object".to_owned(),
    })
}
