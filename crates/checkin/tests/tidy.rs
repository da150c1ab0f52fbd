//! "Who may import whom", read from the `use` lines and the paths of the source.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on fails")]

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

/// What one module may use, as starts of paths with blanks between.
struct Rule {
    /// The module with all below it; `*` stands for any one name.
    module: &'static str,
    /// Of this crate, beside itself.
    may_use: &'static str,
    /// Of the dependencies; `*` for all.
    libraries: &'static str,
    /// Wins over what it may use.
    never: &'static str,
}

const BACKENDS: &str = "crate::storage::redis crate::storage::sqlite redis_link sqlite_writer \
    tower_express_session::store::redis tower_express_session::store::sqlite";
const SETTINGS: &str = "crate::config std::env clap toml";
const WEB: &str = "crate::http crate::services axum tower_http";

/// The first rule that fits a module counts.
const TABLE: &[Rule] = &[
    Rule {
        module: "domain",
        may_use: "",
        libraries: "unicode_normalization unicode_properties",
        never: "std::env std::fs std::io std::net std::thread std::future",
    },
    Rule {
        module: "storage::redis",
        may_use: "crate::domain crate::storage",
        libraries: "*",
        never: "crate::storage::sqlite sqlite_writer tower_express_session::store",
    },
    Rule {
        module: "storage::sqlite",
        may_use: "crate::domain crate::storage",
        libraries: "*",
        never: "crate::storage::redis redis_link tower_express_session",
    },
    // JSON for what both backends read alike: a place's details.
    // Tracing for a record that cannot be read, which both report alike.
    Rule {
        module: "storage",
        may_use: "crate::domain",
        libraries: "async_trait serde serde_json tracing::warn",
        never: BACKENDS,
    },
    // Storage: probes ask for its `Health`, and `ApiError` answers its error with 503. Passwords:
    // `ApiError` answers `Busy`. Telemetry: its one way to write an error with its causes.
    Rule {
        module: "http",
        may_use: "crate::domain crate::passwords crate::storage crate::telemetry::chain",
        libraries: "*",
        never: BACKENDS,
    },
    // Not each other; only `identity`, by which each of them knows its visitor.
    Rule {
        module: "services::*",
        may_use: "crate::domain crate::export crate::http crate::passwords \
            crate::services::identity crate::storage",
        libraries: "*",
        never: BACKENDS,
    },
    // Files and nothing else; what is stored already is handed in.
    Rule { module: "import", may_use: "crate::domain", libraries: "*", never: BACKENDS },
    // For anybody: commands, and the services.
    Rule {
        module: "export",
        may_use: "crate::domain crate::storage",
        libraries: "*",
        never: BACKENDS,
    },
    // A client of the services like any other: it shares the domain with them and nothing else.
    Rule {
        module: "generate",
        may_use: "crate::domain crate::random",
        libraries: "*",
        never: BACKENDS,
    },
    // Puts everything together and answers no request.
    Rule {
        module: "app",
        may_use: "crate",
        libraries: "*",
        never: "axum::extract axum::response axum::routing",
    },
    // Only `app` names a backend.
    Rule { module: "*", may_use: "crate", libraries: "*", never: BACKENDS },
];

/// The one breach that stands: a store's address is read by the crate that will open it, so that a
/// wrong setting is reported as such.
const STANDS: [&str; 1] = ["config: redis_link::Address"];

#[test]
fn modules_import_only_what_they_may() {
    let modules = modules();
    let found: Vec<_> = modules.iter().flat_map(|(module, text)| breaches(module, text)).collect();
    assert_eq!(found, STANDS);
    for rule in TABLE {
        assert!(modules.iter().any(|(module, _)| fits(module, rule)), "no {}", rule.module);
    }
}

#[test]
fn a_forbidden_import_is_found() {
    for (module, line, breach) in [
        ("domain::user", "use serde::Serialize;", "serde::Serialize"),
        ("domain", "use super::storage::Health;", "crate::storage::Health"),
        ("storage", "use self::redis::Client;", "crate::storage::redis::Client"),
        (
            "storage::redis::keys",
            "use super::super::{sqlite::X, Result};",
            "crate::storage::sqlite::X",
        ),
        (
            "http::probes",
            "pub(crate) use crate::{domain,\n    services::auth};",
            "crate::services::auth",
        ),
        (
            "services::auth",
            "use super::{identity, receiver::{self, X}};",
            "crate::services::receiver::X",
        ),
        ("services::auth::login", "fn f() { std::env::var(\"X\") }", "std::env::var"),
        (
            "cli::up",
            "use crate::storage::sqlite::SqliteStorage;",
            "crate::storage::sqlite::SqliteStorage",
        ),
    ] {
        let found = breaches(module, line);
        assert!(found.contains(&format!("{module}: {breach}")), "{line}: {found:?}");
    }
    assert!(breaches("domain", "// use crate::http;").is_empty());
    assert!(
        breaches("domain", "#[cfg(test)]\nmod tests {\n    use serde::Serialize;\n}").is_empty()
    );
}

