//! The settings of messages and of the pages of the application.

use std::path::PathBuf;

use anyhow::{Context, anyhow, bail};
use clap::Args;

use crate::config::secret_line;
use crate::mail::{
    Carrier, MailAddress, MailCommand, MailSettings, MailUrl, PublicUrl, SmtpServer,
};
use crate::storage::Finding;
use crate::telemetry::chain;

/// The settings of messages, of the authentication service.
#[derive(Args, Debug)]
pub(super) struct MailOptions {
    /// An SMTP server that sends messages: smtps://[user@]host[:port] (TLS, port 465) or
    /// smtp://[user@]host[:port] (STARTTLS, port 587; on localhost, 127.0.0.1 and [::1] without TLS,
    /// port 25). It needs --mail-from and --public-url. Default: no messages are sent, and nobody can reset
    /// a forgotten password
    #[arg(long, env = "CHECKIN_MAIL_URL", hide_env_values = true, value_name = "URL")]
    mail_url: Option<MailUrl>,

    /// A file with the password of the user of --mail-url on one line
    #[arg(long, env = "CHECKIN_MAIL_PASSWORD_FILE", value_name = "FILE")]
    mail_password_file: Option<PathBuf>,

    /// Instead of --mail-url, a program that sends a message, with its arguments, separated by blanks, such
    /// as "/usr/sbin/sendmail -t". It reads the whole message from standard input, finds the receiver in it,
    /// and ends with 0 within 30s. It needs --mail-from and --public-url
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
    /// If one of them is missing or cannot be used.
    pub(super) fn settings(self) -> anyhow::Result<Option<MailSettings>> {
        let password = self.password()?;
        let needed = |flag| {
            let from =
                self.mail_from.with_context(|| format!("--mail-from must be set with {flag}"))?;
            let url =
                self.public_url.with_context(|| format!("--public-url must be set with {flag}"))?;
            anyhow::Ok((from, url))
        };
        let (carrier, (from, public_url)) = match (self.mail_url, self.mail_command) {
            (None, None) => return Ok(None),
            (Some(_), Some(_)) => bail!("--mail-url and --mail-command must not both be set"),
            (Some(url), None) => {
                let needed = needed("--mail-url")?;
                let server = SmtpServer::new(url, password, &needed.0).context("--mail-url")?;
                (Carrier::Server(server), needed)
            }
            (None, Some(command)) => (Carrier::Command(command), needed("--mail-command")?),
        };
        Ok(Some(MailSettings { carrier, from, public_url }))
    }

    /// Returns the password of the user of the server, if it has one.
    fn password(&self) -> anyhow::Result<Option<String>> {
        let has_user = self.mail_url.as_ref().is_some_and(MailUrl::has_user);
        if has_user != self.mail_password_file.is_some() {
            bail!("a user in --mail-url and --mail-password-file must be set together");
        }
        let Some(path) = &self.mail_password_file else { return Ok(None) };
        let password = match secret_line(path) {
            Ok(line) if line.is_empty() => Err("must not be empty".to_owned()),
            line => line,
        };
        let shown = path.display();
        password.map(Some).map_err(|rule| anyhow!("--mail-password-file {shown}: {rule}"))
    }
}

/// Returns what is found about the settings, if messages are sent, without sending one.
pub(super) async fn mail_findings(options: MailOptions) -> Option<Finding> {
    let settings = match options.settings() {
        Ok(settings) => settings?,
        Err(error) => {
            let what = format!("no message can be sent: {}", chain(error.as_ref()));
            return Some(Finding::problem(what, "set it as the services have it"));
        }
    };
    Some(match settings.carrier.check().await {
        Ok(what) => Finding::fine(what.to_owned()),
        Err(error) => Finding::problem(
            format!("no message can be sent: {error}"),
            match settings.carrier {
                Carrier::Server(_) => "check --mail-url and --mail-password-file, and the server",
                Carrier::Command(_) => "check --mail-command",
            },
        ),
    })
}
