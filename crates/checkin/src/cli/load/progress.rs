//! The progress bar of a load.

use indicatif::{ProgressBar, ProgressStyle};

/// Returns a progress bar that is shown only at a terminal.
pub(super) fn progress(what: &'static str, length: usize) -> ProgressBar {
    let style = ProgressStyle::with_template("{msg:>10} {wide_bar} {pos}/{len} {eta}")
        .expect("the template is well-formed");
    ProgressBar::new(length as u64).with_style(style).with_message(what)
}
