//! The commands that each service needs: a table, and what a server or a login lacks of it.

use std::collections::BTreeMap;

use checkin_storage::{Fault, Finding, ServiceKind};
use redis_link::{Error, Obstacle};

use crate::connection::Connection;

use ServiceKind::{Api, Auth, Processor, Receiver};

/// What Redis says of a command that it does not have.
const UNKNOWN: &str = "unknown command";

/// The command without which a server can be used: sessions are not cached then.
const DISPENSABLE: &str = "client|tracking";

const ALL: &[ServiceKind] = &ServiceKind::ALL;
const READERS: &[ServiceKind] = &[Auth, Processor, Api];
const LOG: &[ServiceKind] = &[Receiver, Processor, Api];

/// The commands that the program uses, also in its scripts, each with arguments that Redis accepts, and the
/// services that need it. `K` is a key. `checkin up`, the doctor and the commands need all of them.
const COMMANDS: [(&str, &[ServiceKind]); 50] = [
    ("CLIENT TRACKING OFF", ALL),
    ("DEL K", ALL),
    ("EVAL '' 0", ALL),
    ("EVALSHA x 0", ALL),
    ("EXISTS K", ALL),
    ("EXPIRE K 1", ALL),
    ("GEOADD K 0 0 m", &[]),
    ("GET K", ALL),
    ("HDEL K f", &[Auth, Receiver, Processor]),
    ("HGET K f", ALL),
    ("HGETALL K", ALL),
    ("HINCRBY K f 1", &[Auth, Receiver, Processor]),
    ("HMGET K f", ALL),
    ("HSET K f v", ALL),
    ("HSETNX K f v", &[Auth, Receiver, Api]),
    ("INCR K", &[Auth]),
    ("MGET K", ALL),
    ("PEXPIRE K 1", ALL),
    ("PEXPIREAT K 1", &[Auth, Processor]),
    ("PING", ALL),
    ("PSETEX K 1 v", ALL),
    ("PTTL K", ALL),
    ("SADD K m", &[Auth, Receiver, Processor]),
    ("SCAN 0", &[Auth]),
    ("SET K v", ALL),
    ("SETRANGE K 0 v", ALL),
    ("SISMEMBER K m", &[]),
    ("SREM K m", &[Auth, Receiver, Processor]),
    ("SSCAN K 0", &[Auth]),
    ("TIME", ALL),
    ("WAIT 0 1", ALL),
    ("XADD K * f v", &[Auth, Receiver, Processor]),
    ("XDEL K 0-1", &[Auth, Receiver, Processor]),
    ("XINFO STREAM K", &[Receiver, Processor]),
    ("XLEN K", LOG),
    ("XRANGE K - +", ALL),
    ("XREVRANGE K + -", LOG),
    ("XTRIM K MAXLEN 1", &[Auth, Receiver]),
    ("ZADD K 1 m", ALL),
    ("ZCARD K", ALL),
    ("ZCOUNT K 0 1", READERS),
    ("ZMSCORE K m", ALL),
    ("ZRANGE K 0 1", READERS),
    ("ZRANGEBYLEX K - +", &[Api]),
    ("ZRANGEBYSCORE K 0 1", ALL),
    ("ZREM K m", ALL),
    ("ZREMRANGEBYSCORE K 0 1", &[Auth, Processor]),
    ("ZREVRANGE K 0 1", READERS),
    ("ZSCAN K 0", &[Auth, Receiver, Processor]),
    ("ZSCORE K m", ALL),
];

/// Checks that the login has the permissions of these services.
pub(crate) async fn check(redis: &Connection, services: &[ServiceKind]) -> Result<(), Fault> {
    let of = |by: &[ServiceKind]| by.iter().copied().filter(|one| services.contains(one)).collect();
    let needed = COMMANDS.iter().map(|(command, by)| Needed { command, by: of(by) });
    match missing(redis, needed.filter(|needed| !needed.by.is_empty()).collect()).await {
        // A login whose permissions cannot be tried may have them all.
        Err(Untried) | Ok(None) => Ok(()),
        Ok(Some(Missing { what, advice })) => Err(Fault::lasting(what, advice)),
    }
}

