//! What `load` says of files: of damaged ones, of times that cannot be, and how many records they had.

use std::fs;
use std::io::Write;
use std::process::Stdio;

use serde_json::{Value, json};

use crate::harness::{Ended, SECRET, Site, checkin};

const HEADER: &str = "userId,locationId,starRating,time\n";

fn load(site: &Site, file: &str, bytes: &[u8], flags: &[&str]) -> Ended {
    let path = site.directory.path().join(file);
    fs::write(&path, bytes).unwrap();
    site.run("load", &[&[path.to_str().unwrap()], flags].concat())
}

fn people() -> String {
    let user = |id: u64, email: &str| {
        json!({"id": id, "firstName": "Al", "lastName": "", "email": email,
               "password": "$2b$05$abcdefghijklmnopqrstuuABCDEFGHIJKLMNOPQRSTUVWXYZ01234"})
    };
    let place =
        |id: u64| json!({"id": id, "name": "Two", "category": "bar", "location": "4.8,52.3"});
    json!({"users": [user(77, "al@example.com"), user(78, "bo@example.com")],
           "locations": [place(1), place(2)]})
    .to_string()
}

#[test]
fn a_damaged_file_is_named_with_its_line() {
    let site = Site::empty_sqlite();
    assert_eq!(load(&site, "people.json", people().as_bytes(), &[]).code, 0);
    let table = |rows: &str| format!("{HEADER}{rows}").into_bytes();
    let utf16 = |text: &str| text.encode_utf16().flat_map(u16::to_le_bytes).collect::<Vec<u8>>();
    for (file, bytes, named) in [
        (
            "open.csv",
            table("77,1,3,2021-01-01T00:00:00Z\n77,1,3,\"2021-01-02T00:00:00Z\n77,1,4,x\n"),
            "line 3",
        ),
        ("shut.csv", table("77,1,3,\"2021\"-01-02T00:00:00Z\n"), "line 2"),
        ("cut.csv", table("77,1,3,2021-01-01T00:00:00Z\n77,1"), "line 3"),
        ("wide.csv", table("77,1,3,2021-01-01T00:00:00Z,9\n"), "line 2"),
        ("twice.csv", b"userId,userId,locationId,starRating,time\n1,1,1,1,5\n".to_vec(), "line 1"),
        ("header.csv", b"77,1,3,2021-01-01T00:00:00Z\n".to_vec(), "line 1: must name the columns"),
        (
            "bars.csv",
            b"userId|locationId|starRating|time\n77|1|3|5\n".to_vec(),
            "line 1: must name",
        ),
        ("empty.csv", Vec::new(), "line 1: must not be empty"),
        ("empty.json", Vec::new(), "line 1: must not be empty"),
        ("nul.csv", table("77,1,3,2021\0\n"), "line 2: must not contain NUL"),
        (
            "latin.csv",
            [&table("77,1,3,")[..], b"\xe9\n"].concat(),
            "line 2: must be a text in UTF-8",
        ),
        ("utf16.csv", utf16("userId"), "save it as UTF-8 if it is UTF-16 without"),
        (
            "half.csv",
            [b"\xff\xfe", &utf16("userId\n")[..], b"\0"].concat(),
            "line 2: must be a text",
        ),
        ("gzip.csv", b"\x1f\x8b\x08\0\0\0\0\0".to_vec(), "gzip"),
        ("book.csv", b"PK\x03\x04\0\0\0\0".to_vec(), "zip"),
        ("cut.json", b"{\"checkins\":[\n{\"id\":".to_vec(), "line 2"),
        ("junk.json", b"{\"checkins\":[]}\n}".to_vec(), "line 2"),
        ("cut-swarm.json", b"{\"items\":[\n{\"createdAt\":".to_vec(), "line 2"),
        ("binary", (128..=255).collect(), "line 1"),
    ] {
        let ended = load(&site, file, &bytes, &[]);
        assert_eq!(ended.code, 1, "{file}: {}{}", ended.stdout, ended.stderr);
        let line = ended.stdout.lines().find(|line| line.contains(named));
        assert!(line.is_some_and(|line| line.contains(file)), "{file}: {}", ended.stdout);
    }
    // "Unicode Text" of a spreadsheet.
    let rows = format!("{HEADER}77,1,3,2021-03-01T00:00:00Z\r\n").replace(',', "\t");
    let ended = load(&site, "unicode.txt", &[b"\xff\xfe", &utf16(&rows)[..]].concat(), &[]);
    assert_eq!(ended.code, 0, "{}{}", ended.stdout, ended.stderr);
    assert!(ended.stdout.contains("check-ins: 1 loaded"), "{}", ended.stdout);
}

