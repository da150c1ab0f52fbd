//! The routes of the pages.

use std::sync::Arc;

use axum::Router;
use axum::routing::{get, post};

use super::{assets, entrance, home, leaders, me, places, walk_through};
use crate::usecases::demo_account::DemoAccount;

/// The state of the pages.
#[derive(Clone)]
pub(super) struct Console {
    /// The routes of the services.
    pub(super) services: Router,
    /// The account of the walk-through; `None` if there is no walk-through.
    pub(super) demo: Option<Arc<DemoAccount>>,
}

/// Returns the routes of the pages, which ask the routes of the `services`. Only the walk-through looks into the
/// store itself.
pub(crate) fn router(services: Router, demo: Option<DemoAccount>) -> Router {
    Router::new()
        .route("/", get(home::show))
        .route("/walk-through", post(walk_through::go))
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
        .with_state(Console { services, demo: demo.map(Arc::new) })
}
