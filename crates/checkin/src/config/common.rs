//! The settings of all commands.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

use clap::{Args, ValueEnum};

use super::lifetimes::LifetimeSettings;
use super::network::Network;
use super::secret::SessionSecret;
use super::store_url::StoreUrl;
use super::values::{
    KeyPrefix, MAX_INTEGER, integer, listen_address, log_level, positive_time, time,
};
use crate::traces::Endpoint;

/// OpenTelemetry's own variable for the endpoint of a collector.
const OTLP_VARIABLE: &str = "OTEL_EXPORTER_OTLP_ENDPOINT";

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

    /// Number of Redis replicas that must have a change before it is confirmed: a check-in, a login
    /// or logout, an account or its password. With fewer, the request gets 503; a check-in must be
    /// sent again with its Idempotency-Key. 0 waits for none
    #[arg(
        long,
        global = true,
        env = "CHECKIN_WAIT_REPLICAS",
        value_name = "NUMBER",
        default_value_t = 0,
        value_parser = integer::<u32>(0..=u32::MAX.into())
    )]
    pub wait_replicas: u32,

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

    #[command(flatten)]
    pub lifetimes: LifetimeSettings,

    #[command(flatten)]
    pub network: Network,

    /// How long a service goes on serving after SIGTERM or SIGINT, such as 15s. Meanwhile /readyz
    /// answers 503, and each response closes its connection. It must be longer than a load balancer
    /// needs to notice this. 0 stops at once
    #[arg(
        long,
        global = true,
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
        env = "CHECKIN_OTLP_ENDPOINT",
        hide_env_values = true,
        value_name = "URL"
    )]
    pub otlp_endpoint: Option<Endpoint>,

    /// How long security events are kept in the store, such as 90d: logins, failed logins, logouts,
    /// revoked sessions, changes of accounts. 0 keeps none, so that they are only logged
    #[arg(
        long,
        global = true,
        env = "CHECKIN_KEEP_SECURITY_EVENTS",
        value_name = "TIME",
        default_value = "90d",
        value_parser = time
    )]
    pub keep_security_events: Duration,

    /// Maximum number of security events that are kept, and of failed logins beside them. The oldest
    /// ones are removed
    #[arg(
        long,
        global = true,
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
