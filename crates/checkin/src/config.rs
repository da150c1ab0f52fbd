//! The settings. A flag wins over the environment, the environment over the configuration file, and
//! the file over the default.

use std::fmt;
use std::fs::File;
use std::io::Read as _;
use std::net::SocketAddr;
use std::ops::RangeInclusive;
use std::path::{Path, PathBuf};
use std::str::FromStr;
use std::time::Duration;

use clap::builder::{BoolishValueParser, TypedValueParser};
use clap::{Args, Command, ValueEnum};

/// The settings of all commands.
#[derive(Args, Clone, Debug)]
#[command(next_help_heading = "Options of every command")]
pub struct Common {
    /// A TOML file with settings. Each setting has the name of its flag
    #[arg(long, global = true, env = "CHECKIN_CONFIG", value_name = "FILE")]
    pub config: Option<PathBuf>,

    /// The address of the store.
    #[arg(
        long,
        help = "The store: sqlite:PATH, redis://[user:password@]host:port[/db], \
                redis-sentinel://host:port,host:port/master, redis-cluster://host:port,host:port; \
                rediss instead of redis for TLS",
        global = true,
        env = "CHECKIN_STORE",
        hide_env_values = true,
        value_name = "URL",
        default_value = "sqlite:checkin.db"
    )]
    pub store: StoreUrl,

    /// The secrets of the session cookies, separated by commas. The first one signs, and all of
    /// them verify. An embedded store creates its own secret; Redis requires one
    #[arg(
        long,
        global = true,
        env = "CHECKIN_SESSION_SECRET",
        hide_env_values = true,
        value_name = "SECRET"
    )]
    pub session_secret: Option<SessionSecret>,

    /// A file with the session secrets on one line, in the form of --session-secret. SIGHUP reads
    /// it again
    #[arg(long, global = true, env = "CHECKIN_SESSION_SECRET_FILE", value_name = "FILE")]
    pub session_secret_file: Option<PathBuf>,

    /// The prefix of all keys in Redis
    #[arg(
        long,
        global = true,
        env = "CHECKIN_KEY_PREFIX",
        value_name = "PREFIX",
        default_value = "ncc"
    )]
    pub key_prefix: KeyPrefix,

    /// Number of partitions of the log in Redis, which is also the maximum number of processors at
    /// work. It must be the same for all services and must not change after the first check-in. An
    /// embedded store has one partition
    #[arg(
        long,
        global = true,
        env = "CHECKIN_PARTITIONS",
        value_name = "NUMBER",
        default_value_t = 1,
        value_parser = integer::<u16>(1..=64)
    )]
    pub partitions: u16,

    /// How long to wait for a response of the store, such as 250ms or 2s
    #[arg(
        long,
        global = true,
        env = "CHECKIN_STORE_TIMEOUT",
        value_name = "TIME",
        default_value = "250ms",
        value_parser = positive_time
    )]
    pub store_timeout: Duration,

    /// How long the receiver may use a cached session before it reads Redis again. A logout takes
    /// this much longer. 0 disables the cache
    #[arg(
        long,
        global = true,
        env = "CHECKIN_SESSION_CACHE",
        value_name = "TIME",
        default_value = "250ms",
        value_parser = time
    )]
    pub session_cache: Duration,

    /// Trust X-Forwarded-For, X-Forwarded-Proto and X-Forwarded-Host. Use it only behind a proxy
    /// that sets these headers itself
    #[arg(long, global = true, env = "CHECKIN_TRUST_PROXY", value_parser = switch)]
    pub trust_proxy: bool,

    /// The max-age of Strict-Transport-Security: how long browsers use only TLS for this host. It
    /// is sent if a trusted proxy reports TLS. 0 makes browsers drop the rule
    #[arg(
        long,
        global = true,
        env = "CHECKIN_HSTS_MAX_AGE",
        value_name = "TIME",
        default_value = "365d",
        value_parser = time
    )]
    pub hsts_max_age: Duration,

    /// Add includeSubDomains to Strict-Transport-Security, which extends it to all hosts below this
    /// one
    #[arg(
        long,
        global = true,
        env = "CHECKIN_HSTS_INCLUDE_SUBDOMAINS",
        value_parser = switch
    )]
    pub hsts_include_subdomains: bool,

    /// How long a service keeps an idle connection open, such as 75s or 10m. It must be longer than
    /// the idle timeout of a load balancer in front of the service
    #[arg(
        long,
        global = true,
        env = "CHECKIN_KEEP_ALIVE_TIMEOUT",
        value_name = "TIME",
        default_value = "75s",
        value_parser = positive_time
    )]
    pub keep_alive_timeout: Duration,

    /// The format of log lines
    #[arg(
        long,
        global = true,
        env = "CHECKIN_LOG_FORMAT",
        value_name = "FORMAT",
        default_value = "text"
    )]
    pub log_format: LogFormat,

    /// The lowest level that is logged: error, warn, info, debug or trace
    #[arg(
        long,
        global = true,
        env = "CHECKIN_LOG_LEVEL",
        value_name = "LEVEL",
        default_value = "info",
        value_parser = log_level
    )]
    pub log_level: tracing::Level,
}

