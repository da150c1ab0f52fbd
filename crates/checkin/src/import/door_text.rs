//! Parses opening hours in the forms that people write on a door, before the clock is known.

use unicode_normalization::UnicodeNormalization;

pub(super) const HALF_DAY_MIN: u16 = 12 * 60;

/// The parsed text of the hours of a day.
pub(super) enum DayText {
    Closed,
    Whole,
    Ranges(Vec<Range>),
}

impl DayText {
    pub(super) fn parse(text: &str) -> Result<Self, String> {
        let plain: String = text.nfkc().flat_map(char::to_lowercase).collect();
        let plain: String = plain.chars().filter(|c| !c.is_whitespace()).map(hyphen).collect();
        let plain = plain.replace("a.m.", "am").replace("p.m.", "pm");
        match plain.as_str() {
            "closed" => return Ok(Self::Closed),
            "24hours" | "24hrs" | "24h" | "24/7" | "open24hours" | "allday" => {
                return Ok(Self::Whole);
            }
            _ => {}
        }
        let plain = plain.replace("until", "-").replace("to", "-").replace("and", ",");
        let ranges = plain.split([',', ';', '&', '/']).map(Range::parse);
        let form = "must be hours like 9-17, 8:30-17:30 or 9am-5pm, 24 hours, or closed";
        ranges.collect::<Option<_>>().map(Self::Ranges).ok_or_else(|| form.to_owned())
    }
}

/// Replaces all kinds of dashes with a hyphen.
fn hyphen(character: char) -> char {
    match character {
        '\u{2010}'..='\u{2015}' | '\u{2212}' | '~' | '\u{301c}' => '-',
        other => other,
    }
}

/// A range of two times as they are written.
pub(super) struct Range {
    pub(super) opens: Time,
    pub(super) closes: Time,
}

#[derive(Clone, Copy)]
pub(super) struct Time {
    pub(super) hour: u16,
    pub(super) minute: u16,
    pub(super) half: Option<Half>,
}

#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Half {
    Am,
    Pm,
}

impl Range {
    fn parse(text: &str) -> Option<Self> {
        let (opens, closes) = text.split_once('-')?;
        Some(Self { opens: Time::parse(opens)?, closes: Time::parse(closes)? })
    }
}

impl Time {
    /// Parses `9`, `09`, `9:30`, `9.30`, `9h30` or `0930`, optionally with am or pm; also `noon`
    /// and `midnight`.
    fn parse(text: &str) -> Option<Self> {
        match text {
            "noon" => return Some(Self { hour: 12, minute: 0, half: Some(Half::Pm) }),
            "midnight" => return Some(Self { hour: 12, minute: 0, half: Some(Half::Am) }),
            _ => {}
        }
        let am = text.strip_suffix("am").or_else(|| text.strip_suffix('a'));
        let pm = text.strip_suffix("pm").or_else(|| text.strip_suffix('p'));
        let (digits, half) = match (am, pm) {
            (Some(digits), _) => (digits, Some(Half::Am)),
            (_, Some(digits)) => (digits, Some(Half::Pm)),
            _ => (text, None),
        };
        let (hour, minute) = match digits.split_once([':', '.', 'h']) {
            Some((hour, "")) if digits.ends_with('h') => (hour, "00"),
            Some(parts) => parts,
            None if matches!(digits.len(), 3 | 4) && digits.is_ascii() => {
                digits.split_at(digits.len() - 2)
            }
            None => (digits, "00"),
        };
        let is_number = |text: &str, lengths: &[usize]| {
            lengths.contains(&text.len()) && text.bytes().all(|byte| byte.is_ascii_digit())
        };
        if !is_number(hour, &[1, 2]) || !is_number(minute, &[2]) {
            return None;
        }
        let (hour, minute) = (hour.parse().ok()?, minute.parse().ok()?);
        let most = if half.is_some() { 1..13 } else { 0..48 };
        (most.contains(&hour) && minute < 60).then_some(Self { hour, minute, half })
    }

    /// Returns the minute of the day on the 24-hour clock.
    pub(super) fn minutes(self) -> u16 {
        self.hour * 60 + self.minute
    }

    /// Returns the minute of the day in this half of the day, on the 12-hour clock.
    pub(super) fn in_half(self, half: Half) -> u16 {
        let minutes = self.hour % 12 * 60 + self.minute;
        if half == Half::Pm { minutes + HALF_DAY_MIN } else { minutes }
    }
}
