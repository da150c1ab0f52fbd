//! The fields of one JSON object, taken out one by one, with all that is wrong in them.

use std::fmt;

use serde::de::{Deserialize, Deserializer, MapAccess, Visitor};
use serde_json::value::RawValue;

use super::error::Rule;
use super::time::LATER_THAN_NOW;

/// Fields in their order, each as the raw text it is written as.
///
/// Taking reports what is wrong instead of stopping there, so that one run shows every error.
pub(super) struct Fields<'a> {
    left: Vec<(String, &'a RawValue)>,
    /// No time is later, in milliseconds since 1970.
    latest_ms: u64,
    taken: Vec<&'static str>,
    errors: Vec<FieldError>,
    left_out: Vec<FieldError>,
}

/// The name of a field, and what is wrong with it.
pub(super) type FieldError = (String, Rule);

/// Reads one value, or says the rule that it breaks.
pub(super) type Read<T> = fn(&RawValue) -> Result<T, String>;

impl<'a> Fields<'a> {
    pub(super) fn new(left: Vec<(String, &'a RawValue)>, latest_ms: u64) -> Self {
        Self { left, latest_ms, taken: Vec::new(), errors: Vec::new(), left_out: Vec::new() }
    }

    pub(super) fn required<T>(&mut self, name: &'static str, read: Read<T>) -> Option<T> {
        match self.take(name) {
            Some(raw) => self.read(name, raw, read),
            None => {
                self.errors.push((name.to_owned(), Rule::Missing));
                None
            }
        }
    }

    /// The default stands for a field that is absent or `null`.
    pub(super) fn optional<T: Default>(&mut self, name: &'static str, read: Read<T>) -> Option<T> {
        match self.take(name) {
            Some(raw) if raw.get() != "null" => self.read(name, raw, read),
            _ => Some(T::default()),
        }
    }

    /// A field that the record can do without: the default stands for one that is wrong, too.
    pub(super) fn dispensable<T: Default>(&mut self, name: &'static str, read: Read<T>) -> T {
        let raw = self.take(name).filter(|raw| raw.get() != "null");
        match raw.map(read).transpose() {
            Ok(value) => value.unwrap_or_default(),
            Err(rule) => {
                self.left_out.push((name.to_owned(), Rule::Value(rule)));
                T::default()
            }
        }
    }

    /// The fields that are wrong and that the record does without, once.
    pub(super) fn left_out(&mut self) -> Vec<FieldError> {
        std::mem::take(&mut self.left_out)
    }

    /// Checks a time in milliseconds that was read.
    pub(super) fn check_time(&mut self, name: &'static str, time_ms: Option<u64>) {
        if time_ms.is_some_and(|ms| ms > self.latest_ms) {
            self.error(name, LATER_THAN_NOW);
        }
    }

    pub(super) fn error(&mut self, name: &'static str, rule: &str) {
        self.errors.push((name.to_owned(), Rule::Value(rule.to_owned())));
    }

    /// All errors: those of the fields taken, then the fields that nobody took.
    pub(super) fn finish(self) -> Vec<FieldError> {
        let Self { left, taken, mut errors, .. } = self;
        errors.extend(left.into_iter().map(|(name, _)| {
            let known = taken.contains(&name.as_str());
            (name, if known { Rule::Twice } else { Rule::Unknown })
        }));
        errors
    }

    /// The raw text of a field, if it is there.
    pub(super) fn take(&mut self, name: &'static str) -> Option<&'a RawValue> {
        self.taken.push(name);
        let position = self.left.iter().position(|(field, _)| field == name)?;
        Some(self.left.remove(position).1)
    }

    fn read<T>(&mut self, name: &'static str, raw: &RawValue, read: Read<T>) -> Option<T> {
        read(raw).map_err(|rule| self.error(name, &rule)).ok()
    }
}

/// The entries of an object, in their order, equal names included: a map would hide them.
pub(super) struct Entries<'a>(pub(super) Vec<(String, &'a RawValue)>);

impl<'a> Entries<'a> {
    /// The value of this name, the last one of several; none if that is `null`.
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