/// Returns the finding of `checkin doctor`.
pub(crate) async fn finding(redis: &Connection) -> Finding {
    let needed = COMMANDS.iter().map(|(command, by)| Needed { command, by: by.to_vec() });
    match missing(redis, needed.collect()).await {
        Err(Untried) => Finding::warning(
            "the permissions of the login cannot be checked",
            "redis-cli ACL SETUSER USER +multi +exec +discard",
        ),
        Ok(None) => Finding::fine("the login has the permissions that are needed"),
        Ok(Some(Missing { what, advice })) => Finding::problem(what, advice),
    }
}

/// A command with its arguments, and the services that need it.
struct Needed {
    command: &'static str,
    by: Vec<ServiceKind>,
}

/// What a login or a server lacks, and how to repair it.
struct Missing {
    what: String,
    advice: String,
}

/// The permissions cannot be tried without carrying the commands out.
struct Untried;

/// Returns what the login or the server lacks.
async fn missing(redis: &Connection, needed: Vec<Needed>) -> Result<Option<Missing>, Untried> {
    // Without these, the commands would be carried out. On a cluster, every pipeline is a transaction.
    let tries: &[&[&[&[u8]]]] = match redis.client.is_cluster() {
        true => &[&[&[b"PING"], &[b"PING"]]],
        false => &[&[&[b"DISCARD"]], &[&[b"EXEC"]], &[&[b"MULTI"], &[b"DISCARD"]]],
    };
    for commands in tries {
        if redis.client.pipeline(commands).await.is_err_and(|error| lack(&error).is_some()) {
            return Err(Untried);
        }
    }
    let (mut commands, mut unknown, mut keys) = (BTreeMap::new(), BTreeMap::new(), Vec::new());
    for key in redis.keys.samples() {
        for (command, error) in refused(redis, &needed, &key).await {
            if error.contains("to access") {
                keys.push(key.clone());
                continue;
            }
            let (name, is_unknown) = (command.name(), error.contains(UNKNOWN));
            if is_unknown && name == DISPENSABLE {
                continue;
            }
            let of_kind = if is_unknown { &mut unknown } else { &mut commands };
            of_kind.insert(name, command.services());
        }
    }
    keys.dedup();
    if !unknown.is_empty() {
        return Ok(Some(Missing {
            what: format!("the server does not have the commands {}", listed(&unknown)),
            advice: "remove their rename-command from the settings of Redis and restart it, or use another server"
                .to_owned(),
        }));
    }
    if commands.is_empty() && keys.is_empty() {
        return Ok(None);
    }
    let user = redis.client.user().unwrap_or("default");
    let mut rules: Vec<String> = commands.keys().map(|command| format!("+{command}")).collect();
    if !keys.is_empty() {
        rules.extend(redis.keys.patterns().iter().map(|pattern| format!("'~{pattern}'")));
    }
    let what = (!commands.is_empty()).then(|| listed(&commands));
    let what: Vec<String> = what.into_iter().chain(keys).collect();
    Ok(Some(Missing {
        what: format!("the login may not use {}", what.join(", ")),
        advice: format!("redis-cli ACL SETUSER {user} {}", rules.join(" ")),
    }))
}

/// Lists commands, each with the services that need it.
fn listed(commands: &BTreeMap<String, String>) -> String {
    let each = commands.iter().map(|(command, services)| format!("{command} ({services})"));
    each.collect::<Vec<_>>().join(", ")
}

impl Needed {
    /// Returns the words of the command for a key.
    fn words<'a>(&'a self, key: &'a str) -> Vec<&'a [u8]> {
        let words = self.command.split(' ').map(|word| if word == "K" { key } else { word });
        words.map(str::as_bytes).collect()
    }

    /// Returns the name of the command in a rule.
    fn name(&self) -> String {
        rule(self.command)
    }

    fn services(&self) -> String {
        match &self.by[..] {
            [] => "only commands".to_owned(),
            by => by.iter().map(ServiceKind::name).collect::<Vec<_>>().join(", "),
        }
    }
}

