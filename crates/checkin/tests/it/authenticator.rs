//! A passkey in software: what a browser and an authenticator do together, with every part open to forgery.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use ring::rand::SystemRandom;
use ring::signature::{ECDSA_P256_SHA256_ASN1_SIGNING, EcdsaKeyPair, KeyPair as _};
use serde_json::{Value, json};
use sha2::{Digest, Sha256};

/// Bits of the flags of an authenticator.
const USER_PRESENT: u8 = 1;
const USER_VERIFIED: u8 = 1 << 2;
const HAS_KEY: u8 = 1 << 6;

/// A passkey, and the page that asks for it.
pub(crate) struct Passkey {
    pub(crate) origin: String,
    pub(crate) site: String,
    pub(crate) id: Vec<u8>,
    /// The signature counter of the last answer.
    pub(crate) counter: u32,
    pub(crate) is_user_present: bool,
    pub(crate) is_framed: bool,
    key: EcdsaKeyPair,
    random: SystemRandom,
}

impl Passkey {
    pub(crate) fn new(origin: &str) -> Passkey {
        let random = SystemRandom::new();
        let algorithm = &ECDSA_P256_SHA256_ASN1_SIGNING;
        let key = EcdsaKeyPair::generate_pkcs8(algorithm, &random).unwrap();
        let key = EcdsaKeyPair::from_pkcs8(algorithm, key.as_ref(), &random).unwrap();
        let host = origin.split("//").nth(1).unwrap().split(':').next().unwrap();
        Passkey {
            origin: origin.to_owned(),
            site: host.to_owned(),
            id: Sha256::digest(key.public_key()).to_vec(),
            counter: 1,
            is_user_present: true,
            is_framed: false,
            key,
            random,
        }
    }

    /// `navigator.credentials.create()`.
    pub(crate) fn create(&self, options: &Value) -> Value {
        let options = &options["publicKey"];
        assert_eq!(options["attestation"], "none");
        let excluded = options["excludeCredentials"].as_array().unwrap();
        assert!(excluded.iter().all(|known| known["id"] != encode(&self.id)), "{options}");
        let length = u16::try_from(self.id.len()).unwrap().to_be_bytes();
        // No maker, the id, and the public key in COSE's form.
        let (x, y) = self.key.public_key().as_ref()[1..].split_at(32);
        let key = [b"\xa5\x01\x02\x03\x26\x20\x01\x21\x58\x20", x, b"\x22\x58\x20", y].concat();
        let data = [&self.data(HAS_KEY), &[0; 16][..], &length, &self.id, &key].concat();
        let data_length = u16::try_from(data.len()).unwrap().to_be_bytes();
        let object = [b"\xa3cfmtdnonegattStmt\xa0hauthData\x59", &data_length[..], &data].concat();
        self.credential(&json!({
            "clientDataJSON": encode(&self.client_data("webauthn.create", options)),
            "attestationObject": encode(&object),
            "transports": ["internal", "some-new-one"],
        }))
    }

    /// `navigator.credentials.get()`.
    pub(crate) fn get(&mut self, options: &Value) -> Value {
        self.counter += 1;
        let (data, client) =
            (self.data(0), self.client_data("webauthn.get", &options["publicKey"]));
        let signed = [&data[..], &Sha256::digest(&client)].concat();
        let signature = self.key.sign(&self.random, &signed).unwrap();
        self.credential(&json!({
            "clientDataJSON": encode(&client),
            "authenticatorData": encode(&data),
            "signature": encode(signature.as_ref()),
        }))
    }

    fn data(&self, flags: u8) -> Vec<u8> {
        let present = if self.is_user_present { USER_PRESENT } else { 0 };
        let flags = flags | present | USER_VERIFIED;
        [&Sha256::digest(&self.site)[..], &[flags], &self.counter.to_be_bytes()].concat()
    }

    fn client_data(&self, kind: &str, options: &Value) -> Vec<u8> {
        let data = json!({
            "type": kind,
            "challenge": options["challenge"],
            "origin": self.origin,
            "crossOrigin": self.is_framed,
        });
        data.to_string().into_bytes()
    }

    fn credential(&self, response: &Value) -> Value {
        json!({
            "id": encode(&self.id),
            "rawId": encode(&self.id),
            "response": response,
            "type": "public-key",
            "authenticatorAttachment": "platform",
            "clientExtensionResults": {},
        })
    }
}

fn encode(bytes: &[u8]) -> String {
    URL_SAFE_NO_PAD.encode(bytes)
}
