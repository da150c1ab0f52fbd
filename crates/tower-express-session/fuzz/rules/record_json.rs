//! Parses any bytes as a stored session, in both reading modes.

use std::collections::BTreeMap;

use serde_json::Value;
use serde_json::value::RawValue;
use tower_express_session::internals::{answer, attributes, normalise, object, rewrite};

/// The own properties and methods of an Express session and of `Object.prototype`, for which `prop
/// in this` is true. `cookie` is not an attribute.
const NOT_ATTRIBUTES: &str = "cookie id req touch resetMaxAge save reload destroy regenerate \
    constructor toString valueOf hasOwnProperty isPrototypeOf propertyIsEnumerable toLocaleString \
    __proto__ __defineGetter__ __defineSetter__ __lookupGetter__ __lookupSetter__";

pub(super) fn check_input(stored: &[u8]) {
    if let Ok(text) = std::str::from_utf8(stored) {
        check_normalised(text);
    }
    for as_node in [false, true] {
        check_rewritten(stored, as_node);
    }
    check_against_serde(stored);
    check_against_node(stored);
    answer(stored);
}

/// Checks that `normalise` returns JSON with the same meaning, and that a second call changes
/// nothing.
fn check_normalised(text: &str) {
    let Some(once) = normalise(text) else { return };
    assert_is_json(once.as_bytes());
    assert_eq!(normalise(&once).as_ref(), Some(&once));
    // serde_json reads neither lone surrogates nor infinities nor deep values, so there is nothing
    // to compare.
    if let Ok(before) = serde_json::from_str::<Value>(text) {
        let after: Value = serde_json::from_str(&once).unwrap();
        assert!(means_the_same(&before, &after), "{once}");
    }
}

/// Checks that an unchanged record is written as JSON that parses to the same record and is written
/// identically again.
fn check_rewritten(stored: &[u8], as_node: bool) {
    let Some(written) = rewrite(stored, as_node) else { return };
    assert_is_json(&written);
    assert_is_json(object(stored, as_node).unwrap().as_bytes());
    assert_eq!(attributes(&written, as_node), attributes(stored, as_node));
    let again = rewrite(&written, as_node).expect("what was written can be read");
    assert_eq!(String::from_utf8_lossy(&again), String::from_utf8_lossy(&written));
}

/// Checks that the attributes are the members of the document, byte for byte; the last one counts
/// if a name is repeated.
fn check_against_serde(stored: &[u8]) {
    let Some(read) = attributes(stored, false) else { return };
    // serde_json rejects names with lone surrogates.
    let Ok(mut members) = serde_json::from_slice::<BTreeMap<String, Box<RawValue>>>(stored) else {
        return;
    };
    members.retain(|name, _| !NOT_ATTRIBUTES.split(' ').any(|other| other == name));
    assert_eq!(read.len(), members.len());
    for (name, raw) in read {
        let name = String::from_utf8(name).unwrap();
        assert_eq!(String::from_utf8(raw).unwrap(), members[&name].get());
    }
}

/// Checks that the two reading modes differ only in how values are written.
fn check_against_node(stored: &[u8]) {
    let verbatim = attributes(stored, false);
    let normalised = verbatim.map(|attributes| {
        let normalise = |raw: &[u8]| normalise(std::str::from_utf8(raw).unwrap()).unwrap();
        attributes.into_iter().map(|(name, raw)| (name, normalise(&raw).into_bytes())).collect()
    });
    assert_eq!(attributes(stored, true), normalised);
}

fn assert_is_json(text: &[u8]) {
    if let Err(error) = serde_json::from_slice::<&RawValue>(text) {
        panic!("{error}: {}", String::from_utf8_lossy(text));
    }
}

/// Numbers are compared as the doubles that JavaScript has.
fn means_the_same(one: &Value, other: &Value) -> bool {
    match (one, other) {
        (Value::Number(one), Value::Number(other)) => one.as_f64() == other.as_f64(),
        (Value::Array(one), Value::Array(other)) => {
            one.len() == other.len() && one.iter().zip(other).all(|(a, b)| means_the_same(a, b))
        }
        (Value::Object(one), Value::Object(other)) => {
            one.len() == other.len()
                && one.iter().all(|(name, a)| other.get(name).is_some_and(|b| means_the_same(a, b)))
        }
        _ => one == other,
    }
}
