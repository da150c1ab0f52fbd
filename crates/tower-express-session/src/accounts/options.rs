//! The settings of the index of accounts.

use std::fmt;
use std::sync::Arc;

use crate::error::ConfigError;
use crate::options::Hook;
use crate::record::Attributes;

/// The maximum length of an account's name, which is a key of the index. An account with a longer
/// name is not indexed.
const MAX_ACCOUNT_BYTES: usize = 512;

/// The settings with which a layer finds the account of a session; for
/// [`account_sessions`](crate::SessionLayerBuilder::account_sessions).
///
/// ```
/// use tower_express_session::accounts::AccountOptions;
/// use tower_express_session::{MemoryStore, SessionLayer};
///
/// let layer = SessionLayer::builder(MemoryStore::new(), ["keyboard cat"])
///     .account_sessions(AccountOptions::new("user").max_sessions(3))
///     .build()?;
/// # Ok::<(), tower_express_session::ConfigError>(())
/// ```
#[derive(Clone)]
pub struct AccountOptions {
    attribute: Arc<str>,
    name: Option<Hook<NameOf>>,
    pub(super) max_sessions: usize,
    pub(super) all_are_indexed: bool,
}

type NameOf = dyn Fn(&str) -> Option<String> + Send + Sync;

impl AccountOptions {
    /// The maximum number of sessions that are indexed for an account; the oldest are removed first.
    pub const MAX_INDEXED: usize = 100;

    /// Returns settings under which the account is the text of this attribute, or the digits of its
    /// number. A session whose attribute is anything else, or longer than 512 bytes, belongs to no
    /// account.
    #[must_use]
    pub fn new(attribute: &str) -> Self {
        Self {
            attribute: attribute.into(),
            name: None,
            max_sessions: usize::MAX,
            all_are_indexed: false,
        }
    }

    /// Sets a function that returns the account's name from the attribute's JSON, or `None` for no
    /// account. It may, for example, return one name for two spellings of an e-mail address. The
    /// methods of [`AccountSessions`](crate::AccountSessions) expect names in the form that it
    /// returns.
    ///
    /// ```
    /// # use tower_express_session::accounts::AccountOptions;
    /// // Passport stores an object: {"user":7}
    /// let options = AccountOptions::new("passport").named_by(|json| {
    ///     let passport: serde_json::Value = serde_json::from_str(json).ok()?;
    ///     Some(passport["user"].as_u64()?.to_string())
    /// });
    /// ```
    #[must_use]
    pub fn named_by(
        mut self,
        name: impl Fn(&str) -> Option<String> + Send + Sync + 'static,
    ) -> Self {
        self.name = Some(Hook(Arc::new(name)));
        self
    }

    /// Sets the maximum number of sessions that one account may have at the same time, from 1 to
    /// 100. A login beyond the maximum ends the oldest session. Default: unlimited; the newest 100
    /// are indexed.
    #[must_use]
    pub fn max_sessions(mut self, max: usize) -> Self {
        self.max_sessions = max;
        self
    }

    /// States that no Express service creates sessions here. Revocation then relies on the index and
    /// does not scan all stored sessions.
    #[must_use]
    pub fn all_are_indexed(mut self) -> Self {
        self.all_are_indexed = true;
        self
    }

    pub(crate) fn attribute(&self) -> &str {
        &self.attribute
    }

    /// Returns the account in a session's attributes.
    pub(super) fn account_of(&self, attributes: &Attributes) -> Option<String> {
        let json = attributes.get(self.attribute.as_bytes())?;
        let name = match &self.name {
            Some(name) => (name.0)(json)?,
            None => plain_name(json)?,
        };
        (!name.is_empty() && name.len() <= MAX_ACCOUNT_BYTES).then_some(name)
    }

    /// Returns whether the attribute is an object, a list or a truth value, and no function names the account.
    pub(super) fn is_unnamed(&self, attributes: &Attributes) -> bool {
        let json = attributes.get(self.attribute.as_bytes());
        self.name.is_none() && json.is_some_and(|json| json.starts_with(['{', '[', 't', 'f']))
    }

    pub(super) fn check(&self) -> Result<(), ConfigError> {
        match self.max_sessions {
            1..=Self::MAX_INDEXED | usize::MAX => Ok(()),
            _ => Err(ConfigError::option("max_sessions", "must be from 1 to 100")),
        }
    }
}

fn plain_name(json: &str) -> Option<String> {
    match serde_json::from_str(json).ok()? {
        serde_json::Value::String(text) => Some(text),
        serde_json::Value::Number(number) => Some(number.to_string()),
        _ => None,
    }
}

impl From<&str> for AccountOptions {
    fn from(attribute: &str) -> Self {
        Self::new(attribute)
    }
}

impl fmt::Debug for AccountOptions {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("AccountOptions").field("attribute", &self.attribute).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::record::{Reading, Record};

    #[test]
    fn an_account_without_a_name_is_noticed() {
        let (plain, named) = (AccountOptions::new("user"), AccountOptions::new("user"));
        let named = named.named_by(|_| None);
        for (attribute, is_unnamed) in [
            (r#","user":{"id":7}"#, true),
            (r#","user":[7]"#, true),
            (r#","user":true"#, true),
            (r#","user":null"#, false),
            (r#","user":7"#, false),
            (r#","user":"al""#, false),
            ("", false),
        ] {
            let stored = format!(r#"{{"cookie":{{}}{attribute}}}"#).into();
            let record = Record::parse(&stored, Reading::Verbatim, 0.0).unwrap().unwrap();
            assert_eq!(plain.is_unnamed(&record.attributes), is_unnamed, "{attribute}");
            assert!(!named.is_unnamed(&record.attributes), "{attribute}");
        }
    }
}