#[test]
fn what_is_yet_to_happen_is_refused_on_sqlite() {
    what_is_yet_to_happen_is_refused(&Site::empty_sqlite());
}

#[cfg(feature = "external-tests")]
#[test]
fn what_is_yet_to_happen_is_refused_on_redis() {
    what_is_yet_to_happen_is_refused(&Site::empty_redis());
}

fn what_is_yet_to_happen_is_refused(site: &Site) {
    assert_eq!(load(site, "people.json", people().as_bytes(), &[]).code, 0);
    let checkin = |fields: Value| {
        let mut checkin = json!({"userId": 77, "locationId": 1, "starRating": 3});
        checkin.as_object_mut().unwrap().extend(fields.as_object().unwrap().clone());
        json!({"checkins": [checkin]}).to_string()
    };
    let late = "must not be later than now";
    let swarm = json!([{"createdAt": 2_893_456_000_u64, "lat": 52.3, "lng": 4.8,
                        "venue": {"name": "Two"}}]);
    let user = json!({"users": [{"id": 9, "firstName": "A", "lastName": "", "email": "c@example.com",
                                 "password": "long enough", "lastCheckin": 2_893_456_000_000_u64}]});
    for (file, text, flags, named) in [
        (
            "a.csv",
            format!("{HEADER}77,1,3,2062-01-01T00:00:00Z\n"),
            &[][..],
            format!("line 2, time: {late}"),
        ),
        ("b.csv", format!("{HEADER}77,1,3,2893456000000\n"), &[], format!("time: {late}")),
        ("c.csv", format!("{HEADER}77,1,3,1609602085397000\n"), &[], format!("time: {late}")),
        (
            "d.csv",
            "id,userId,locationId,starRating\n2893456000000-0,77,1,3\n".to_owned(),
            &[],
            format!("id: {late}"),
        ),
        (
            "e.csv",
            format!("{HEADER}77,1,3,1609602085\n"),
            &[],
            "must be in milliseconds".to_owned(),
        ),
        ("f.json", checkin(json!({"id": "18446744073709551615-0"})), &[], format!("id: {late}")),
        ("l.json", checkin(json!({"time": "9999-12-31T23:00:00Z"})), &[], format!("time: {late}")),
        ("m.json", checkin(json!({"id": "99999999999999999999-0"})), &[], format!("id: {late}")),
        ("n.csv", format!("{HEADER}77,1,3,9999-12-31T23:59:59Z\n"), &[], format!("time: {late}")),
        ("o.csv", format!("{HEADER}77,1,3,1e300\n"), &[], "a whole number of milli".to_owned()),
        (
            "g.json",
            checkin(json!({"id": "5-18446744073709551615"})),
            &[],
            "sequence number".to_owned(),
        ),
        (
            "h.json",
            checkin(json!({"id": "2893456000000-0", "time": "2021-01-01T00:00:00Z"})),
            &[],
            format!("id: {late}"),
        ),
        ("i.json", checkin(json!({"time": 1_609_602_085})), &[], "looks like seconds".to_owned()),
        ("j.json", user.to_string(), &[], format!("users[0].lastCheckin: {late}")),
        (
            "k.json",
            swarm.to_string(),
            &["--user", "77", "--stars", "4"],
            format!("createdAt: {late}"),
        ),
    ] {
        let ended = load(site, file, text.as_bytes(), flags);
        assert_eq!(ended.code, 1, "{file}: {}{}", ended.stdout, ended.stderr);
        assert!(ended.stdout.contains(&named), "{file}: {}", ended.stdout);
        assert!(ended.stderr.contains("1 of 1 records refused"), "{file}: {}", ended.stderr);
    }
    let doctor = site.run("doctor", &[]);
    assert!(!doctor.stdout.contains("ahead of the clock"), "{}", doctor.stdout);
}

