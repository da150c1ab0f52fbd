//! The settings of the ports: proxies, other origins, time and number limits.

use std::time::Duration;

use clap::{Args, ValueEnum};

use super::common::SERVICE_OPTIONS;
use super::networks::{Networks, Origins};
use super::values::{integer, positive_time, switch, time};

/// The maximum of the limits on numbers.
const MAX: u64 = 1_000_000;

/// The settings of the ports.
#[derive(Args, Clone, Debug)]
#[command(next_help_heading = SERVICE_OPTIONS)]
pub struct Network {
    /// Trust X-Forwarded-For, X-Forwarded-Proto and X-Forwarded-Host. Use it only behind a proxy
    /// that sets these headers itself, and where nothing else can reach the service
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

    /// The networks of the proxies in front of the services, separated by commas. The headers of
    /// other peers are ignored, and the client's address is the first one from the right that is not
    /// in these networks. It includes --trust-proxy. Default: with --trust-proxy, every peer is a proxy
    #[arg(
        long,
        global = true,
        env = "CHECKIN_TRUSTED_PROXIES",
        value_name = "NETWORKS",
        default_value = "",
        hide_default_value = true
    )]
    pub trusted_proxies: Networks,

    /// The headers in which trusted proxies describe the client. The others are ignored
    #[arg(
        long,
        global = true,
        env = "CHECKIN_PROXY_HEADERS",
        value_name = "NAME",
        default_value = "x-forwarded"
    )]
    pub proxy_headers: ProxyHeaders,

    /// The origins of other sites whose pages may use the services with their users' sessions,
    /// separated by commas, such as https://localhost:3000. Default: none
    #[arg(
        long,
        global = true,
        env = "CHECKIN_CORS_ORIGINS",
        value_name = "ORIGINS",
        default_value = "",
        hide_default_value = true
    )]
    pub cors_origins: Origins,

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

    /// The time limit for the headers of a request, from their first byte on, and for the first byte on
    /// a new connection
    #[arg(
        long,
        global = true,
        env = "CHECKIN_HEADER_TIMEOUT",
        value_name = "TIME",
        default_value = "10s",
        value_parser = positive_time
    )]
    pub header_timeout: Duration,

    /// The time limit for a request, from the end of its headers to the begin of the response. It
    /// includes the body of the request
    #[arg(
        long,
        global = true,
        env = "CHECKIN_REQUEST_TIMEOUT",
        value_name = "TIME",
        default_value = "15s",
        value_parser = positive_time
    )]
    pub request_timeout: Duration,

    /// How long a client may read no byte of a response before its connection is closed
    #[arg(
        long,
        global = true,
        env = "CHECKIN_WRITE_TIMEOUT",
        value_name = "TIME",
        default_value = "15s",
        value_parser = positive_time
    )]
    pub write_timeout: Duration,

    /// Maximum number of open connections of the process. Further connections are closed at once
    #[arg(
        long,
        global = true,
        env = "CHECKIN_MAX_CONNECTIONS",
        value_name = "NUMBER",
        default_value_t = 10_000,
        value_parser = integer::<usize>(1..=MAX)
    )]
    pub max_connections: usize,

    /// Maximum number of open connections from one address (IPv4) or network (IPv6, /64), unless it is a
    /// trusted proxy. Further connections are closed at once
    #[arg(
        long,
        global = true,
        env = "CHECKIN_MAX_CONNECTIONS_PER_ADDRESS",
        value_name = "NUMBER",
        default_value_t = 1000,
        value_parser = integer::<usize>(1..=MAX)
    )]
    pub max_connections_per_address: usize,

    /// Maximum number of requests in progress from one client address. Further ones get 429
    #[arg(
        long,
        global = true,
        env = "CHECKIN_MAX_REQUESTS_PER_ADDRESS",
        value_name = "NUMBER",
        default_value_t = 200,
        value_parser = integer::<usize>(1..=MAX)
    )]
    pub max_requests_per_address: usize,

    /// Maximum number of requests in progress of one session. Further ones get 429
    #[arg(
        long,
        global = true,
        env = "CHECKIN_MAX_REQUESTS_PER_SESSION",
        value_name = "NUMBER",
        default_value_t = 50,
        value_parser = integer::<usize>(1..=MAX)
    )]
    pub max_requests_per_session: usize,

    /// Maximum number of open event streams of one client address. Further ones get 429
    #[arg(
        long,
        global = true,
        env = "CHECKIN_MAX_STREAMS_PER_ADDRESS",
        value_name = "NUMBER",
        default_value_t = 200,
        value_parser = integer::<usize>(1..=MAX)
    )]
    pub max_streams_per_address: usize,

    /// Maximum number of open event streams of one session. Further ones get 429
    #[arg(
        long,
        global = true,
        env = "CHECKIN_MAX_STREAMS_PER_SESSION",
        value_name = "NUMBER",
        default_value_t = 20,
        value_parser = integer::<usize>(1..=MAX)
    )]
    pub max_streams_per_session: usize,

    /// The networks to whose clients the limits for one address and for one session do not apply,
    /// separated by commas
    #[arg(
        long,
        global = true,
        env = "CHECKIN_UNLIMITED_NETWORKS",
        value_name = "NETWORKS",
        default_value = "127.0.0.0/8,::1"
    )]
    pub unlimited_networks: Networks,
}

/// The headers in which a proxy describes the client.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
pub enum ProxyHeaders {
    /// X-Forwarded-For, X-Forwarded-Proto and X-Forwarded-Host.
    #[default]
    XForwarded,
    /// Forwarded (RFC 7239).
    Forwarded,
}
