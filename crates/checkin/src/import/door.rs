//! Opening hours as people write them on a door: `9-6`, `8:30am – 5pm`, `11-2, 5-10`, `24 hours`.
//!
//! Hours without am and pm are on the 24-hour clock, as in the domain, or on the 12-hour clock. On
//! the 12-hour clock, 12 is noon. A location that opens from 5 to 11 opens in the morning, and one
//! that opens from 1 to 4 opens in the afternoon; it closes in the afternoon or in the evening. A
//! time that would be before the previous one is twelve hours later. So `9-6` is 9-18, `7-9` is
//! 7-21, `11-2,5-10` is 11-14,17-22, and `10-12` is 10-12. A location that opens in the morning and
//! closes after midnight needs am and pm.

use std::str::FromStr;

use super::door_text::{DayText, HALF_DAY_MIN, Half, Range};
use super::error::Rule;
use super::value::Day;
use crate::domain::{DayHours, HoursError, OpenRange, OpeningHours, Weekday};

const DAY_MIN: u16 = 24 * 60;

/// How to read hours without am and pm.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum HoursForm {
    /// The clock is found from the hours of the file.
    #[default]
    Auto,
    /// The hours are on this clock.
    Given(Clock),
}

impl FromStr for HoursForm {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        match text {
            "auto" => Ok(Self::Auto),
            "12h" => Ok(Self::Given(Clock::TwelveHours)),
            "24h" => Ok(Self::Given(Clock::TwentyFourHours)),
            _ => Err("must be auto, 12h or 24h".to_owned()),
        }
    }
}

/// The clock of hours without am and pm.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Clock {
    /// Counted from noon or midnight.
    TwelveHours,
    /// Counted from midnight.
    TwentyFourHours,
}

/// Returns the clock of all these hours, or `None` if none of them depends on it. It is the 12-hour
/// clock if no hour is 0 or above 12 and some day closes before it opens, opens a second time
/// before it closed, or has am or pm.
pub(super) fn clock<'a>(days: impl Iterator<Item = &'a str>) -> Option<Clock> {
    let (mut plain, mut above_12, mut twelve) = (false, false, false);
    for text in days {
        let Ok(DayText::Ranges(ranges)) = DayText::parse(text) else {
            continue;
        };
        let times = ranges.iter().flat_map(|range| [range.opens, range.closes]);
        for time in times.clone() {
            plain |= time.half.is_none();
            twelve |= time.half.is_some();
            above_12 |= time.half.is_none() && !(1..=12).contains(&time.hour);
        }
        let minutes: Vec<u16> = times.map(|time| time.hour * 60 + time.minute).collect();
        twelve |= minutes.windows(2).any(|pair| pair[1] <= pair[0]);
    }
    let clock = if twelve && !above_12 { Clock::TwelveHours } else { Clock::TwentyFourHours };
    plain.then_some(clock)
}

/// A rule, and the days whose hours break it. The list is empty if the day is not known.
pub(super) type WrongDays = (Vec<Weekday>, String);

/// Returns the week without the days whose hours are wrong, and the rules that these days break.
pub(super) fn week(days: Vec<Day>, clock: Clock) -> (OpeningHours, Vec<WrongDays>) {
    let mut week = [const { None }; 7];
    let mut unnamed = Weekday::ALL.to_vec();
    let mut wrong = Vec::<WrongDays>::new();
    let mut add = |day: Option<Weekday>, rule: String| match wrong
        .iter_mut()
        .find(|(_, other)| *other == rule)
    {
        Some((days, _)) => days.extend(day),
        None => wrong.push((day.into_iter().collect(), rule)),
    };
    for day in days {
        let (day, text) = match day {
            Ok(day) => day,
            Err(rule) => {
                add(None, rule);
                continue;
            }
        };
        if !unnamed.contains(&day) {
            week[day.index()] = None;
            add(Some(day), Rule::Twice.to_string());
            continue;
        }
        unnamed.retain(|other| *other != day);
        match text.and_then(|text| hours(&text, clock)) {
            Ok(hours) => week[day.index()] = Some(hours),
            Err(rule) => add(Some(day), rule),
        }
    }
    unnamed.into_iter().for_each(|day| add(Some(day), Rule::Missing.to_string()));
    while let Err(rule @ HoursError::IntoNextDay(day)) = OpeningHours::known(week.clone()) {
        week[day.index()] = None;
        add(Some(day), rule.to_string());
    }
    wrong.iter_mut().for_each(|(days, _)| {
        days.sort_unstable();
        days.dedup();
    });
    (OpeningHours::known(week).unwrap_or_default(), wrong)
}