#[test]
fn the_numbers_add_up_on_sqlite() {
    the_numbers_add_up(&Site::empty_sqlite());
}

#[cfg(feature = "external-tests")]
#[test]
fn the_numbers_add_up_on_redis() {
    the_numbers_add_up(&Site::empty_redis());
}

/// The numbers of a line of the summary.
fn numbers(ended: &Ended, kind: &str) -> Vec<usize> {
    let line = ended
        .stdout
        .lines()
        .find(|line| line.starts_with(&format!("{kind}: ")) && line.contains("there already"));
    let line = line.unwrap_or_else(|| panic!("no {kind}: {}", ended.stdout));
    let words = line.split(|c: char| !c.is_ascii_digit());
    words.filter_map(|word| word.parse().ok()).collect()
}

/// Good records, records that are there, and bad ones of every kind, in numbers that differ.
fn the_numbers_add_up(site: &Site) {
    assert_eq!(load(site, "people.json", people().as_bytes(), &[]).code, 0);
    let user = |id: Value, email: String| {
        json!({"id": id, "firstName": "Al", "lastName": "", "email": email,
               "password": "$2b$05$abcdefghijklmnopqrstuuABCDEFGHIJKLMNOPQRSTUVWXYZ01234"})
    };
    let place = |id: Value, point: &str| json!({"id": id, "name": "Three", "category": "bar", "location": point});
    let mut users: Vec<Value> =
        (100..107).map(|id| user(id.into(), format!("u{id}@example.com"))).collect();
    users.extend([
        user(77.into(), "al@example.com".into()),
        user(0.into(), "z@example.com".into()),
        user(200.into(), "BO@example.com".into()),
        user(100.into(), "y@example.com".into()),
    ]);
    users.push(json!({"id": "x", "firstName": "\u{200b}", "email": 3}));
    let places =
        [place(1.into(), "0,0"), place(3.into(), "0,0"), place(4.into(), "999,0"), json!(7)];
    let mut checkins: Vec<Value> = (0..23)
        .map(|n| {
            json!({"id": format!("{}-0", 1_609_602_085_397_u64 + n), "userId": 77, "locationId": 1,
                        "starRating": n % 8})
        })
        .collect();
    checkins.extend((0..3).map(|n| {
        json!({"time": 1_509_602_085_397_u64 + n, "userId": 9999,
                                          "locationId": 1, "starRating": 1})
    }));
    let file = json!({"users": users, "locations": places, "checkins": checkins}).to_string();
    let first = load(site, "mix.json", file.as_bytes(), &[]);
    assert_eq!(first.code, 1, "{}", first.stdout);
    // Loaded, there already, refused, in the file.
    assert_eq!(numbers(&first, "users"), [7, 1, 4, 12], "{}", first.stdout);
    assert_eq!(numbers(&first, "locations"), [1, 1, 2, 4], "{}", first.stdout);
    assert_eq!(numbers(&first, "check-ins"), [18, 0, 8, 26], "{}", first.stdout);
    assert!(
        first.stderr.contains("14 of 42 records refused; the rest is loaded"),
        "{}",
        first.stderr
    );
    assert!(first.stdout.contains(
        "mix.json: checkins[].userId: must be the id of a user that exists (3 times: 23, 24, 25)"
    ));
    let again = load(site, "mix.json", file.as_bytes(), &["--all-errors"]);
    assert_eq!(numbers(&again, "users"), [0, 8, 4, 12], "{}", again.stdout);
    assert_eq!(numbers(&again, "check-ins"), [0, 18, 8, 26], "{}", again.stdout);
    assert_eq!(again.stdout.matches("starRating: must be").count(), 5, "{}", again.stdout);

    let item = |n: u64, more: Value| {
        let mut item = json!({"id": format!("v{n}"), "createdAt": 1_451_649_600 + n, "lat": 52.3,
                              "lng": 4.8, "venue": {"name": "Two"}});
        item.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        item
    };
    let items = json!({"items": [item(1, json!({})), item(2, json!({"private": true})), item(3, json!({})),
        item(4, json!({"createdAt": "soon"})), item(5, json!({"venue": {"name": "Elsewhere"}}))]});
    let flags = ["--user", "77", "--stars", "4"];
    let swarm = load(site, "checkins1.json", items.to_string().as_bytes(), &flags);
    // Loaded, there already, left out, refused, in the file.
    assert_eq!(numbers(&swarm, "check-ins"), [3, 0, 1, 1, 5], "{}", swarm.stdout);
    let rows = format!(
        "{HEADER}77,2,3,2016-01-02T00:00:00Z\n,,,\n  , ,,\n77,2,9,2016-01-02T00:00:00Z\n,,\n"
    );
    let table = load(site, "rows.csv", rows.as_bytes(), &[]);
    assert_eq!(numbers(&table, "check-ins"), [1, 0, 1, 2], "{}", table.stdout);
    assert!(table.stdout.contains("empty rows: 3 skipped"), "{}", table.stdout);
}

