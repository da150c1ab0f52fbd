//! The HTTP parts that all services share: the middleware stack, errors, bodies, limits.

mod address;
mod caching;
pub mod document;
mod exposition;
mod failure;
mod json;
mod media_type;
mod metrics;
mod origin;
mod parameters;
mod probes;
mod problem;
mod protocol;
mod readiness;
mod scrape;
mod stack;
mod strict_transport;

pub use address::ClientAddress;
pub use caching::Cached;
pub use failure::{OnFailure, session_failed};
pub use json::JsonBody;
pub use metrics::Metrics;
pub use origin::{Deliberate, RequestOrigin};
pub use parameters::{Headers, Parameters, PathParameters, RequestAddress};
pub use probes::Probes;
pub use problem::{FieldError, Problem, ProblemDetails};
pub use readiness::Readiness;
pub use scrape::Scrape;
pub use stack::{Proxy, Stack};
pub use strict_transport::StrictTransport;
