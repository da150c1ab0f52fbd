//! Opening hours that fit the kind of location.

use crate::domain::{DayHours, HoursError, OpeningHours};
use crate::random::Random;

/// The hours from Monday to Sunday.
pub(super) type Week = [&'static str; 7];

pub(super) const RESTAURANT: &[Week] = &[
    // Lunch and dinner.
    [
        "closed",
        "11:30-14,17:30-21:30",
        "11:30-14,17:30-21:30",
        "11:30-14,17:30-21:30",
        "11:30-14,17:30-22:30",
        "11:30-22:30",
        "11:30-21",
    ],
    [
        "11:30-14:30,17-21",
        "11:30-14:30,17-21",
        "11:30-14:30,17-21",
        "11:30-14:30,17-21",
        "11:30-14:30,17-22",
        "12-22",
        "12-21",
    ],
    // Dinner only.
    ["closed", "closed", "17:30-22", "17:30-22", "17:30-23", "17-23", "17-21:30"],
    ["17-22", "17-22", "17-22", "17-22", "17-23:30", "17-23:30", "17-21"],
    // All day.
    ["11-21", "11-21", "11-21", "11-21", "11-22", "11-22", "11-21"],
    // Late dinner.
    ["17-23", "17-23", "17-23", "17-0:30", "17-2", "17-2", "17-23"],
];

pub(super) const LUNCHEONETTE: &[Week] = &[
    ["8-15", "8-15", "8-15", "8-15", "8-15", "8-16", "8-16"],
    ["closed", "10-16", "10-16", "10-16", "10-16", "10-17", "10-17"],
    ["11-18", "11-18", "11-18", "11-18", "11-18", "11-18", "closed"],
];

pub(super) const CAFE: &[Week] = &[
    ["7-15", "7-15", "7-15", "7-15", "7-15", "8-16", "8-16"],
    ["6:30-18", "6:30-18", "6:30-18", "6:30-18", "6:30-18", "7-18", "7-18"],
    ["closed", "8-17", "8-17", "8-17", "8-17", "8-17", "8-17"],
    ["5:30-14", "5:30-14", "5:30-14", "5:30-14", "5:30-14", "6-14", "closed"],
    ["7:30-20", "7:30-20", "7:30-20", "7:30-20", "7:30-22", "8-22", "8-20"],
];

pub(super) const RETAIL: &[Week] = &[
    ["10-18", "10-18", "10-18", "10-18", "10-19", "10-19", "11-17"],
    ["closed", "11-18", "11-18", "11-18", "11-19", "11-19", "11-17"],
    ["closed", "closed", "12-18", "12-18", "12-18", "11-18", "11-17"],
    ["9-20", "9-20", "9-20", "9-20", "9-20", "9-20", "10-18"],
    ["10-13,14-18", "10-13,14-18", "10-13,14-18", "10-13,14-18", "10-13,14-18", "10-16", "closed"],
];

pub(super) const BAR: &[Week] = &[
    ["16-0", "16-0", "16-0", "16-1", "16-2", "14-2", "14-0"],
    ["closed", "17-0", "17-0", "17-1", "17-2", "17-2", "17-23"],
    ["18-2", "18-2", "18-2", "18-2", "18-2", "18-2", "18-2"],
    ["closed", "closed", "17-23", "17-0", "16-1:30", "15-1:30", "15-22"],
    ["11-26", "11-26", "11-26", "11-26", "11-26", "10-26", "10-26"],
];

pub(super) const HAIR: &[Week] = &[
    ["closed", "9-18", "9-18", "10-20", "9-18", "9-17", "closed"],
    ["closed", "10-19", "10-19", "10-19", "10-19", "9-18", "10-16"],
    ["9-19", "9-19", "9-19", "9-19", "9-19", "9-17", "closed"],
    ["closed", "closed", "11-19", "11-19", "11-19", "10-18", "10-16"],
];

pub(super) const GYM: &[Week] = &[
    ["5:30-22", "5:30-22", "5:30-22", "5:30-22", "5:30-21", "7-19", "7-19"],
    ["0-24", "0-24", "0-24", "0-24", "0-24", "0-24", "0-24"],
    ["6-13,16-21", "6-13,16-21", "6-13,16-21", "6-13,16-21", "6-13,16-20", "8-14", "8-14"],
    ["6-23", "6-23", "6-23", "6-23", "6-22", "8-20", "8-20"],
];

pub(super) fn hours(weeks: &[Week], random: &mut Random) -> OpeningHours {
    parse(random.pick(weeks)).expect("a test reads every week of the tables")
}

fn parse(week: &Week) -> Result<OpeningHours, HoursError> {
    let mut days = [const { DayHours::CLOSED }; 7];
    for (day, text) in days.iter_mut().zip(week) {
        *day = text.parse()?;
    }
    OpeningHours::new(days)
}

#[cfg(test)]
mod tests {
    use super::super::location_names::KINDS;
    use super::*;
    use crate::domain::Weekday;

    #[test]
    fn every_week_reads_back_as_it_stands_here() {
        for week in KINDS.iter().flat_map(|kind| kind.weeks) {
            let hours = parse(week).unwrap();
            for (day, text) in Weekday::ALL.into_iter().zip(week) {
                // Midnight has two spellings. We write it as 24.
                let text =
                    if text.ends_with("-0") { text.replace("-0", "-24") } else { (*text).into() };
                assert_eq!(hours.day(day).unwrap().to_string(), text);
            }
        }
    }
}
