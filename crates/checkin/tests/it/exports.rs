//! A person's check-ins out of one store and into another.

use std::collections::BTreeSet;
use std::fs;
use std::io::Write as _;
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;
use std::process::{Command, Output, Stdio};

use serde_json::{Value, json};
use sqlite_writer::rusqlite::Connection;

use crate::deployment::of_pypi;
use crate::harness::{Ended, Site};

const AL: &str = "al.appelhof@example.com";

#[track_caller]
fn export(site: &Site, flags: &[&str]) -> String {
    let ended = site.run("export", &[&["--user", AL], flags].concat());
    assert_eq!((ended.code, ended.stderr.as_str()), (0, ""), "{}", ended.stdout);
    ended.stdout
}

fn load(site: &Site, file: &str, text: &str) -> Ended {
    let path = site.directory.path().join(file);
    fs::write(&path, text).unwrap();
    site.run("load", &[path.to_str().unwrap()])
}

/// Al, who has not checked in, and the locations of the demo.
fn people_and_locations() -> String {
    let data = checkin::demo::data(1_793_491_200_000);
    let places = data.locations.iter().map(|location| {
        json!({"id": location.id.get(), "name": location.name, "category": location.category.as_str(),
               "location": location.coordinates.to_string()})
    });
    let al = json!({"id": 77, "firstName": "Al", "lastName": "Appelhof", "email": AL,
                    "password": "long enough"});
    json!({"users": [al], "locations": places.collect::<Vec<_>>()}).to_string()
}

#[cfg(feature = "external-tests")]
#[test]
fn an_export_is_loaded_from_sqlite_into_redis() {
    an_export_is_loaded(&Site::sqlite(), &|| Site::on(testkit::RedisServer::start()));
}

#[cfg(feature = "external-tests")]
#[test]
fn an_export_is_loaded_from_redis_into_sqlite() {
    an_export_is_loaded(&Site::redis(), &Site::empty_sqlite);
}

fn an_export_is_loaded(from: &Site, empty: &dyn Fn() -> Site) {
    from.count_all();
    let json = export(from, &[]);
    let visits: Value = serde_json::from_str(&json).unwrap();
    let count = visits["checkins"].as_array().unwrap().len();
    assert!(count > 50, "{count}");
    for (format, file) in [("json", "al.json"), ("csv", "al.csv")] {
        let to = empty();
        assert_eq!(load(&to, "people.json", &people_and_locations()).code, 0);
        let text = export(from, &["--format", format]);
        let loaded = load(&to, file, &text);
        assert_eq!((loaded.code, loaded.stderr.as_str()), (0, ""), "{}", loaded.stdout);
        assert!(loaded.stdout.contains(&format!("check-ins: {count} loaded")), "{}", loaded.stdout);
        let again = load(&to, file, &text);
        assert!(again.stdout.contains(&format!("{count} there already")), "{}", again.stdout);
        to.count_all();
        assert_eq!(export(&to, &[]), json, "{format}");
    }
    // Back where it came from it changes nothing.
    let back = load(from, "al.json", &json);
    assert!(back.stdout.contains(&format!("0 loaded, {count} there already")), "{}", back.stdout);
}

#[cfg(feature = "external-tests")]
#[test]
fn old_check_ins_keep_their_times() {
    let site = Site::sqlite();
    let old = "time,userId,locationId,starRating\n2016-01-01T12:00:00Z,77,2,5\n";
    assert_eq!(load(&site, "old.csv", old).code, 0);
    site.count_all();
    let text = export(&site, &["--format", "csv"]);
    let last = text.lines().last().unwrap();
    assert!(last.contains(",2016-01-01T12:00:00Z,77,2,"), "{last}");
    let again = load(&site, "al.csv", &text);
    assert!(again.stdout.contains("check-ins: 0 loaded"), "{}", again.stdout);
    let other = Site::redis();
    let new = load(&other, "al.csv", &text);
    assert!(new.stdout.contains("check-ins: 1 loaded"), "{}", new.stdout);
    assert!(load(&other, "al.csv", &text).stdout.contains("check-ins: 0 loaded"));
}