/// The modules of the program, without those that are tests.
fn modules() -> Vec<(String, String)> {
    let mut modules = sources(&Path::new(env!("CARGO_MANIFEST_DIR")).join("src"), "");
    let is_test = |name: &str| name == "conformance" || name.ends_with("tests");
    modules.retain(|(module, _)| !module.split("::").any(is_test));
    modules
}

fn breaches(module: &str, source: &str) -> Vec<String> {
    let rule = TABLE.iter().find(|rule| fits(module, rule)).unwrap();
    let depth = rule.module.split("::").count();
    let own =
        module.split("::").take(depth).fold("crate".to_owned(), |own, name| own + "::" + name);
    let never = match rule.module {
        "*" | "app" => rule.never.to_owned(),
        "http" | "services::*" => format!("{} {SETTINGS}", rule.never),
        _ => format!("{} {SETTINGS} {WEB}", rule.never),
    };
    let dependencies = dependencies();
    let is_breach = |path: &String| {
        let of_the_crate = starts_with(path, "crate");
        let of_a_library = rule.libraries != "*" && starts_with(path, &dependencies);
        starts_with(path, &never)
            || of_the_crate && !starts_with(path, rule.may_use) && !starts_with(path, &own)
            || of_a_library && !starts_with(path, rule.libraries)
    };
    let found = paths(module, source).into_iter().filter(is_breach);
    found.map(|path| format!("{module}: {path}")).collect()
}

fn fits(module: &str, rule: &Rule) -> bool {
    let mut names = module.split("::");
    rule.module.split("::").all(|name| names.next().is_some_and(|own| name == "*" || name == own))
}

/// The names by which the code knows its dependencies.
fn dependencies() -> String {
    let section = include_str!("../Cargo.toml").split("\n[dependencies]\n").nth(1).unwrap();
    let lines = section.lines().take_while(|line| !line.starts_with('['));
    let names = lines.filter_map(|line| Some(line.split_once('=')?.0.trim().replace('-', "_")));
    names.collect::<Vec<_>>().join(" ")
}

/// Each source file's module path, `storage::redis::keys`, and its text.
fn sources(dir: &Path, module: &str) -> Vec<(String, String)> {
    let mut entries: Vec<_> =
        fs::read_dir(dir).unwrap().map(|entry| entry.unwrap().path()).collect();
    entries.sort();
    let read = |path: PathBuf| {
        let name = path.file_stem().unwrap().to_str().unwrap();
        let inner = format!("{module}::{name}").trim_start_matches("::").to_owned();
        match path.extension() {
            _ if path.is_dir() => sources(&path, &inner),
            Some(rs) if rs == "rs" => {
                let module = inner.strip_suffix("::mod").unwrap_or(&inner);
                vec![(module.to_owned(), fs::read_to_string(&path).unwrap())]
            }
            _ => Vec::new(),
        }
    };
    entries.into_iter().flat_map(read).collect()
}

/// The paths in a module's code, those of `use` items in full; its inline tests left out.
fn paths(module: &str, source: &str) -> BTreeSet<String> {
    let code = source.split("#[cfg(test)]\nmod tests {").next().unwrap();
    let lines = code.lines().map(str::trim).filter(|line| !line.starts_with("//"));
    let code: String = lines.flat_map(|line| [line, "\n"]).collect();
    let items = format!("\n{code}").replace("\npub use ", "\nuse ").replace(") use ", "\nuse ");
    let items = items.split("\nuse ").skip(1).filter_map(|item| Some(item.split_once(';')?.0));
    let used = items.flat_map(|item| opened(&item.replace('\n', " ")));
    let words = code.split(|c: char| !c.is_alphanumeric() && c != '_' && c != ':');
    let named = words.map(|word| word.trim_matches(':')).filter(|word| word.contains("::"));
    used.chain(named.map(str::to_owned)).map(|path| absolute(module, &path)).collect()
}

/// `a::{b, c::{d, e}}` as `a::b`, `a::c::d`, `a::c::e`.
fn opened(tree: &str) -> Vec<String> {
    let Some((start, inner)) = tree.split_once('{') else {
        return tree.split_whitespace().take(1).map(str::to_owned).collect();
    };
    let inner = inner.rsplit_once('}').unwrap().0;
    let mut depth = 0;
    let parts = inner.split(|c| {
        depth += i32::from(c == '{') - i32::from(c == '}');
        c == ',' && depth == 0
    });
    parts.flat_map(opened).map(|path| format!("{}{path}", start.trim())).collect()
}

/// A path with `self` and `super` told from the crate's root.
fn absolute(module: &str, path: &str) -> String {
    let mut at = format!("crate::{module}");
    let mut rest = path.strip_prefix("self::").unwrap_or(path);
    let mut relative = rest.len() < path.len();
    while let Some(outer) = rest.strip_prefix("super::") {
        at.truncate(at.rfind("::").unwrap());
        (rest, relative) = (outer, true);
    }
    if relative { format!("{at}::{rest}") } else { rest.to_owned() }
}

/// Whether one of the prefixes, listed with blanks between, is the path or a part of its start.
fn starts_with(path: &str, prefixes: &str) -> bool {
    prefixes.split_whitespace().any(|prefix| {
        path.strip_prefix(prefix).is_some_and(|rest| rest.is_empty() || rest.starts_with("::"))
    })
}
