//! Handles JSON as text, because the comparison is byte by byte and serde_json does not accept
//! everything, such as lone surrogates.

/// Returns the text of each element of an array.
///
/// # Panics
///
/// Panics if the text is not an array.
pub(crate) fn elements(array: &str) -> Vec<&str> {
    let inner = array.strip_prefix('[').and_then(|text| text.strip_suffix(']'));
    let inner = inner.unwrap_or_else(|| panic!("not an array: {array}"));
    let mut elements = Vec::new();
    let (mut start, mut depth, mut in_string, mut escaped) = (0, 0_usize, false, false);
    for (at, byte) in inner.bytes().enumerate() {
        match byte {
            _ if escaped => escaped = false,
            b'\\' => escaped = true,
            b'"' => in_string = !in_string,
            _ if in_string => {}
            b'[' | b'{' => depth += 1,
            b']' | b'}' => depth -= 1,
            b',' if depth == 0 => {
                elements.push(inner[start..at].trim());
                start = at + 1;
            }
            _ => {}
        }
    }
    if !inner.trim().is_empty() {
        elements.push(inner[start..].trim());
    }
    elements
}

/// A text in which times and durations are replaced by placeholders.
#[derive(Debug, PartialEq)]
pub(crate) struct Masked {
    pub(crate) literal: String,
    pub(crate) moments_ms: Vec<f64>,
    pub(crate) durations_ms: Vec<f64>,
}

const EXPIRES: &str = "\"expires\":\"";
const MAX_AGE: &str = "\"originalMaxAge\":";
const COOKIE_EXPIRES: &str = "Expires=";

impl Masked {
    /// Masks the values of `expires` and `originalMaxAge` in JSON.
    pub(crate) fn json(text: &str) -> Masked {
        let mut masked = Masked::empty();
        let mut rest = text;
        while let Some(at) = [EXPIRES, MAX_AGE].iter().filter_map(|name| rest.find(name)).min() {
            let name = if rest[at..].starts_with(EXPIRES) { EXPIRES } else { MAX_AGE };
            masked.literal.push_str(&rest[..at + name.len()]);
            rest = &rest[at + name.len()..];
            rest = if name == EXPIRES { masked.moment(rest) } else { masked.duration(rest) };
        }
        masked.literal.push_str(rest);
        masked
    }

    /// Masks the value of `Expires` in a `Set-Cookie` line.
    pub(crate) fn set_cookie(line: &str) -> Masked {
        let mut masked = Masked::empty();
        let (before, rest) = line.split_once(COOKIE_EXPIRES).unwrap_or((line, ""));
        let (date, after) = rest.split_at(rest.find(';').unwrap_or(rest.len()));
        masked.literal.push_str(before);
        match http_date_ms(date) {
            Some(ms) => {
                masked.literal.push_str("Expires=<date>");
                masked.moments_ms.push(ms);
            }
            None => masked.literal.push_str(&line[before.len()..line.len() - after.len()]),
        }
        masked.literal.push_str(after);
        masked
    }

    fn empty() -> Masked {
        Masked { literal: String::new(), moments_ms: Vec::new(), durations_ms: Vec::new() }
    }

    fn moment<'a>(&mut self, rest: &'a str) -> &'a str {
        let (text, after) = rest.split_at(rest.find('"').unwrap_or(0));
        let Some(ms) = iso_ms(text) else { return rest };
        self.literal.push_str("<moment>");
        self.moments_ms.push(ms);
        after
    }

    fn duration<'a>(&mut self, rest: &'a str) -> &'a str {
        let (text, after) = rest.split_at(rest.find([',', '}']).unwrap_or(0));
        let Ok(ms) = text.parse() else { return rest };
        self.literal.push_str("<duration>");
        self.durations_ms.push(ms);
        after
    }
}