/// Returns the name of a command in the rules of a user.
fn rule(command: &str) -> String {
    let mut words = command.split(' ');
    let name = words.next().unwrap_or_default().to_lowercase();
    match (&*name, words.next()) {
        ("client" | "xinfo", Some(part)) => format!("{name}|{}", part.to_lowercase()),
        _ => name,
    }
}

/// Returns those that Redis refuses for this key, with its error. They are queued in a transaction that is
/// discarded: Redis looks for the command and checks the permissions when it queues it.
async fn refused<'a>(
    redis: &Connection,
    needed: &'a [Needed],
    key: &str,
) -> Vec<(&'a Needed, String)> {
    let (mut parts, mut refused) = (vec![needed], Vec::new());
    while let Some(part) = parts.pop() {
        let words: Vec<Vec<&[u8]>> = part.iter().map(|command| command.words(key)).collect();
        let mut commands: Vec<&[&[u8]]> = words.iter().map(Vec::as_slice).collect();
        commands.push(&[b"DISCARD"]);
        // On a cluster, several commands are a transaction anyway.
        if !redis.client.is_cluster() {
            commands.insert(0, &[b"MULTI"]);
        }
        match (redis.client.pipeline(&commands).await, part) {
            (Ok(_), _) => {}
            (Err(error), part) => match (lack(&error), part) {
                (None, _) => {}
                (Some(lack), [command]) => refused.push((command, lack)),
                (Some(_), _) => {
                    let (one, other) = part.split_at(part.len() / 2);
                    parts.extend([one, other]);
                }
            },
        }
    }
    refused
}

/// Returns what Redis says if it does not have a command, or the login may not use it.
fn lack(error: &Error) -> Option<String> {
    let text = std::error::Error::source(error).map(ToString::to_string).unwrap_or_default();
    let is_lack = error.obstacle() == Some(Obstacle::NoPermission) || text.contains(UNKNOWN);
    is_lack.then_some(text)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What every connection needs, beside the commands of the table.
    const CONNECTION: &str = "+hello +auth +select +role '+client|id' +multi +exec +discard +info";

    /// What only the doctor needs, which says so if it lacks them.
    const DOCTOR: &str = " '+config|get' '+cluster|info'";

    /// Maximum length of a line of the documentation.
    const LINE: usize = 118;

    /// Returns the command that makes a user with these commands.
    fn set_user(name: &str, more: &str, needs: impl Fn(&[ServiceKind]) -> bool) -> String {
        let rules = COMMANDS.iter().filter(|(_, by)| needs(by)).map(|(command, _)| rule(command));
        let quoted = |rule: String| match rule.contains('|') {
            true => format!("'+{rule}'"),
            false => format!("+{rule}"),
        };
        let rules: Vec<String> = rules.map(quoted).collect();
        let words = format!(
            "redis-cli ACL SETUSER checkin-{name} on '>PASSWORD' resetkeys '~ncc:*' '~{{ncc:*' -@all {CONNECTION}{more} {}",
            rules.join(" "),
        );
        let mut lines = vec![String::new()];
        for word in words.split(' ') {
            let line = lines.last_mut().unwrap();
            match line.len() + 1 + word.len() > LINE {
                true => lines.push(format!("    {word}")),
                false if line.is_empty() => line.push_str(word),
                false => line.extend([" ", word]),
            }
        }
        lines.join(" \\\n")
    }

    #[test]
    fn the_documentation_has_a_user_for_each_service() {
        let users = ServiceKind::ALL
            .iter()
            .map(|service| set_user(service.name(), "", |by: &[ServiceKind]| by.contains(service)));
        let users = users.chain([set_user("admin", DOCTOR, |_| true)]).collect::<Vec<_>>();
        let wanted = format!("```sh\n{}\n```\n", users.join("\n"));
        let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../../docs/redis-permissions.md");
        let documented = std::fs::read_to_string(path).unwrap();
        assert!(documented.contains(&wanted), "docs/redis-permissions.md must have:\n{wanted}");
    }

    #[test]
    fn the_commands_are_in_order() {
        assert!(COMMANDS.is_sorted_by(|(one, _), (next, _)| rule(one) < rule(next)));
    }
}
