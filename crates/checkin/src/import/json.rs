//! Lists and objects of a file, with their values as raw JSON.

use std::fmt;

use serde::de::{Deserializer as _, SeqAccess, Visitor};
use serde_json::Deserializer;
use serde_json::value::RawValue;

use crate::input::{HALF_A_CHARACTER, Members};

/// Returns the items of a list.
///
/// # Errors
///
/// The rule that it breaks.
pub(super) fn list(json: &str) -> Result<Vec<&RawValue>, String> {
    let mut items = Vec::new();
    each(json, |item| items.push(item))?;
    Ok(items)
}

/// Passes the items of a list on, one after the other: a list may have as many as a file has bytes.
///
/// # Errors
///
/// The rule that it breaks, which may be found at its end.
pub(super) fn each<'a>(json: &'a str, take: impl FnMut(&'a RawValue)) -> Result<(), String> {
    let mut deserializer = Deserializer::from_str(json);
    let read = deserializer.deserialize_seq(Items(take)).and_then(|()| deserializer.end());
    read.map_err(|_| NOT_A_LIST.to_owned())
}

/// The rule of a value that is no list.
pub(super) const NOT_A_LIST: &str = "must be a list";

struct Items<F>(F);

impl<'a, F: FnMut(&'a RawValue)> Visitor<'a> for Items<F> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a list")
    }

    fn visit_seq<A: SeqAccess<'a>>(mut self, mut items: A) -> Result<(), A::Error> {
        while let Some(item) = items.next_element()? {
            (self.0)(item);
        }
        Ok(())
    }
}

/// Returns the members of an object.
///
/// # Errors
///
/// The rule that it breaks.
pub(super) fn members(json: &str) -> Result<Members<'_>, String> {
    serde_json::from_str(json).map_err(|_| match json.starts_with('{') {
        true => HALF_A_CHARACTER.to_owned(),
        false => "must be an object".to_owned(),
    })
}
