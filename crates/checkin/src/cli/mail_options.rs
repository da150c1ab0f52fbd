//! The settings of messages and of the pages of the application.

use anyhow::bail;
use clap::Args;

use crate::mail::{MailAddress, MailCommand, MailSettings, PublicUrl};

/// The settings of messages, of the authentication service.
#[derive(Args, Debug)]
pub(super) struct MailOptions {
    /// A program that sends a message, with its arguments, separated by blanks, such as
    /// "/usr/sbin/sendmail -t". It reads the whole message from standard input, finds the receiver in it,
    /// and ends with 0 within 30s. Needs --mail-from and --public-url. Default: no messages are sent, and
    /// nobody can reset a forgotten password
    #[arg(long, env = "CHECKIN_MAIL_COMMAND", hide_env_values = true, value_name = "PROGRAM")]
    mail_command: Option<MailCommand>,

    /// The address that messages come from, such as checkin@example.com
    #[arg(long, env = "CHECKIN_MAIL_FROM", value_name = "ADDRESS")]
    mail_from: Option<MailAddress>,

    /// The address of the pages of your application, such as https://example.com. A message about a
    /// forgotten password has a link to /password/reset#token=TOKEN below it. Passkeys belong to its
    /// domain: if it changes, they are of no use any more. Default: no messages, and no passkeys. They
    /// need https:// and a domain name, or http://localhost
    #[arg(long, env = "CHECKIN_PUBLIC_URL", value_name = "URL")]
    public_url: Option<PublicUrl>,
}

impl MailOptions {
    /// Returns the address of the pages.
    pub(super) fn public_url(&self) -> Option<PublicUrl> {
        self.public_url.clone()
    }

    /// Returns the settings, if messages are sent.
    ///
    /// # Errors
    ///
    /// If one of them is missing.
    pub(super) fn settings(self) -> anyhow::Result<Option<MailSettings>> {
        let Some(command) = self.mail_command else { return Ok(None) };
        let Some(from) = self.mail_from else {
            bail!("--mail-from must be set with --mail-command");
        };
        let Some(public_url) = self.public_url else {
            bail!("--public-url must be set with --mail-command");
        };
        Ok(Some(MailSettings { command, from, public_url }))
    }
}
