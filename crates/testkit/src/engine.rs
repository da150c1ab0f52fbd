//! What the server under test is, and what it lacks.

use std::io::Write as _;
use std::sync::OnceLock;
use std::thread;

use crate::redis_server::server_program;

/// What a server prints that was built without TLS: before Redis 7.2, and since then.
const WITHOUT_TLS: [&str; 2] = ["Bad directive", "Failed finding TLS support"];

/// Returns the release of the server under test, such as `(7, 0)` for Redis 7.0.15 and `(9, 1)` for Valkey 9.1.2.
///
/// # Panics
///
/// If the server does not print its version.
pub fn server_release() -> (u32, u32) {
    static RELEASE: OnceLock<(u32, u32)> = OnceLock::new();
    *RELEASE.get_or_init(|| {
        let text = printed(&["--version"]);
        release(&text).unwrap_or_else(|| panic!("no version of a server: {text}"))
    })
}

/// Returns whether the server under test was built with TLS. If it was not, prints that the test is left out.
/// Without `REDIS_SERVER`, it must have been.
pub fn server_has_tls() -> bool {
    static HAS_TLS: OnceLock<bool> = OnceLock::new();
    // Without a certificate, each of them prints the reason and ends.
    let ask = || {
        let text = printed(&["--port", "0", "--tls-port", "1"]);
        !WITHOUT_TLS.iter().any(|without| text.contains(without))
    };
    let has_tls = std::env::var_os("REDIS_SERVER").is_none() || *HAS_TLS.get_or_init(ask);
    if !has_tls {
        left_out("the server that REDIS_SERVER names was built without TLS");
    }
    has_tls
}

/// Prints why the test of this thread is left out, also if the output of tests is captured.
fn left_out(reason: &str) {
    let thread = thread::current();
    let test = thread.name().unwrap_or("a test");
    drop(writeln!(std::io::stderr(), "{test}: LEFT OUT, because {reason}"));
}

fn printed(args: &[&str]) -> String {
    let ended = server_program().args(args).output();
    let ended = ended.unwrap_or_else(|error| panic!("redis-server is needed: {error}"));
    let [stdout, stderr] = [ended.stdout, ended.stderr].map(String::from_utf8);
    stdout.unwrap_or_default() + &stderr.unwrap_or_default()
}

/// Reads `Redis server v=7.0.15 sha=…`.
fn release(text: &str) -> Option<(u32, u32)> {
    let (_, version) = text.split_once(" v=")?;
    let mut numbers = version.split(['.', ' ']).map(str::parse);
    Some((numbers.next()?.ok()?, numbers.next()?.ok()?))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn releases_are_read() {
        for (text, expected) in [
            ("Redis server v=7.0.15 sha=00000000:0 malloc=jemalloc-5.3.0 bits=64", Some((7, 0))),
            ("Valkey server v=9.1.2 sha=00000000:1 malloc=libc bits=64", Some((9, 1))),
            ("Redis server v=255.255.255 sha=0", Some((255, 255))),
            ("redis-server: not found", None),
        ] {
            assert_eq!(release(text), expected, "{text}");
        }
    }

    #[cfg(feature = "external-tests")]
    #[test]
    fn a_server_says_what_it_is() {
        let server = crate::RedisServer::start();
        let info: String = redis::cmd("INFO").query(&mut server.connection()).unwrap();
        let version = info.lines().find_map(|line| line.strip_prefix("valkey_version:"));
        let version =
            version.or_else(|| info.lines().find_map(|line| line.strip_prefix("redis_version:")));
        assert_eq!(release(&format!(" v={}", version.unwrap())), Some(server_release()));
        // A server that ends for another reason says neither.
        let text = printed(&["--port", "0", "--tls-port", "1"]);
        assert_ne!(
            server_has_tls(),
            WITHOUT_TLS.iter().any(|without| text.contains(without)),
            "{text}"
        );
        assert_eq!(server_has_tls(), text.contains("Failed to configure TLS"), "{text}");
    }
}
