//! Tests that exports can be imported again.

use super::*;
use crate::domain::{
    Category, Checkin, Coordinates, Location, LocationId, NewCheckin, StarRating, UserId,
};
use crate::import::Importer;

fn checkin(id: &str, time_ms: u64) -> Checkin {
    let checkin = NewCheckin {
        user: UserId::try_from(77).unwrap(),
        location: LocationId::try_from(2).unwrap(),
        stars: StarRating::try_from(5).unwrap(),
        comment: None,
        is_private: false,
    };
    Checkin { time_ms, ..checkin.with_id(id.parse().unwrap()) }
}

fn place(name: &str) -> Location {
    Location {
        id: LocationId::try_from(2).unwrap(),
        name: name.to_owned(),
        category: Category::Cafe,
        coordinates: Coordinates::new(-122.2711, 37.8044).unwrap(),
        num_checkins: 9,
        num_stars: 9,
    }
}

/// A private check-in whose comment looks like a formula.
fn remarked() -> Checkin {
    let comment = Some("=\"1\"".parse().unwrap());
    Checkin { comment, is_private: true, ..checkin("1793491200000-0", 1_609_602_085_397) }
}

/// Returns the export of one check-in at a location of this name and one without a location.
pub(super) fn written(format: Format, name: &str) -> String {
    let place = place(name);
    let mut writer = Writer::new(format, Vec::new()).unwrap();
    let checkin = remarked();
    writer
        .write(&ExportedCheckin { id: Some(checkin.id), checkin, location: Some(&place) })
        .unwrap();
    let checkin = self::checkin("1609602085000-1", 1_609_602_085_000);
    writer.write(&ExportedCheckin { id: Some(checkin.id), checkin, location: None }).unwrap();
    String::from_utf8(writer.finish().unwrap()).unwrap()
}

#[test]
fn formats_are_parsed_by_name() {
    for format in Format::ALL {
        assert_eq!(format.as_str().parse(), Ok(format));
    }
    assert_eq!("xml".parse::<Format>(), Err(FormatError));
}

#[test]
fn exports_can_be_imported() {
    for (format, file) in [(Format::Json, "a.json"), (Format::Csv, "a.csv")] {
        for name in ["Quillback", "=1+1", "a,\"b\"\nc", ""] {
            let mut importer = Importer::new(u64::MAX);
            importer.add_file(file, &written(format, name));
            let (import, errors) = importer.finish();
            assert_eq!(errors, [], "{name:?}");
            let one = remarked();
            let other = checkin("1609602085000-1", 1_609_602_085_000);
            assert_eq!(import.checkins, [one, other]);
        }
    }
}

#[test]
fn each_check_in_is_written_at_once() {
    for format in Format::ALL {
        let place = place("Quillback");
        let mut writer = Writer::new(format, Vec::new()).unwrap();
        assert!(!writer.get_mut().is_empty());
        writer.get_mut().clear();
        let checkin = checkin("5-0", 5);
        writer
            .write(&ExportedCheckin { id: Some(checkin.id), checkin, location: Some(&place) })
            .unwrap();
        assert!(String::from_utf8_lossy(writer.get_mut()).contains("Quillback"));
    }
}

#[test]
fn times_beyond_the_calendar_are_numbers() {
    let far = checkin("999999999999999-0", 999_999_999_999_999);
    for (format, file) in [(Format::Json, "a.json"), (Format::Csv, "a.csv")] {
        let mut writer = Writer::new(format, Vec::new()).unwrap();
        let checkin = far.clone();
        writer.write(&ExportedCheckin { id: Some(far.id), checkin, location: None }).unwrap();
        let text = String::from_utf8(writer.finish().unwrap()).unwrap();
        let mut importer = Importer::new(u64::MAX);
        importer.add_file(file, &text);
        assert_eq!(importer.finish().0.checkins, std::slice::from_ref(&far), "{text}");
    }
}