/// Parses exactly the form `2026-11-24T03:13:21.828Z`.
fn iso_ms(text: &str) -> Option<f64> {
    let shape: String =
        text.chars().map(|char| if char.is_ascii_digit() { '0' } else { char }).collect();
    if shape != "0000-00-00T00:00:00.000Z" {
        return None;
    }
    let number = |from: usize, to: usize| text[from..to].parse::<i64>().ok();
    let days = days_from_civil(number(0, 4)?, number(5, 7)?, number(8, 10)?);
    let minutes = (days * 24 + number(11, 13)?) * 60 + number(14, 16)?;
    Some(((minutes * 60 + number(17, 19)?) * 1000 + number(20, 23)?) as f64)
}

/// Returns the days since 1970-01-01 in the Gregorian calendar.
fn days_from_civil(year: i64, month: i64, day: i64) -> i64 {
    let year = if month <= 2 { year - 1 } else { year };
    let day_of_year = (153 * ((month + 9) % 12) + 2) / 5 + day - 1;
    year * 365 + year.div_euclid(4) - year.div_euclid(100) + year.div_euclid(400) + day_of_year
        - 719_468
}

/// Parses only a correctly written date. A date with a wrong weekday, for example, is not masked,
/// so the comparison detects it.
fn http_date_ms(text: &str) -> Option<f64> {
    let time = httpdate::parse_http_date(text).ok()?;
    let since_epoch = time.duration_since(std::time::UNIX_EPOCH).ok()?;
    (httpdate::fmt_http_date(time) == text).then_some(since_epoch.as_secs_f64() * 1000.0)
}

/// Formats a time as `Date.prototype.toISOString` does.
pub(crate) fn iso(ms: i64) -> String {
    let seconds = ms.div_euclid(1000);
    let (days, second_of_day) = (seconds.div_euclid(86_400), seconds.rem_euclid(86_400));
    let (year, month, day) = civil_from_days(days);
    let (hour, minute, second) =
        (second_of_day / 3600, second_of_day / 60 % 60, second_of_day % 60);
    let millisecond = ms.rem_euclid(1000);
    format!("{year:04}-{month:02}-{day:02}T{hour:02}:{minute:02}:{second:02}.{millisecond:03}Z")
}

fn civil_from_days(days: i64) -> (i64, i64, i64) {
    // The year is found by counting, because the dates are close to 1970.
    let guess = 1970 + days / 366;
    let year = (guess - 1..).find(|&year| days_from_civil(year + 1, 1, 1) > days);
    let year = year.expect("some year holds the day");
    let month = (1..12).find(|&month| days_from_civil(year, month + 1, 1) > days).unwrap_or(12);
    (year, month, days - days_from_civil(year, month, 1) + 1)
}

#[test]
fn only_times_and_durations_are_masked() {
    let text = r#"{"cookie":{"originalMaxAge":4999,"expires":"1970-01-02T00:00:01.002Z"},"a":1}"#;
    let masked = Masked::json(text);
    assert_eq!(
        masked.literal,
        r#"{"cookie":{"originalMaxAge":<duration>,"expires":"<moment>"},"a":1}"#
    );
    assert_eq!((masked.moments_ms[0], masked.durations_ms[0]), (86_401_002.0, 4999.0));
    let text = r#"{"cookie":{"originalMaxAge":null,"expires":false}}"#;
    assert_eq!(Masked::json(text).literal, text);
    let line = "a=b; Path=/; Expires=Thu, 01 Jan 1970 00:00:05 GMT; HttpOnly";
    assert_eq!(Masked::set_cookie(line).literal, "a=b; Path=/; Expires=<date>; HttpOnly");
    let wrong = line.replace("Thu", "Fri");
    assert_eq!(Masked::set_cookie(&wrong).literal, wrong);
}

#[test]
fn formatted_times_can_be_parsed() {
    for text in ["1970-01-01T00:00:00.000Z", "2024-02-29T23:59:59.999Z", "2026-12-31T12:00:00.001Z"]
    {
        assert_eq!(iso(iso_ms(text).unwrap() as i64), text);
    }
}

#[test]
fn arrays_are_split_into_elements() {
    assert_eq!(elements(r#"[["a","]\",",{"b":[1,2]}], 3]"#), [r#"["a","]\",",{"b":[1,2]}]"#, "3"]);
    assert!(elements("[]").is_empty());
}
