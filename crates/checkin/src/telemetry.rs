//! Log lines.

use std::io::{self, IsTerminal};

use tracing_subscriber::filter::{LevelFilter, Targets};
use tracing_subscriber::layer::SubscriberExt;
use tracing_subscriber::util::SubscriberInitExt;
use tracing_subscriber::{Layer, fmt};

use crate::config::{Common, LogFormat};

/// Sends log lines to standard output, as services in containers do.
///
/// # Panics
///
/// When called twice.
pub fn init(config: &Common) {
    let level = LevelFilter::from_level(config.log_level);
    // Libraries speak up only when something is wrong, whatever we say ourselves.
    let filter = Targets::new()
        .with_default(level.min(LevelFilter::WARN))
        .with_target("checkin", level)
        .with_target("tower_express_session", level);
    let lines = match config.log_format {
        LogFormat::Text => {
            fmt::layer().with_target(false).with_ansi(io::stdout().is_terminal()).boxed()
        }
        LogFormat::Json => fmt::layer().json().flatten_event(true).with_target(false).boxed(),
    };
    tracing_subscriber::registry().with(lines.with_filter(filter)).init();
}
