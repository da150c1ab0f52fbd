//! The routes of the pages.

use axum::Router;
use axum::routing::{get, post};

use super::{assets, entrance, home, leaders, me, places};

/// The state of the pages: the routes of the services.
#[derive(Clone)]
pub(super) struct Console {
    pub(super) services: Router,
}

/// Returns the routes of the pages, which ask the routes of the `services`.
pub fn router(services: Router) -> Router {
    Router::new()
        .route("/", get(home::show))
        .route("/log-in", get(entrance::show_login).post(entrance::log_in))
        .route("/log-in/second-factor", post(entrance::log_in_with_second_factor))
        .route("/sign-up", get(entrance::show_registration).post(entrance::sign_up))
        .route("/log-out", post(entrance::log_out))
        .route("/places", get(places::list))
        .route("/places/{id}", get(places::show).post(places::check_in))
        .route("/leaders", get(leaders::show))
        .route("/me", get(me::show))
        .route("/me/password", post(me::change_password))
        .route("/me/audience", post(me::set_audience))
        .route("/me/sessions/end", post(me::end_session))
        .route("/assets/{version}/{file}", get(assets::file))
        .with_state(Console { services })
}
