//! The files that pages load: they are a part of the program, and browsers keep them.

use std::sync::LazyLock;

use axum::extract::Path;
use axum::http::header::{CACHE_CONTROL, CONTENT_TYPE};
use axum::response::{IntoResponse, Response};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use sha2::{Digest, Sha256};

use crate::http::Problem;

/// The number of bytes of the hash in the addresses of the files.
const VERSION_BYTES: usize = 9;

/// The names of the files, with their types and contents.
const FILES: [(&str, &str, &[u8]); 8] = [
    ("console.css", "text/css; charset=utf-8", include_bytes!("../../../assets/console.css")),
    ("console.js", "text/javascript; charset=utf-8", include_bytes!("../../../assets/console.js")),
    ("map.js", "text/javascript; charset=utf-8", include_bytes!("../../../assets/map.js")),
    (
        "passkeys.js",
        "text/javascript; charset=utf-8",
        include_bytes!("../../../assets/passkeys.js"),
    ),
    ("operator.css", "text/css; charset=utf-8", include_bytes!("../../../assets/operator.css")),
    (
        "operator.js",
        "text/javascript; charset=utf-8",
        include_bytes!("../../../assets/operator.js"),
    ),
    // A library for charts, as it is published, with its licence.
    ("uplot.js", "text/javascript; charset=utf-8", include_bytes!("../../../assets/uplot.js")),
    ("icon.svg", "image/svg+xml", include_bytes!("../../../assets/icon.svg")),
];

/// A hash of all files: a new version of one has a new address.
static VERSION: LazyLock<String> = LazyLock::new(|| {
    let mut hash = Sha256::new();
    FILES.iter().for_each(|(.., content)| hash.update(content));
    URL_SAFE_NO_PAD.encode(&hash.finalize()[..VERSION_BYTES])
});

/// Returns the address of a file.
pub(super) fn path(file: &str) -> String {
    format!("/assets/{}/{file}", *VERSION)
}

/// Serves a file. One of another version is served, too, but must not be kept: it may be asked for while old
/// and new instances run beside each other.
pub(super) async fn file(Path((version, name)): Path<(String, String)>) -> Response {
    let Some((_, kind, content)) = FILES.iter().find(|(file, ..)| *file == name) else {
        return Problem::not_found().into_response();
    };
    let control = match version == *VERSION {
        true => "public, max-age=31536000, immutable",
        false => "no-cache",
    };
    ([(CONTENT_TYPE, *kind), (CACHE_CONTROL, control)], *content).into_response()
}
