//! Placeholders for values that are not known when a program is written.
//!
//! The syntax is `<form:ID>` or `<form:ID:secret>`. ID is the number of an id that has appeared (1
//! for the first, see [`Ids`]) or the id itself. The forms are `id`, `key` (with the prefix),
//! `cookie` (the value as express-session sends it), `raw` (the same without percent escapes),
//! `lower` (lower-case hexadecimal), `full` (every character escaped), `double` (escaped twice) and
//! `signature` (what follows the dot). `<now+MS>` and `<now-MS>` are times, the same for both
//! sides. `<empty>` is the empty text.

use testkit::signature::{encode, sign, signature};

use super::ProgramSettings;
use super::json_text::iso;

/// The ids of one side, in the order in which they appeared: in a result of `id`, in a `Set-Cookie`
/// header, or in a key. If the order differs between the sides, the sides differ.
#[derive(Debug, Default)]
pub(crate) struct Ids(Vec<String>);

impl Ids {
    /// Returns the placeholder that replaces the id in all compared texts.
    pub(crate) fn placeholder(&mut self, id: &str) -> String {
        let seen = self.0.iter().position(|seen| seen == id);
        let index = seen.unwrap_or_else(|| {
            self.0.push(id.to_owned());
            self.0.len() - 1
        });
        format!("<id:{}>", index + 1)
    }

    pub(crate) fn knows(&self, id: &str) -> bool {
        self.0.iter().any(|seen| seen == id)
    }

    /// Returns the id for a number or for an id itself. For an unknown number it returns an id that
    /// does not exist, because the minimiser may have removed the step that created it.
    fn resolve(&self, text: &str) -> String {
        let number = text.parse::<usize>().ok();
        number.map_or_else(
            || text.to_owned(),
            |number| self.0.get(number - 1).cloned().unwrap_or_else(|| format!("unseen{number}")),
        )
    }
}

/// Replaces the placeholders in a text.
pub(crate) fn expand(text: &str, ids: &Ids, settings: &ProgramSettings, now_ms: i64) -> String {
    let mut expanded = String::new();
    let mut rest = text;
    while let Some((before, after)) = rest.split_once('<') {
        expanded.push_str(before);
        let (inside, after) = after.split_once('>').expect("a placeholder ends in >");
        expanded.push_str(&value(inside, ids, settings, now_ms));
        rest = after;
    }
    expanded + rest
}

fn value(inside: &str, ids: &Ids, settings: &ProgramSettings, now_ms: i64) -> String {
    if inside == "empty" {
        return String::new();
    }
    if let Some(offset) = inside.strip_prefix("now") {
        return iso(now_ms + offset.parse::<i64>().expect("<now+MS>"));
    }
    let mut parts = inside.splitn(3, ':');
    let form = parts.next().unwrap_or_default();
    let id = ids.resolve(parts.next().expect("<form:ID>"));
    let secret = parts.next().map_or_else(|| settings.secret(), str::to_owned);
    let signed = sign(&id, &secret);
    match form {
        "id" => id,
        "key" => format!("{}{id}", settings.prefix()),
        "cookie" => encode(&signed),
        "raw" => signed,
        "lower" => lower_case_escapes(&encode(&signed)),
        "full" => signed.bytes().map(|byte| format!("%{byte:02X}")).collect(),
        "double" => encode(&encode(&signed)),
        "signature" => signature(&id, &secret),
        _ => panic!("no such placeholder: <{inside}>"),
    }
}

fn lower_case_escapes(text: &str) -> String {
    let mut parts = text.split('%');
    let first = parts.next().unwrap_or_default().to_owned();
    parts.fold(first, |text, part| {
        let (digits, rest) = part.split_at(2);
        text + "%" + &digits.to_lowercase() + rest
    })
}

#[test]
fn ids_are_expanded_by_number_and_by_value() {
    let mut ids = Ids::default();
    assert_eq!(ids.placeholder("abc"), "<id:1>");
    let settings = ProgramSettings::new("{}");
    let check = |text: &str| expand(text, &ids, &settings, 0);
    assert_eq!(check("x=<id:1>, <key:1>"), "x=abc, sess:abc");
    assert_eq!(check("<cookie:0123456789abcdef>"), encode(&check("<raw:0123456789abcdef>")));
    assert!(check("<lower:0123456789abcdef>").starts_with("s%3a0123456789abcdef."));
    assert_eq!(check("<now+1500>"), "1970-01-01T00:00:01.500Z");
}
