//! Replaces the session secrets of a running service.

use std::ffi::OsString;
use std::io::{self, IsTerminal};

use tower_express_session::Secrets;
use tower_express_session::store::encrypted::EncryptionKeys;

use super::arguments::{Refusal, parse};
use crate::app::App;
use crate::config::StoreUrl;
use crate::lifecycle::on_hangup;
use crate::session_secret;

/// The sources of the settings: the arguments, which stay as they are, and the files that they
/// name.
pub(super) struct SettingsSource {
    pub(super) arguments: Vec<OsString>,
    pub(super) has_file: bool,
}

impl SettingsSource {
    /// Makes SIGHUP read the settings again and replace the session secrets of the service.
    pub(super) fn reload_on_hangup(self, app: &App) -> io::Result<()> {
        // Without a file there is nothing new to read. The signal then mostly means that the
        // terminal is closed, and it ends the service as it ends other programs.
        if !self.has_file && io::stdout().is_terminal() {
            return Ok(());
        }
        let (secrets, keys) = (app.secrets(), app.session_keys());
        on_hangup(move || match self.replace(&secrets, keys.as_ref()) {
            Ok(true) => tracing::info!("Session secrets reloaded."),
            Ok(false) => tracing::info!("No session secret is set, the one in use is kept."),
            Err(problem) => tracing::error!(
                "cannot reload the session secrets, the ones in use are kept: {problem}"
            ),
        })
    }

    /// Replaces the secrets, and the keys of sessions. Returns false if the settings contain none, because the
    /// embedded store has its own.
    fn replace(&self, secrets: &Secrets, keys: Option<&EncryptionKeys>) -> Result<bool, String> {
        let cli = parse(&self.arguments).map_err(|refusal| match refusal {
            Refusal::Wrong(what) | Refusal::Shown(what) => what,
        })?;
        match (cli.common.session_encryption, keys) {
            (Some(new), Some(keys)) => {
                let path = cli.common.session_encryption_key_file.unwrap_or_default();
                new.replace(keys).map_err(|rule| {
                    format!("--session-encryption-key-file {}: {rule}", path.display())
                })?;
                tracing::info!("Session encryption keys reloaded.");
            }
            (None, None) => {}
            _ => {
                let rule = "must stay set, or not, while the service runs";
                return Err(format!("--session-encryption-key-file {rule}"));
            }
        }
        match (cli.common.session_secret, cli.common.store) {
            (Some(new), _) => {
                secrets.replace(new.as_slice()).map_err(|error| error.to_string())?;
                Ok(true)
            }
            (None, StoreUrl::Sqlite(_)) => Ok(false),
            (None, StoreUrl::Redis(_)) => Err(session_secret::missing().to_string()),
        }
    }
}
