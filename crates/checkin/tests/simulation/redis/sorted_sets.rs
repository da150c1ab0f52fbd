//! The commands of sorted sets.

use std::cmp::Ordering;
use std::collections::{BTreeMap, BTreeSet};

use redis_link::redis::Value;

use super::keyspace::{Keyspace, kind};
use super::{Answer, bulk, count, name, not_modelled, number, text};

#[derive(Clone, Copy, PartialEq)]
struct Score(f64);

impl Eq for Score {}

impl PartialOrd for Score {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for Score {
    fn cmp(&self, other: &Self) -> Ordering {
        self.0.total_cmp(&other.0)
    }
}

/// Members by their scores, and those of the same score by their bytes.
#[derive(Default)]
pub(crate) struct SortedSet {
    scores: BTreeMap<Vec<u8>, Score>,
    ordered: BTreeSet<(Score, Vec<u8>)>,
}

impl SortedSet {
    pub(crate) fn members(&self) -> impl Iterator<Item = (&[u8], f64)> {
        self.ordered.iter().map(|(score, member)| (member.as_slice(), score.0))
    }

    pub(crate) fn score(&self, member: &[u8]) -> Option<f64> {
        self.scores.get(member).map(|score| score.0)
    }

    fn set(&mut self, member: &[u8], score: f64) {
        self.remove(member);
        self.scores.insert(member.to_vec(), Score(score));
        self.ordered.insert((Score(score), member.to_vec()));
    }

    fn remove(&mut self, member: &[u8]) -> bool {
        let Some(score) = self.scores.remove(member) else { return false };
        self.ordered.remove(&(score, member.to_vec()))
    }
}

kind!(SortedSet = SortedSet, |set| set.scores.is_empty());

pub(crate) fn execute(
    keys: &mut Keyspace,
    command: &str,
    key: &[u8],
    arguments: &[Vec<u8>],
) -> Answer {
    match (command, arguments) {
        ("ZADD", [condition, rest @ ..])
            if matches!(&*name(std::slice::from_ref(condition)), "NX" | "GT") =>
        {
            add(keys, key, &name(std::slice::from_ref(condition)), rest)
        }
        ("ZADD", pairs) => add(keys, key, "", pairs),
        ("ZREM", [_, ..]) => keys.change(key, |set: &mut SortedSet| {
            Ok(count(arguments.iter().filter(|member| set.remove(member)).count()))
        }),
        ("ZREMRANGEBYSCORE", [from, to]) => {
            let range = ScoreRange::read(from, to)?;
            keys.change(key, |set: &mut SortedSet| {
                let members = set.members().filter(|(_, score)| range.holds(*score));
                let members: Vec<Vec<u8>> = members.map(|(member, _)| member.to_vec()).collect();
                Ok(count(members.iter().filter(|member| set.remove(member)).count()))
            })
        }
        _ => read(keys, command, key, arguments),
    }
}

fn add(keys: &mut Keyspace, key: &[u8], condition: &str, pairs: &[Vec<u8>]) -> Answer {
    if pairs.is_empty() || !pairs.len().is_multiple_of(2) {
        return Err("ERR syntax error".into());
    }
    keys.change(key, |set: &mut SortedSet| {
        let scores: Vec<f64> =
            pairs.iter().step_by(2).map(|word| score(word)).collect::<Result<_, _>>()?;
        let mut added = 0;
        for (new, member) in scores.into_iter().zip(pairs.iter().skip(1).step_by(2)) {
            let old = set.score(member);
            added += usize::from(old.is_none());
            if old.is_none_or(|old| condition.is_empty() || condition == "GT" && new > old) {
                set.set(member, new);
            }
        }
        Ok(count(added))
    })
}

fn read(keys: &mut Keyspace, command: &str, key: &[u8], arguments: &[Vec<u8>]) -> Answer {
    let empty = SortedSet::default();
    let set = keys.get::<SortedSet>(key)?.unwrap_or(&empty);
    match (command, arguments) {
        ("ZCARD", []) => Ok(count(set.scores.len())),
        ("ZSCORE", [member]) => Ok(score_or_nil(set, member)),
        ("ZMSCORE", [_, ..]) => {
            Ok(Value::Array(arguments.iter().map(|member| score_or_nil(set, member)).collect()))
        }
        ("ZCOUNT", [from, to]) => {
            let range = ScoreRange::read(from, to)?;
            Ok(count(set.members().filter(|(_, score)| range.holds(*score)).count()))
        }
        ("ZRANGE" | "ZREVRANGE", [first, last, options @ ..]) => {
            let mut members: Vec<(&[u8], f64)> = set.members().collect();
            if command == "ZREVRANGE" {
                members.reverse();
            }
            let has_scores = !options.is_empty();
            Ok(listed(part(&members, number(first)?, number(last)?), has_scores))
        }
        ("ZRANGEBYSCORE", [from, to, options @ ..]) => {
            let range = ScoreRange::read(from, to)?;
            let members: Vec<_> = set.members().filter(|(_, score)| range.holds(*score)).collect();
            match options {
                [] => Ok(listed(&members, false)),
                [_with_scores] => Ok(listed(&members, true)),
                [_limit, offset, most] => {
                    let (offset, most): (usize, usize) = (number(offset)?, number(most)?);
                    let page = members.iter().skip(offset).take(most).copied();
                    Ok(listed(&page.collect::<Vec<_>>(), false))
                }
                _ => not_modelled(arguments),
            }
        }
        // All members at once, as Redis does with a large count.
        ("ZSCAN", [_, ..]) => {
            let members: Vec<_> = set.members().collect();
            Ok(Value::Array(vec![bulk(b"0"), listed(&members, true)]))
        }
        _ => not_modelled(&[&[command.into(), key.to_vec()], arguments].concat()),
    }
}

/// A range of scores, of which an end that begins with a parenthesis is not a part.
struct ScoreRange {
    from: f64,
    is_after: bool,
    to: f64,
    is_before: bool,
}

impl ScoreRange {
    fn read(from: &[u8], to: &[u8]) -> Result<Self, String> {
        let end = |word: &[u8]| match word.strip_prefix(b"(") {
            Some(rest) => Ok::<_, String>((score(rest)?, true)),
            None => Ok((score(word)?, false)),
        };
        let ((from, is_after), (to, is_before)) = (end(from)?, end(to)?);
        Ok(Self { from, is_after, to, is_before })
    }

    fn holds(&self, score: f64) -> bool {
        (score > self.from || !self.is_after && score == self.from)
            && (score < self.to || !self.is_before && score == self.to)
    }
}

fn score(word: &[u8]) -> Result<f64, String> {
    text(word).parse().map_err(|_| "ERR value is not a valid float".to_owned())
}

fn score_or_nil(set: &SortedSet, member: &[u8]) -> Value {
    set.score(member).map_or(Value::Nil, |score| bulk(score.to_string().as_bytes()))
}

/// Returns the members between two positions; negative ones count from the end.
fn part<T>(all: &[T], first: i64, last: i64) -> &[T] {
    let place = |at: i64| if at < 0 { at + all.len() as i64 } else { at };
    let first = place(first).max(0) as usize;
    let behind = (place(last) + 1).clamp(0, all.len() as i64) as usize;
    all.get(first..behind).unwrap_or_default()
}

fn listed(members: &[(&[u8], f64)], has_scores: bool) -> Value {
    let words = members.iter().flat_map(|(member, score)| {
        let score = has_scores.then(|| bulk(score.to_string().as_bytes()));
        std::iter::once(bulk(member)).chain(score)
    });
    Value::Array(words.collect())
}
