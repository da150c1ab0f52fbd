//! Checks that no dependency of the library requires a newer Rust than the manifest. (Clippy's
//! `incompatible_msrv` checks the library itself.)

use std::collections::{BTreeMap, BTreeSet};
use std::process::Command;

use serde_json::Value;

const LIBRARY: &str = "tower-express-session";

#[test]
fn dependencies_build_with_the_declared_minimum_rust_version() {
    let metadata = metadata();
    let packages: BTreeMap<&str, &Value> = list(&metadata["packages"], "id").collect();
    let library = packages.values().find(|package| package["name"] == LIBRARY).unwrap();
    let oldest = version(library).unwrap();
    let nodes: BTreeMap<&str, &Value> = list(&metadata["resolve"]["nodes"], "id").collect();
    let mut needed = BTreeSet::new();
    let mut to_visit = vec![library["id"].as_str().unwrap()];
    while let Some(id) = to_visit.pop() {
        if needed.insert(id) {
            to_visit.extend(dependencies(nodes[id]));
        }
    }
    assert!(
        needed.len() > 50,
        "the dependencies of all features must be included: {}",
        needed.len()
    );
    let newer: Vec<_> =
        needed.into_iter().filter(|id| version(packages[id]) > Some(oldest)).collect();
    assert!(newer.is_empty(), "these need a Rust newer than {oldest:?}: {newer:?}");
}

/// Returns the metadata of the library with all its features.
fn metadata() -> Value {
    let output = Command::new(env!("CARGO"))
        .args(["metadata", "--format-version", "1", "--locked", "--all-features"])
        .current_dir(env!("CARGO_MANIFEST_DIR"))
        .output()
        .unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    serde_json::from_slice(&output.stdout).unwrap()
}

fn list<'a>(list: &'a Value, key: &'a str) -> impl Iterator<Item = (&'a str, &'a Value)> {
    list.as_array().unwrap().iter().map(move |item| (item[key].as_str().unwrap(), item))
}

/// Returns the dependencies and build dependencies of a package, without its dev-dependencies.
fn dependencies(node: &Value) -> impl Iterator<Item = &str> {
    let is_needed = |dependency: &&Value| {
        let kinds = dependency["dep_kinds"].as_array().unwrap();
        kinds.iter().any(|kind| kind["kind"] != "dev")
    };
    let dependencies = node["deps"].as_array().unwrap().iter().filter(is_needed);
    dependencies.map(|dependency| dependency["pkg"].as_str().unwrap())
}

/// Returns the minimum Rust version that a package declares, if any.
fn version(package: &Value) -> Option<(u64, u64)> {
    let mut parts = package["rust_version"].as_str()?.split('.').map(|part| part.parse().unwrap());
    Some((parts.next()?, parts.next().unwrap_or(0)))
}
