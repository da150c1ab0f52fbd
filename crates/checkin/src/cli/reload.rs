//! Session secrets that are replaced while a service runs.

use std::ffi::OsString;
use std::io::{self, IsTerminal};

use tower_express_session::Secrets;

use super::arguments::{Refusal, parse};
use crate::app::App;
use crate::config::StoreUrl;
use crate::lifecycle::on_hangup;
use crate::session_secret;

/// Where the settings came from: flags, which stay as they are, and by them the configuration file.
pub(super) struct SettingsSource {
    pub(super) arguments: Vec<OsString>,
    pub(super) has_file: bool,
}

impl SettingsSource {
    /// From now on, SIGHUP reads the settings again and gives the service the session secrets that
    /// they name.
    pub(super) fn reload_on_hangup(self, app: &App) -> io::Result<()> {
        // Without a file there is nothing new to read, and the signal is mostly the terminal's that
        // is being closed: it ends the service as it does any program.
        if !self.has_file && io::stdout().is_terminal() {
            return Ok(());
        }
        let secrets = app.secrets();
        on_hangup(move || match self.replace(&secrets) {
            Ok(true) => tracing::info!("Session secrets reloaded."),
            Ok(false) => tracing::info!("No session secret is set, going on with the one in use."),
            Err(problem) => tracing::error!(
                "cannot reload the session secrets, going on with the ones in use: {problem}"
            ),
        })
    }

    /// False if the settings name no secret: the embedded store has one of its own.
    fn replace(&self, secrets: &Secrets) -> Result<bool, String> {
        let cli = parse(&self.arguments).map_err(|refusal| match refusal {
            Refusal::Wrong(what) | Refusal::Shown(what) => what,
        })?;
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