/// Parses the hours of one day.
fn hours(text: &str, clock: Clock) -> Result<DayHours, String> {
    let ranges = match DayText::parse(text)? {
        DayText::Closed => return Ok(DayHours::CLOSED),
        DayText::Whole => vec![OpenRange::new(0, DAY_MIN).map_err(|rule| rule.to_string())?],
        DayText::Ranges(ranges) => {
            let mut read = Vec::<OpenRange>::new();
            for range in ranges {
                let after = read.last().map(|range| range.closes_min());
                read.push(open_range(&range, clock, after)?);
            }
            read
        }
    };
    DayHours::new(ranges).map_err(|rule| rule.to_string())
}

/// Reads a range on a clock. `after` is the end of the previous range.
fn open_range(range: &Range, clock: Clock, after: Option<u16>) -> Result<OpenRange, String> {
    let Range { opens, closes } = range;
    let read = match (opens.half, closes.half, clock) {
        (None, None, Clock::TwentyFourHours) => {
            let (opens, closes) = (opens.minutes(), closes.minutes());
            OpenRange::on_24_hour_clock(opens, closes).map_err(|rule| match rule {
                HoursError::Ambiguous | HoursError::SameTime => {
                    format!("{rule} (--hours 12h reads 12-hour times)")
                }
                rule => rule.to_string(),
            })?
        }
        (None, None, Clock::TwelveHours) => {
            if [opens, closes].iter().any(|time| !(1..=12).contains(&time.hour)) {
                return Err("must have hours from 1 to 12, or am and pm".to_owned());
            }
            let opens = opens.in_half(if opens.hour < 5 { Half::Pm } else { Half::Am });
            let opens = if range.opens.hour == 12 { opens + HALF_DAY_MIN } else { opens };
            // A time that is not later even in the afternoon overlaps.
            let opens = match after {
                Some(after) if opens <= after && opens < HALF_DAY_MIN => opens + HALF_DAY_MIN,
                _ => opens,
            };
            new_range(opens, later_than(opens, closes.in_half(Half::Pm)))?
        }
        (Some(half), None, _) => {
            let opens = opens.in_half(half);
            new_range(opens, later_than(opens, closes.minutes()))?
        }
        (None, Some(half), _) => {
            let closes = closes.in_half(half);
            let closes = if half == Half::Am { closes + DAY_MIN } else { closes };
            let afternoon = opens.minutes() + HALF_DAY_MIN;
            let is_am = opens.hour >= 12 || afternoon >= closes;
            new_range(if is_am { opens.minutes() } else { afternoon }, closes)?
        }
        (Some(half), Some(other), _) => {
            let (opens, closes) = (opens.in_half(half), closes.in_half(other));
            new_range(opens, if closes < opens { closes + DAY_MIN } else { closes })?
        }
    };
    Ok(read)
}

fn new_range(opens_min: u16, closes_min: u16) -> Result<OpenRange, String> {
    OpenRange::new(opens_min, closes_min).map_err(|rule| rule.to_string())
}

