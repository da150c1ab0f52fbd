//! Names of keys: their slot in a cluster, keys beside them, and patterns.

/// The number of slots of a cluster.
const SLOTS: u16 = 16_384;

/// A key in the same slot of a cluster, so that one command or script may touch both.
///
/// Without braces the whole key decides on its slot, so that it becomes the hash tag; a key that has a
/// tag keeps it. Else a number serves that leads there.
///
/// ```
/// use redis_link::companion_key;
///
/// assert_eq!(companion_key("user:7", "lock"), "{user:7}:lock");
/// assert_eq!(companion_key("{app}user:7", "lock"), "{app}:lock:{app}user:7");
/// ```
#[must_use]
pub fn companion_key(key: &str, name: &str) -> String {
    if !key.contains(['{', '}']) {
        return format!("{{{key}}}:{name}");
    }
    let tagged = |tag: &str| format!("{{{tag}}}:{name}:{key}");
    match hash_tag(key) {
        Some(tag) => tagged(tag),
        None => (0..u32::MAX)
            .map(|number| tagged(&number.to_string()))
            .find(|candidate| hash_slot(candidate) == hash_slot(key))
            .expect("there are far more numbers than slots"),
    }
}

/// The slot of a cluster in which a key lies, below 16,384.
///
/// ```
/// use redis_link::hash_slot;
///
/// assert_eq!(hash_slot("123456789"), 12_739); // the example of Redis's specification
/// assert_eq!(hash_slot("a:{user}:b"), hash_slot("user"));
/// ```
#[must_use]
pub fn hash_slot(key: &str) -> u16 {
    let hashed = hash_tag(key).unwrap_or(key);
    crc16::State::<crc16::XMODEM>::calculate(hashed.as_bytes()) % SLOTS
}

/// What Redis Cluster looks at to find a key's slot: what stands between the first `{` and the next
/// `}`, unless that is nothing.
#[must_use]
pub fn hash_tag(key: &str) -> Option<&str> {
    let (_, rest) = key.split_once('{')?;
    let (tag, _) = rest.split_once('}')?;
    (!tag.is_empty()).then_some(tag)
}

/// The text as a part of a pattern that stands for itself alone.
///
/// ```
/// use redis_link::glob_escaped;
///
/// assert_eq!(glob_escaped("app:sess:"), "app:sess:");
/// assert_eq!(glob_escaped(r"a*[b]?\"), r"a\*\[b\]\?\\");
/// ```
#[must_use]
pub fn glob_escaped(text: &str) -> String {
    let mut escaped = String::with_capacity(text.len());
    for c in text.chars() {
        if matches!(c, '*' | '?' | '[' | ']' | '\\' | '^' | '-') {
            escaped.push('\\');
        }
        escaped.push(c);
    }
    escaped
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_companion_lies_in_the_slot_of_its_key() {
        for (key, companion) in [
            ("a:b", Some("{a:b}:x")),
            ("{app}a", Some("{app}:x:{app}a")),
            ("a{b}c{d}", Some("{b}:x:a{b}c{d}")),
            ("a}", None),
            ("{a", None),
            ("a{}b", None),
            ("{}", None),
            ("}{", None),
        ] {
            let found = companion_key(key, "x");
            assert_eq!(hash_slot(&found), hash_slot(key), "{key}: {found}");
            assert!(companion.is_none_or(|companion| companion == found), "{key}: {found}");
        }
    }
}
