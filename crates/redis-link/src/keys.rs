//! Functions on key names: slots, companion keys and patterns.

/// The number of slots of a cluster.
pub(crate) const SLOTS: u16 = 16_384;

/// Returns the name of a key in the same cluster slot as `key`, so that one command or script may
/// use both.
///
/// If `key` has no braces, all of it becomes the hash tag. If it has a hash tag, the same tag is
/// used. If it has braces but no hash tag, the tag is a number with the same slot.
///
/// ```
/// use redis_link::companion_key;
///
/// assert_eq!(companion_key("user:7", "lock"), "{user:7}:lock");
/// assert_eq!(companion_key("{app}user:7", "lock"), "{app}:lock:{app}user:7");
/// ```
#[must_use]
pub fn companion_key(key: &str, name: &str) -> String {
    if !b"{}".iter().any(|brace| key.as_bytes().contains(brace)) {
        return ["{", key, "}:", name].concat();
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

/// Returns a key in this slot that begins with `prefix`, which has no braces.
pub(crate) fn key_in(slot: u16, prefix: &str) -> String {
    (0..u32::MAX)
        .map(|number| format!("{prefix}:{{{number}}}"))
        .find(|candidate| hash_slot(candidate) == slot)
        .expect("there are far more numbers than slots")
}

/// Returns the cluster slot of a key, from 0 to 16,383.
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

/// Returns the hash tag of a key: the text between the first `{` and the next `}`. `None` if there
/// are no such braces or nothing is between them; the slot then depends on the whole key.
#[must_use]
pub fn hash_tag(key: &str) -> Option<&str> {
    // Most keys have none, and are short enough that a search for a character costs more.
    let open = key.bytes().position(|byte| byte == b'{')?;
    let (tag, _) = key[open + 1..].split_once('}')?;
    (!tag.is_empty()).then_some(tag)
}

/// Escapes text for use in a key pattern, so that it matches only itself.
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
    fn a_companion_key_has_the_slot_of_its_key() {
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
