//! The session crate beside real express-session: the same programs on the same Redis, and
//! nothing that can be seen from outside may differ. See `programs` for what a program is.
//!
//! `PROBE_PROGRAMS` and `PROBE_SEED` choose how many random programs run, and which.

use crate::programs::pair::Kind;
use crate::programs::run::{Mismatch, mismatches};
use crate::programs::{Program, Settings, parse, random};

const TABLES: [&str; 9] = [
    include_str!("programs/cookie_header.txt"),
    include_str!("programs/set_cookie.txt"),
    include_str!("programs/combinations.txt"),
    include_str!("programs/cookie_options.txt"),
    include_str!("programs/saving.txt"),
    include_str!("programs/stored_json.txt"),
    include_str!("programs/expiry.txt"),
    include_str!("programs/operations.txt"),
    include_str!("programs/odd_values.txt"),
];

const DEFAULT_SEED: u64 = 20_240_517;
const DEFAULT_PROGRAMS: u64 = 300;

#[test]
fn the_tables_are_the_same_on_both_sides() {
    check(tables(), &[Kind::Express, Kind::Ours]);
}

#[test]
fn random_programs_are_the_same_on_both_sides() {
    let seed = number("PROBE_SEED", DEFAULT_SEED);
    let count = number("PROBE_PROGRAMS", DEFAULT_PROGRAMS);
    println!("PROBE_SEED={seed} PROBE_PROGRAMS={count}");
    check(random::programs(seed, count as usize), &[Kind::Express, Kind::Ours]);
}

/// No program depends on chance or on the clock: otherwise Express would differ from itself.
#[test]
fn express_is_the_same_as_itself() {
    let mut programs = tables();
    programs.extend(random::programs(DEFAULT_SEED, 60));
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
        let found = mismatches(parse(&table), &[Kind::Express, Kind::ExpressWith(other)]);
        assert_eq!(found.len(), 1, "{expected}");
        let told = found[0].to_string();
        assert!(told.contains(&format!("differs in {expected}")), "{expected}: {told}");
    }
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
    let count = programs.len();
    let found = mismatches(programs, kinds);
    let told: String = found.iter().map(Mismatch::to_string).collect();
    assert!(found.is_empty(), "{} of {count} programs differ:\n\n{told}", found.len());
}
