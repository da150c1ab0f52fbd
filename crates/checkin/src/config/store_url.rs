//! The address of the store, and the file beside it.

use std::fmt;
use std::path::{Path, PathBuf};
use std::str::FromStr;

use redis_link::{Address, Error};

/// The address of the store.
#[derive(Clone, PartialEq, Eq)]
pub enum StoreUrl {
    /// The embedded store: an SQLite file.
    Sqlite(PathBuf),
    /// A Redis deployment.
    Redis(Box<RedisUrl>),
}

/// The URL of a Redis deployment. It may contain a password.
#[derive(Clone)]
pub struct RedisUrl {
    text: String,
    /// With what the files that the URL names had in them when it was parsed.
    pub address: Address,
}

impl PartialEq for RedisUrl {
    fn eq(&self, other: &Self) -> bool {
        self.text == other.text
    }
}

impl Eq for RedisUrl {}

impl fmt::Debug for RedisUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("RedisUrl").field(&self.address).finish()
    }
}

impl FromStr for StoreUrl {
    type Err = String;

    fn from_str(url: &str) -> Result<Self, String> {
        if let Some(path) = url.strip_prefix("sqlite:") {
            let path = path.strip_prefix("//").unwrap_or(path);
            // SQLite would read a name that begins with `file:` as a URL.
            if path.is_empty() || path.starts_with(":memory:") || path.starts_with("file:") {
                return Err(
                    "sqlite: must be followed by the path of a file, such as sqlite:checkin.db"
                        .to_owned(),
                );
            }
            if path.contains('?') {
                return Err(
                    "sqlite: must be followed by a path alone, without parameters".to_owned()
                );
            }
            return Ok(Self::Sqlite(path.into()));
        }
        if url.starts_with("redis") {
            let address: Address = url.parse().map_err(|rule: Error| rule.to_string())?;
            return Ok(Self::Redis(Box::new(RedisUrl { text: url.to_owned(), address })));
        }
        Err("must begin with sqlite:, redis://, rediss://, redis-sentinel:// or redis-cluster://"
            .to_owned())
    }
}

impl fmt::Debug for StoreUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl fmt::Display for StoreUrl {
    /// Writes the address without user names and passwords.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Sqlite(path) => {
                let shown = path.display().to_string();
                // Without them, the first two slashes of the path would be taken for those of an address.
                let slashes = if shown.starts_with("//") { "//" } else { "" };
                write!(f, "sqlite:{slashes}{shown}")
            }
            Self::Redis(url) => {
                let (scheme, rest) = url.text.split_once("://").unwrap_or(("redis", &url.text));
                let (rest, query) = rest.split_once('?').unwrap_or((rest, ""));
                let hosts = rest.rsplit_once('@').map_or(rest, |(_, hosts)| hosts);
                write!(f, "{scheme}://{hosts}")?;
                let database = query.split('&').find(|parameter| parameter.starts_with("db="));
                database.map_or(Ok(()), |database| write!(f, "?{database}"))
            }
        }
    }
}

/// Returns the path of an embedded store's session secret, beside the database.
#[must_use]
pub fn secret_path(database: &Path) -> PathBuf {
    let mut name = database.file_name().unwrap_or_default().to_owned();
    name.push(".session-secret");
    database.with_file_name(name)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn store_urls_are_parsed_and_shown_without_passwords() {
        let store = |url: &str| url.parse::<StoreUrl>();
        assert_eq!(store("sqlite:a.db"), Ok(StoreUrl::Sqlite("a.db".into())));
        assert_eq!(store("sqlite:///tmp/a.db"), Ok(StoreUrl::Sqlite("/tmp/a.db".into())));
        // The shown address is one of the same file.
        for path in ["a.db", "/tmp/a.db", "//tmp/a.db", "///tmp/a.db"] {
            let file = StoreUrl::Sqlite(path.into());
            assert_eq!(store(&file.to_string()), Ok(file), "{path}");
        }
        let redis = store("redis://u:hunter2@h:1/2").unwrap();
        assert_eq!(format!("{redis} {redis:?}"), "redis://h:1/2 redis://h:1/2");
        for (url, shown) in [
            ("redis://h?db=2&password=hunter2", "redis://h?db=2"),
            ("redis://u:hunter2@h/?password=hunter2", "redis://h/"),
            ("redis-sentinel://:hunter2@a,b/m?sentinel_password=hunter2", "redis-sentinel://a,b/m"),
        ] {
            assert_eq!(store(url).unwrap().to_string(), shown);
        }
        for wrong in [
            "",
            "sqlite:",
            "sqlite::memory:",
            "sqlite:a.db?mode=ro",
            "sqlite:file:a.db",
            "postgres://x",
            "redis:/x",
            "redis://h:x",
            "redis://h?timeout=1",
        ] {
            assert!(store(wrong).is_err(), "{wrong}");
        }
    }
}
