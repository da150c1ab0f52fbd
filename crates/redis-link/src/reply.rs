//! The replies of Redis.

use bytes::Bytes;
use redis::Value;

/// A reply of Redis.
///
/// It has one form for the types that the two protocol versions represent differently: a boolean is
/// a number, a set or a map is an array, a status is a string.
///
/// ```
/// use redis_link::Reply;
///
/// let reply = Reply::Array(vec![Reply::Bytes("a".into()), Reply::Int(1), Reply::Nil]);
/// assert_eq!(reply.type_name(), "an array");
/// ```
#[derive(Clone, Debug, PartialEq)]
pub enum Reply {
    /// Nothing.
    Nil,
    /// A number.
    Int(i64),
    /// A string of bytes, or a status such as `OK`.
    Bytes(Bytes),
    /// Several replies. A map is an array of alternating names and values.
    Array(Vec<Reply>),
}

impl Reply {
    /// Returns the string; `None` for another type of reply.
    #[must_use]
    pub fn into_bytes(self) -> Option<Bytes> {
        match self {
            Self::Bytes(bytes) => Some(bytes),
            _ => None,
        }
    }

    /// Returns the type for a message: "a string", "an array".
    #[must_use]
    pub fn type_name(&self) -> &'static str {
        match self {
            Self::Nil => "nothing",
            Self::Int(_) => "a number",
            Self::Bytes(_) => "a string",
            Self::Array(_) => "an array",
        }
    }
}

impl From<Value> for Reply {
    fn from(value: Value) -> Self {
        match value {
            Value::Nil => Self::Nil,
            Value::Int(number) => Self::Int(number),
            Value::Boolean(yes) => Self::Int(yes.into()),
            Value::BulkString(bytes) => Self::Bytes(bytes.into()),
            Value::SimpleString(text) | Value::VerbatimString { text, .. } => {
                Self::Bytes(text.into())
            }
            Value::Okay => Self::Bytes(Bytes::from_static(b"OK")),
            Value::Double(number) => Self::Bytes(number.to_string().into()),
            Value::Array(values) | Value::Set(values) | Value::Push { data: values, .. } => {
                Self::Array(values.into_iter().map(Self::from).collect())
            }
            Value::Map(pairs) => Self::Array(
                pairs.into_iter().flat_map(|(name, value)| [name.into(), value.into()]).collect(),
            ),
            Value::Attribute { data, .. } => Self::from(*data),
            // RESP2 has no other types, and errors were removed before.
            _ => Self::Nil,
        }
    }
}
