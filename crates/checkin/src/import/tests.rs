//! Tests of files as people write them.

use super::*;
use crate::domain::{Email, Weekday};

const USER: &str = r#"{"id":1,"firstName":"Al","lastName":"Appelhof","email":"al@example.com","password":"secret123"}"#;
const LOCATION: &str = r#"{"id":2,"name":"Quillback","category":"cafe","location":"-122.27,37.8"}"#;
const CHECKIN: &str = r#"{"id":"1609602085397-0","userId":1,"locationId":2,"starRating":3}"#;
const BCRYPT: &str = "$2b$05$abcdefghijklmnopqrstuuABCDEFGHIJKLMNOPQRSTUVWXYZ01234";

fn details() -> String {
    let days = Weekday::ALL.map(|day| format!(r#"{{"day":"{day}","hours":"8-19"}}"#)).join(",");
    format!(r#"{{"id":2,"description":"Coffee.","hours":[{days}]}}"#)
}

fn import(files: &[&str]) -> (Import, Vec<RecordError>) {
    let mut importer = Importer::new(u64::MAX);
    for (file, text) in ["a.json", "b.json", "c.json"].iter().zip(files) {
        importer.add_file(file, text);
    }
    importer.finish()
}

fn one(section: Section, record: &str) -> (Import, Vec<RecordError>) {
    import(&[&format!(r#"{{"{section}":[{record}]}}"#)])
}

fn errors(files: &[&str]) -> Vec<String> {
    import(files).1.iter().map(ToString::to_string).collect()
}

/// Returns the record with one field set to another raw value, or removed.
fn with(record: &str, field: &str, value: Option<&str>) -> String {
    let mut object: serde_json::Map<String, serde_json::Value> =
        serde_json::from_str(record).unwrap();
    match value {
        Some(value) => object.insert(field.to_owned(), serde_json::from_str(value).unwrap()),
        None => object.remove(field),
    };
    serde_json::to_string(&object).unwrap()
}

#[test]
fn a_file_may_contain_every_section() {
    let details = details();
    let text = format!(
        r#"{{"users":[{USER}],"locations":[{LOCATION}],"locationDetails":[{details}],"checkins":[{CHECKIN}]}}"#
    );
    let (import, errors) = import(&[&format!("\u{feff}{text}")]);
    assert_eq!(errors, []);
    let [user] = import.users.as_slice() else { panic!("{import:?}") };
    assert_eq!((user.id.get(), user.num_checkins, user.last_checkin), (1, 0, None));
    assert_eq!(user.password, Password::Plain("secret123".into()));
    assert_eq!(import.locations[0].coordinates.to_string(), "-122.27,37.8");
    assert_eq!(import.details[0].hours.day(Weekday::Sunday).unwrap().to_string(), "8-19");
    assert_eq!(import.checkins[0].id.to_string(), "1609602085397-0");
}

#[test]
fn the_example_of_the_documentation_is_right() {
    let text: String = include_str!("mod.rs")
        .lines()
        .skip_while(|line| *line != "//! ```json")
        .skip(1)
        .take_while(|line| *line != "//! ```")
        .map(|line| &line[3..])
        .collect();
    let (import, errors) = import(&[&text]);
    assert_eq!(errors, []);
    assert_eq!(import.details[0].hours.day(Weekday::Saturday).unwrap().to_string(), "10-26");
    assert_eq!(import.details[0].socials[0].network, "instagram");
    assert_eq!(import.users[0].last_seen_at.unwrap().get(), 2);
}

#[test]
fn numbers_may_be_strings() {
    let user = [("id", "\"9\""), ("numCheckins", "\"4\""), ("lastCheckin", "\"1609602085397\"")]
        .iter()
        .fold(USER.to_owned(), |user, (field, value)| with(&user, field, Some(value)));
    let (import, errors) = one(Section::Users, &with(&user, "lastSeenAt", Some("\"2\"")));
    assert_eq!(errors, []);
    let user = &import.users[0];
    assert_eq!((user.id.get(), user.num_checkins), (9, 4));
    assert_eq!(user.last_checkin, Some(1_609_602_085_397));
    assert_eq!(user.last_seen_at.map(crate::domain::LocationId::get), Some(2));
}

#[test]
fn a_user_without_check_ins_has_several_spellings() {
    for value in ["null", "0", "\"0\"", "\"\""] {
        let user = with(USER, "lastCheckin", Some(value));
        let (import, errors) = one(Section::Users, &with(&user, "lastSeenAt", Some(value)));
        assert_eq!(errors, [], "{value}");
        assert_eq!((import.users[0].last_checkin, import.users[0].last_seen_at), (None, None));
    }
}

#[test]
fn a_hash_is_kept_and_a_password_is_not_shown() {
    let (import, _) = one(Section::Users, &with(USER, "password", Some(&format!("{BCRYPT:?}"))));
    let Password::Hash(hash) = &import.users[0].password else { panic!("not kept") };
    assert_eq!(hash.as_str(), BCRYPT);
    let (import, _) = one(Section::Users, USER);
    assert!(!format!("{import:?}").contains("secret123"));
    for value in ["secret123", "[\"secret123\"]"] {
        let (_, errors) = one(Section::Users, &with(USER, "id", Some(&format!("{value:?}"))));
        assert!(!errors[0].to_string().contains("secret123"));
    }
}

#[test]
fn each_field_names_its_rule() {
    let details = details();
    let long = format!("\"{}\"", "e\u{301}".repeat(257));
    let costly = format!("{:?}", BCRYPT.replace("$05$", "$31$"));
    let new_id = "must be an integer from 1 to 4503599627370496";
    let spelling = "must be an integer from 1 to 4503599627370496, without a sign, a point";
    let amount = "must be an integer from 0 to 9007199254740991";
    let last = "must be milliseconds since 1970, from the year 2000 on, or 0 for never";
    let early = "must be milliseconds since 1970, from the year 2000 on, or a time like";
    let early_id = "must begin with milliseconds since 1970, from the year 2000 on";
    let seconds = "must be in milliseconds since 1970, and looks like seconds";
    let form = "must be a time with its offset";
    let user = |field, value, rule| (Section::Users, USER, field, value, rule);
    let location = |field, value, rule| (Section::Locations, LOCATION, field, value, rule);
    let detail = |field, value, rule| (Section::LocationDetails, &*details, field, value, rule);
    let checkin = |field, value, rule| (Section::Checkins, CHECKIN, field, value, rule);
    for (section, record, field, value, rule) in [
        user("id", None, "must be given"),
        user("id", Some("0"), new_id),
        user("id", Some("-1"), new_id),
        user("id", Some("1.0"), spelling),
        user("id", Some("\"01\""), spelling),
        user("id", Some("[1]"), new_id),
        user("id", Some("9007199254740992"), new_id),
        user("id", Some("9007199254740991"), new_id),
        location("id", Some("4503599627370497"), new_id),
        location("id", Some("123456789012345678901234567890"), new_id),
        user("firstName", Some("\"\""), "must not be empty"),
        user("firstName", Some("7"), "must be a text"),
        user("lastName", Some("\" x\""), "must not begin or end with a blank"),
        user("email", Some("\"al\""), "must contain exactly one @"),
        user("password", Some("\"\""), "must not be empty"),
        user("password", Some("\"$1$salt$hash\""), "must be a password, or its argon2 or bcrypt"),
        user("password", Some("\"!\""), "must be a password, or its argon2 or bcrypt"),
        user("password", Some("\"short\""), "must have at least 8 characters"),
        user("password", Some(&long), "must have at most 512 bytes"),
        user("password", Some(&costly), "must be a bcrypt hash of a cost of at most 12"),
        user("numCheckins", Some("\"\""), amount),
        user("numCheckins", Some("-1"), amount),
        user("lastCheckin", Some("1"), last),
        user("lastCheckin", Some("\"soon\""), last),
        user("lastCheckin", Some("1609602085"), seconds),
        user("lastSeenAt", Some("-2"), "must be an integer from 1 to 9007199254740991"),
        user("shoeSize", Some("44"), "must not be given: records have no such field"),
        location("category", Some("\"pub\""), "must be one of retail"),
        location("location", Some("\"37.8,-122.27\""), "must have a latitude"),
        location("numStars", Some("1"), "must be at most five times"),
        location("averageStars", Some("5.1"), "must be a number from 0 to 5"),
        detail("description", Some("\"\\u0007\""), "must not contain control"),
        detail("hours", Some("\"9-5\""), "must be a list"),
        checkin("id", Some("\"5\""), "must be milliseconds"),
        checkin("id", Some("\"45000-0\""), early_id),
        checkin("id", Some("\"1609602085-0\""), seconds),
        checkin("id", Some("\"1609602085397-9007199254740992\""), "must have a sequence number"),
        checkin(
            "id",
            Some("\"1609602085397-99999999999999999999\""),
            "must have a sequence number",
        ),
        checkin("time", Some("0"), early),
        checkin("time", Some("45000"), early),
        checkin("time", Some("45000.5"), early),
        checkin("time", Some("17000000000"), early),
        checkin("time", Some("946684799999"), early),
        checkin("time", Some("-1609602085397"), early),
        checkin("time", Some("\"0\""), early),
        checkin("time", Some("1700000000.5"), seconds),
        checkin("time", Some("\"1.7e9\""), seconds),
        checkin("time", Some("1609602085397.5"), "must be a whole number of milliseconds"),
        checkin("time", Some("\"1999-12-31T23:59:59.999Z\""), "must not be before the year 2000"),
        checkin("time", Some("\"1969-01-01T00:00:00Z\""), "must not be before the year 2000"),
        checkin("time", Some("\"2000-01-01T00:00:00+01:00\""), "must not be before the year 2000"),
        checkin("time", Some("\"2021-01-02\""), form),
        checkin("time", Some("\"2021-01-02T03:04:05\""), form),
        checkin("time", Some("\"inf\""), form),
        checkin("time", Some("true"), form),
        checkin("latitude", Some("95"), "must be a number from -90 to 90"),
        checkin("longitude", Some("\"x\""), "must be a number from -180 to 180"),
        checkin("userId", Some("\"x\""), "must be an integer"),
        checkin("locationId", Some("null"), "must be an integer"),
        checkin("starRating", Some("6"), "must be an integer from 0 to 5"),
        checkin("timestamp", Some("1"), "must not be given: records have no such field"),
    ] {
        let (import, errors) = one(section, &with(record, field, value));
        assert_eq!(import, Import::default(), "{field}: {value:?}");
        let error = errors[0].to_string();
        let start = format!("a.json: {section}[0].{field}: {rule}");
        assert!(error.starts_with(&start) && errors.len() == 1, "{errors:?} {start}");
    }
}

#[test]
fn other_records_of_a_file_with_an_error_are_loaded() {
    let text = format!(r#"{{"checkins":[7,{{"id":"x","stars":1}},{CHECKIN}]}}"#);
    let (import, errors) = import(&[&text]);
    assert_eq!(import.checkins.len(), 1);
    let errors: Vec<_> = errors.iter().map(ToString::to_string).collect();
    assert_eq!(errors[0], "a.json: checkins[0]: must be an object");
    assert!(errors[1].starts_with("a.json: checkins[1].id: must be milliseconds"));
    assert_eq!(errors[2], "a.json: checkins[1].userId: must be given");
    assert_eq!(
        errors[5],
        "a.json: checkins[1].stars: must not be given: records have no such field"
    );
    assert_eq!(errors.len(), 6);
}

#[test]
fn equal_ids_name_both_records() {
    let details = details();
    for (section, record) in [
        (Section::Users, USER),
        (Section::Locations, LOCATION),
        (Section::LocationDetails, &*details),
        (Section::Checkins, CHECKIN),
    ] {
        let twice = format!(r#"{{"{section}":[{record},{record}]}}"#);
        let once = format!(r#"{{"{section}":[{record}]}}"#);
        let id = |at: &str| format!("{at}.id: must not be the id of a.json: {section}[0], too");
        let expected = [id(&format!("a.json: {section}[1]")), id(&format!("b.json: {section}[0]"))];
        assert_eq!(errors(&[&twice, &once]), expected);
    }
}

#[test]
fn equal_addresses_name_both_users() {
    let other = USER.replace("\"id\":1", "\"id\":5").replace("al@example", "AL@Example");
    let (first, second) = (format!(r#"{{"users":[{USER}]}}"#), format!(r#"{{"users":[{other}]}}"#));
    let expected = "b.json: users[0].email: \
         must not be the address of both users 1 and 5 (first: a.json: users[0])";
    assert_eq!(errors(&[&first, &second]), [expected]);
    let (import, _) = import(&[&first, &second]);
    assert_eq!(import.users.len(), 1);
    assert_eq!(import.users[0].email, "al@example.com".parse::<Email>().unwrap());
}

#[test]
fn a_refused_record_does_not_reserve_its_id() {
    let broken = with(USER, "lastSeenAt", Some("\"x\""));
    let (import, errors) = import(&[&format!(r#"{{"users":[{broken},{USER}]}}"#)]);
    assert_eq!((import.users.len(), errors.len()), (1, 1));
}

#[test]
fn malformed_files_are_one_error_with_line_and_column() {
    for (text, line, column) in
        [("", 1, 1), ("[]", 1, 1), ("{\"users\":[\n  {]}", 2, 4), ("{\"checkins\":[]}\n}", 2, 1)]
    {
        let (import, errors) = import(&[text]);
        assert_eq!(import, Import::default());
        let [RecordError { place, field: None, rule }] = errors.as_slice() else {
            panic!("{errors:?}")
        };
        let RecordPlace { file, position: Position::File } = place else { panic!("{place:?}") };
        let Rule::Malformed { line: l, column: c, rule } = rule else { panic!("{rule:?}") };
        assert_eq!((&**file, *l, *c), ("a.json", line, column), "{text:?}");
        assert!(rule.starts_with("must "), "{rule}");
    }
    let (none, cut) =
        ("must be JSON, which it is not from here on", "must not end here: the JSON is incomplete");
    let object = "must be an object with the lists users, locations";
    for (text, place, rule) in [
        ("{\"users\":[\n  {]}", "line 2, column 4", none),
        ("{'users':[]}", "line 1, column 2", none),
        ("{\"users\":[],}", "line 1, column 13", none),
        ("{\"users\":[NaN]}", "line 1, column 11", none),
        ("{\"users\":[\"a\nb\"]}", "line 1, column 12", none),
        ("{\"users\":[\n", "line 2, column 1", cut),
        ("{\"users\":[{\"id\":\"", "line 1, column 17", cut),
        ("{}\n{}", "line 2, column 1", "must end here: a file holds one JSON value"),
        ("[1]", "line 1, column 1", object),
        ("\"users\"", "line 1, column 7", object),
        ("7", "line 1, column 1", object),
    ] {
        let errors = errors(&[text]);
        let start = format!("a.json: {place}: {rule}");
        assert!(errors.len() == 1 && errors[0].starts_with(&start), "{text:?}: {errors:?}");
    }
}

#[test]
fn sections_are_known_lists_and_given_once() {
    assert_eq!(
        errors(&[r#"{"user":[],"users":{},"checkins":[],"checkins":[]}"#]),
        [
            "a.json: users: must be a list",
            "a.json: user: must not be given: records have no such field",
            "a.json: checkins: must be given once"
        ]
    );
    let twice = USER.replace("\"id\":1", "\"id\":1,\"id\":2");
    assert_eq!(
        one(Section::Users, &twice).1[0].to_string(),
        "a.json: users[0].id: must be given once"
    );
}

#[test]
fn broken_unicode_is_an_error_of_its_field() {
    let user = USER.replace("Appelhof", "\\ud800");
    assert_eq!(
        one(Section::Users, &user).1[0].to_string(),
        "a.json: users[0].lastName: must not contain half a character, such as \\ud83d alone"
    );
}

#[test]
fn a_large_file_takes_time_in_proportion() {
    let checkins: Vec<_> = (1_609_602_000_000_u64..1_609_602_100_000)
        .map(|ms| format!(r#"{{"id":"{ms}-0","userId":1,"locationId":2,"starRating":3}}"#))
        .collect();
    let (import, errors) = one(Section::Checkins, &checkins.join(","));
    assert_eq!((import.checkins.len(), errors.len()), (100_000, 0));
}

/// The line from which a file cannot be read is always reported, however many of its records are wrong.
#[test]
fn the_error_of_the_rest_of_a_file_is_kept() {
    let mut importer = Importer::new(u64::MAX);
    let rows = "0,2,3,2021-01-02T15:41:25Z\n".repeat(MAX_ERRORS + 1);
    importer.add_file("a.csv", &format!("userId,locationId,starRating,time\n{rows}1,2,3,\"x"));
    importer.add_bytes("b.csv", b"userId,locationId,starRating,time\n1,2,3,\xff\xff\n");
    assert_eq!(importer.more_errors(), 1);
    let (_, errors) = importer.finish();
    let [table, bytes] = &errors[MAX_ERRORS..] else { panic!("{}", errors.len()) };
    let line = MAX_ERRORS + 3;
    let table = table.to_string();
    assert!(table.starts_with(&format!("a.csv: line {line}: ")), "{table}");
    assert!(table.ends_with("the rest of the file is not read"), "{table}");
    assert!(bytes.to_string().starts_with("b.csv: line 2: "), "{bytes}");
}

#[test]
fn wrong_fields_of_details_are_left_out() {
    for (field, value, rule) in [
        ("website", "\"javascript:alert(1)\"", "must be a web address"),
        ("website", "\"www.new,york.com\"", "must be a web address"),
        ("phone", "5", "must be a text"),
        ("socials", "\"x\"", "must be an object"),
        ("socials", "{\"instagram\":\"\"}", "handle must not be empty"),
    ] {
        let mut importer = Importer::new(u64::MAX);
        let record = with(&details(), field, Some(value));
        importer.add_file("a.json", &format!(r#"{{"locationDetails":[{record}]}}"#));
        let left_out: Vec<String> =
            importer.left_out_fields().iter().map(ToString::to_string).collect();
        let (import, errors) = importer.finish();
        let (expected, _) = one(Section::LocationDetails, &details());
        assert_eq!((import, errors), (expected, vec![]), "{field}: {value}");
        let start = format!("a.json: locationDetails[0].{field}: {rule}");
        assert!(left_out[0].starts_with(&start) && left_out.len() == 1, "{left_out:?} {start}");
    }
}

#[test]
fn only_days_with_wrong_hours_are_left_out() {
    let friday = "[{\"day\":\"Friday\",\"hours\":\"9-18\"}";
    for (hours, rule) in [
        ("[]", "Monday, Tuesday, Wednesday, Thursday, Friday, Saturday, Sunday must be given"),
        ("[{\"day\":\"Mon\",\"hours\":\"8-9\"}]", "must have days that are one of Monday, Tue"),
        ("[{\"day\":5,\"hours\":\"8-9\"}]", "must have days that are one of Monday, Tue"),
        ("[{\"day\":\"Friday\"}]", "must have only objects"),
        ("[{\"day\":\"Friday\",\"hours\":9}]", "Friday must be a text"),
        (&format!("{friday},{{\"day\":\"Monday\",\"hours\":\"9-5\"}}]"), "Monday must not close"),
    ] {
        let mut importer = Importer::new(u64::MAX);
        let details = with(&details(), "hours", Some(hours));
        importer.add_file("a.json", &format!(r#"{{"locationDetails":[{details}]}}"#));
        let left_out = importer.left_out_fields().to_vec();
        let (import, errors) = importer.finish();
        assert_eq!((import.details.len(), errors), (1, vec![]), "{hours}");
        let start = format!("a.json: locationDetails[0].hours: {rule}");
        assert!(left_out[0].to_string().starts_with(&start), "{left_out:?} {start}");
        let friday = import.details[0].hours.day(Weekday::Friday).is_some();
        assert_eq!(friday, hours.contains("18"));
    }
}

#[test]
fn the_clock_of_hours_is_that_of_the_file_or_a_given_one() {
    let file = |hours: &str| {
        let details = details().replace("8-19", hours);
        format!(r#"{{"locationDetails":[{details}]}}"#)
    };
    let read = |form: &str, hours: &str| {
        let mut importer = Importer::new(u64::MAX).hours(form.parse().unwrap());
        importer.add_file("a.json", &file(hours));
        let clock = importer.clocks().first().map(|(_, clock)| *clock);
        let (import, _) = importer.finish();
        (import.details[0].hours.day(Weekday::Monday).map(ToString::to_string), clock)
    };
    let hours = |text: &str| Some(text.to_owned());
    assert_eq!(read("auto", "9-6"), (hours("9-18"), Some(Clock::TwelveHours)));
    assert_eq!(read("auto", "9-12"), (hours("9-12"), Some(Clock::TwentyFourHours)));
    assert_eq!(read("auto", "closed"), (hours("closed"), None));
    assert_eq!(read("24h", "9-6"), (None, None));
    assert_eq!(read("12h", "7-9"), (hours("7-21"), None));
    assert_eq!(read("12h", "9-17"), (None, None));
}