#[tokio::test]
async fn ids_ahead_of_the_clock_are_left_out_on_sqlite() {
    let site = Site::sqlite();
    let file = Connection::open(site.directory.path().join("checkin.db")).unwrap();
    let sql = "INSERT INTO checkins VALUES (2893456000000, 0, 1609602085397, 78, 2, 3, NULL);
               UPDATE checkpoint SET appended = appended + 1";
    file.execute_batch(sql).unwrap();
    drop(file);
    ids_ahead_of_the_clock_are_left_out(&site, &Site::empty_sqlite).await;
}

#[cfg(feature = "external-tests")]
#[tokio::test]
async fn ids_ahead_of_the_clock_are_left_out_on_redis() {
    let site = Site::redis();
    let entry = "XADD ncc:checkins 2893456000000-0 userId 78 locationId 2 starRating 3";
    let _: String = site.redis_cli(&entry.split(' ').collect::<Vec<_>>());
    ids_ahead_of_the_clock_are_left_out(&site, &Site::empty_redis).await;
}

/// A check-in that came in while they were is the same one elsewhere.
async fn ids_ahead_of_the_clock_are_left_out(from: &Site, empty: &dyn Fn() -> Site) {
    let receiver = from.receiver(&["--no-auth"]);
    let visit = json!({"userId": 77, "locationId": 2, "starRating": 4});
    assert_eq!(receiver.client().post("/api/checkin", &visit).await.status, 202);
    from.count_all();
    let visits = |text: &str| {
        let visits: Value = serde_json::from_str(text).unwrap();
        visits["checkins"].as_array().unwrap().clone()
    };
    let json = export(from, &[]);
    let exported = visits(&json);
    assert_eq!((exported[0].get("id"), &exported[0]["starRating"]), (None, &json!(4)));
    assert!(exported[1..].iter().all(|visit| visit.get("id").is_some()));

    for (format, file) in [("json", "al.json"), ("csv", "al.csv")] {
        let to = empty();
        assert_eq!(load(&to, "people.json", &people_and_locations()).code, 0);
        let loaded = load(&to, file, &export(from, &["--format", format]));
        assert_eq!((loaded.code, loaded.stderr.as_str()), (0, ""), "{}", loaded.stdout);
        to.count_all();
        let mut there = visits(&export(&to, &[]));
        there[0].as_object_mut().unwrap().remove("id").unwrap();
        assert_eq!(there, exported, "{format}");
    }
    let back = load(from, "al.json", &json);
    let said = format!("check-ins: 0 loaded, {} there already", exported.len());
    assert!(back.code == 0 && back.stdout.contains(&said), "{}", back.stdout);
}

#[test]
fn waypoints_go_into_a_file() {
    let site = Site::sqlite();
    site.count_all();
    let path = site.directory.path().join("al.gpx");
    let said = export(&site, &["--format", "gpx", "--output", path.to_str().unwrap()]);
    let text = fs::read_to_string(&path).unwrap();
    let count = text.matches("<wpt ").count();
    assert!(count > 50 && text.ends_with("</gpx>\n"), "{count}");
    assert!(said.starts_with(&format!("{count} check-ins written to ")), "{said}");
}

/// Replacing such a file would separate its names, or replace the link.
#[test]
fn a_file_with_two_names_and_a_link_to_no_file_are_written_directly() {
    let site = Site::sqlite();
    site.count_all();
    let [file, other, link, missing] =
        ["a", "b", "c", "d"].map(|name| site.directory.path().join(name).with_extension("json"));
    fs::write(&file, "the last export").unwrap();
    fs::hard_link(&file, &other).unwrap();
    std::os::unix::fs::symlink(&missing, &link).unwrap();
    for path in [&file, &link] {
        export(&site, &["--output", path.to_str().unwrap()]);
    }
    let expected = export(&site, &[]);
    for path in [&file, &other, &missing] {
        assert_eq!(fs::read_to_string(path).unwrap(), expected, "{}", path.display());
    }
    assert!(fs::symlink_metadata(&link).unwrap().is_symlink());
}

