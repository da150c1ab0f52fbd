//! Lists and objects of a file, with their values as raw JSON.

use serde_json::value::RawValue;

use crate::input::{HALF_A_CHARACTER, Members};

/// Returns the items of a list.
///
/// # Errors
///
/// The rule that it breaks.
pub(super) fn list(json: &str) -> Result<Vec<&RawValue>, String> {
    serde_json::from_str(json).map_err(|_| "must be a list".to_owned())
}

/// Returns the members of an object.
///
/// # Errors
///
/// The rule that it breaks.
pub(super) fn members(json: &str) -> Result<Members<'_>, String> {
    serde_json::from_str(json).map_err(|_| match json.starts_with('{') {
        true => HALF_A_CHARACTER.to_owned(),
        false => "must be an object".to_owned(),
    })
}
