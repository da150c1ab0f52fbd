//! The progress of long work: on standard error, and only if that is a terminal.

use std::time::Duration;

use indicatif::{ProgressBar, ProgressStyle};

/// The time between two updates of a line.
const REDRAW: Duration = Duration::from_millis(200);

/// Returns a progress bar for work whose length is known.
pub(super) fn bar(what: &'static str, length: usize) -> ProgressBar {
    let style = ProgressStyle::with_template("{msg:>10} {wide_bar} {pos}/{len} {eta}")
        .expect("the template is well-formed");
    ProgressBar::new(length as u64).with_style(style).with_message(what)
}

/// A line that shows what is being done and for how long, until it is dropped.
pub(super) struct Working(ProgressBar);

impl Working {
    pub(super) fn on(what: &'static str) -> Self {
        let style = ProgressStyle::with_template("{spinner} {msg}, {elapsed}")
            .expect("the template is well-formed");
        let line = ProgressBar::new_spinner().with_style(style).with_message(what);
        if !line.is_hidden() {
            line.enable_steady_tick(REDRAW);
        }
        Self(line)
    }

    /// Shows how far the work is.
    pub(super) fn says(&self, what: String) {
        self.0.set_message(what);
    }
}

impl Drop for Working {
    fn drop(&mut self) {
        self.0.finish_and_clear();
    }
}
