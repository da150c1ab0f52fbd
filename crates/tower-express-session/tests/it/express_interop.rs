//! Compares the session crate with real express-session: the same programs run on both, on the same
//! Redis, and nothing that is visible from outside may differ. The module `programs` explains what
//! a program is.
//!
//! The environment variables `PROBE_PROGRAMS` and `SEED` set the number of random programs and their
//! seed.

use std::io::Write;

use testkit::seed;

use crate::programs::compare::compare;
use crate::programs::pair::Kind;
use crate::programs::run::Mismatch;
use crate::programs::{Program, ProgramSettings, Step, parse, random};

const TABLES: [&str; 10] = [
    include_str!("programs/cookie_header.txt"),
    include_str!("programs/set_cookie.txt"),
    include_str!("programs/combinations.txt"),
    include_str!("programs/cookie_options.txt"),
    include_str!("programs/saving.txt"),
    include_str!("programs/stored_json.txt"),
    include_str!("programs/expiry.txt"),
    include_str!("programs/operations.txt"),
    include_str!("programs/odd_values.txt"),
    include_str!("programs/parallel.txt"),
];

const PROGRAMS: usize = 1000;

#[test]
fn written_programs_behave_as_in_express() {
    check(tables(), &[Kind::Express, Kind::Ours]);
}

#[test]
fn random_programs_behave_as_in_express() {
    let given = std::env::var("PROBE_PROGRAMS").ok();
    let count = given.map_or(PROGRAMS, |text| text.parse().expect("a number"));
    check(random::programs(seed(), count), &[Kind::Express, Kind::Ours]);
}

/// The written programs in which our store for Express differs on purpose: it keeps sessions whose date is stale or
/// garbage, and does not accept or create a session after its end.
const DIFFERENT_ON_PURPOSE: [&str; 4] = [
    "save with a stale expiry deletes the session",
    "expires is garbage, and a number",
    "a destroyed session that another writer writes back",
    "a session that expires during requests",
];

/// With our store for Express, everything is as with connect-redis, except what differs on purpose. So the requests run one
/// after another, and random programs do not write to Redis, possibly over a tombstone.
#[test]
fn our_store_for_express_behaves_as_connect_redis() {
    let written = tables();
    let differs = |program: &Program| DIFFERENT_ON_PURPOSE.contains(&program.title.as_str());
    assert_eq!(
        written.iter().filter(|program| differs(program)).count(),
        DIFFERENT_ON_PURPOSE.len()
    );
    let mut random = random::programs(seed(), 300);
    for program in &mut random {
        program.steps.retain(|step| !matches!(step, Step::Redis(words) if words[0] == "SET"));
    }
    let programs = written.iter().filter(|program| !differs(program)).chain(&random);
    let programs = programs.map(Program::in_sequence).collect();
    check(programs, &[Kind::Express, Kind::ExpressWithOurStore]);
}

/// Shows that no program depends on chance or on the clock: otherwise Express would differ from
/// itself.
#[test]
fn express_does_not_differ_from_itself() {
    let mut programs = tables();
    programs.extend(random::programs(seed(), 160));
    check(programs, &[Kind::Express, Kind::Express]);
}

/// Shows that the comparison detects differences.
#[test]
fn differences_are_detected() {
    let operations = r#"POST / [["set","a",1],["get","a"]]"#;
    for (expected, asked, other) in [
        ("Set-Cookie", "{}", ProgramSettings::new(r#"{"cookie":{"sameSite":"lax"}}"#)),
        ("Set-Cookie", r#"{"cookie":{"maxAge":60000}}"#, with_max_age(64_000)),
        ("Set-Cookie", "{}", ProgramSettings::new(r#"{"secret":"another"}"#)),
        ("value of", r#"{"cookie":{"secure":true}}"#, secure_and_same_site()),
        ("TTL of", "{}", ProgramSettings { ttl: Some(80_000), ..ProgramSettings::new("{}") }),
        (
            "keys",
            "{}",
            ProgramSettings { prefix: Some("other:".to_owned()), ..ProgramSettings::new("{}") },
        ),
    ] {
        let table = format!("program detected\noptions {asked}\n{operations}\n");
        assert!(
            difference_of(&table, other).contains(&format!("differs in {expected}")),
            "{expected}"
        );
    }
}

/// Two parallel requests whose result differs with another option.
#[test]
fn a_difference_between_parallel_requests_is_detected_and_minimised() {
    let table = r#"program noticed
options {"resave":false}
wait 5
POST / [["set","a",1],["get","a"]]
parallel 20
  X-Forwarded-Proto: https
  POST / [["get","a"],["sleep",60],["get","a"],["sleep",60]]
  POST / [["get","b"],["set","a",2]]
  POST / [["get","a"]]
end
POST / [["all"]]
"#;
    let difference = difference_of(table, ProgramSettings::new(r#"{"resave":true}"#));
    let small = r#"
POST / []
parallel 20
POST / [["sleep",60]]
POST / [["set","a",2]]
end
"#;
    assert!(difference.contains("step 2 differs in value of sess:<id:1>"), "{difference}");
    assert!(difference.contains(small), "{difference}");
}

/// Returns the one difference between Express and Express with other settings.
fn difference_of(table: &str, other: ProgramSettings) -> String {
    let report = compare(parse(table), &[Kind::Express, Kind::ExpressWith(other)]);
    assert_eq!(report.mismatches.len(), 1, "{report}");
    report.mismatches[0].to_string()
}

fn with_max_age(ms: u32) -> ProgramSettings {
    ProgramSettings::new(&format!(r#"{{"cookie":{{"maxAge":{ms}}}}}"#))
}

fn secure_and_same_site() -> ProgramSettings {
    ProgramSettings::new(r#"{"cookie":{"secure":true,"sameSite":true}}"#)
}

fn tables() -> Vec<Program> {
    TABLES.iter().flat_map(|table| parse(table)).collect()
}

fn check(programs: Vec<Program>, kinds: &[Kind; 2]) {
    let report = compare(programs, kinds);
    write_line(&report.to_string());
    let differences: String = report.mismatches.iter().map(Mismatch::to_string).collect();
    assert!(report.mismatches.is_empty(), "{report}\n\n{differences}");
}

/// Writes to stderr directly, because the output of `println!` is not shown when the test passes.
fn write_line(line: &str) {
    writeln!(std::io::stderr(), "{line}").expect("a test can write to stderr");
}
