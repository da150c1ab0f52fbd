//! "Who may import whom", read from the `use` lines and the paths of the source.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

/// What decides is pure: it takes the time as a value. Beside the modules of the table these are
/// their words for failures, headers, JSON and dates.
const PURE: &str = "crate::policy crate::options crate::cookie_options crate::state crate::request \
    crate::store::Stored crate::record crate::merge crate::cookie crate::browser \
    crate::signature crate::id crate::error crate::event crate::header crate::js crate::timestamp";

const STORES_MAY_USE: &str = "crate::store crate::record crate::id crate::merge crate::error";

/// Async, I/O and the clock. Of this crate, `timestamp` alone reads the clock, for others to hand
/// the time in.
const RIM: &str = "tokio async_trait futures_util redis_link sqlite_writer tower_layer tower_service \
    std::fs std::io std::net::TcpStream std::net::TcpListener std::net::UdpSocket std::thread std::future std::task std::time::Instant Instant::now \
    SystemTime::now crate::timestamp::now_ms timestamp::now_ms";

/// The one breach that stands: `Cookie::set_max_age` mirrors `session.cookie.maxAge = ms`, where a
/// handler has no time to hand in.
const STANDS: [&str; 0] = [];

#[test]
fn modules_import_only_what_they_may() {
    let source = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    let found: Vec<_> =
        sources(&source, "").iter().flat_map(|(module, text)| breaches(module, text)).collect();
    assert_eq!(found, STANDS);
}

#[test]
fn a_forbidden_import_is_found() {
    for (module, line, breach) in [
        ("policy", "use crate::store::Store;", "policy: crate::store::Store"),
        ("merge", "fn f() { crate::session::read() }", "merge: crate::session::read"),
        ("record", "use {bytes::Bytes,\n    tokio::sync::Mutex};", "record: tokio::sync::Mutex"),
        ("cookie", "use std::{fmt, time::{Duration, Instant}};", "cookie: std::time::Instant"),
        ("store", "use crate::{id::SessionId, session};", "store: crate::session"),
        ("store::redis", "use super::super::layer::X;", "store::redis: crate::layer::X"),
    ] {
        assert_eq!(breaches(module, line), [breach]);
    }
    assert!(breaches("policy", "// use crate::store::Store;").is_empty());
    assert!(breaches("policy", "#[cfg(test)]\nmod tests {\n    use tokio::spawn;\n}").is_empty());
}

/// The crates that the stores stand on.
const ENGINES: [&str; 3] = ["outage-log", "redis-link", "sqlite-writer"];

const MAX_LINES: usize = 400;

#[test]
fn the_engines_files_are_short_and_import_in_one_direction() {
    for engine in ENGINES {
        let source = Path::new(env!("CARGO_MANIFEST_DIR")).join("..").join(engine).join("src");
        let modules = sources(&source, "");
        assert_eq!(circle(&modules), None, "{engine}");
        for (module, text) in modules.iter().filter(|(module, _)| !module.ends_with("tests")) {
            let lines = code(text).lines().count();
            assert!(lines <= MAX_LINES, "{engine}: {module} has {lines} lines");
        }
    }
}

#[test]
fn a_circle_is_found() {
    let circle_of = |files: &[(&str, &str)]| {
        let files = files.iter().map(|(module, text)| (module.to_string(), text.to_string()));
        circle(&files.collect::<Vec<_>>())
    };
    let (a, c) = (("a", "use crate::b::c::{self, X};"), ("b::c", "use crate::d;\nuse super::e;"));
    assert_eq!(circle_of(&[a, c, ("d", "use std::a;")]), None);
    let found = circle_of(&[a, c, ("d", "fn f() { crate::a::f() }")]);
    assert_eq!(found.as_deref(), Some("a → b::c → d → a"));
    assert!(circle_of(&[("a", "use self::b::X;"), ("a::b", "use super::Y;")]).is_some());
}

/// A circle among the imports of these modules, if there is one. The root is left out: it names all.
fn circle(modules: &[(String, String)]) -> Option<String> {
    let names: Vec<&str> = modules.iter().map(|(module, _)| &**module).collect();
    let target = |path: &String| {
        let path = path.strip_prefix("crate::")?;
        let within = names.iter().filter(|name| starts_with(path, name));
        within.copied().max_by_key(|name| name.len())
    };
    let imports = |module: &str| {
        let (_, text) = modules.iter().find(|(name, _)| name == module).unwrap();
        let targets: BTreeSet<&str> = paths(module, text).iter().filter_map(target).collect();
        targets.into_iter().filter(|target| *target != module).collect::<Vec<_>>()
    };
    let mut done = BTreeSet::new();
    names.iter().find_map(|name| walk(name, &imports, &mut Vec::new(), &mut done))
}

fn walk<'a>(
    module: &'a str,
    imports: &impl Fn(&str) -> Vec<&'a str>,
    way: &mut Vec<&'a str>,
    done: &mut BTreeSet<&'a str>,
) -> Option<String> {
    if let Some(start) = way.iter().position(|name| *name == module) {
        return Some([&way[start..], &[module]].concat().join(" → "));
    }
    if !done.insert(module) {
        return None;
    }
    way.push(module);
    let found = imports(module).into_iter().find_map(|next| walk(next, imports, way, done));
    way.pop();
    found
}

fn breaches(module: &str, source: &str) -> Vec<String> {
    let (may_use, never) = match module {
        _ if starts_with(module, "store") => (STORES_MAY_USE, ""),
        // The clock itself.
        "timestamp" => ("crate::timestamp", "tokio std::fs std::io std::net"),
        _ if starts_with(&format!("crate::{module}"), PURE) => (PURE, RIM),
        _ => return Vec::new(),
    };
    let is_breach = |path: &String| {
        starts_with(path, "crate") && !starts_with(path, may_use) || starts_with(path, never)
    };
    let found = paths(module, source).into_iter().filter(is_breach);
    found.map(|path| format!("{module}: {path}")).collect()
}

/// Each source file's module path, `store::redis::url`, and its text.
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

/// A module's code without its inline tests.
fn code(source: &str) -> &str {
    source.split("#[cfg(test)]\nmod tests {").next().unwrap()
}

/// The paths in a module's code, those of `use` items in full; its inline tests left out.
fn paths(module: &str, source: &str) -> BTreeSet<String> {
    let code = code(source);
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
