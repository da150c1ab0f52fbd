//! Compares the model with a real server: the same commands must have the same replies.

use std::collections::BTreeMap;

use redis_link::redis::{Cmd, Connection, Script, Value, cmd};
use testkit::{RedisServer, Rng, random};

use super::{Answer, Redis, Refusal, name, text};
use crate::run::recorded;

/// The number of runs whose commands are repeated.
const RUNS: u64 = 5;

/// The number of random commands.
const COMMANDS: usize = 6000;

/// Begins each script: it lets time stand still, and nothing expires. Keys that expire in the model are deleted.
const TIMELESS: &str = "
local function timeless(run)
  return function(name, ...)
    local words = {...}
    if name == 'TIME' then return {'SECONDS', 'MICROSECONDS'} end
    -- The model has no run id.
    if name == 'INFO' then return false end
    if name == 'SET' and words[3] == 'PX' then return run('SET', words[1], words[2]) end
    if name == 'PEXPIRE' then
      -- Another command that writes: after it, a full memory does not stop the script.
      run('PERSIST', words[1])
      return run('EXISTS', words[1])
    end
    if name == 'PSETEX' then return run('SET', words[1], words[3]) end
    return run(name, ...)
  end
end
local redis = {call = timeless(redis.call), pcall = timeless(redis.pcall)}
";

#[test]
fn the_commands_of_runs_have_the_replies_of_a_real_server() {
    let server = RedisServer::start();
    let (mut real, seed, mut compared) = (server.connection(), u64::from(testkit::seed()), 0);
    for run in 0..RUNS {
        cmd("FLUSHALL").exec(&mut real).unwrap();
        let (mut model, mut codes, mut last) = (Redis::new(), BTreeMap::new(), Refusal::default());
        for (now_us, refusal, words) in recorded(seed + run) {
            if refusal != last {
                refuse(&mut real, refusal);
                last = refusal;
            }
            for key in model.keyspace().expired(now_us) {
                cmd("DEL").arg(key).exec(&mut real).unwrap();
            }
            model.keyspace().refusal = refusal;
            let modelled = model.execute(now_us, &words);
            if matches!(&modelled, Err(text) if text.starts_with("NOSCRIPT")) {
                continue;
            }
            let replied = reply(&mut real, &repeated(now_us, &words, &modelled, &mut codes));
            assert_same(&words, &modelled, &replied);
            compared += 1;
        }
        refuse(&mut real, Refusal::default());
    }
    assert!(compared > 1000, "only {compared} commands were compared");
}

fn refuse(real: &mut Connection, Refusal { is_memory_full, denied }: Refusal) {
    let bytes = if is_memory_full { "1" } else { "0" };
    cmd("CONFIG").arg("SET").arg("maxmemory").arg(bytes).exec(real).unwrap();
    let mut rules = cmd("ACL");
    rules.arg("SETUSER").arg("default").arg("+@all");
    rules.arg(denied.map(|command| format!("-{command}"))).exec(real).unwrap();
}

/// Returns the command for the real server, whose clock is another one.
fn repeated(
    now_us: u64,
    words: &[Vec<u8>],
    modelled: &Answer,
    codes: &mut BTreeMap<String, String>,
) -> Vec<Vec<u8>> {
    let mut words = words.to_vec();
    match &*name(&words) {
        "EVAL" | "EVALSHA" => {
            let code = text(&words[1]);
            if name(&words) == "EVAL" {
                codes.insert(Script::new(code).get_hash().to_owned(), code.to_owned());
            }
            let code = codes.get(code).map_or(code, String::as_str);
            let (seconds, rest) = (now_us / 1_000_000, now_us % 1_000_000);
            let timeless = TIMELESS.replace("MICROSECONDS", &rest.to_string());
            let timeless = timeless.replace("SECONDS", &seconds.to_string());
            words[1] = [&timeless, code].concat().into_bytes();
            words[0] = b"EVAL".to_vec();
        }
        "PEXPIREAT" => words = vec![b"EXISTS".to_vec(), words.swap_remove(1)],
        "XADD" if words[2] == b"*" => {
            if let Ok(Value::BulkString(id)) = modelled {
                words[2].clone_from(id);
            }
        }
        _ => {}
    }
    words
}

