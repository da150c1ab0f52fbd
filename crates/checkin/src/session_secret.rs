//! The secret that signs session cookies: its source, and checks of its safety.

use std::fs;
use std::io::{self, Write};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use anyhow::Context;
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;

use crate::app::Draft;
use crate::config::{Common, MIN_SECRET_BYTES, SessionSecret, StoreUrl, secret_path};
use crate::storage::{Fault, Finding};

/// The length of a session secret that we create, in random bytes.
const SECRET_BYTES: usize = 32;

/// Returns the fault of a store in Redis without a session secret.
#[must_use]
pub fn missing() -> Fault {
    Fault::lasting(
        "a store in Redis needs a session secret, with which all services, including Express, sign \
         session cookies",
        "set --session-secret (CHECKIN_SESSION_SECRET) or --session-secret-file",
    )
}

/// Returns the secret of an embedded store. It is created once and kept beside the database,
/// readable for the owner only.
///
/// # Errors
///
/// If its file cannot be read or created, or contains no secret.
pub fn of_embedded_store(database: &Path) -> anyhow::Result<SessionSecret> {
    let path = secret_path(database);
    if !path.exists() {
        make(&path)
            .with_context(|| format!("cannot keep the session secret in {}", path.display()))?;
    }
    let secret = SessionSecret::read(&path).map_err(|rule| {
        let what = format!("the session secret in {}: {rule}", path.display());
        Fault::lasting(what, "restore the file, or delete it to have a new secret made")
    })?;
    Ok(secret)
}

/// Writes a secret to a temporary file and links it into place. If several processes start
/// together, one of them succeeds, and all read the same secret.
fn make(path: &Path) -> io::Result<()> {
    let mut random = [0; SECRET_BYTES];
    getrandom::fill(&mut random)?;
    let draft = Draft::beside(path)?;
    writeln!(draft.open()?, "{}", URL_SAFE_NO_PAD.encode(random))?;
    match draft.publish(path) {
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => Ok(()),
        published => published,
    }
}

/// Returns warnings about the safety of the session secret. It reads the files of the secret and
/// creates none.
#[must_use]
pub fn warnings(config: &Common) -> Vec<Finding> {
    let file = file(config).filter(|path| path.exists());
    let own = match (&config.session_secret, &file) {
        (None, Some(path)) => SessionSecret::read(path).ok(),
        _ => None,
    };
    let secret = config.session_secret.as_ref().or(own.as_ref());
    let short = secret.filter(|secret| secret.is_short()).map(|_| {
        Finding::warning(
            format!("a session secret is shorter than {MIN_SECRET_BYTES} bytes and could be guessed"),
            "make one with `openssl rand -base64 32`, put it first, and keep the old one after it until all \
             sessions that it signed have ended",
        )
    });
    let files = [
        ("the session secret", file),
        ("the keys of sessions", config.session_encryption_key_file.clone()),
        ("the address of the store", config.store_file.clone()),
    ];
    let open = files.into_iter().filter_map(|(secret, path)| {
        let path = path.filter(|path| is_open_to_others(path))?;
        Some(Finding::warning(
            format!("other users of this machine may read {secret} in {}", path.display()),
            format!("chmod 600 {}", path.display()),
        ))
    });
    short.into_iter().chain(open).collect()
}

/// Returns the file that holds the secret, if there is one.
fn file(config: &Common) -> Option<PathBuf> {
    match (&config.session_secret_file, &config.store, &config.session_secret) {
        (Some(path), ..) => Some(path.clone()),
        (None, StoreUrl::Sqlite(database), None) => Some(secret_path(database)),
        _ => None,
    }
}

fn is_open_to_others(path: &Path) -> bool {
    fs::metadata(path).is_ok_and(|file| file.is_file() && file.permissions().mode() & 0o077 != 0)
}
