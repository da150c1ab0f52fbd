//! Collects everything that is visible from outside after a step, and compares the two sides.

use std::collections::BTreeMap;

use testkit::Response;
use testkit::signature::{decode, encode, sign, unsign};

use super::json_text::{Masked, elements};
use super::pair::Side;
use super::placeholder::Ids;
use super::{Post, ProgramSettings};

/// The tolerance for dates: they are whole seconds on the wire, and the two sides do not respond at
/// the same time.
const MOMENT_TOLERANCE_MS: f64 = 2000.0;
/// The tolerance for durations: express-session computes `originalMaxAge` by reading the clock
/// twice.
const DURATION_TOLERANCE_MS: f64 = 50.0;

/// The visible result of a step, with ids replaced by placeholders.
#[derive(Debug)]
pub(crate) struct Observation {
    answers: Vec<Answer>,
    keys: BTreeMap<String, Stored>,
}

#[derive(Debug)]
struct Answer {
    status: u16,
    /// The body if it is JSON. The text of Express's own error pages is not compared.
    body: Option<String>,
    set_cookies: Vec<String>,
}

#[derive(Debug)]
struct Stored {
    /// The value of a string, or the name of another type.
    value: String,
    ttl_ms: i64,
}

/// Collects the responses (if the step sent requests) and all keys under the prefix.
pub(crate) fn observe(
    side: &mut Side,
    ids: &mut Ids,
    answers: &[(&Post, Response)],
) -> redis::RedisResult<Observation> {
    let settings = side.settings.clone();
    let answers = answers.iter().map(|(post, response)| Answer {
        status: response.status,
        body: body(post, response, ids),
        set_cookies: set_cookies(response, &settings, ids),
    });
    let answers = answers.collect();
    let keys = keys(&mut side.redis, settings.prefix(), ids)?;
    Ok(Observation { answers, keys })
}

fn body(post: &Post, response: &Response, ids: &mut Ids) -> Option<String> {
    let is_json = response.header("content-type")?.starts_with("application/json");
    if !is_json || !response.is_complete {
        return None;
    }
    if response.body.is_empty() {
        return Some(String::new());
    }
    let text = response.text();
    if !text.starts_with('[') {
        return Some(text.to_owned());
    }
    let results = elements(text).into_iter().enumerate().map(|(index, result)| {
        let asked_for_id = post.operations.get(index).is_some_and(|text| text == "[\"id\"]");
        match result.strip_prefix('"').and_then(|text| text.strip_suffix('"')) {
            Some(id) if asked_for_id => ids.placeholder(id),
            _ => result.to_owned(),
        }
    });
    Some(results.collect::<Vec<_>>().join("\n"))
}

fn set_cookies(response: &Response, settings: &ProgramSettings, ids: &mut Ids) -> Vec<String> {
    let lines = response.set_cookies();
    lines.iter().map(|line| set_cookie(line, settings, ids)).collect()
}

/// Replaces the signed value by a placeholder, only if it is exactly the value that Express would
/// send.
fn set_cookie(line: &str, settings: &ProgramSettings, ids: &mut Ids) -> String {
    let (pair, attributes) = line.split_at(line.find(';').unwrap_or(line.len()));
    let Some((name, value)) = pair.split_once('=') else { return line.to_owned() };
    let secret = settings.secret();
    let decoded = decode(value).unwrap_or_default();
    match unsign(&decoded, &secret) {
        Some(id) if name == settings.cookie_name() && encode(&sign(id, &secret)) == value => {
            format!("{name}=<signed {}>{attributes}", ids.placeholder(id))
        }
        _ => line.to_owned(),
    }
}

/// A script that reads a whole database. The clock stands still in a script, so no key expires in
/// between.
const SNAPSHOT: &str = "
    local found = {}
    for _, key in ipairs(redis.call('KEYS', '*')) do
        local kind = redis.call('TYPE', key).ok
        local value = kind == 'string' and redis.call('GET', key) or '<a ' .. kind .. '>'
        table.insert(found, {key, value, redis.call('PTTL', key)})
    end
    return found";

