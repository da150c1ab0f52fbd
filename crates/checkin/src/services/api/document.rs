//! What the routes of the read API answer, for the document.

use std::collections::BTreeMap;

use utoipa::IntoResponses;
use utoipa::openapi::{RefOr, Response};

use crate::http::document::problems;

/// The weather service has no answer.
pub(super) struct Weatherless;

impl IntoResponses for Weatherless {
    fn responses() -> BTreeMap<String, RefOr<Response>> {
        problems(&[
            (502, "The weather service did not answer with the weather"),
            (503, "There is no key for it, or it or the store cannot be reached"),
        ])
    }
}
