//! A hash of Redis, read leniently, because other programs write hashes, too.

use std::collections::HashMap;
use std::fmt::Display;
use std::str::FromStr;

use redis_link::Reply;

use checkin_domain::number::decimal;
use checkin_storage::{Result, StorageError};

use crate::reply::texts;

/// The fields of one hash.
pub(crate) struct Hash {
    key: String,
    fields: HashMap<String, String>,
}

impl Hash {
    /// Reads the reply to `HGETALL`. Returns `None` if the hash does not exist.
    pub(crate) fn read(key: String, reply: Reply) -> Result<Option<Self>> {
        let mut texts = texts(reply)?.into_iter();
        let mut fields = HashMap::new();
        while let (Some(name), Some(value)) = (texts.next(), texts.next()) {
            fields.insert(name, value);
        }
        Ok(if fields.is_empty() { None } else { Some(Self { key, fields }) })
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
        let value = self.fields.get(name).ok_or_else(|| wrong(&"must not be missing"))?;
        parse(value).map_err(|rule| wrong(&rule))
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
        self.fields.get(name).cloned().unwrap_or_default()
    }

    /// Returns a counter or a time; `None` if the field does not exist or is not an integer.
    pub(crate) fn number(&self, name: &str) -> Option<u64> {
        self.fields.get(name).and_then(|value| decimal(value))
    }
}
