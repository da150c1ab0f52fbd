//! Parses single values of files.
//!
//! Numbers may be JSON numbers or strings of digits, because hashes contain strings. `1`, `1.0` and
//! `1e0` are three spellings, and only the first one is an id in every program that shares the
//! store.

use std::fmt::Display;
use std::ops::RangeInclusive;

use serde_json::value::RawValue;

use super::json::{list, members};
use crate::domain::number::{MAX_SAFE_INTEGER, decimal};
use crate::domain::text::{MAX_NAME_CHARS, check_line, check_prose};
use crate::domain::{Comment, LocationId, Social, StarRating, Website, Weekday};
use crate::export::plain;
use crate::input::{DisplayName, Given, Input, Members};

/// The maximum length of a phone number, longer than any number of any country, extension included.
const MAX_PHONE_CHARS: usize = 40;

/// The maximum length of a description, about a page of text.
const MAX_DESCRIPTION_CHARS: usize = 4000;

/// The maximum number of social network accounts.
const MAX_SOCIALS: usize = 20;

/// The maximum id of a user or a location in a file. New records get the ids after the highest, so
/// half of all ids stay free for them.
const MAX_NEW_ID: u64 = 1 << 52;

pub(super) type Outcome<T> = Result<T, String>;

/// Parses a number in any spelling.
pub(super) fn number(text: &str) -> Option<f64> {
    // The parser also accepts words, such as `inf`.
    let is_numeric = |c: char| c.is_ascii_digit() || matches!(c, '+' | '-' | '.' | 'e' | 'E');
    text.trim().parse().ok().filter(|_| text.trim().chars().all(is_numeric))
}

/// Parses an integer in its canonical spelling, like [`decimal`]; the maximum if the number is
/// larger.
pub(super) fn digits(text: &str) -> Option<u64> {
    let is_long = text.bytes().all(|byte| byte.is_ascii_digit()) && text.len() > 19;
    decimal(text).or_else(|| (is_long && !text.starts_with('0')).then_some(u64::MAX))
}

