//! The settings of a user's own account.

use std::sync::Arc;

use axum::Json;
use axum::extract::State;
use serde::Serialize;
use utoipa::ToSchema;
use utoipa::openapi::schema::{ObjectBuilder, Type};

use super::checked::{Checked, OfAccount};
use super::logged_in::LoggedInAccount;
use super::state::Auth;
use crate::http::Problem;
use crate::http::document::{BodyProblems, Forbidden, LoginNeeded, Problems};
use crate::input::{Documented, Given, Input, body};
use crate::storage::Audience;

body! {
    /// The settings of an account.
    pub(super) struct SettingsBody {
        audience "audience": Audience, example "nobody";
    }
}

/// The settings of an account.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Settings)]
pub(super) struct SettingsView {
    /// The audience that sees where the user checks in: `users` who are logged in, or `nobody` else.
    #[schema(example = "users")]
    audience: &'static str,
}

impl From<Audience> for SettingsView {
    fn from(audience: Audience) -> Self {
        Self { audience: audience.as_str() }
    }
}

impl Input for Audience {
    fn read(given: &Given<'_>) -> Result<Self, String> {
        given.text()?.parse().map_err(str::to_owned)
    }
}

impl Documented for Audience {
    fn schema() -> ObjectBuilder {
        let names = Self::ALL.map(Self::as_str);
        ObjectBuilder::new().schema_type(Type::String).enum_values(Some(names))
    }
}

/// Returns the settings of the logged-in account.
#[utoipa::path(
    get, operation_id = "getSettings", path = "/settings", tag = "account",
    security(("session" = [])),
    responses((status = 200, body = SettingsView), LoginNeeded, Problems),
)]
pub(super) async fn show(
    State(auth): State<Arc<Auth>>,
    LoggedInAccount { account, .. }: LoggedInAccount,
) -> Result<Json<SettingsView>, Problem> {
    Ok(Json(auth.privacy.audience(account.id).await?.into()))
}

/// Replaces the settings of the logged-in account.
#[utoipa::path(
    put, operation_id = "replaceSettings", path = "/settings", tag = "account",
    security(("session" = [])), request_body = SettingsBody,
    responses((status = 200, body = SettingsView), LoginNeeded, Forbidden, BodyProblems, Problems),
)]
pub(super) async fn replace(
    State(auth): State<Arc<Auth>>,
    Checked { passed, body: SettingsBody { audience }, .. }: OfAccount<SettingsBody>,
) -> Result<Json<SettingsView>, Problem> {
    auth.privacy.set_audience(passed.account.id, audience).await?;
    Ok(Json(audience.into()))
}
