//! Prints the errors of the files, each kind of error once.

use std::collections::{BTreeSet, HashMap};

use crate::domain::Weekday;
use crate::import::{Position, RecordError, Rule, day_names};

/// The maximum number of kinds of errors that are printed. The rest is only counted.
const KINDS: usize = 100;

/// The maximum number of places that are printed for a kind of error.
const PLACES: usize = 5;

/// Returns one line for each kind of error, with the number of errors and the first places, and
/// whether the lines leave out some of them.
pub(super) fn grouped(errors: &[RecordError]) -> (Vec<String>, bool) {
    let mut kinds: HashMap<Kind, usize> = HashMap::new();
    let mut groups: Vec<Vec<&RecordError>> = Vec::new();
    for error in errors {
        let group = *kinds.entry(Kind::of(error)).or_insert(groups.len());
        match groups.get_mut(group) {
            Some(group) => group.push(error),
            None => groups.push(vec![error]),
        }
    }
    let mut lines: Vec<String> = groups.iter().take(KINDS).map(|group| line(group)).collect();
    if let Some(more) = groups.len().checked_sub(KINDS).filter(|more| *more > 0) {
        lines.push(format!("… and {more} more kinds of errors"));
    }
    (lines, groups.len() < errors.len() || groups.len() > KINDS)
}

fn line(group: &[&RecordError]) -> String {
    let [error, _, ..] = group else {
        return group.iter().map(ToString::to_string).collect();
    };
    let Kind { file, list, field, rule } = Kind::of(error);
    let what = match (list.as_str(), field) {
        (list, Some(field)) if list.is_empty() || list == "lines" => format!("{field}: "),
        ("" | "lines", None) => String::new(),
        (list, Some(field)) => format!("{list}[].{field}: "),
        (list, None) => format!("{list}[]: "),
    };
    let places: Vec<String> =
        group.iter().take(PLACES).map(|error| number(error.place.position)).collect();
    let at = if list == "lines" { "lines " } else { "" };
    let more = if group.len() > PLACES { ", …" } else { "" };
    let days = match days(group) {
        days if days.is_empty() => String::new(),
        days => format!("; {days}"),
    };
    format!("{file}: {what}{rule} ({} times: {at}{}{more}{days})", group.len(), places.join(", "))
}

/// Returns the weekdays of these errors, each once.
fn days(group: &[&RecordError]) -> String {
    let days = group.iter().flat_map(|error| match &error.rule {
        Rule::OfDays { days, .. } => days.as_slice(),
        _ => &[],
    });
    let days: BTreeSet<Weekday> = days.copied().collect();
    day_names(&Vec::from_iter(days))
}

/// The part that errors of one kind have in common.
#[derive(PartialEq, Eq, Hash)]
struct Kind {
    file: String,
    list: String,
    field: Option<String>,
    rule: String,
}

impl Kind {
    fn of(error: &RecordError) -> Self {
        let list = match error.place.position {
            Position::File => String::new(),
            Position::Section(section) | Position::Record(section, _) => section.to_string(),
            Position::Line(_) => "lines".to_owned(),
            Position::Item(_) => "items".to_owned(),
        };
        let rule = match &error.rule {
            Rule::SameId { .. } => "must not be the id of an earlier record".to_owned(),
            Rule::SameVisit { .. } => "must not be the same visit as an earlier one".to_owned(),
            Rule::SameEmail { .. } => "must not be the address of an earlier user".to_owned(),
            Rule::OfDays { rule, .. } => rule.clone(),
            rule => rule.to_string(),
        };
        let field = error.field.as_ref().map(|field| field.escape_debug().to_string());
        Self { file: error.place.file.to_string(), list, field, rule }
    }
}

fn number(position: Position) -> String {
    match position {
        Position::File | Position::Section(_) => String::new(),
        Position::Line(line) => line.to_string(),
        Position::Record(_, index) | Position::Item(index) => index.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::import::Importer;

    fn errors(file: &str, text: &str) -> Vec<String> {
        let mut importer = Importer::new(u64::MAX);
        importer.add_file(file, text);
        grouped(&importer.finish().1).0
    }

    #[test]
    fn equal_errors_are_grouped_into_one_line() {
        let users = vec![
            r#"{"id":0,"firstName":"A","lastName":"","email":"x","password":"secret123"}"#;
            200
        ];
        assert_eq!(
            errors("a.json", &format!(r#"{{"users":[{}]}}"#, users.join(","))),
            [
                "a.json: users[].id: must be an integer from 1 to 4503599627370496 (200 times: 0, \
                 1, 2, 3, 4, …)",
                "a.json: users[].email: must contain exactly one @ (200 times: 0, 1, 2, 3, 4, …)",
            ]
        );
        let time = "2021-01-02T15:41:25Z";
        let rows = format!(
            "userId,locationId,starRating,time\n1,2,6,{time}\n1,2,7,{time}\n1,2\n1,2,5,soon\n"
        );
        let lines = errors("a.csv", &rows);
        let rule = "must be an integer from 0 to 5";
        assert_eq!(lines[0], format!("a.csv: starRating: {rule} (2 times: lines 2, 3)"));
        assert_eq!(lines[1], "a.csv: line 4: must have 4 cells, as many as there are columns");
        assert!(lines[2].starts_with("a.csv: line 5, time: must be a time"), "{lines:?}");
    }

    #[test]
    fn a_rule_of_opening_hours_names_its_days_once() {
        let details = |id: u64, tuesday: &str| {
            format!(
                r#"{{"id":{id},"description":"Coffee.","hours":[{{"day":"Monday","hours":"x"}},
                     {{"day":"Tuesday","hours":"{tuesday}"}},{{"day":"Friday","hours":"8-9"}}]}}"#
            )
        };
        let details = [details(1, "x"), details(2, "8-9"), details(3, "9")].join(",");
        let mut importer = Importer::new(u64::MAX);
        importer.add_file("a.json", &format!(r#"{{"locationDetails":[{details}]}}"#));
        let rule = "must be hours like 9-17, 8:30-17:30 or 9am-5pm, 24 hours, or closed";
        let hours = "a.json: locationDetails[].hours";
        let missing = "Wednesday, Thursday, Saturday, Sunday";
        let (lines, shortened) = grouped(importer.left_out_fields());
        assert_eq!(
            lines,
            [
                format!("{hours}: {rule} (3 times: 0, 1, 2; Monday, Tuesday)"),
                format!("{hours}: must be given (3 times: 0, 1, 2; {missing})"),
            ]
        );
        assert!(shortened);
        let all = importer.left_out_fields()[0].to_string();
        assert_eq!(all, format!("a.json: locationDetails[0].hours: Monday, Tuesday {rule}"));
    }

    #[test]
    fn kinds_are_limited() {
        let fields: Vec<String> = (0..150).map(|n| format!(r#""f{n}":1"#)).collect();
        let lines = errors("a.json", &format!(r#"{{"users":[],{}}}"#, fields.join(",")));
        assert_eq!(lines.len(), 101);
        assert_eq!(lines[100], "… and 50 more kinds of errors");
    }
}
