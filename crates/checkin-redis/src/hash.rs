//! A hash of Redis, read leniently, because other programs write hashes, too.

use std::borrow::Cow;
use std::fmt::Display;
use std::str::FromStr;

use redis_link::Reply;

use checkin_domain::number::decimal;
use checkin_storage::{Result, StorageError};

use crate::reply::{array, unexpected};

/// The names of the fields of a hash that are read.
pub(crate) type Fields = &'static [&'static str];

/// Some fields of one hash.
pub(crate) struct Hash<'a> {
    key: &'a str,
    names: Fields,
    /// The value of each of these fields; `Nil` if the hash does not have it.
    values: Vec<Reply>,
}

impl<'a> Hash<'a> {
    /// Reads the reply to `HMGET` with these fields. Returns `None` if the hash has none of them, or
    /// does not exist.
    pub(crate) fn read(key: &'a str, names: Fields, reply: Reply) -> Result<Option<Self>> {
        let values = array(reply)?;
        if values.len() != names.len() {
            return Err(unexpected("a value for each field"));
        }
        let is_there = values.iter().any(|value| *value != Reply::Nil);
        Ok(is_there.then_some(Self { key, names, values }))
    }

    /// Returns a field that must exist and be valid.
    ///
    /// # Errors
    ///
    /// The error names the key, the field and the rule, but never the value, which may be a password.
    pub(crate) fn required<T, E: Display>(
        &self,
        name: &str,
        parse: impl FnOnce(&str) -> std::result::Result<T, E>,
    ) -> Result<T> {
        let wrong =
            |rule: &dyn Display| StorageError::unreadable(format!("{}: {name} {rule}", self.key));
        let value = self.value(name).ok_or_else(|| wrong(&"must not be missing"))?;
        parse(&value).map_err(|rule| wrong(&rule))
    }

    /// Returns the id, which must be the one in the key: a copied hash would be the account of another
    /// user.
    ///
    /// # Errors
    ///
    /// As [`required`](Self::required).
    pub(crate) fn id<T: FromStr<Err: Display> + PartialEq>(&self, id: T) -> Result<T> {
        if self.required("id", str::parse::<T>)? != id {
            return Err(StorageError::unreadable(format!(
                "{}: id must be that of the key",
                self.key
            )));
        }
        Ok(id)
    }

    /// Returns a text; empty if the field does not exist.
    pub(crate) fn text(&self, name: &str) -> String {
        self.value(name).map(Cow::into_owned).unwrap_or_default()
    }

    /// Returns a counter or a time; `None` if the field does not exist or is not an integer.
    pub(crate) fn number(&self, name: &str) -> Option<u64> {
        decimal(&self.value(name)?)
    }

    fn value(&self, name: &str) -> Option<Cow<'_, str>> {
        let at = self.names.iter().position(|field| *field == name);
        debug_assert!(at.is_some(), "{name} is not among the fields that were read");
        match &self.values[at?] {
            // Most texts are valid, and the lossy conversion would look at each character.
            Reply::Bytes(value) => Some(match std::str::from_utf8(value) {
                Ok(text) => Cow::Borrowed(text),
                Err(_) => String::from_utf8_lossy(value),
            }),
            _ => None,
        }
    }
}