#[cfg(feature = "external-tests")]
#[test]
fn an_export_that_fails_leaves_the_file_as_it_was() {
    // The default user is refused a command.
    let site = Site::redis().without_logins();
    site.count_all();
    let path = site.directory.path().join("al.json");
    fs::write(&path, "the last export").unwrap();
    fs::set_permissions(&path, fs::Permissions::from_mode(0o640)).unwrap();
    let into = ["--user", AL, "--output", path.to_str().unwrap()];
    site.redis_cli::<()>(&["ACL", "SETUSER", "default", "-zrevrange"]);
    let failed = site.run("export", &into);
    assert!(failed.code == 1 && failed.stderr.contains("al.json: cannot read"), "{failed:?}");
    assert!(failed.stderr.contains(&site.store), "{}", failed.stderr);
    assert_eq!(fs::read_to_string(&path).unwrap(), "the last export");
    site.redis_cli::<()>(&["ACL", "SETUSER", "default", "+zrevrange"]);
    assert_eq!(site.run("export", &into).code, 0);
    assert_eq!(fs::read_to_string(&path).unwrap(), export(&site, &[]));
    assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o640);
    let files = fs::read_dir(site.directory.path()).unwrap();
    let files: Vec<_> = files.map(|file| file.unwrap().file_name()).collect();
    assert_eq!(files, ["al.json"], "drafts are removed");

    // A pipe is written directly.
    let piped = export(&site, &["--output", "/dev/stdout"]);
    assert!(piped.starts_with(&export(&site, &[])), "{piped}");
}

/// Locations that are named and lie as badly as an import takes them.
fn hostile_locations() -> Value {
    let names = [
        "=1+1",
        "@SUM(A1)",
        "+1",
        "-1",
        "a \"b\", 'c'; d",
        "<wpt> & ]]> &amp; <!--",
        "\u{fffe}\u{ffff}x",
        "\u{1f468}\u{200d}\u{1f469}\u{200d}\u{1f467}",
        "x\u{fe0f}",
        "\\n\\",
        "{\"checkins\":[",
        "日本語, Ж",
    ];
    let points = ["180,-16.8", "-180,90", "0.0000001,-0.0000001", "-0,0", "179.9999999,-90"];
    let places = names.iter().zip(1..).map(|(name, id)| {
        json!({"id": id, "name": name, "category": "bar", "location": points[id % points.len()]})
    });
    let al = json!({"id": 77, "firstName": "Al", "lastName": "Appelhof", "email": AL,
                    "password": "long enough"});
    let times =
        ["2000-01-01T00:00:00.001Z", "2016-02-29T23:59:59.999+14:00", "2021-01-02T15:41:25Z"];
    let checkins = (1..=names.len()).map(|id| {
        json!({"time": times[id % times.len()], "userId": 77, "locationId": id, "starRating": id % 6})
    });
    json!({"users": [al], "locations": places.collect::<Vec<_>>(),
           "checkins": checkins.collect::<Vec<_>>()})
}

#[cfg(feature = "external-tests")]
#[test]
fn exports_are_valid_and_load_again_from_sqlite() {
    exports_are_valid_and_load_again(&Site::empty_sqlite());
}

#[cfg(feature = "external-tests")]
#[test]
fn exports_are_valid_and_load_again_from_redis() {
    exports_are_valid_and_load_again(&Site::empty_redis());
}

