//! Opening hours: the days of a week, each closed or open in one or several ranges of minutes.
//!
//! One day is written `closed`, or as ranges on the 24-hour clock with commas between them:
//!
//! | text | meaning |
//! | --- | --- |
//! | `8:30-17` | from 08:30 to 17:00 |
//! | `11:30-14,17:30-22` | lunch and dinner |
//! | `18-2` | from 18:00 to 02:00 of the next day |
//! | `11-26` | from 11:00 to 02:00 of the next day |
//! | `0-24` | the whole day |
//!
//! `9-5` and `12-2` are refused, because they are probably times of a 12-hour clock. A closing time
//! before the opening time is on the next day only if the location opens at 13:00 or later, which cannot
//! be a time of a 12-hour clock. Otherwise, hours of the next day are counted on after 24. `8-8` is
//! refused, too: it could be the whole day or a mistake.

use std::error::Error;
use std::fmt;
use std::str::FromStr;

use crate::weekday::Weekday;

const DAY_MIN: u16 = 24 * 60;

/// The first opening time that cannot be a time of a 12-hour clock.
const AFTERNOON_MIN: u16 = 13 * 60;

/// The opening hours of a week from Monday on, in the local time of the location. The hours of a day may
/// be unknown.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct OpeningHours([Option<DayHours>; 7]);

impl OpeningHours {
    /// # Errors
    ///
    /// If the hours of a day continue past midnight and overlap those of the next day.
    pub fn new(days: [DayHours; 7]) -> Result<Self, HoursError> {
        Self::known(days.map(Some))
    }

    /// Creates the opening hours of a week, in which hours of days may be unknown.
    ///
    /// # Errors
    ///
    /// As [`new`](Self::new).
    pub fn known(days: [Option<DayHours>; 7]) -> Result<Self, HoursError> {
        let ranges = |day: Weekday| days[day.index()].as_ref().map_or(&[][..], DayHours::ranges);
        for (day, next) in Weekday::ALL.into_iter().zip(Weekday::ALL.into_iter().cycle().skip(1)) {
            let closes = ranges(day).last().map_or(0, |range| range.closes_min);
            let opens = ranges(next).first().map_or(DAY_MIN, |range| range.opens_min);
            if closes > DAY_MIN + opens {
                return Err(HoursError::IntoNextDay(day));
            }
        }
        Ok(Self(days))
    }

    /// Returns the hours of the day; `None` if they are unknown.
    pub fn day(&self, day: Weekday) -> Option<&DayHours> {
        self.0[day.index()].as_ref()
    }

    /// Returns whether the location is known to be open at this minute of the day, which includes hours that
    /// began on the previous day.
    pub fn is_open(&self, day: Weekday, minute: u16) -> bool {
        let contains = |hours: Option<&DayHours>, minute| {
            let mut ranges = hours.map_or(&[][..], DayHours::ranges).iter();
            ranges.any(|range| (range.opens_min..range.closes_min).contains(&minute))
        };
        contains(self.day(day), minute) || contains(self.day(day.before()), minute + DAY_MIN)
    }
}

/// The hours of one day: ranges in order, with gaps between them; no range if the location is closed.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct DayHours(Vec<OpenRange>);

impl DayHours {
    pub const CLOSED: Self = Self(Vec::new());

    /// # Errors
    ///
    /// If the ranges are not in order, overlap, or touch each other.
    pub fn new(ranges: Vec<OpenRange>) -> Result<Self, HoursError> {
        for pair in ranges.windows(2) {
            let (first, second) = (pair[0], pair[1]);
            if second.closes_min < first.opens_min {
                return Err(HoursError::OutOfOrder);
            }
            if first.closes_min == second.opens_min || second.closes_min == first.opens_min {
                return Err(HoursError::Touching);
            }
            if second.opens_min < first.closes_min {
                return Err(HoursError::Overlapping);
            }
        }
        Ok(Self(ranges))
    }

    pub fn ranges(&self) -> &[OpenRange] {
        &self.0
    }
}

impl FromStr for DayHours {
    type Err = HoursError;

    fn from_str(text: &str) -> Result<Self, HoursError> {
        if text == "closed" {
            return Ok(Self::CLOSED);
        }
        Self::new(text.split(',').map(str::parse).collect::<Result<_, _>>()?)
    }
}

