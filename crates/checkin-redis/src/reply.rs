//! The replies of Redis, converted to the expected types.

use std::fmt::Display;
use std::str::FromStr;

use checkin_storage::{Result, StorageError};
use redis_link::Reply;

pub(crate) fn number(reply: Reply) -> Result<i64> {
    match reply {
        Reply::Int(number) => Ok(number),
        _ => Err(unexpected("a number")),
    }
}

pub(crate) fn array(reply: Reply) -> Result<Vec<Reply>> {
    match reply {
        Reply::Array(replies) => Ok(replies),
        Reply::Nil => Ok(Vec::new()),
        _ => Err(unexpected("an array")),
    }
}

pub(crate) fn text(reply: Reply) -> Result<String> {
    match reply {
        Reply::Bytes(bytes) => Ok(String::from_utf8_lossy(&bytes).into_owned()),
        _ => Err(unexpected("a string")),
    }
}

pub(crate) fn texts(reply: Reply) -> Result<Vec<String>> {
    array(reply)?.into_iter().map(text).collect()
}

/// Reads the members of a sorted set and their scores, alternating or in pairs, depending on the version of
/// the protocol.
pub(crate) fn scored(reply: Reply) -> Result<Vec<(String, String)>> {
    let replies = array(reply)?;
    match replies.first() {
        Some(Reply::Array(_)) => replies
            .into_iter()
            .map(|pair| match <[String; 2]>::try_from(texts(pair)?) {
                Ok([member, score]) => Ok((member, score)),
                Err(_) => Err(unexpected("a member and its score")),
            })
            .collect(),
        _ => {
            let words: Vec<String> = replies.into_iter().map(text).collect::<Result<_>>()?;
            Ok(words.chunks_exact(2).map(|pair| (pair[0].clone(), pair[1].clone())).collect())
        }
    }
}

/// Reads a member of an index of ids.
pub(crate) fn indexed_id<T: FromStr<Err: Display>>(id: &str) -> Result<T> {
    id.parse().map_err(|rule| StorageError::unreadable(format!("an id in an index {rule}")))
}

pub(crate) fn unexpected(wanted: &str) -> StorageError {
    StorageError::new(format!("Redis was expected to answer with {wanted}"))
}
