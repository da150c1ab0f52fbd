//! The session crate beside real express-session: the same programs on the same Redis, and
//! nothing that can be seen from outside may differ. See `programs` for what a program is.
//!
//! `PROBE_PROGRAMS` and `PROBE_SEED` choose how many random programs run, and which.

use std::io::Write;

use crate::programs::compare::compare;
use crate::programs::pair::Kind;
use crate::programs::run::Mismatch;
use crate::programs::{Program, Settings, parse, random};

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

const DEFAULT_SEED: u64 = 20_240_517;
const DEFAULT_PROGRAMS: u64 = 2000;

#[test]
fn the_tables_are_the_same_on_both_sides() {
    check(tables(), &[Kind::Express, Kind::Ours]);
}

#[test]
fn random_programs_are_the_same_on_both_sides() {
    let seed = number("PROBE_SEED", DEFAULT_SEED);
    let count = number("PROBE_PROGRAMS", DEFAULT_PROGRAMS);
    tell(&format!("PROBE_SEED={seed} PROBE_PROGRAMS={count}"));
    check(random::programs(seed, count as usize), &[Kind::Express, Kind::Ours]);
}

/// No program depends on chance or on the clock: otherwise Express would differ from itself.
#[test]
fn express_is_the_same_as_itself() {
    let mut programs = tables();
    programs.extend(random::programs(DEFAULT_SEED, 160));
    check(programs, &[Kind::Express, Kind::Express]);
}

/// A comparison that finds nothing must have looked.
#[test]
fn differences_are_noticed() {
    let operations = r#"POST / [["set","a",1],["get","a"]]"#;
    for (expected, asked, other) in [
        ("Set-Cookie", "{}", Settings::new(r#"{"cookie":{"sameSite":"lax"}}"#)),
        ("Set-Cookie", r#"{"cookie":{"maxAge":60000}}"#, with_max_age(64_000)),
        ("Set-Cookie", "{}", Settings::new(r#"{"secret":"another"}"#)),
        ("value of", r#"{"cookie":{"secure":true}}"#, secure_and_same_site()),
        ("TTL of", "{}", Settings { ttl: Some(80_000), ..Settings::new("{}") }),
        ("keys", "{}", Settings { prefix: Some("other:".to_owned()), ..Settings::new("{}") }),
    ] {
        let table = format!("program noticed\noptions {asked}\n{operations}\n");
        assert!(noticed(&table, other).contains(&format!("differs in {expected}")), "{expected}");
    }
}

/// An order of things in which the last writer wins, and another option, with which it is another.
#[test]
fn a_difference_between_parallel_requests_is_noticed_and_made_small() {
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
    let told = noticed(table, Settings::new(r#"{"resave":true}"#));
    let small = r#"
POST / []
parallel 20
POST / [["sleep",60]]
POST / [["set","a",2]]
end
"#;
    assert!(told.contains("step 2 differs in value of sess:<id:1>"), "{told}");
    assert!(told.contains(small), "{told}");
}

/// The one difference between Express and Express with other settings.
fn noticed(table: &str, other: Settings) -> String {
    let report = compare(parse(table), &[Kind::Express, Kind::ExpressWith(other)]);
    assert_eq!(report.mismatches.len(), 1, "{report}");
    report.mismatches[0].to_string()
}

fn with_max_age(ms: u32) -> Settings {
    Settings::new(&format!(r#"{{"cookie":{{"maxAge":{ms}}}}}"#))
}

fn secure_and_same_site() -> Settings {
    Settings::new(r#"{"cookie":{"secure":true,"sameSite":true}}"#)
}

fn tables() -> Vec<Program> {
    TABLES.iter().flat_map(|table| parse(table)).collect()
}

fn number(variable: &str, default: u64) -> u64 {
    let given = std::env::var(variable).ok();
    given.map_or(default, |text| text.parse().expect("a number"))
}

fn check(programs: Vec<Program>, kinds: &[Kind; 2]) {
    let report = compare(programs, kinds);
    tell(&report.to_string());
    let told: String = report.mismatches.iter().map(Mismatch::to_string).collect();
    assert!(report.mismatches.is_empty(), "{report}\n\n{told}");
}

/// Says it even where the test passes, when what `println!` writes is not shown.
fn tell(line: &str) {
    writeln!(std::io::stderr(), "{line}").expect("a test can write to stderr");
}
