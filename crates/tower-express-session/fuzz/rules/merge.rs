//! Compares the merge of three versions of a session with the rule, written in three lines.
//!
//! Input: lines of three characters, for example `1a5`: record 1 has the member `a` with the value
//! `5`; the two characters are looked up in the tables below. Record 0 is the base, 1 is mine, 2 is
//! theirs. Every byte has a meaning; the fourth byte of a line, its end, is ignored.

use std::collections::BTreeMap;

use tower_express_session::internals::{attributes, merged};

/// Member names as they are written in a document. The last two are not attributes for Node.
const NAMES: [&str; 12] =
    ["a", "b", "c", "A", "", "10", "2", "01", "4294967295", r"\ud800", "toString", "cookie"];
const VALUES: [&str; 6] = ["0", "1", "1.0", r#""""#, "{\"cookie\":0}", "null"];

pub(super) fn check_input(input: &[u8]) {
    let mut documents = [const { String::new() }; 3];
    for line in input.chunks(4).filter(|line| line.len() >= 3) {
        let [record, name, value] = [line[0], line[1], line[2]].map(usize::from);
        let name = NAMES[name % NAMES.len()];
        let value = if name == "cookie" { "{}" } else { VALUES[value % VALUES.len()] };
        documents[record % 3] += &format!(",\"{name}\":{value}");
    }
    let [base, mine, theirs] = documents.map(|members| format!("{{\"cookie\":{{}}{members}}}"));
    let merged = merged(base.as_bytes(), mine.as_bytes(), theirs.as_bytes()).unwrap();

    let names: Vec<_> = merged.iter().map(|(name, _)| name.clone()).collect();
    let theirs_in_order = attributes(theirs.as_bytes(), false).unwrap();
    let [base, mine, theirs] = [base, mine, theirs].map(|document| members(&document));
    let mut expected = BTreeMap::new();
    for name in base.keys().chain(mine.keys()).chain(theirs.keys()) {
        let changed = mine.get(name) != base.get(name);
        let wins = if changed { mine.get(name) } else { theirs.get(name) };
        wins.map(|raw| expected.insert(name.clone(), raw.clone()));
    }
    assert_eq!(merged.into_iter().collect::<BTreeMap<_, _>>(), expected);

    // The remaining members of theirs keep their order, and names like array indices come first, in
    // ascending order.
    let stays = theirs_in_order.into_iter().map(|(name, _)| name);
    let stays: Vec<_> = stays.filter(|name| expected.contains_key(name)).collect();
    let kept: Vec<_> = names.iter().filter(|name| theirs.contains_key(*name)).cloned().collect();
    assert_eq!(kept, stays);
    let places = names.iter().map(|name| index(name));
    assert!(places.clone().is_sorted(), "{names:?}");
}

/// Returns the attributes of a document that consists of entries of the tables above.
fn members(document: &str) -> BTreeMap<Vec<u8>, Vec<u8>> {
    attributes(document.as_bytes(), false).unwrap().into_iter().collect()
}

/// Returns the sort key of a member: array indices by number, all others after them.
fn index(name: &[u8]) -> u64 {
    match name {
        b"2" => 2,
        b"10" => 10,
        _ => u64::MAX,
    }
}