#[test]
fn random_commands_have_the_replies_of_a_real_server() {
    let server = RedisServer::start();
    let (mut real, mut model, mut random) = (server.connection(), Redis::new(), random());
    for _ in 0..COMMANDS {
        let words: Vec<Vec<u8>> =
            any_command(&mut random).into_iter().map(String::into_bytes).collect();
        let (mut modelled, mut replied) =
            (model.execute(1_000_000, &words), reply(&mut real, &words));
        if name(&words) == "PTTL" {
            // On the real server, time passes.
            (modelled, replied) = (modelled.map(sign), replied.map(sign));
        }
        assert_same(&words, &modelled, &replied);
    }
}

/// Returns a command for a few keys, of which some have another type than the command needs.
fn any_command(random: &mut Rng) -> Vec<String> {
    const KEYS: [&str; 8] = ["t1", "t2", "h1", "h2", "z1", "z2", "x1", "x2"];
    let form = FORMS[random.usize(0..FORMS.len())];
    let mut words = Vec::new();
    for word in form.split(' ') {
        words.push(match word {
            "T" | "H" | "Z" | "X" if random.u32(0..20) > 0 => {
                format!("{}{}", word.to_lowercase(), random.u32(1..=2))
            }
            "T" | "H" | "Z" | "X" | "KEY" => KEYS[random.usize(0..KEYS.len())].into(),
            // A field or a member.
            "M" => format!("m{}", random.u32(0..6)),
            "N" => random.i32(-3..8).to_string(),
            "SCORE" => random.i32(0..6).to_string(),
            "FROM" => ["-inf", "0", "2", "(2", "(3"][random.usize(0..5)].into(),
            "TO" => ["+inf", "4", "3", "(4", "2"][random.usize(0..5)].into(),
            "ID" => format!("{}-{}", random.u32(1..200), random.u32(0..3)),
            "IDS" => ["-", "+", "20", "(30-1", "50-2", "150"][random.usize(0..6)].into(),
            "SIZE" => random.u32(1..6).to_string(),
            other => other.into(),
        });
    }
    words
}

/// The commands that the storage and its scripts use, with the kinds of their arguments.
const FORMS: [&str; 48] = [
    "PING",
    "EXISTS KEY",
    "EXISTS KEY KEY",
    "DEL KEY",
    "PTTL KEY",
    "PEXPIRE T 100000",
    "EXPIRE H 100",
    "GET T",
    "MGET T T KEY",
    "SET T N",
    "SET T N PX 100000",
    "PSETEX T 100000 N",
    "INCR T",
    "SETRANGE KEY 0 ",
    "HGET H M",
    "HSET H M N",
    "HSET H M N M N",
    "HSETNX H M N",
    "HDEL H M",
    "HINCRBY H M N",
    "HEXISTS H M",
    "HLEN H",
    "HMGET H M M",
    "HGETALL H",
    "ZADD Z SCORE M",
    "ZADD Z NX SCORE M SCORE M",
    "ZADD Z GT SCORE M SCORE M",
    "ZREM Z M",
    "ZREMRANGEBYSCORE Z FROM TO",
    "ZSCORE Z M",
    "ZMSCORE Z M M",
    "ZCARD Z",
    "ZCOUNT Z FROM TO",
    "ZRANGE Z N N",
    "ZRANGE Z N N WITHSCORES",
    "ZREVRANGE Z N N WITHSCORES",
    "ZRANGEBYSCORE Z FROM TO",
    "ZRANGEBYSCORE Z FROM TO WITHSCORES",
    "ZRANGEBYSCORE Z FROM TO LIMIT SIZE SIZE",
    "ZSCAN Z 0 COUNT 1000",
    "XADD X ID M N",
    "XDEL X ID",
    "XLEN X",
    "XRANGE X IDS IDS",
    "XREVRANGE X IDS IDS COUNT SIZE",
    "XRANGE X IDS IDS COUNT SIZE",
    "XTRIM X MAXLEN = SIZE",
    "XTRIM X MAXLEN = 0",
];

fn reply(real: &mut Connection, words: &[Vec<u8>]) -> Answer {
    let mut command = Cmd::new();
    for word in words {
        command.arg(&word[..]);
    }
    command.query::<Value>(real).map_err(|error| error.code().unwrap_or("ERR").to_owned())
}

/// Returns the sign of a number.
fn sign(value: Value) -> Value {
    if let Value::Int(number) = value { Value::Int(number.signum()) } else { value }
}

#[track_caller]
fn assert_same(words: &[Vec<u8>], modelled: &Answer, replied: &Answer) {
    // The texts of errors differ between versions.
    let modelled = modelled.clone().map_err(|text| text.split(' ').next().unwrap().to_owned());
    let words: Vec<_> = words.iter().map(|word| String::from_utf8_lossy(word)).collect();
    assert_eq!(modelled, *replied, "{}", words.join(" "));
}