fn keys(
    redis: &mut redis::Connection,
    prefix: &str,
    ids: &mut Ids,
) -> redis::RedisResult<BTreeMap<String, Stored>> {
    let found: Vec<(String, Vec<u8>, i64)> =
        redis::cmd("EVAL").arg(SNAPSHOT).arg(0).query(redis)?;
    let mut sessions: Vec<(String, Stored)> = Vec::new();
    for (name, value, ttl_ms) in found {
        // Keys that a side stores besides the sessions have the form `{KEY}:…`.
        if let Some(id) = name.strip_prefix(prefix).filter(|_| !name.starts_with('{')) {
            let value = String::from_utf8_lossy(&value).into_owned();
            sessions.push((id.to_owned(), Stored { value, ttl_ms }));
        }
    }
    sessions.sort_by_cached_key(|(id, stored)| numbered_by(ids, id, stored));
    let named = sessions
        .into_iter()
        .map(|(id, stored)| (format!("{prefix}{}", ids.placeholder(&id)), stored));
    Ok(named.collect())
}

/// The sort key for numbering new ids. The ids are random, so they are ordered by their stored
/// values; ids with the same value are interchangeable.
fn numbered_by(ids: &Ids, id: &str, stored: &Stored) -> (bool, String, i64) {
    (!ids.knows(id), Masked::json(&stored.value).literal, stored.ttl_ms)
}

/// Describes the first difference. `window_ms` is the maximum time between the two sides' handling
/// of the same request.
pub(crate) fn difference(
    first: &Observation,
    second: &Observation,
    window_ms: f64,
) -> Option<String> {
    for (index, (first, second)) in first.answers.iter().zip(&second.answers).enumerate() {
        if let Some(found) = answer_difference(first, second, window_ms) {
            return Some(describe(
                &format!("{} of request {}", found.0, index + 1),
                &found.1,
                &found.2,
            ));
        }
    }
    let names = |observation: &Observation| observation.keys.keys().cloned().collect::<Vec<_>>();
    if names(first) != names(second) {
        return Some(describe("keys", &format!("{first:#?}"), &format!("{second:#?}")));
    }
    let mut pairs = first.keys.iter().zip(second.keys.values());
    pairs.find_map(|((name, first), second)| stored_difference(name, first, second, window_ms))
}

/// Returns what differs, with its form on the first and on the second side.
fn answer_difference(
    first: &Answer,
    second: &Answer,
    window_ms: f64,
) -> Option<(&'static str, String, String)> {
    if first.status != second.status {
        return Some(("status", first.status.to_string(), second.status.to_string()));
    }
    if let Some(body) = &first.body {
        let other = second.body.as_deref().unwrap_or("<not JSON>");
        if !same(&Masked::json(body), &Masked::json(other), window_ms) {
            return Some(("body", body.clone(), other.to_owned()));
        }
    }
    let (lines, others) = (&first.set_cookies, &second.set_cookies);
    let same_lines = lines.len() == others.len()
        && lines.iter().zip(others).all(|(line, other)| {
            same(&Masked::set_cookie(line), &Masked::set_cookie(other), window_ms)
        });
    (!same_lines).then(|| ("Set-Cookie", lines.join("\n"), others.join("\n")))
}

fn stored_difference(
    name: &str,
    first: &Stored,
    second: &Stored,
    window_ms: f64,
) -> Option<String> {
    if !same(&Masked::json(&first.value), &Masked::json(&second.value), window_ms) {
        return Some(describe(&format!("value of {name}"), &first.value, &second.value));
    }
    let (ttl, other) = (first.ttl_ms, second.ttl_ms);
    let same_ttl = if ttl < 0 || other < 0 {
        ttl == other
    } else {
        close(ttl as f64, other as f64, MOMENT_TOLERANCE_MS)
    };
    (!same_ttl).then(|| describe(&format!("TTL of {name}"), &ttl.to_string(), &other.to_string()))
}

fn same(first: &Masked, second: &Masked, window_ms: f64) -> bool {
    let all_close = |first: &[f64], second: &[f64], tolerance: f64| {
        first.len() == second.len()
            && first.iter().zip(second).all(|(a, b)| close(*a, *b, tolerance))
    };
    first.literal == second.literal
        && all_close(&first.moments_ms, &second.moments_ms, MOMENT_TOLERANCE_MS)
        && all_close(&first.durations_ms, &second.durations_ms, DURATION_TOLERANCE_MS + window_ms)
}

fn close(a: f64, b: f64, tolerance: f64) -> bool {
    (a - b).abs() <= tolerance
}

fn describe(what: &str, first: &str, second: &str) -> String {
    format!("{what}\n--- first side:\n{first}\n--- second side:\n{second}\n---")
}
