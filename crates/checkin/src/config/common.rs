//! The settings of all commands.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::time::Duration;

use clap::{Args, ValueEnum};

use super::encryption::SessionEncryption;
use super::lifetimes::LifetimeSettings;
use super::network::Network;
use super::secret::SessionSecret;
use super::secret_file;
use super::store_url::StoreUrl;
use super::values::{
    KeyPrefix, MAX_INTEGER, integer, listen_address, log_level, positive_time, time,
};
use crate::traces::Endpoint;

/// The address of the store if none is set.
const DEFAULT_STORE: &str = "sqlite:checkin.db";

/// OpenTelemetry's own variable for the endpoint of a collector.
const OTLP_VARIABLE: &str = "OTEL_EXPORTER_OTLP_ENDPOINT";

/// The heading of the options that have an effect on services alone. Every command accepts them, so that all
/// of them read the same file and environment.
pub const SERVICE_OPTIONS: &str = "Options of every service";

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
        default_value = DEFAULT_STORE
    )]
    pub store: StoreUrl,

    /// A file with the address of the store on one line, in the form of --store, so that its password
    /// stands on no command line
    #[arg(
        long,
        global = true,
        hide_short_help = true,
        env = "CHECKIN_STORE_FILE",
        value_name = "FILE"
    )]
    pub store_file: Option<PathBuf>,

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
    #[arg(
        long,
        global = true,
        hide_short_help = true,
        env = "CHECKIN_SESSION_SECRET_FILE",
        value_name = "FILE"
    )]
    pub session_secret_file: Option<PathBuf>,

    /// A file with the keys that encrypt stored sessions. The first line is the key that hashes their
    /// ids, which must stay; the second line encrypts, and it and all further lines decrypt. SIGHUP reads
    /// it again. Sessions are then not shared with Express services. Without it, sessions are stored as
    /// Express stores them
    #[arg(
        long,
        global = true,
        hide_short_help = true,
        env = "CHECKIN_SESSION_ENCRYPTION_KEY_FILE",
        value_name = "FILE"
    )]
    pub session_encryption_key_file: Option<PathBuf>,

    /// The keys of that file.
    #[arg(skip)]
    pub session_encryption: Option<SessionEncryption>,

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
        hide_short_help = true,
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
        hide_short_help = true,
        env = "CHECKIN_STORE_TIMEOUT",
        value_name = "TIME",
        default_value = "250ms",
        value_parser = positive_time
    )]
    pub store_timeout: Duration,

    /// Number of Redis replicas that must have a change before it is confirmed: a check-in, a login
    /// or logout, an account or its password. With fewer, the request gets 503; a check-in must be
    /// sent again with its Idempotency-Key. 0 waits for none
    #[arg(
        long,
        global = true,
        hide_short_help = true,
        env = "CHECKIN_WAIT_REPLICAS",
        value_name = "NUMBER",
        default_value_t = 0,
        value_parser = integer::<u32>(0..=u32::MAX.into())
    )]
    pub wait_replicas: u32,

    /// How long security events are kept in the store, such as 90d: logins, failed logins, logouts,
    /// revoked sessions, changes of accounts. Authentication services remove older ones each hour; a command removes
    /// none. 0 records none, so that they are only logged, and removes none
    #[arg(
        long,
        global = true,
        hide_short_help = true,
        env = "CHECKIN_KEEP_SECURITY_EVENTS",
        value_name = "TIME",
        default_value = "90d",
        value_parser = time
    )]
    pub keep_security_events: Duration,

    /// Maximum number of security events in each of four lists: failed logins; logins, logouts and sessions that
    /// their account ended; other changes of accounts by their owners, and new accounts; what operators did to accounts
    /// of others. A new event removes the oldest ones of its list
    #[arg(
        long,
        global = true,
        hide_short_help = true,
        env = "CHECKIN_MAX_SECURITY_EVENTS",
        value_name = "NUMBER",
        default_value_t = 1_000_000,
        value_parser = integer::<u64>(1..=MAX_INTEGER)
    )]
    pub max_security_events: u64,

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

    /// How long the receiver and the read API may use a cached session before they read Redis again.
    /// A logout takes this much longer. 0 disables the cache
    #[arg(
        long,
        global = true,
        help_heading = SERVICE_OPTIONS,
        env = "CHECKIN_SESSION_CACHE",
        value_name = "TIME",
        default_value = "250ms",
        value_parser = time
    )]
    pub session_cache: Duration,

    /// How long a service goes on serving after SIGTERM or SIGINT, such as 15s. Meanwhile /readyz
    /// answers 503, and each response closes its connection. It must be longer than a load balancer
    /// needs to notice this. 0 stops at once
    #[arg(
        long,
        global = true,
        help_heading = SERVICE_OPTIONS,
        env = "CHECKIN_DRAIN",
        value_name = "DURATION",
        default_value = "0",
        value_parser = time
    )]
    pub drain: Duration,

    /// The address of a port of its own for /metrics, /healthz and /readyz of all services of the
    /// process. The other ports then have no /metrics. Default: none
    #[arg(
        long,
        global = true,
        help_heading = SERVICE_OPTIONS,
        env = "CHECKIN_METRICS_LISTEN",
        value_name = "ADDR",
        value_parser = listen_address
    )]
    pub metrics_listen: Option<SocketAddr>,

    /// The address of an OpenTelemetry collector, to which traces are exported over OTLP (HTTP,
    /// protobuf), such as http://127.0.0.1:4318. Without it and without OTEL_EXPORTER_OTLP_ENDPOINT,
    /// there are no traces
    #[arg(
        long,
        global = true,
        help_heading = SERVICE_OPTIONS,
        env = "CHECKIN_OTLP_ENDPOINT",
        hide_env_values = true,
        value_name = "URL"
    )]
    pub otlp_endpoint: Option<Endpoint>,

    // The heading of these options would be that of all options behind them.
    #[command(flatten)]
    pub lifetimes: LifetimeSettings,

    #[command(flatten)]
    pub network: Network,
}

