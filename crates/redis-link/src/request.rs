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

/// The words of a command: its name and its arguments.
pub(crate) type Words<'a> = &'a [&'a [u8]];

/// One command, or several that are sent at once.
pub(crate) enum Request<'a> {
    One(Words<'a>),
    Several(&'a [Words<'a>]),
    /// Several commands, the last of which is only a mark, and one that waits until it is replicated.
    Awaited(&'a [Words<'a>], Words<'a>),
}

impl Request<'_> {
    /// Sends its [commands](Self::commands), which the caller has made.
    pub(crate) async fn send(
        &self,
        commands: Vec<Cmd>,
        connection: &mut (impl ConnectionLike + ?Sized),
    ) -> Result<Value, RedisError> {
        if let (Self::One(_), [command]) = (self, &commands[..]) {
            return connection.req_packed_command(command).await;
        }
        let (count, pipeline) = (commands.len(), pipeline(commands));
        connection.req_packed_commands(&pipeline, 0, count).await.map(Value::Array)
    }

    /// Returns the commands, with the one that waits.
    pub(crate) fn commands(&self) -> Vec<Cmd> {
        match self {
            Self::One(words) => vec![command(words)],
            Self::Several(commands) => commands.iter().map(|words| command(words)).collect(),
            Self::Awaited(commands, wait) => {
                commands.iter().chain([wait]).map(|words| command(words)).collect()
            }
        }
    }

    /// Returns whether the last command waits.
    #[cfg(feature = "cluster")]
    pub(crate) fn waits(&self) -> bool {
        matches!(self, Self::Awaited(..))
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
            Self::One(words) => {
                words.first().and_then(|name| std::str::from_utf8(name).ok()).unwrap_or_default()
            }
            Self::Several(_) | Self::Awaited(..) => "pipeline",
        }
    }

    /// Returns the number of commands.
    pub(crate) fn count(&self) -> usize {
        match self {
            Self::One(_) => 1,
            Self::Several(commands) => commands.len(),
            Self::Awaited(commands, _) => commands.len() + 1,
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
        let name = std::str::from_utf8(self.words().first()?).ok()?;
        let is_other = NO_KEY_FIRST.iter().any(|other| name.eq_ignore_ascii_case(other));
        let key = self.key().filter(|_| !is_other)?;
        std::str::from_utf8(key).ok().map(hash_slot)
    }

    /// Returns a key of the first command: its first argument, or the first key of a script.
    pub(crate) fn key(&self) -> Option<&[u8]> {
        let words = self.words();
        let is_script = words.first()?.starts_with(b"EVAL");
        words.get(if is_script { 3 } else { 1 }).copied()
    }

    /// Returns the words of the first command.
    fn words(&self) -> Words<'_> {
        match self {
            Self::One(words) => words,
            Self::Several(commands) | Self::Awaited(commands, _) => {
                commands.first().copied().unwrap_or_default()
            }
        }
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

pub(crate) fn command(words: Words<'_>) -> Cmd {
    let bytes = words.iter().map(|word| word.len()).sum();
    let mut command = Cmd::with_capacity(words.len(), bytes);
    for word in words {
        command.arg(*word);
    }
    command
}

pub(crate) fn pipeline(commands: Vec<Cmd>) -> redis::Pipeline {
    let mut pipeline = redis::Pipeline::with_capacity(commands.len());
    for command in commands {
        pipeline.add_command(command);
    }
    pipeline
}

/// Returns the command that runs a script with so many keys.
pub(crate) fn invocation<'a>(
    (verb, code): (&'a str, &'a str),
    count: &'a str,
    keys: &[&'a [u8]],
    arguments: &[&'a [u8]],
) -> Vec<&'a [u8]> {
    let mut words = Vec::with_capacity(3 + keys.len() + arguments.len());
    words.extend([verb.as_bytes(), code.as_bytes(), count.as_bytes()]);
    words.extend(keys);
    words.extend(arguments);
    words
}

/// Returns the words of a command that has its own.
pub(crate) fn borrowed(words: &[Vec<u8>]) -> Vec<&[u8]> {
    words.iter().map(Vec::as_slice).collect()
}
