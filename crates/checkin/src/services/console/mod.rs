//! The web console: pages for people, rendered on the server. It asks the routes of the services for everything
//! that it shows and does, as every other client does, so the rules about sessions, privacy and limits stand
//! there alone.

mod account;
mod answer;
mod assets;
mod calendar;
mod client;
mod draft;
mod entrance;
mod home;
mod land;
mod leaders;
mod map;
mod map_view;
mod me;
mod notice;
mod operator;
mod operator_events;
mod operator_views;
mod page;
mod places;
mod qr_code;
mod refusal;
mod routes;
mod short_cookie;
mod tiles;
mod time;
mod views;
mod walk_through;

pub(crate) use page::with_error_pages;
pub(crate) use routes::router;
pub use tiles::{Tiles, TilesUrl};