#[test]
fn standard_input_is_a_file() {
    let site = Site::empty_sqlite();
    let from_stdin = |text: &str| {
        let mut load = checkin(site.directory.path());
        load.env("CHECKIN_STORE", &site.store).env("CHECKIN_SESSION_SECRET", SECRET);
        load.args(["load", "-"])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped());
        let mut child = load.spawn().unwrap();
        child.stdin.take().unwrap().write_all(text.as_bytes()).unwrap();
        let output = child.wait_with_output().unwrap();
        (output.status.code().unwrap(), String::from_utf8(output.stdout).unwrap())
    };
    let (code, said) = from_stdin(&people());
    assert!(code == 0 && said.contains("users: 2 loaded"), "{said}");
    let (code, said) = from_stdin(&format!("{HEADER}77,1,3,2021-01-01T00:00:00Z\n77,1,9,5\n"));
    assert!(code == 1 && said.contains("check-ins: 1 loaded"), "{said}");
    assert!(said.contains("standard input: line 3, starRating: must be"), "{said}");
    let (code, said) = from_stdin("");
    assert!(code == 1 && said.contains("standard input: line 1: must not be empty"), "{said}");
}

#[test]
fn what_the_store_refuses_is_named_by_its_place() {
    let site = Site::empty_sqlite();
    assert_eq!(load(&site, "people.json", people().as_bytes(), &[]).code, 0);
    let time = "2020-01-01T00:00:00Z";
    let rows = format!("{HEADER}77,99,3,{time}\n99,1,3,{time}\n98,98,3,{time}\n");
    let table = load(&site, "a.csv", rows.as_bytes(), &[]);
    let (user, location) =
        ("must be the id of a user that exists", "must be the id of a location that exists");
    for line in [
        format!("a.csv: locationId: {location} (2 times: lines "),
        format!("a.csv: userId: {user} (2 times: lines "),
    ] {
        assert!(table.stdout.contains(&line), "{line}: {}", table.stdout);
    }
    assert!(table.stderr.contains("3 of 3 records refused; nothing is loaded"), "{}", table.stderr);
    let details = json!({"locationDetails": [{"id": 9999, "description": "Far", "hours": []}]});
    let details = load(&site, "d.json", details.to_string().as_bytes(), &["--all-errors"]);
    let line = format!("d.json: locationDetails[0].id: {location}\n");
    assert!(details.stdout.contains(&line), "{}", details.stdout);
    assert!(!details.stdout.contains("hours"), "{}", details.stdout);
    let mixed = format!("{}\n", people().replacen("\"id\":2", "\"id\":0", 1));
    let mixed = load(&site, "mixed.json", mixed.as_bytes(), &[]);
    assert!(
        mixed.stderr.contains("1 of 4 records refused; the rest was there already"),
        "{}",
        mixed.stderr
    );
}

