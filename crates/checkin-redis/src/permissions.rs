//! The finding of `checkin doctor` about the permissions of the login.

use checkin_storage::Finding;
use redis_link::{Error, Obstacle};

use crate::connection::Connection;
use crate::reply::text;

/// The commands that the program uses, also in its scripts, each with arguments that it accepts. `K` is a
/// key.
const COMMANDS: &str = "CLIENT TRACKING OFF;DEL K;EVAL '' 0;EVALSHA x 0;EXISTS K;EXPIRE K 1;\
    GEOADD K 0 0 m;GEOSEARCH K FROMLONLAT 0 0 BYRADIUS 1 m;GET K;HDEL K f;HGET K f;HGETALL K;\
    HINCRBY K f 1;HMGET K f;HSET K f v;HSETNX K f v;INCR K;MGET K;PEXPIRE K 1;PEXPIREAT K 1;PING;PSETEX K 1 v;\
    PTTL K;SADD K m;SCAN 0;SET K v;SETRANGE K 0 v;SISMEMBER K m;TIME;WAIT 0 1;\
    XADD K * f v;XDEL K 0-1;XINFO STREAM K;XLEN K;XRANGE K - +;XREVRANGE K + -;XTRIM K MAXLEN 1;\
    ZADD K 1 m;ZCARD K;ZCOUNT K 0 1;ZMSCORE K m;ZRANGE K 0 1;ZRANGEBYLEX K - +;ZRANGEBYSCORE K 0 1;\
    ZREM K m;ZREMRANGEBYSCORE K 0 1;ZREVRANGE K 0 1;ZREVRANGEBYSCORE K 1 0;ZSCAN K 0;ZSCORE K m";

/// Returns what the login may not do although the program needs it. Each command is queued in a
/// transaction that is then discarded: Redis checks the permission when it is queued.
pub(crate) async fn finding(redis: &Connection) -> Finding {
    // Without these, the commands below would be carried out. On a cluster, every pipeline is a transaction.
    let tries: &[&[&[&[u8]]]] = match redis.client.is_cluster() {
        true => &[&[&[b"PING"], &[b"PING"]]],
        false => &[&[&[b"DISCARD"]], &[&[b"EXEC"]], &[&[b"MULTI"], &[b"DISCARD"]]],
    };
    for commands in tries {
        if is_refused(redis.client.pipeline(commands).await.as_ref()) {
            return Finding::warning(
                "the permissions of the login cannot be checked",
                "redis-cli ACL SETUSER USER +multi +exec +discard",
            );
        }
    }
    let (mut commands, mut keys) = (Vec::new(), Vec::new());
    for key in redis.keys.samples() {
        for command in COMMANDS.split(';').map(str::trim) {
            let words: Vec<&str> =
                command.split(' ').map(|word| if word == "K" { &*key } else { word }).collect();
            match refused(redis, &words).await {
                Some(text) if text.contains("to access") => keys.push(key.clone()),
                Some(_) => commands.push(words[0].to_lowercase()),
                None => {}
            }
        }
    }
    for list in [&mut commands, &mut keys] {
        list.sort_unstable();
        list.dedup();
    }
    if commands.is_empty() && keys.is_empty() {
        return Finding::fine("the login has the permissions that are needed");
    }
    let user = match redis.call(&["ACL", "WHOAMI"]).await.map(text) {
        Ok(Ok(user)) => user,
        _ => "USER".to_owned(),
    };
    let mut rules: Vec<String> = commands.iter().map(|command| format!("+{command}")).collect();
    if !keys.is_empty() {
        rules.extend(redis.keys.patterns().iter().map(|pattern| format!("'~{pattern}'")));
    }
    let missing = if commands.is_empty() { keys.join(" ") } else { commands.join(" ") };
    Finding::problem(
        format!("the login may not use {missing}"),
        format!("redis-cli ACL SETUSER {user} {}", rules.join(" ")),
    )
}

/// Returns the text of the error if Redis refuses a command because of a missing permission.
async fn refused(redis: &Connection, words: &[&str]) -> Option<String> {
    let words: Vec<&[u8]> = words.iter().map(|word| word.as_bytes()).collect();
    // On a cluster, several commands are a transaction anyway.
    let queued: Vec<&[&[u8]]> = match redis.client.is_cluster() {
        true => vec![&words, &[b"DISCARD"]],
        false => vec![&[b"MULTI"], &words, &[b"DISCARD"]],
    };
    let answer = redis.client.pipeline(&queued).await;
    let text = |error: Error| std::error::Error::source(&error).map(ToString::to_string);
    if !is_refused(answer.as_ref()) {
        return None;
    }
    answer.err().and_then(text)
}

fn is_refused<T>(answer: Result<T, &Error>) -> bool {
    answer.is_err_and(|error| error.obstacle() == Some(Obstacle::NoPermission))
}