impl Common {
    /// Reads the session secrets from their file, if one is named.
    ///
    /// # Errors
    ///
    /// If the secrets are set twice, or the file does not contain secrets. The error is the broken
    /// rule.
    pub fn read_secret_file(&mut self) -> Result<(), String> {
        let Some(path) = &self.session_secret_file else { return Ok(()) };
        if self.session_secret.is_some() {
            return Err("--session-secret and --session-secret-file (CHECKIN_SESSION_SECRET and \
                        CHECKIN_SESSION_SECRET_FILE) must not both be set"
                .to_owned());
        }
        let read = SessionSecret::read(path);
        let named = |rule| format!("--session-secret-file {}: {rule}", path.display());
        self.session_secret = Some(read.map_err(named)?);
        Ok(())
    }
}

/// The format of log lines.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum LogFormat {
    /// Text for people.
    Text,
    /// One JSON object per line, for programs.
    Json,
}

/// The address of the store.
#[derive(Clone, PartialEq, Eq)]
pub enum StoreUrl {
    /// The embedded store: an SQLite file.
    Sqlite(PathBuf),
    /// The URL of a Redis deployment. It may contain a password.
    Redis(String),
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
            return match url.parse::<redis_link::Address>() {
                Ok(_) => Ok(Self::Redis(url.to_owned())),
                Err(error) => Err(error.to_string()),
            };
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
            Self::Sqlite(path) => write!(f, "sqlite:{}", path.display()),
            Self::Redis(url) => {
                let (scheme, rest) = url.split_once("://").unwrap_or(("redis", url));
                let (rest, query) = rest.split_once('?').unwrap_or((rest, ""));
                let hosts = rest.rsplit_once('@').map_or(rest, |(_, hosts)| hosts);
                write!(f, "{scheme}://{hosts}")?;
                let database = query.split('&').find(|parameter| parameter.starts_with("db="));
                database.map_or(Ok(()), |database| write!(f, "?{database}"))
            }
        }
    }
}

/// The minimum length of a session secret. A shorter one could be guessed.
pub const MIN_SECRET_BYTES: usize = 32;

/// The maximum size of the file of secrets, larger than any real one.
const MAX_SECRET_FILE_BYTES: u64 = 64 << 10;

/// The secrets that sign session cookies, in order. The first one signs new cookies.
#[derive(Clone, PartialEq, Eq)]
pub struct SessionSecret(Vec<String>);

impl SessionSecret {
    /// Returns the secrets in order.
    #[must_use]
    pub fn as_slice(&self) -> &[String] {
        &self.0
    }

    /// Returns whether one of the secrets is so short that it could be guessed.
    #[must_use]
    pub fn is_short(&self) -> bool {
        self.0.iter().any(|secret| secret.len() < MIN_SECRET_BYTES)
    }

    /// Reads the secrets from a file of one line, without the end of the line.
    ///
    /// # Errors
    ///
    /// The broken rule.
    pub fn read(path: &Path) -> Result<Self, String> {
        let mut text = String::new();
        let read = File::open(path)
            .and_then(|file| file.take(MAX_SECRET_FILE_BYTES + 1).read_to_string(&mut text));
        read.map_err(|error| format!("cannot be read: {error}"))?;
        let line = text.trim_end_matches(['\r', '\n']);
        if text.len() as u64 > MAX_SECRET_FILE_BYTES || line.contains(['\r', '\n']) {
            return Err(format!("must hold one line of at most {MAX_SECRET_FILE_BYTES} bytes"));
        }
        line.parse()
    }
}

impl FromStr for SessionSecret {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let secrets: Vec<String> = text.split(',').map(str::to_owned).collect();
        if secrets.iter().any(|secret| secret.trim().is_empty()) {
            return Err("must not be empty, nor any of several secrets".to_owned());
        }
        Ok(Self(secrets))
    }
}

impl fmt::Debug for SessionSecret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "SessionSecret({})", self.0.len())
    }
}

/// The prefix of all keys in Redis.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct KeyPrefix(String);

impl KeyPrefix {
    /// Returns the prefix, without the colon that follows it.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl FromStr for KeyPrefix {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let ordinary = |c: char| c.is_ascii_alphanumeric() || "-_.:".contains(c);
        // Braces would put all keys into one slot of a cluster, and stars would match other keys.
        if text.is_empty() || text.len() > 64 || !text.chars().all(ordinary) {
            return Err("must have 1 to 64 letters, digits and - _ . :".to_owned());
        }
        Ok(Self(text.to_owned()))
    }
}

