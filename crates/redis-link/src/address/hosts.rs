//! The hosts of an address.

use std::net::Ipv6Addr;

use redis::ConnectionAddr;

use crate::error::{Error, rule};
use crate::tls::{self, Tls};

/// The port of a Redis server, if the address omits it.
pub(super) const PORT: u16 = 6379;
/// The port of a sentinel, if the address omits it.
pub(super) const SENTINEL_PORT: u16 = 26_379;

pub(super) fn addresses(
    hosts: &str,
    default_port: u16,
    tls: Option<&Tls>,
) -> Result<Vec<ConnectionAddr>, Error> {
    let address = |host: &str| {
        let (host, port) = host_and_port(host, default_port)?;
        Ok(tls::address(host, port, tls))
    };
    hosts.split(',').map(address).collect()
}

/// Splits `host`, `host:port`, `[::1]` or `[::1]:port`.
fn host_and_port(text: &str, default_port: u16) -> Result<(String, u16), Error> {
    let (host, port) = match text.strip_prefix('[') {
        Some(rest) => {
            let (host, port) = rest
                .split_once(']')
                .ok_or_else(|| rule("a host that begins with [ must end with ]"))?;
            let (address, zone) = host.split_once("%25").unwrap_or((host, ""));
            if address.parse::<Ipv6Addr>().is_err() {
                return Err(rule("the text between [ and ] must be an IPv6 address"));
            }
            let zone = if zone.is_empty() { String::new() } else { format!("%{zone}") };
            (format!("{address}{zone}"), port)
        }
        None if text.matches(':').count() > 1 => return Err(port_rule()),
        None => {
            let (host, port) = text.split_at(text.find(':').unwrap_or(text.len()));
            let is_name = |c: char| c.is_alphanumeric() || "-_.".contains(c);
            if host.is_empty() {
                return Err(rule("must name a host"));
            }
            if !host.chars().all(is_name) {
                return Err(rule("a host must be a name or an address"));
            }
            (host.to_owned(), port)
        }
    };
    let port = match port.strip_prefix(':') {
        None if port.is_empty() => default_port,
        Some("") => default_port,
        Some(digits) if digits.bytes().all(|byte| byte.is_ascii_digit()) => {
            digits.parse().ok().filter(|port| *port > 0).ok_or_else(port_rule)?
        }
        _ => return Err(port_rule()),
    };
    Ok((host, port))
}

fn port_rule() -> Error {
    rule("a port must be a number from 1 to 65535 (write an IPv6 address in [ ])")
}