/// Reads an integer, written as a number or as a string of digits.
fn integer(given: &Given<'_>, range: RangeInclusive<u64>) -> Outcome<u64> {
    let (text, (least, most)) = (given.written(), (range.start(), range.end()));
    match digits(text) {
        Some(integer) if range.contains(&integer) => return Ok(integer),
        Some(_) => {}
        // A spelling such as `1.0` or `01`.
        None => {
            let bounds = *least as f64..=*most as f64;
            if number(text).is_some_and(|number| number.fract() == 0.0 && bounds.contains(&number))
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

/// A value that is absent, `null` or empty if there is none.
#[derive(Clone, Copy)]
pub(super) struct Optional<T>(pub(super) Option<T>);

impl<T: Input> Input for Optional<T> {
    fn read(given: &Given<'_>) -> Outcome<Self> {
        match given {
            Given::Null => Ok(Self(None)),
            given if given.is_empty() => Ok(Self(None)),
            given => T::read(given).map(|value| Self(Some(value))),
        }
    }

    fn absent() -> Option<Self> {
        Some(Self(None))
    }
}

/// An optional value, or the rule that it breaks. The record is valid without it.
pub(super) struct Dispensable<T>(pub(super) Outcome<Optional<T>>);

impl<T: Input> Input for Dispensable<T> {
    fn read(given: &Given<'_>) -> Outcome<Self> {
        Ok(Self(Optional::read(given)))
    }

    fn absent() -> Option<Self> {
        Some(Self(Ok(Optional(None))))
    }
}

/// The id of a user or a location.
pub(super) struct FileId<T>(pub(super) T);

impl<T: TryFrom<u64, Error: Display>> Input for FileId<T> {
    fn read(given: &Given<'_>) -> Outcome<Self> {
        let id = integer(given, 1..=MAX_SAFE_INTEGER)?;
        T::try_from(id).map(Self).map_err(|error| error.to_string())
    }
}

/// The id of a user or a location that the file creates.
pub(super) struct NewId<T>(pub(super) T);

impl<T: TryFrom<u64, Error: Display>> Input for NewId<T> {
    fn read(given: &Given<'_>) -> Outcome<Self> {
        integer(given, 1..=MAX_NEW_ID).and_then(|_| FileId::read(given)).map(|FileId(id)| Self(id))
    }
}

/// A count.
#[derive(Clone, Copy)]
pub(super) struct Count(pub(super) u64);

impl Input for Count {
    fn read(given: &Given<'_>) -> Outcome<Self> {
        integer(given, 0..=MAX_SAFE_INTEGER).map(Self)
    }
}

/// A rating.
pub(super) struct Stars(pub(super) StarRating);

impl Input for Stars {
    fn read(given: &Given<'_>) -> Outcome<Self> {
        let stars = integer(given, 0..=StarRating::MAX.into())?;
        StarRating::try_from(stars).map(Self).map_err(|error| error.to_string())
    }
}

/// A last name, which may be empty.
pub(super) struct LastName(pub(super) String);

impl Input for LastName {
    fn read(given: &Given<'_>) -> Outcome<Self> {
        if given.is_empty() {
            return Ok(Self(String::new()));
        }
        DisplayName::read(given).map(|DisplayName(name)| Self(name))
    }
}

/// The description of a location.
pub(super) struct Description(pub(super) String);

impl Input for Description {
    fn read(given: &Given<'_>) -> Outcome<Self> {
        let text = given.text()?;
        check_prose(text, MAX_DESCRIPTION_CHARS).map_err(|error| error.to_string())?;
        Ok(Self(text.to_owned()))
    }
}

/// A phone number.
pub(super) struct Phone(pub(super) String);

impl Input for Phone {
    fn read(given: &Given<'_>) -> Outcome<Self> {
        let text = given.text()?;
        check_line(text, MAX_PHONE_CHARS).map_err(|error| error.to_string())?;
        Ok(Self(text.to_owned()))
    }
}

impl Input for Website {
    fn read(given: &Given<'_>) -> Outcome<Self> {
        given.text()?.parse().map_err(|rule| format!("{rule}"))
    }
}

/// The comment of a check-in. In a table it may have a `'` before it, so that no spreadsheet reads it as a
/// formula.
pub(super) struct Remark(pub(super) Comment);

impl Input for Remark {
    fn read(given: &Given<'_>) -> Outcome<Self> {
        let text = given.text()?;
        let text = match given {
            Given::Bare(_) => plain(text),
            _ => text,
        };
        text.parse().map(Self).map_err(|rule| format!("{rule}"))
    }
}

/// A number in a range, which is checked and ignored.
pub(super) struct UnusedNumber<const LEAST: i32, const MOST: i32>;

impl<const LEAST: i32, const MOST: i32> Input for UnusedNumber<LEAST, MOST> {
    fn read(given: &Given<'_>) -> Outcome<Self> {
        match number(given.written()) {
            Some(number) if (f64::from(LEAST)..=f64::from(MOST)).contains(&number) => Ok(Self),
            _ => Err(format!("must be a number from {LEAST} to {MOST}")),
        }
    }
}

/// A text, which is checked and ignored.
pub(super) struct UnusedText;

impl Input for UnusedText {
    fn read(given: &Given<'_>) -> Outcome<Self> {
        given.text().map(|_| Self)
    }
}

/// The location of a user's last check-in. Empty and 0 mean "nowhere".
pub(super) struct LastLocation(pub(super) Option<LocationId>);

impl Input for LastLocation {
    fn read(given: &Given<'_>) -> Outcome<Self> {
        if given.is_empty() || digits(given.written()) == Some(0) {
            return Ok(Self(None));
        }
        FileId::read(given).map(|FileId(id)| Self(Some(id)))
    }
}

/// `{"network": "handle"}`, or a list of such objects.
pub(super) struct Socials(pub(super) Vec<Social>);

impl Input for Socials {
    fn read(given: &Given<'_>) -> Outcome<Self> {
        let json = given.json();
        let objects = list(json)
            .map_or(vec![json], |objects| objects.into_iter().map(RawValue::get).collect());
        let mut socials = Vec::new();
        for object in objects {
            let Members(members) = members(object)
                .map_err(|_| "must be an object of networks and handles, or a list of them")?;
            for (network, handle) in members {
                let handle = DisplayName::read(&handle.into());
                let DisplayName(handle) = handle.map_err(|rule| format!("handle {rule}"))?;
                check_line(&network, MAX_NAME_CHARS).map_err(|rule| format!("network {rule}"))?;
                if socials.len() == MAX_SOCIALS {
                    return Err(format!("must be at most {MAX_SOCIALS} accounts"));
                }
                socials.push(Social { network, handle });
            }
        }
        Ok(Self(socials))
    }
}

/// A day with its hours, or with the rule that the hours break; only the rule if the day is
/// unknown.
pub(super) type Day = Result<(Weekday, Outcome<String>), String>;

/// Objects like `{"day": "Monday", "hours": "8-19"}`.
pub(super) struct Days(pub(super) Vec<Day>);

impl Input for Days {
    fn read(given: &Given<'_>) -> Outcome<Self> {
        Ok(Self(list(given.json())?.into_iter().map(|raw| day(raw.get())).collect()))
    }
}

fn day(json: &str) -> Day {
    let wrong = || "must have only objects with a day and its hours".to_owned();
    let Members(mut members) = members(json).map_err(|_| wrong())?;
    members.sort_unstable_by(|(a, _), (b, _)| a.cmp(b));
    match members.as_slice() {
        [(first, day), (second, hours)] if first == "day" && second == "hours" => {
            let names = Weekday::ALL.map(Weekday::as_str).join(", ");
            let rule = format!("must have days that are one of {names}");
            let day = Given::from(*day).text().ok().and_then(|day| day.parse().ok()).ok_or(rule)?;
            Ok((day, Given::from(*hours).text().map(str::to_owned)))
        }
        _ => Err(wrong()),
    }
}