impl fmt::Display for DayHours {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.0.is_empty() {
            return f.write_str("closed");
        }
        for (position, range) in self.0.iter().enumerate() {
            let comma = if position == 0 { "" } else { "," };
            write!(f, "{comma}{range}")?;
        }
        Ok(())
    }
}

/// A range of minutes, counted from the midnight at which the day began.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct OpenRange {
    opens_min: u16,
    /// At most a day after `opens_min`, so possibly on the next day.
    closes_min: u16,
}

impl OpenRange {
    /// # Errors
    ///
    /// Unless it opens during the day and closes later, within 24 hours.
    pub fn new(opens_min: u16, closes_min: u16) -> Result<Self, HoursError> {
        if opens_min >= DAY_MIN {
            return Err(HoursError::OpensLate);
        }
        if closes_min == opens_min {
            return Err(HoursError::SameTime);
        }
        if closes_min < opens_min {
            return Err(HoursError::Ambiguous);
        }
        if closes_min - opens_min > DAY_MIN {
            return Err(HoursError::ClosesLate);
        }
        Ok(Self { opens_min, closes_min })
    }

    /// Creates a range from times of a 24-hour clock, in minutes. If it opens at 13:00 or later, the
    /// closing time may be smaller: it is then on the next day.
    ///
    /// # Errors
    ///
    /// As [`new`](Self::new).
    pub fn on_24_hour_clock(opens_min: u16, closes_min: u16) -> Result<Self, HoursError> {
        let next_day = opens_min >= AFTERNOON_MIN && closes_min < opens_min;
        Self::new(opens_min, if next_day { closes_min + DAY_MIN } else { closes_min })
    }

    /// Returns the opening time in minutes after midnight, below 1440.
    pub fn opens_min(self) -> u16 {
        self.opens_min
    }

    /// Returns the closing time in minutes after the same midnight; above 1440 on the next day.
    pub fn closes_min(self) -> u16 {
        self.closes_min
    }
}

impl FromStr for OpenRange {
    type Err = HoursError;

    fn from_str(text: &str) -> Result<Self, HoursError> {
        let (opens, closes) = text.split_once('-').ok_or(HoursError::Form)?;
        Self::on_24_hour_clock(clock(opens)?, clock(closes)?)
    }
}

/// Reads `8`, `08` or `8:30` as minutes after midnight. Blanks around it are ignored.
fn clock(text: &str) -> Result<u16, HoursError> {
    let text = text.trim_matches(' ');
    let (hour, minute) = text.split_once(':').unwrap_or((text, "00"));
    let digits = |text: &str| text.bytes().all(|b| b.is_ascii_digit());
    if !matches!(hour.len(), 1 | 2) || minute.len() != 2 || !digits(hour) || !digits(minute) {
        return Err(HoursError::Form);
    }
    match (hour.parse::<u16>(), minute.parse::<u16>()) {
        (Ok(hour @ 0..48), Ok(minute @ 0..60)) => Ok(hour * 60 + minute),
        _ => Err(HoursError::Form),
    }
}

impl fmt::Display for OpenRange {
    /// Writes a text that is read as the same range.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let next_day = self.closes_min.checked_sub(DAY_MIN).filter(|&closes| {
            closes > 0 && closes < self.opens_min && self.opens_min >= AFTERNOON_MIN
        });
        write_clock(f, self.opens_min)?;
        f.write_str("-")?;
        write_clock(f, next_day.unwrap_or(self.closes_min))
    }
}

fn write_clock(f: &mut fmt::Formatter<'_>, minutes: u16) -> fmt::Result {
    match (minutes / 60, minutes % 60) {
        (hour, 0) => write!(f, "{hour}"),
        (hour, minute) => write!(f, "{hour}:{minute:02}"),
    }
}

/// The reason why a text is not opening hours.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum HoursError {
    Form,
    OpensLate,
    SameTime,
    Ambiguous,
    ClosesLate,
    OutOfOrder,
    Touching,
    Overlapping,
    /// The hours of this day.
    IntoNextDay(Weekday),
}

impl fmt::Display for HoursError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Form => "must be closed, or 24-hour times like 8:30-17 or 11:30-14,17:30-22",
            Self::OpensLate => "must open before 24:00",
            Self::SameTime => "must not open and close at the same time; the whole day is 0-24",
            Self::Ambiguous => {
                "must not close before it opens; for the afternoon write 17, for 2 at night 26"
            }
            Self::ClosesLate => "must close within 24 hours",
            Self::OutOfOrder => "must have its hours in order",
            Self::Touching => "must not have hours that touch; write 8-17 instead of 8-12,12-17",
            Self::Overlapping => "must not have hours that overlap",
            Self::IntoNextDay(_) => "must close before the next day opens",
        })
    }
}

