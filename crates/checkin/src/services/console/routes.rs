//! The routes of the pages.

use std::sync::Arc;

use axum::Router;
use axum::middleware::from_fn;
use axum::routing::{get, post};

use super::tiles::Tiles;
use super::{
    account, assets, entrance, home, leaders, map, me, notice, operator, operator_events, places,
    walk_through,
};
use crate::usecases::demo_account::DemoAccount;

/// The state of the pages.
#[derive(Clone)]
pub(super) struct Console {
    /// The routes of the services.
    pub(super) services: Router,
    /// The account of the walk-through; `None` if there is no walk-through.
    pub(super) demo: Option<Arc<DemoAccount>>,
    /// The tiles of maps; `None` if maps are drawn without.
    pub(super) tiles: Option<Arc<Tiles>>,
}

/// Returns the routes of the pages, which ask the routes of the `services`. Only the walk-through looks into the
/// store itself.
pub(crate) fn router(
    services: Router,
    demo: Option<Arc<DemoAccount>>,
    tiles: Option<Tiles>,
) -> Router {
    Router::new()
        .route("/", get(home::show))
        .route("/walk-through", post(walk_through::go))
        .route("/log-in", get(entrance::show_login).post(entrance::log_in))
        .route("/log-in/second-factor", post(entrance::log_in_with_second_factor))
        .route("/log-in/forgotten", get(entrance::show_forgotten).post(entrance::forgotten))
        .route("/log-in/reset", post(entrance::reset))
        .route("/password/reset", get(entrance::show_reset))
        .route("/register/confirm", get(entrance::show_confirmation))
        .route("/sign-up/confirm", post(entrance::confirm))
        .route("/sign-up", get(entrance::show_registration).post(entrance::sign_up))
        .route("/log-out", post(entrance::log_out))
        .route("/places", get(places::list))
        .route("/places/{id}", get(places::show).post(places::check_in))
        .route("/map", get(map::show))
        .route("/leaders", get(leaders::show))
        .route("/me", get(me::show))
        .route("/me/checkins/delete", post(me::delete_checkin))
        .route("/me/account", get(account::show))
        .route("/me/password", post(account::change_password))
        .route("/me/audience", post(account::set_audience))
        .route("/me/sessions/end", post(account::end_session))
        .route("/me/second-factor/totp", post(account::begin_totp))
        .route("/me/second-factor/totp/confirm", post(account::confirm_totp))
        .route("/me/second-factor/recovery-codes", post(account::renew_recovery_codes))
        .route("/me/second-factor/passkeys/remove", post(account::remove_passkey))
        .route("/me/second-factor/remove", post(account::remove_second_factor))
        .route("/me/delete", post(account::delete))
        .route("/operator", get(operator::show))
        .route("/operator/sessions", get(operator::show_sessions).post(operator::change_sessions))
        .route("/operator/dead-letters", get(operator::list_dead_letters).post(operator::replay))
        .route("/operator/security-events", get(operator_events::show))
        .route("/operator/doctor", get(operator::show_diagnosis))
        .route("/assets/{version}/{file}", get(assets::file))
        .layer(from_fn(notice::carried))
        .with_state(Console { services, demo, tiles: tiles.map(Arc::new) })
}
