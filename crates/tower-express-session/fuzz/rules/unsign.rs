//! Checks signed values: `unsign` accepts exactly the values that one of the secrets signs.
//!
//! Input: any value. `%0` to `%2` are replaced by the signature of the text before the last dot
//! with that secret, so that the fuzzer can produce valid signatures.

use tower_express_session::{Secrets, SessionId};

/// The last one is not among the secrets that verify.
const SECRETS: [&str; 3] = ["keyboard cat", "the one before", "somebody else's"];

pub(super) fn check_input(input: &[u8]) {
    let Ok(input) = std::str::from_utf8(input) else { return };
    let mut value = input.to_owned();
    for (mark, secret) in ["%0", "%1", "%2"].into_iter().zip(SECRETS) {
        let id = value.rsplit_once('.').map_or("", |(id, _)| id).trim_start_matches("s:");
        let signed = sign(secret, id);
        value = value.replace(mark, signature(&signed));
    }
    check(&value);
    // Any text except the empty one can be signed as an id and is returned by `unsign`.
    for secret in SECRETS {
        check(&sign(secret, input));
    }
}

fn check(value: &str) {
    let unsigned = Secrets::new(&SECRETS[..2]).unwrap().unsign(value);
    let expected = value
        .strip_prefix("s:")
        .and_then(|value| value.rsplit_once('.'))
        .map(|(id, _)| id)
        .filter(|id| !id.is_empty())
        .filter(|id| SECRETS[..2].iter().any(|secret| sign(secret, id) == value));
    assert_eq!(unsigned.as_ref().map(SessionId::as_str), expected, "{value:?}");
}

fn sign(secret: &str, id: &str) -> String {
    Secrets::new([secret]).unwrap().sign(id)
}

fn signature(signed: &str) -> &str {
    signed.rsplit_once('.').unwrap().1
}
