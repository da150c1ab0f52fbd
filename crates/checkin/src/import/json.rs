//! Lists and objects of a file, with their values as raw JSON.

use std::fmt;

use serde::de::{Deserialize, Deserializer, MapAccess, Visitor};
use serde_json::value::RawValue;

use crate::input::HALF_A_CHARACTER;

/// The members of an object in order. Names may repeat, which a map would hide.
pub(super) struct Entries<'a>(pub(super) Vec<(String, &'a RawValue)>);

impl<'a> Entries<'a> {
    /// Returns the value of this name, the last one if the name repeats, or `None` if it is `null`.
    pub(super) fn get(&self, name: &str) -> Option<&'a RawValue> {
        let (_, value) = self.0.iter().rev().find(|(other, _)| other == name)?;
        Some(*value).filter(|value| value.get() != "null")
    }
}

impl<'de> Deserialize<'de> for Entries<'de> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct EntriesVisitor;

        impl<'de> Visitor<'de> for EntriesVisitor {
            type Value = Entries<'de>;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("an object")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
                let mut entries = Vec::new();
                while let Some(entry) = map.next_entry()? {
                    entries.push(entry);
                }
                Ok(Entries(entries))
            }
        }

        deserializer.deserialize_map(EntriesVisitor)
    }
}

/// Returns the items of a list.
///
/// # Errors
///
/// The rule that it breaks.
pub(super) fn list(json: &str) -> Result<Vec<&RawValue>, String> {
    serde_json::from_str(json).map_err(|_| "must be a list".to_owned())
}

/// Returns the members of an object.
///
/// # Errors
///
/// The rule that it breaks.
pub(super) fn entries(json: &str) -> Result<Entries<'_>, String> {
    serde_json::from_str(json).map_err(|_| match json.starts_with('{') {
        true => HALF_A_CHARACTER.to_owned(),
        false => "must be an object".to_owned(),
    })
}