impl Error for HoursError {}

#[cfg(test)]
mod tests {
    use super::*;

    fn day(text: &str) -> Result<Vec<(u16, u16)>, HoursError> {
        let hours: DayHours = text.parse()?;
        Ok(hours.ranges().iter().map(|range| (range.opens_min, range.closes_min)).collect())
    }

    #[test]
    fn unambiguous_hours_are_read() {
        for (text, ranges) in [
            ("closed", vec![]),
            ("8-19", vec![(480, 1140)]),
            ("08:30-17:00", vec![(510, 1020)]),
            ("18-2", vec![(1080, 1560)]),
            ("18-0", vec![(1080, 1440)]),
            ("18-24", vec![(1080, 1440)]),
            ("11-26", vec![(660, 1560)]),
            ("0-24", vec![(0, 1440)]),
            ("18-42", vec![(1080, 2520)]),
            ("11:30-14,17:30-22", vec![(690, 840), (1050, 1320)]),
            ("11:30 - 14, 17:30 - 1:15", vec![(690, 840), (1050, 1515)]),
        ] {
            assert_eq!(day(text), Ok(ranges), "{text:?}");
        }
    }

    #[test]
    fn ambiguous_hours_are_refused() {
        for (text, error) in [
            ("", HoursError::Form),
            ("Closed", HoursError::Form),
            ("8", HoursError::Form),
            ("8am-5pm", HoursError::Form),
            ("8.30-17", HoursError::Form),
            ("8:3-17", HoursError::Form),
            ("8:60-17", HoursError::Form),
            ("008-17", HoursError::Form),
            ("8-17-20", HoursError::Form),
            ("8–17", HoursError::Form),
            ("8-48", HoursError::Form),
            ("8-17,", HoursError::Form),
            ("closed,8-17", HoursError::Form),
            ("8-7", HoursError::Ambiguous),
            ("9-5", HoursError::Ambiguous),
            ("12-2", HoursError::Ambiguous),
            ("8-8", HoursError::SameTime),
            ("18-18", HoursError::SameTime),
            ("24-26", HoursError::OpensLate),
            ("8-33", HoursError::ClosesLate),
            ("17-22,11-14", HoursError::OutOfOrder),
            ("8-12,12-17", HoursError::Touching),
            ("12-17,8-12", HoursError::Touching),
            ("8-12,11-17", HoursError::Overlapping),
            ("8-12,8-12", HoursError::Overlapping),
            ("18-2,20-22", HoursError::Overlapping),
        ] {
            assert_eq!(day(text), Err(error), "{text:?}");
        }
    }

    #[test]
    fn every_range_reads_back_as_it_was_written() {
        for opens in (0..DAY_MIN).step_by(5) {
            for closes in (opens + 1..=opens + DAY_MIN).step_by(7) {
                let range = OpenRange::new(opens, closes).unwrap();
                // Times end at 47:59; no location opens so late that this matters.
                assert_eq!(range.to_string().parse(), Ok(range), "{range}");
            }
        }
        for text in ["closed", "8-19", "18-2", "18-24", "11-26", "11:30-14,17:30-1:15"] {
            assert_eq!(text.parse::<DayHours>().unwrap().to_string(), text);
        }
    }

    #[test]
    fn hours_after_midnight_belong_to_the_day_before() {
        let mut days = [const { DayHours::CLOSED }; 7];
        days[6] = "18-2".parse().unwrap();
        let week = OpeningHours::new(days.clone()).unwrap();
        for (day, minute, open) in [
            (Weekday::Sunday, 18 * 60 - 1, false),
            (Weekday::Sunday, 18 * 60, true),
            (Weekday::Monday, 119, true),
            (Weekday::Monday, 120, false),
            (Weekday::Monday, 18 * 60, false),
        ] {
            assert_eq!(week.is_open(day, minute), open, "{day} {minute}");
        }
        days[0] = "1-5".parse().unwrap();
        assert_eq!(OpeningHours::new(days), Err(HoursError::IntoNextDay(Weekday::Sunday)));
    }
}