fn exports_are_valid_and_load_again(site: &Site) {
    let places = hostile_locations();
    let count = places["checkins"].as_array().unwrap().len();
    let loaded = load(site, "places.json", &places.to_string());
    assert_eq!(loaded.code, 0, "{}{}", loaded.stdout, loaded.stderr);
    site.count_all();

    let gpx = export(site, &["--format", "gpx"]);
    assert!(gpx.contains("lat=\"-16.8\" lon=\"-180\""), "{gpx}");
    assert_eq!(gpx.matches("<wpt ").count(), count);
    expect_valid_gpx(site, &gpx);
    // The schema can tell.
    let path = site.directory.path().join("wrong.gpx");
    fs::write(&path, gpx.replace("lon=\"-180\"", "lon=\"180\"")).unwrap();
    assert!(!xmllint(&path).status.success());

    let ics = export(site, &["--format", "ics"]);
    let events = events(&ics);
    assert_eq!(events.len(), count);
    let summaries: BTreeSet<_> = events.iter().map(|event| event["SUMMARY"].as_str()).collect();
    let names = places["locations"].as_array().unwrap().iter().map(|place| place["name"].as_str());
    let names = names.map(|name| name.unwrap().replace(['\u{fffe}', '\u{ffff}'], ""));
    let names: Vec<String> = names.collect();
    assert_eq!(summaries, names.iter().map(|name| Some(name.as_str())).collect());

    for (format, file) in [("json", "al.json"), ("csv", "al.csv")] {
        let again = load(site, file, &export(site, &["--format", format]));
        let said = format!("check-ins: 0 loaded, {count} there already");
        assert!(again.code == 0 && again.stdout.contains(&said), "{}", again.stdout);
    }
}

fn expect_valid_gpx(site: &Site, text: &str) {
    let path = site.directory.path().join("al.gpx");
    fs::write(&path, text).unwrap();
    let checked = xmllint(&path);
    let said = String::from_utf8_lossy(&checked.stderr);
    assert!(checked.status.success(), "{said}{text}");
}

/// Returns the events of a calendar, each as its properties, as another program reads them.
fn events(calendar: &str) -> Vec<Value> {
    const READ: &str = "import icalendar, json, sys; \
        events = icalendar.Calendar.from_ical(sys.stdin.buffer.read()).walk('VEVENT'); \
        assert not any(event.errors for event in events); \
        text = lambda event, name: str(event[name]) if name in event else None; \
        names = ['SUMMARY', 'LOCATION', 'DESCRIPTION', 'UID']; \
        read = lambda event: {name: text(event, name) for name in names} | \
            {'DTSTART': event.decoded('DTSTART').isoformat(), 'GEO': event['GEO'].to_ical() if 'GEO' in event else None}; \
        json.dump([read(event) for event in events], sys.stdout)";
    let mut python = of_pypi("python");
    let mut python =
        python.args(["-c", READ]).stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
    python.stdin.take().unwrap().write_all(calendar.as_bytes()).unwrap();
    serde_json::from_slice(&python.wait_with_output().unwrap().stdout).unwrap()
}

fn xmllint(path: &Path) -> Output {
    let schema = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/it/schemas/gpx-1.1.xsd");
    let mut xmllint = Command::new("xmllint");
    xmllint.args(["--noout", "--nonet", "--schema", schema]).arg(path);
    xmllint.output().expect("xmllint is installed")
}

#[cfg(feature = "external-tests")]
#[test]
fn a_user_without_check_ins_has_an_empty_export() {
    let site = Site::empty_sqlite();
    assert_eq!(load(&site, "people.json", &people_and_locations()).code, 0);
    assert_eq!(export(&site, &[]), "{\"checkins\":[\n]}\n");
    assert_eq!(export(&site, &["--format", "csv"]).lines().count(), 1);
    expect_valid_gpx(&site, &export(&site, &["--format", "gpx"]));
    assert_eq!(events(&export(&site, &["--format", "ics"])), [] as [Value; 0]);
}

#[test]
fn exports_that_cannot_begin() {
    let site = Site::sqlite();
    for (args, code, named) in [
        (&[][..], 2, "--user"),
        (&["--user", "x"], 2, "--user"),
        (&["--user", "77", "--format", "xml"], 2, "--format"),
        (&["--user", "9999"], 1, "9999"),
        (&["--user", "nobody@example.com"], 1, "--user"),
        (&["--user", "77", "--output", "absent/al.json"], 1, "absent/al.json"),
    ] {
        let ended = site.run("export", args);
        assert_eq!(ended.code, code, "{args:?}: {}{}", ended.stdout, ended.stderr);
        assert!(ended.stderr.contains(named), "{args:?}: {}", ended.stderr);
        assert_eq!((ended.stdout.as_str(), ended.stderr.lines().count()), ("", 1), "{args:?}");
    }
}
