//! What a body has as a proof of the second factor: a code, or the answer of a passkey.

use serde::de::DeserializeOwned;
use utoipa::openapi::schema::{ObjectBuilder, Type};
use webauthn_rs::prelude::{PublicKeyCredential, RegisterPublicKeyCredential};

use super::problems::broken;
use crate::http::Problem;
use crate::input::{Documented, Given, Input};
use crate::second_factor::{Answer, Challenge, Code, Proof};

/// The answer of a passkey to a challenge, as `PublicKeyCredential.toJSON()` writes it.
pub(super) struct PasskeyAnswer(PublicKeyCredential);

/// A new passkey, as `PublicKeyCredential.toJSON()` writes it.
pub(super) struct NewPasskey(pub(super) RegisterPublicKeyCredential);

/// Returns the proof, if there is one.
///
/// # Errors
///
/// If there are two.
pub(super) fn proof(
    code: Option<Code>,
    passkey: Option<PasskeyAnswer>,
    challenge: impl FnOnce() -> Challenge,
) -> Result<Option<Proof>, Problem> {
    match (code, passkey) {
        (Some(_), Some(_)) => {
            Err(broken("passkey", "must not be given together with code".to_owned()))
        }
        (code, None) => Ok(code.map(Proof::Code)),
        (None, Some(PasskeyAnswer(credential))) => {
            Ok(Some(Proof::Passkey(Box::new(Answer { challenge: challenge(), credential }))))
        }
    }
}

fn read<T: DeserializeOwned>(given: &Given<'_>) -> Result<T, String> {
    serde_json::from_str(given.json())
        .map_err(|_| "must be what PublicKeyCredential.toJSON() returns".to_owned())
}

impl Input for PasskeyAnswer {
    fn read(given: &Given<'_>) -> Result<Self, String> {
        read(given).map(Self)
    }
}

impl Input for NewPasskey {
    fn read(given: &Given<'_>) -> Result<Self, String> {
        read(given).map(Self)
    }
}

impl Documented for PasskeyAnswer {
    fn schema() -> ObjectBuilder {
        ObjectBuilder::new().schema_type(Type::Object)
    }
}

impl Documented for NewPasskey {
    fn schema() -> ObjectBuilder {
        ObjectBuilder::new().schema_type(Type::Object)
    }
}
