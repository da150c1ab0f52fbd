//! What the fuzz target `passkey_answer` calls.

use std::time::{Duration, SystemTime};

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde::Serialize;
use serde_json::{Value, json};
use webauthn_rs::prelude::{PublicKeyCredential, RegisterPublicKeyCredential, SecurityKey};

use crate::domain::UserId;
use crate::second_factor::{PendingChallenge, PendingPasskey, RelyingParty, SecondFactor};

/// The attestation object of a passkey without a maker. Its public key is the generator of P-256.
const OBJECT: &[u8] = b"\xa3cfmtdnonegattStmt\xa0hauthData\x58\xa4\
    \xa3\x79\xa6\xf6\xee\xaf\xb9\xa5\x5e\x37\x8c\x11\x80\x34\xe2\x75\
    \x1e\x68\x2f\xab\x9f\x2d\x30\xab\x13\xd2\x12\x55\x86\xce\x19\x47\
    \x45\0\0\0\x01\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\x20passkey of the generator of 256.\
    \xa5\x01\x02\x03\x26\x20\x01\x21\x58\x20\
    \x6b\x17\xd1\xf2\xe1\x2c\x42\x47\xf8\xbc\xe6\xe5\x63\xa4\x40\xf2\
    \x77\x03\x7d\x81\x2d\xeb\x33\xa0\xf4\xa1\x39\x45\xd8\x98\xc2\x96\
    \x22\x58\x20\
    \x4f\xe3\x42\xe2\xfe\x1a\x7f\x9b\x8e\xe7\xeb\x4a\x7c\x0f\x9e\x16\
    \x2b\xce\x33\x57\x6b\x31\x5e\xce\xcb\xb6\x40\x68\x37\xbf\x51\xf5";

/// The id that is in [`OBJECT`].
const ID: &[u8] = b"passkey of the generator of 256.";

/// Reads the answer of a browser to a challenge. The first byte says what the others are: `n` a new passkey and
/// `p` an answer of a passkey, each as JSON; `o` the attestation object of a new passkey; `d` the length of a
/// signature, the signature, and the data of the authenticator; `c` the client data of both, in which
/// `CHALLENGE` stands for the challenge.
///
/// # Panics
///
/// If an answer is accepted that nobody signed, or if a new passkey is read from the store as another one.
pub fn passkey_answer(input: &[u8]) {
    let (kind, rest) = input.split_first().unwrap_or((&b'n', &[]));
    let site = site();
    match kind {
        b'p' => answer(&site, |_| rest.to_vec()),
        b'o' => {
            let object = |challenge: &str| new_passkey(&created(challenge), rest);
            enrol(&site, object);
        }
        b'd' => {
            let (length, rest) = rest.split_first().unwrap_or((&0, &[]));
            let (signature, data) = rest.split_at(rest.len().min((*length).into()));
            answer(&site, |challenge| given(&got(challenge), data, signature));
        }
        b'c' => {
            let text = String::from_utf8_lossy(rest);
            let client = |challenge: &str| text.replace("CHALLENGE", challenge);
            enrol(&site, |challenge| new_passkey(&client(challenge), OBJECT));
            let data = [&OBJECT[30..62], b"\x05\0\0\0\x02"].concat();
            answer(&site, |challenge| {
                given(&client(challenge), &data, b"\x30\x06\x02\x01\x01\x02\x01\x01")
            });
        }
        _ => drop(enrol(&site, |_| rest.to_vec())),
    }
}

fn site() -> RelyingParty {
    let url = "https://example.com".parse().expect("it is an address");
    RelyingParty::of(&url, Duration::from_secs(300)).expect("it has passkeys")
}

fn owner() -> UserId {
    "77".parse().expect("it is an id")
}

/// Makes a passkey with the answer to a challenge, if it is accepted.
fn enrol(site: &RelyingParty, answer: impl Fn(&str) -> Vec<u8>) -> Option<SecurityKey> {
    let email = "al@example.com".parse().expect("it is an address");
    let begun = PendingPasskey::begin(site, (owner(), &email), &SecondFactor::default());
    let (options, pending) = begun.expect("there are random numbers");
    let answer = answer(&challenge(&options));
    let answer = serde_json::from_slice::<RegisterPublicKeyCredential>(&answer).ok()?;
    let key = pending.finish(site, owner(), &answer)?;
    let stored = with(key.clone()).stored().expect("it is on");
    let read = SecondFactor::read(&stored).expect("it was written by this version");
    assert!(read == with(key.clone()), "{stored}");
    Some(key)
}

/// Refuses an answer of the passkey of [`OBJECT`] to a challenge.
fn answer(site: &RelyingParty, answer: impl Fn(&str) -> Vec<u8>) {
    let key = enrol(site, |challenge| new_passkey(&created(challenge), OBJECT));
    let factor = with(key.expect("it is a passkey"));
    let begun = PendingChallenge::begin(site, owner(), &factor);
    let (options, pending) = begun.expect("there are random numbers");
    let answer = answer(&challenge(&options));
    if let Ok(answer) = serde_json::from_slice::<PublicKeyCredential>(&answer) {
        assert!(pending.finish(site, owner(), &answer).is_err(), "it is not signed");
    }
}

fn with(key: SecurityKey) -> SecondFactor {
    let factor =
        SecondFactor::default().with_passkey("phone".to_owned(), key, SystemTime::UNIX_EPOCH);
    factor.expect("it is the first one")
}

fn challenge(options: &impl Serialize) -> String {
    let options = serde_json::to_value(options).expect("it is sent as JSON");
    options["publicKey"]["challenge"].as_str().expect("it is a text").to_owned()
}

/// Returns the client data of a new passkey.
fn created(challenge: &str) -> String {
    client_data("webauthn.create", challenge)
}

/// Returns the client data of an answer.
fn got(challenge: &str) -> String {
    client_data("webauthn.get", challenge)
}

fn client_data(kind: &str, challenge: &str) -> String {
    let origin = "https://example.com";
    json!({"type": kind, "challenge": challenge, "origin": origin}).to_string()
}

fn new_passkey(client_data: &str, object: &[u8]) -> Vec<u8> {
    credential(&json!({
        "clientDataJSON": encode(client_data.as_bytes()),
        "attestationObject": encode(object),
    }))
}

fn given(client_data: &str, data: &[u8], signature: &[u8]) -> Vec<u8> {
    credential(&json!({
        "clientDataJSON": encode(client_data.as_bytes()),
        "authenticatorData": encode(data),
        "signature": encode(signature),
    }))
}

fn credential(response: &Value) -> Vec<u8> {
    let id = encode(ID);
    let credential = json!({
        "id": id, "rawId": id, "response": response, "type": "public-key", "clientExtensionResults": {},
    });
    credential.to_string().into_bytes()
}

fn encode(bytes: &[u8]) -> String {
    URL_SAFE_NO_PAD.encode(bytes)
}
