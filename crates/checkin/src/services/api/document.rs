//! What the routes of the read API take and answer, for the document.

use std::collections::BTreeMap;

use utoipa::openapi::{RefOr, Response};
use utoipa::{IntoParams, IntoResponses, ToSchema};

use crate::http::document::problems;

/// The id of a user or of a place.
#[derive(IntoParams)]
#[into_params(parameter_in = Path)]
#[expect(dead_code, reason = "describes a parameter, which `Parameters` reads")]
pub(super) struct Id {
    #[param(minimum = 1, maximum = 9007199254740991i64)]
    id: u64,
}

/// Which page of a list.
#[derive(IntoParams)]
#[into_params(parameter_in = Query)]
#[expect(dead_code, reason = "describes parameters, which `Parameters::paging` reads")]
pub(super) struct PageQuery {
    /// Records at most.
    #[param(minimum = 1, maximum = 100, default = 20)]
    limit: Option<u32>,
    /// Where the page begins, as the `Link` of the page before has it.
    #[param(pattern = "^[A-Za-z0-9_-]{32,43}$")]
    cursor: Option<String>,
}

/// Which page of a list of check-ins.
#[derive(IntoParams)]
#[into_params(parameter_in = Query)]
#[expect(dead_code, reason = "describes parameters, which `Parameters::paging` reads")]
pub(super) struct CheckinPage {
    /// Check-ins at most.
    #[param(minimum = 1, maximum = 1000)]
    limit: Option<u32>,
    /// Where the page begins, as the `Link` of the page before has it.
    #[param(pattern = "^[A-Za-z0-9_-]{32,43}$")]
    cursor: Option<String>,
}

/// Of which time a leaderboard tells.
#[derive(IntoParams)]
#[into_params(parameter_in = Query)]
#[expect(dead_code, reason = "describes a parameter, which `Parameters` reads")]
pub(super) struct PeriodQuery {
    /// From the beginning, or this week from Monday (UTC).
    #[param(inline)]
    period: Option<PeriodName>,
}

#[derive(ToSchema)]
#[schema(rename_all = "lowercase")]
#[expect(dead_code, reason = "describes a parameter, which `period` reads")]
enum PeriodName {
    All,
    Week,
}

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
