//! What the fuzz target `redis_reply` in `checkin/fuzz` calls: it reads records that other programs wrote
//! into Redis. Only tests and fuzz targets contain this module.

use checkin_domain::{LocationId, UserId};
use checkin_storage::LogEntry;
use redis_link::Reply;

use crate::entry::{RawEntry, read_all};
use crate::hash::Hash;
use crate::{locations, users};

/// Reads an entry of the log, a user and a location. The first line is the id of the entry, and the
/// others are names and values alternately; as a hash, they are the values of its fields.
///
/// # Panics
///
/// If an entry that cannot be read is not kept as it is, or if a record has the id of another one.
pub fn redis_reply(input: &[u8]) {
    let mut lines = input.split(|byte| *byte == b'\n').map(|line| match line {
        b"" => Reply::Nil,
        line => Reply::Bytes(line.to_vec().into()),
    });
    let id = lines.next().unwrap_or(Reply::Nil);
    let fields: Vec<Reply> = lines.take(64).collect();
    let entry = Reply::Array(vec![id, Reply::Array(fields.clone())]);
    for raw in read_all(Reply::Array(vec![entry])).unwrap_or_default() {
        if let LogEntry::Unreadable { id, reason, fields } = raw.entry() {
            assert!(!reason.is_empty());
            let again = RawEntry::from_json(id, &fields).expect("it was written as JSON");
            assert!(matches!(again.entry(), LogEntry::Unreadable { .. }));
        }
    }

    let hash = |names: &'static [&'static str]| {
        let mut values = fields.clone();
        values.resize(names.len(), Reply::Nil);
        Hash::read("key", names, Reply::Array(values)).expect("each field has a value")
    };
    let (user, location): (UserId, LocationId) =
        ("77".parse().expect("it is an id"), "2".parse().expect("it is an id"));
    if let Some(Ok(read)) = hash(users::FIELDS).map(|hash| users::user(user, &hash)) {
        assert_eq!(read.id, user);
    }
    if let Some(Ok(read)) = hash(locations::FIELDS).map(|hash| locations::location(location, &hash))
    {
        assert_eq!(read.id, location);
    }
}

#[test]
fn the_corpus_breaks_no_rule() {
    let corpus = concat!(env!("CARGO_MANIFEST_DIR"), "/../checkin/fuzz/corpus/redis_reply");
    for file in std::fs::read_dir(corpus).expect("there is a corpus") {
        redis_reply(&std::fs::read(file.expect("a file").path()).expect("it can be read"));
    }
}
