//! Scripts that run inside Redis.

use std::fmt;

use tokio::sync::Mutex;

/// A Lua script that Redis runs atomically; see [`Client::run`](crate::Client::run).
pub struct Script {
    pub(crate) name: &'static str,
    pub(crate) code: &'static str,
    pub(crate) sha1: String,
    /// Held by the run that sends the code.
    pub(crate) sending: Mutex<()>,
}

impl Script {
    /// Creates a script from its code.
    #[must_use]
    pub fn new(code: &'static str) -> Self {
        Self::named("script", code)
    }

    /// Creates a script with a name under which it is [observed](crate::Client::observe).
    #[must_use]
    pub fn named(name: &'static str, code: &'static str) -> Self {
        let sha1 = redis::Script::new(code).get_hash().to_owned();
        Self { name, code, sha1, sending: Mutex::default() }
    }
}

impl fmt::Debug for Script {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Script").field(&self.sha1).finish()
    }
}
