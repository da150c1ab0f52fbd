//! The Redis users of the documentation, which may do no more than they need.

use std::collections::HashMap;
use std::process::Command;
use std::sync::OnceLock;
use std::time::Duration;

use redis::Value;

const USERS: [&str; 5] =
    ["checkin-auth", "checkin-receiver", "checkin-processor", "checkin-api", "checkin-admin"];

const LIMIT: Duration = Duration::from_secs(1);

/// Returns what each of them needs on a cluster in addition. Only Redis 7.0 has no `CLIENT SETINFO` and refuses rules for
/// commands that it does not have.
pub(crate) fn on_cluster() -> Vec<&'static str> {
    let mut rules = vec!["+cluster|slots", "+cluster|nodes", "+asking", "+readonly"];
    if testkit::server_release() != (7, 0) {
        rules.push("+client|setinfo");
    }
    rules
}

/// Returns the arguments of a `redis-server` with the users.
pub(crate) fn server_arguments(more: &[&'static str]) -> Vec<&'static str> {
    static RULES: OnceLock<Vec<Vec<String>>> = OnceLock::new();
    let all = RULES.get_or_init(|| USERS.map(rules).into());
    all.iter()
        // Without `ACL SETUSER`.
        .flat_map(|rules| {
            ["--user"]
                .into_iter()
                .chain(rules[2..].iter().map(String::as_str))
                .chain(more.iter().copied())
        })
        .collect()
}

/// Returns the words of the command in the documentation that makes a user, as a shell reads it.
pub(crate) fn rules(user: &str) -> Vec<String> {
    let text = include_str!("../../../../docs/redis-permissions.md");
    let begin = format!("redis-cli ACL SETUSER {user} on ");
    let at = text.find(&begin).unwrap();
    let end = text[at..].find("\nredis-cli").or_else(|| text[at..].find("\n```")).unwrap();
    let shell = text[at..at + end].replacen("redis-cli", "printf '%s\\n'", 1);
    let words = Command::new("sh").args(["-c", shell.as_str()]).output().unwrap();
    assert!(words.stderr.is_empty(), "{words:?}");
    let words = String::from_utf8(words.stdout).unwrap();
    words.lines().map(|word| word.replace(">PASSWORD", ">secret")).collect()
}

/// Returns the store with the login of the service that a command runs.
pub(crate) fn store_of(command: &str, store: &str) -> String {
    let user = format!("checkin-{command}");
    let user = if USERS.contains(&&*user) { &*user } else { "checkin-admin" };
    store.replacen("://", &format!("://{user}:secret@"), 1)
}

/// Returns the commands and keys that Redis has refused to these users. A server that has ended or is
/// suspended says nothing.
pub(crate) fn refused(url: &str) -> Vec<String> {
    let server = redis::Client::open(url).unwrap();
    let Ok(mut connection) = server.get_connection_with_timeout(LIMIT) else { return vec![] };
    connection.set_read_timeout(Some(LIMIT)).unwrap();
    let log: Vec<HashMap<String, Value>> =
        redis::cmd("ACL").arg("LOG").query(&mut connection).unwrap_or_default();
    let entries = log.iter().map(|entry| format!("{:?} {:?}", entry["object"], entry["username"]));
    entries.filter(|entry| USERS.iter().any(|user| entry.contains(user))).collect()
}