#[test]
fn a_file_that_cannot_be_read_costs_only_itself() {
    let site = Site::empty_sqlite();
    let path = |file: &str| site.directory.path().join(file).to_str().unwrap().to_owned();
    let missing = site.run("load", &[&path("nope.json")]);
    assert_eq!(missing.code, 1);
    assert!(missing.stdout.contains("nope.json: must be a file that can be read: No such file"));
    assert!(missing.stderr.contains("1 file cannot be read; nothing is loaded"), "{missing:?}");
    fs::write(path("people.json"), people()).unwrap();
    let both = site.run("load", &[&path("nope.json"), &path("people.json")]);
    assert_eq!(both.code, 1);
    assert!(both.stdout.contains("users: 2 loaded"), "{}", both.stdout);
    assert!(both.stderr.contains("1 file cannot be read; the rest is loaded"), "{}", both.stderr);
    // Its damage is said, and not that it is no export.
    for (file, text) in [("cut.json", "{\"items\": [\n"), ("empty.json", "")] {
        let cut = load(&site, file, text.as_bytes(), &["--user", "77", "--stars", "4"]);
        assert!(cut.code == 1 && cut.stdout.contains(&format!("{file}: line ")), "{cut:?}");
        assert!(!cut.stderr.contains("Swarm"), "{}", cut.stderr);
    }
}

#[test]
fn a_file_without_records_is_named() {
    let site = Site::empty_sqlite();
    for (file, text) in [
        ("a.json", "{}"),
        ("b.csv", HEADER),
        ("c.json", "{\"items\": []}"),
        ("d.json", "{\"users\": []}"),
    ] {
        for flags in [&[][..], &["--user", "77", "--stars", "4"]] {
            let ended = load(&site, file, text.as_bytes(), flags);
            assert_eq!((ended.code, ended.stderr.as_str()), (0, ""), "{file}");
            let line = format!("{file}: holds no records\n");
            assert!(ended.stdout.ends_with(&line), "{file}: {}", ended.stdout);
        }
    }
}

#[test]
fn a_file_has_a_maximum_size() {
    let site = Site::empty_sqlite();
    let file = site.directory.path().join("long.csv");
    // One line without an end, which takes no space on the disk.
    fs::File::create(&file).unwrap().set_len(1 << 30).unwrap();
    let loaded = site.run("load", &[file.to_str().unwrap()]);
    assert_eq!(loaded.code, 1, "{}", loaded.stderr);
    let said = loaded.stdout + &loaded.stderr;
    assert!(said.contains("must have at most 512 MiB"), "{said}");
}

/// An error takes far more memory than a wrong record of two bytes.
#[test]
fn wrong_records_take_little_memory() {
    let site = Site::empty_sqlite();
    let list = format!("{{\"checkins\":[{}1]}}", "1,".repeat(6_000_000));
    let table = format!("{HEADER}{}", "1,1,1,x\n".repeat(2_000_000));
    for (file, text, count) in [("list.json", list, 6_000_001), ("table.csv", table, 2_000_000)] {
        fs::write(site.directory.path().join(file), text).unwrap();
        let Ended { code, stdout, stderr } = site.run_within("-v 1000000", "load", &[file]);
        let refused = format!("checkin: {count} of {count} records refused; nothing is loaded");
        assert_eq!((code, stderr.trim_end()), (1, &*refused), "{stdout}");
        assert!(stdout.contains(&format!("… and {} more errors\n", count - 100_000)), "{stdout}");
    }
}
