//! A QR code as the path of an SVG picture.

use std::fmt::Write as _;

use qrcodegen::{QrCode as Modules, QrCodeEcc};

/// The white space around the code, in modules, which scanners need.
const MARGIN: i32 = 4;

/// A QR code.
pub(super) struct QrCode {
    /// The number of modules of a side, with the margins.
    pub(super) size: i32,
    /// A path of one square for each dark module.
    pub(super) path: String,
}

impl QrCode {
    /// Returns the code of a text; `None` if it is too long for one.
    pub(super) fn of(text: &str) -> Option<Self> {
        let modules = Modules::encode_text(text, QrCodeEcc::Medium).ok()?;
        let mut path = String::new();
        let all = 0..modules.size();
        for (x, y) in all.clone().flat_map(|y| all.clone().map(move |x| (x, y))) {
            if modules.get_module(x, y) {
                // A String takes everything.
                let _ = write!(path, "M{},{}h1v1h-1z", x + MARGIN, y + MARGIN);
            }
        }
        Some(Self { size: modules.size() + 2 * MARGIN, path })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_code_has_its_three_corners() {
        let code = QrCode::of("otpauth://totp/checkin:al@example.com?secret=AAAA").unwrap();
        let last = code.size - MARGIN - 1;
        for (x, y) in [(MARGIN, MARGIN), (last, MARGIN), (MARGIN, last)] {
            assert!(code.path.contains(&format!("M{x},{y}h1v1h-1z")), "{x} {y}");
        }
        assert!(QrCode::of(&"x".repeat(4000)).is_none());
    }
}