/// The maximum of settings without a limit of their own: the largest integer that JSON and TOML
/// readers agree on.
pub const MAX_INTEGER: u64 = 9_007_199_254_740_991;

/// Returns a parser of integers in `range`.
///
/// # Errors
///
/// The parser returns the rule if the text is not an integer in `range`.
pub fn integer<T: TryFrom<u64>>(
    range: RangeInclusive<u64>,
) -> impl Fn(&str) -> Result<T, String> + Clone {
    move |text| {
        let number = text.parse().ok().filter(|number| range.contains(number));
        number
            .and_then(|number| T::try_from(number).ok())
            .ok_or_else(|| format!("must be an integer from {} to {}", range.start(), range.end()))
    }
}

/// Parses the value of a switch that comes from a variable or from the file.
///
/// # Errors
///
/// The rule, if the text is not a switch.
pub fn switch(text: &str) -> Result<bool, String> {
    let rule = |_| "must be true or false".to_owned();
    BoolishValueParser::new().parse_ref(&Command::new("setting"), None, text.as_ref()).map_err(rule)
}

fn log_level(text: &str) -> Result<tracing::Level, String> {
    let rule = |_| "must be error, warn, info, debug or trace".to_owned();
    text.parse().map_err(rule)
}

/// Parses a time such as `250ms`, `10s`, `15m`, `24h`, `7d`, or `0`.
///
/// # Errors
///
/// The rule, if the text is not a time.
pub fn time(text: &str) -> Result<Duration, String> {
    let time = match text {
        "0" => Duration::ZERO,
        text => humantime::parse_duration(text).map_err(|_| {
            "must be numbers with units, such as 250ms, 10s, 15m, 24h, 7d or 1h30m".to_owned()
        })?,
    };
    match time {
        time if time > MAX_TIME => Err("must be at most 3650d".to_owned()),
        // The stores work in milliseconds.
        time if time.subsec_nanos() % 1_000_000 > 0 => Err("must be whole milliseconds".to_owned()),
        time => Ok(time),
    }
}

const MAX_TIME: Duration = Duration::from_secs(3650 * 24 * 60 * 60);

/// Parses a [`time`] that is longer than 0.
///
/// # Errors
///
/// The rule, if the text is not such a time.
pub fn positive_time(text: &str) -> Result<Duration, String> {
    time(text).and_then(|time| {
        if time.is_zero() { Err("must be longer than 0".to_owned()) } else { Ok(time) }
    })
}

/// Parses an address to listen on. A port alone means 127.0.0.1.
///
/// # Errors
///
/// The rule, if the text is not an address.
pub fn listen_address(text: &str) -> Result<SocketAddr, String> {
    let local = |port: u16| SocketAddr::from(([127, 0, 0, 1], port));
    let bare_port = text.strip_prefix(':').unwrap_or(text).parse().map(local);
    bare_port
        .or_else(|_| text.replace("localhost:", "127.0.0.1:").parse())
        .map_err(|_| "must be HOST:PORT, such as 127.0.0.1:8080 or [::]:8080".to_owned())
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

    #[test]
    fn times_have_units() {
        for (text, ms) in [
            ("0", 0),
            ("250ms", 250),
            ("10s", 10_000),
            ("10m", 600_000),
            ("1h", 3_600_000),
            ("2d", 172_800_000),
            ("1h30m", 5_400_000),
            ("3650d", 315_360_000_000),
        ] {
            assert_eq!(time(text), Ok(Duration::from_millis(ms)), "{text}");
        }
        for wrong in [
            "",
            "5",
            "-1s",
            "1,5s",
            "s",
            "10x",
            "1e9d",
            "99999999999d",
            "18446744073709551615s",
            "3651d",
        ] {
            assert!(time(wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn addresses_may_be_short() {
        for (text, address) in [
            ("8080", "127.0.0.1:8080"),
            (":0", "127.0.0.1:0"),
            ("localhost:1", "127.0.0.1:1"),
            ("[::]:80", "[::]:80"),
        ] {
            assert_eq!(
                listen_address(text).map(|address| address.to_string()),
                Ok(address.to_owned())
            );
        }
        for wrong in ["", "x", "127.0.0.1", "1.2.3.4:99999"] {
            assert!(listen_address(wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn secrets_are_split_and_not_shown() {
        let secret: SessionSecret = "new,old".parse().unwrap();
        assert_eq!(secret.as_slice(), ["new", "old"]);
        assert_eq!(format!("{secret:?}"), "SessionSecret(2)");
        assert!("a,,b".parse::<SessionSecret>().is_err());
        assert!("".parse::<SessionSecret>().is_err());
    }

    #[test]
    fn prefixes_stay_inside_their_keys() {
        assert!("ncc".parse::<KeyPrefix>().is_ok());
        for wrong in ["", "*", "{a}", "a b", "é"] {
            assert!(wrong.parse::<KeyPrefix>().is_err(), "{wrong}");
        }
    }
}