impl Common {
    /// Takes the endpoint of traces from OpenTelemetry's own variable, unless it is set.
    ///
    /// # Errors
    ///
    /// The broken rule, with the name of the variable.
    pub fn read_otlp_variable(&mut self) -> Result<(), String> {
        let variable = std::env::var(OTLP_VARIABLE).ok().filter(|text| !text.is_empty());
        if let (None, Some(text)) = (&self.otlp_endpoint, variable) {
            let parsed = text.parse().map_err(|rule| format!("{OTLP_VARIABLE}: {rule}"))?;
            self.otlp_endpoint = Some(parsed);
        }
        Ok(())
    }

    /// Reads what stands in files of its own: the session secrets, the keys of sessions, and the address
    /// of the store.
    ///
    /// # Errors
    ///
    /// If something is set twice, or a file does not contain what it should. The error is the broken
    /// rule.
    pub fn read_secret_files(&mut self) -> Result<(), String> {
        if let Some(path) = &self.session_secret_file {
            let is_set = self.session_secret.is_some();
            let read = read("session-secret", is_set, path, SessionSecret::read)?;
            self.session_secret = Some(read);
        }
        if let Some(path) = &self.store_file {
            let is_set = self.store.to_string() != DEFAULT_STORE;
            self.store = read("store", is_set, path, |path| secret_file::line(path)?.parse())?;
        }
        if let Some(path) = &self.session_encryption_key_file {
            let keys = read("session-encryption-key", false, path, SessionEncryption::read)?;
            self.session_encryption = Some(keys);
        }
        Ok(())
    }
}

/// Reads the file that a flag names, whose value must not also be set.
fn read<T>(
    flag: &str,
    is_set: bool,
    path: &Path,
    read: impl Fn(&Path) -> Result<T, String>,
) -> Result<T, String> {
    if is_set {
        let variable = format!("CHECKIN_{}", flag.replace('-', "_").to_uppercase());
        return Err(format!(
            "--{flag} and --{flag}-file ({variable} and {variable}_FILE) must not both be set"
        ));
    }
    read(path).map_err(|rule| format!("--{flag}-file {}: {rule}", path.display()))
}

/// The format of log lines.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum LogFormat {
    /// Text for people.
    Text,
    /// One JSON object per line, for programs.
    Json,
}
