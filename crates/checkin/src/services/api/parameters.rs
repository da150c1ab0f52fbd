//! Parameters that several routes have.

use utoipa::openapi::schema::{ObjectBuilder, Type};

use crate::domain::{LocationId, MAX_SAFE_INTEGER, UserId};
use crate::http::RequestAddress;
use crate::input::{Documented, Given, Input, Integer, parameters};
use crate::storage::Period;

/// Milliseconds since 1970.
pub(super) type Milliseconds = Integer<0, MAX_SAFE_INTEGER>;

parameters! {
    /// The user in the path of a route.
    pub(super) struct UserPath(RequestAddress) {
        id "id" in Path: UserId;
    }
}

parameters! {
    /// The location in the path of a route.
    pub(super) struct LocationPath(RequestAddress) {
        id "id" in Path: LocationId;
    }
}

/// The period of a leaderboard.
#[derive(Clone, Copy)]
pub(super) enum PeriodName {
    All,
    Week,
}

impl PeriodName {
    /// Returns the period at `now_ms` (milliseconds since 1970). Without a name, it is all time.
    pub(super) fn period(name: Option<Self>, now_ms: u64) -> Period {
        match name {
            Some(Self::Week) => Period::WeekOf(now_ms),
            Some(Self::All) | None => Period::AllTime,
        }
    }
}

impl Input for PeriodName {
    fn read(given: &Given<'_>) -> Result<Self, String> {
        match given.text()? {
            "all" => Ok(Self::All),
            "week" => Ok(Self::Week),
            _ => Err("must be all or week".to_owned()),
        }
    }
}

impl Documented for PeriodName {
    fn schema() -> ObjectBuilder {
        ObjectBuilder::new().schema_type(Type::String).enum_values(Some(["all", "week"]))
    }
}