/// Returns the first time after `opens` at which a 12-hour clock shows `closes`.
fn later_than(opens: u16, closes: u16) -> u16 {
    let mut closes = closes;
    while closes <= opens {
        closes += HALF_DAY_MIN;
    }
    closes
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(clock: Clock) -> impl Fn(&str) -> String {
        move |text| hours(text, clock).map_or_else(|rule| rule, |hours| hours.to_string())
    }

    #[test]
    fn hours_on_a_door_are_parsed() {
        let read = read(Clock::TwelveHours);
        for (text, hours) in [
            ("9-6", "9-18"),
            ("7-9", "7-21"),
            ("6-6", "6-18"),
            ("8-8", "8-20"),
            ("11-2", "11-14"),
            ("10-12", "10-12"),
            ("12-12", "12-24"),
            ("12-8", "12-20"),
            ("9:30-6", "9:30-18"),
            ("9-5:15", "9-17:15"),
            ("10-12:30", "10-12:30"),
            ("1-5", "13-17"),
            ("4-11", "16-23"),
            ("4-2", "16-2"),
            ("8-12, 1-5", "8-12,13-17"),
            ("11-2,5-10", "11-14,17-22"),
            ("11-2 / 5-10", "11-14,17-22"),
            ("9 – 6", "9-18"),
            ("9 to 6", "9-18"),
            ("９－６", "9-18"),
        ] {
            assert_eq!(read(text), hours, "{text:?}");
        }
        for text in ["9-18", "0-6", "13-5"] {
            assert_eq!(read(text), "must have hours from 1 to 12, or am and pm", "{text:?}");
        }
    }

    #[test]
    fn some_forms_are_the_same_on_both_clocks() {
        for (text, hours) in [
            ("closed", "closed"),
            (" CLOSED ", "closed"),
            ("24 hours", "0-24"),
            ("Open 24 hours", "0-24"),
            ("24/7", "0-24"),
            ("9am-6pm", "9-18"),
            ("9 a.m. – 6 p.m.", "9-18"),
            ("9:30 AM to 6 PM", "9:30-18"),
            ("9a-6p", "9-18"),
            ("9am-6", "9-18"),
            ("9-6pm", "9-18"),
            ("1-5pm", "13-17"),
            ("12-5pm", "12-17"),
            ("6pm-2am", "18-2"),
            ("9am-2am", "9-26"),
            ("5-2am", "17-2"),
            ("9am-noon", "9-12"),
            ("noon-midnight", "12-24"),
            ("12am-6am", "0-6"),
            ("11am-2pm and 5pm-10pm", "11-14,17-22"),
        ] {
            for clock in [Clock::TwelveHours, Clock::TwentyFourHours] {
                assert_eq!(super::tests::read(clock)(text), hours, "{text:?}");
            }
        }
    }

    #[test]
    fn the_24_hour_clock_is_that_of_the_domain() {
        let read = read(Clock::TwentyFourHours);
        for (text, hours) in [
            ("8:30-17", "8:30-17"),
            ("09:00-17:30", "9-17:30"),
            ("09.00–17.30", "9-17:30"),
            ("9h-17h30", "9-17:30"),
            ("0900-1730", "9-17:30"),
            ("18-2", "18-2"),
            ("11-26", "11-26"),
            ("0-24", "0-24"),
            ("7-9", "7-9"),
        ] {
            assert_eq!(read(text), hours, "{text:?}");
        }
        for text in ["9-6", "6-6"] {
            assert!(read(text).contains("--hours 12h"), "{text:?}");
        }
    }

    #[test]
    fn texts_that_are_not_hours_are_refused() {
        for clock in [Clock::TwelveHours, Clock::TwentyFourHours] {
            for text in [
                "",
                "-",
                "9",
                "9-",
                "x",
                "9-6-7",
                "9:3-6",
                "9:60-6",
                "13pm-2",
                "0am-2pm",
                "closed,9-6",
                "9-6,",
            ] {
                let rule = "must be hours like 9-17, 8:30-17:30 or 9am-5pm, 24 hours, or closed";
                assert_eq!(read(clock)(text), rule, "{text:?}");
            }
        }
    }

    #[test]
    fn the_clock_is_found_from_the_hours_of_a_file() {
        let clock = |days: &[&str]| clock(days.iter().copied());
        let (twelve, twenty_four) = (Some(Clock::TwelveHours), Some(Clock::TwentyFourHours));
        for (days, expected) in [
            (&["9-6", "7-9", "closed"][..], twelve),
            (&["6-6"], twelve),
            (&["8-12,1-5"], twelve),
            (&["7-9", "9am-5pm"], twelve),
            (&["7-9", "10-12"], twenty_four),
            (&["9-6", "9-17"], twenty_four),
            (&["9-6", "0-12"], twenty_four),
            (&["11-2", "18-2"], twenty_four),
            (&["closed", "24 hours", "9am-5pm", "x", ""], None),
            (&[], None),
        ] {
            assert_eq!(clock(days), expected, "{days:?}");
        }
    }

    #[test]
    fn only_wrong_days_are_left_out() {
        let days = |texts: &[(Weekday, &str)]| {
            texts.iter().map(|(day, text)| Ok((*day, Ok((*text).to_owned())))).collect()
        };
        let [monday, tuesday, wednesday, thursday, friday, saturday, sunday] = Weekday::ALL;
        let (hours, wrong) = week(
            days(&[
                (monday, "8-12"),
                (tuesday, "x"),
                (wednesday, "20-30"),
                (thursday, "5-9"),
                (friday, "8-9"),
                (friday, "8-9"),
                (saturday, "closed"),
            ]),
            Clock::TwentyFourHours,
        );
        let known: Vec<_> = [monday, thursday, saturday].to_vec();
        for day in Weekday::ALL {
            assert_eq!(hours.day(day).is_some(), known.contains(&day), "{day}");
        }
        assert!(wrong[0].1.starts_with("must be hours like"), "{wrong:?}");
        assert_eq!(wrong[0].0, [tuesday]);
        let rule = |days: &[Weekday], rule: &str| (days.to_vec(), rule.to_owned());
        assert_eq!(
            wrong[1..],
            [
                rule(&[friday], "must be given once"),
                rule(&[sunday], "must be given"),
                rule(&[wednesday], "must close before the next day opens"),
            ]
        );
    }

    #[test]
    fn a_rule_names_each_day_that_breaks_it_once() {
        let days = Weekday::ALL.into_iter().rev().map(|day| Ok((day, Ok("x".to_owned()))));
        let (_, wrong) = week(days.collect(), Clock::TwentyFourHours);
        assert_eq!(wrong.len(), 1);
        assert_eq!(wrong[0].0, Weekday::ALL);
        let no_days = vec![Err("must be days".to_owned()); 3];
        let (_, wrong) = week(no_days, Clock::TwentyFourHours);
        assert_eq!(wrong[0], (vec![], "must be days".to_owned()));
        assert_eq!(wrong[1], (Weekday::ALL.to_vec(), "must be given".to_owned()));
    }

    #[test]
    fn overlapping_hours_have_a_rule_of_their_own() {
        let overlap = "must not have hours that overlap";
        for text in ["10-4, 3-6", "9-5,1-3", "12-12, 1-5", "10am-4pm, 3pm-6pm", "6-11,5-9"] {
            assert_eq!(read(Clock::TwelveHours)(text), overlap, "{text:?}");
        }
        assert_eq!(read(Clock::TwentyFourHours)("10-16,15-18"), overlap);
        assert_eq!(read(Clock::TwentyFourHours)("10-16,9-18"), overlap);
        let touch = "must not have hours that touch; write 8-17 instead of 8-12,12-17";
        assert_eq!(read(Clock::TwelveHours)("8-12,12-5"), touch);
        let order = "must have its hours in order";
        assert_eq!(read(Clock::TwentyFourHours)("17-22,11-14"), order);
    }
}
