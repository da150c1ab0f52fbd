//! Opens any bytes as a session that was stored encrypted.
//!
//! Input: `s`, the id of a session, a line end and its value; or any other bytes, as they would be in
//! the store.

use tower_express_session::internals::{open_session, seal_session};

pub(super) fn check_input(input: &[u8]) {
    // Nothing that the keys did not seal can be opened, and what can be opened has one form.
    if let Some((id, value)) = open_session(input) {
        assert_eq!(seal_session(&id, &value), input);
    }
    let Some(session) = input.strip_prefix(b"s") else { return };
    let mut parts = session.splitn(2, |byte| *byte == b'\n');
    let id = String::from_utf8_lossy(parts.next().unwrap_or_default()).into_owned();
    let value = parts.next().unwrap_or_default();
    let sealed = seal_session(&id, value);
    assert_eq!(open_session(&sealed), Some((id.clone(), value.to_vec())));
    for at in [0, 1, 24, 25, sealed.len() / 2, sealed.len() - 1] {
        let mut changed = sealed.clone();
        changed[at] ^= 1;
        assert_eq!(open_session(&changed), None, "{at}");
    }
    assert_eq!(open_session(&sealed[..sealed.len() - 1]), None);
}
