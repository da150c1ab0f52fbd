//! The requests that are sent to Redis.

use redis::aio::ConnectionLike;
use redis::{Cmd, RedisError, Value};

use crate::keys::hash_slot;

/// Commands whose first argument is no key.
const NO_KEY_FIRST: &[&str] = &[
    "ACL",
    "AUTH",
    "BITOP",
    "CLIENT",
    "CLUSTER",
    "COMMAND",
    "CONFIG",
    "ECHO",
    "FCALL",
    "FCALL_RO",
    "FLUSHALL",
    "FLUSHDB",
    "FUNCTION",
    "HELLO",
    "INFO",
    "KEYS",
    "LATENCY",
    "LMPOP",
    "MEMORY",
    "MODULE",
    "OBJECT",
    "PING",
    "PSUBSCRIBE",
    "PUBLISH",
    "PUBSUB",
    "SCAN",
    "SCRIPT",
    "SELECT",
    "SHUTDOWN",
    "SINTERCARD",
    "SLOWLOG",
    "SUBSCRIBE",
    "SWAPDB",
    "UNSUBSCRIBE",
    "WAIT",
    "WAITAOF",
    "XGROUP",
    "XINFO",
    "XREAD",
    "XREADGROUP",
    "ZDIFF",
    "ZINTER",
    "ZINTERCARD",
    "ZMPOP",
    "ZUNION",
];

/// One command, or several that are sent at once.
pub(crate) enum Request<'a> {
    One(&'a Cmd),
    Several(&'a redis::Pipeline),
    /// Several commands, the last of which is only a mark, and one that waits until it is replicated.
    Awaited(&'a redis::Pipeline, &'a Cmd),
}

impl Request<'_> {
    pub(crate) async fn send(
        &self,
        connection: &mut (impl ConnectionLike + ?Sized),
    ) -> Result<Value, RedisError> {
        match self {
            Self::One(command) => connection.req_packed_command(command).await,
            Self::Several(pipeline) => send(connection, pipeline).await,
            Self::Awaited(pipeline, wait) => {
                let mut pipeline = (*pipeline).clone();
                pipeline.add_command((*wait).clone());
                send(connection, &pipeline).await
            }
        }
    }

    /// Returns the commands, without the one that waits.
    pub(crate) fn commands(&self) -> Vec<Cmd> {
        match self {
            Self::One(command) => vec![(*command).clone()],
            Self::Several(pipeline) | Self::Awaited(pipeline, _) => {
                pipeline.cmd_iter().cloned().collect()
            }
        }
    }

    /// Returns the command that waits, if there is one.
    pub(crate) fn wait(&self) -> Option<&Cmd> {
        match self {
            Self::Awaited(_, wait) => Some(wait),
            _ => None,
        }
    }

    /// Returns the reply to the request, made of the replies to its commands.
    pub(crate) fn reply(&self, mut replies: Vec<Value>) -> Value {
        match self {
            Self::One(_) => replies.pop().unwrap_or(Value::Nil),
            Self::Several(_) | Self::Awaited(..) => Value::Array(replies),
        }
    }

    /// Returns the name of the command, or `pipeline` for several.
    pub(crate) fn operation(&self) -> &str {
        match self {
            Self::One(command) => match command.args_iter().next() {
                Some(redis::Arg::Simple(name)) => std::str::from_utf8(name).unwrap_or_default(),
                _ => "",
            },
            Self::Several(_) | Self::Awaited(..) => "pipeline",
        }
    }

    /// Returns the number of commands.
    pub(crate) fn count(&self) -> usize {
        match self {
            Self::One(_) => 1,
            Self::Several(pipeline) => pipeline.len(),
            Self::Awaited(pipeline, _) => pipeline.len() + 1,
        }
    }

    /// Returns the reply, or the error of the request. For [`Awaited`](Self::Awaited) the reply is an
    /// array of the replies to the commands without the mark, and an array of the reply to the mark and
    /// that of waiting, which may be the text of an error: the commands were carried out nevertheless.
    pub(crate) fn outcome(&self, value: Value) -> Result<Value, RedisError> {
        match (self, value) {
            (Self::Awaited(..), Value::Array(mut replies)) if replies.len() > 2 => {
                let waited = Value::Array(replies.split_off(replies.len() - 2)).extract_error();
                let failed = |cause: RedisError| Value::SimpleString(cause.to_string());
                let waited =
                    waited.unwrap_or_else(|cause| Value::Array(vec![Value::Nil, failed(cause)]));
                Ok(Value::Array(vec![Value::Array(replies).extract_error()?, waited]))
            }
            (_, value) if !may_have_error(&value) => Ok(value),
            (_, value) => value.extract_error(),
        }
    }

    /// Returns the slot of a key of the first command; `None` if its first argument is no key.
    pub(crate) fn slot(&self) -> Option<u16> {
        let name = std::str::from_utf8(self.words()?.next()?).ok()?;
        let is_other = NO_KEY_FIRST.iter().any(|other| name.eq_ignore_ascii_case(other));
        let key = self.key().filter(|_| !is_other)?;
        std::str::from_utf8(key).ok().map(hash_slot)
    }

    /// Returns a key of the first command: its first argument, or the first key of a script.
    pub(crate) fn key(&self) -> Option<&[u8]> {
        let mut words = self.words()?;
        let is_script = words.next()?.starts_with(b"EVAL");
        words.nth(if is_script { 2 } else { 0 })
    }

    /// Returns the words of the first command.
    fn words(&self) -> Option<impl Iterator<Item = &[u8]>> {
        let command = match self {
            Self::One(command) => command,
            Self::Several(pipeline) | Self::Awaited(pipeline, _) => pipeline.cmd_iter().next()?,
        };
        Some(command.args_iter().map(|word| match word {
            redis::Arg::Simple(word) => word,
            _ => &[],
        }))
    }
}

/// Returns false for most replies without an error: looking for one costs less than [`Value::extract_error`], which
/// makes each array again.
fn may_have_error(value: &Value) -> bool {
    match value {
        Value::Array(values) => values.iter().any(may_have_error),
        Value::Nil
        | Value::Int(_)
        | Value::BulkString(_)
        | Value::SimpleString(_)
        | Value::Okay => false,
        _ => true,
    }
}

async fn send(
    connection: &mut (impl ConnectionLike + ?Sized),
    pipeline: &redis::Pipeline,
) -> Result<Value, RedisError> {
    let count = pipeline.len();
    connection.req_packed_commands(pipeline, 0, count).await.map(Value::Array)
}

pub(crate) fn command(words: &[&[u8]]) -> Cmd {
    let bytes = words.iter().map(|word| word.len()).sum();
    let mut command = Cmd::with_capacity(words.len(), bytes);
    for word in words {
        command.arg(*word);
    }
    command
}

pub(crate) fn pipeline(commands: &[&[&[u8]]]) -> redis::Pipeline {
    let mut pipeline = redis::Pipeline::with_capacity(commands.len());
    for words in commands {
        pipeline.add_command(command(words));
    }
    pipeline
}

/// Returns the command that runs a script.
pub(crate) fn invocation(
    verb: &'static str,
    code: &str,
    keys: &[&[u8]],
    arguments: &[&[u8]],
) -> Cmd {
    let count = keys.len().to_string();
    let mut words = Vec::with_capacity(3 + keys.len() + arguments.len());
    words.extend([verb.as_bytes(), code.as_bytes(), count.as_bytes()]);
    words.extend(keys);
    words.extend(arguments);
    command(&words)
}
