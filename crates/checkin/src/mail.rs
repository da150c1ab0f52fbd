//! Sends messages, through an SMTP server or a program of the deployment, such as `sendmail -t`.

mod program;
mod smtp;
mod smtp_connection;

use std::io;
use std::str::FromStr;
use std::sync::Arc;
use std::time::Duration;

use mail_builder::MessageBuilder;
use reqwest::Url;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::time::timeout;

use crate::domain::Email;

pub use self::program::MailCommand;
pub use self::smtp::{MailUrl, SmtpServer};

/// The maximum number of deliveries at a time. Each is a connection or a process.
const MAX_RUNS: usize = 4;

/// The maximum number of messages that wait for a run or are being sent, so that a server or program that hangs
/// does not fill the memory.
const MAX_MESSAGES: usize = 64;

/// The maximum time of a delivery. Mail servers need a few seconds to take a message over.
const RUN_TIME: Duration = Duration::from_secs(30);

/// The characters with which a text in a header would be more than one address, or none.
const SPECIAL: [char; 11] = ['(', ')', '<', '>', '[', ']', ':', ';', ',', '\\', '"'];

/// The settings of messages.
#[derive(Clone, Debug)]
pub struct MailSettings {
    /// `--mail-url` or `--mail-command`: what sends a message.
    pub carrier: Carrier,
    /// `--mail-from`: the sender.
    pub from: MailAddress,
    /// `--public-url`: the base of links.
    pub public_url: PublicUrl,
}

/// What sends a message.
#[derive(Clone, Debug)]
pub enum Carrier {
    /// A program.
    Command(MailCommand),
    /// A server.
    Server(SmtpServer),
}

/// Sends messages; clones share the limits.
#[derive(Clone, Debug)]
pub(crate) struct Mailer {
    settings: Arc<MailSettings>,
    messages: Arc<Semaphore>,
    runs: Arc<Semaphore>,
}

/// A place among the messages that wait.
pub(crate) struct MailPlace(#[expect(dead_code, reason = "it is held")] OwnedSemaphorePermit);

impl Mailer {
    pub(crate) fn new(settings: MailSettings) -> Self {
        let (messages, runs) = (Semaphore::new(MAX_MESSAGES), Semaphore::new(MAX_RUNS));
        Self { settings: Arc::new(settings), messages: Arc::new(messages), runs: Arc::new(runs) }
    }

    /// Returns a place for a message, which is held until it is sent. Returns `None` if too many wait, and logs
    /// it.
    ///
    /// A message has its place longer if there is more to send, so a response must not tell whether there was
    /// one.
    pub(crate) fn place(&self) -> Option<MailPlace> {
        let place = self.messages.clone().try_acquire_owned();
        place
            .inspect_err(|_| tracing::warn!("too many messages wait: one is not sent"))
            .ok()
            .map(MailPlace)
    }

    /// Returns the address of a page below the public one. The token is its fragment, which browsers send to
    /// no server and in no `Referer`, so it is in no log.
    pub(crate) fn link(&self, path: &[&str], token: &str) -> String {
        let mut url = self.settings.public_url.0.clone();
        if let Ok(mut segments) = url.path_segments_mut() {
            segments.pop_if_empty().extend(path);
        }
        url.set_fragment(Some(&format!("token={token}")));
        url.into()
    }

    /// Sends a message.
    ///
    /// # Errors
    ///
    /// If the address is none that can be written to, or the server or program fails or takes too long. The
    /// error does not contain the address.
    ///
    /// # Cancel safety
    ///
    /// If the future is dropped, the program is killed, or the connection is closed. The message may have been
    /// sent.
    pub(crate) async fn send(&self, to: &Email, subject: &str, text: &str) -> io::Result<()> {
        let message = self.message(to, subject, text)?;
        let _run = self.runs.acquire().await.map_err(io::Error::other)?;
        let send = async {
            match &self.settings.carrier {
                Carrier::Command(command) => command.run(&message).await,
                Carrier::Server(server) => server.send(to, &message).await,
            }
        };
        timeout(RUN_TIME, send).await.map_err(|_| {
            io::Error::other(format!("it was stopped after {} s", RUN_TIME.as_secs()))
        })?
    }

    fn message(&self, to: &Email, subject: &str, text: &str) -> io::Result<Vec<u8>> {
        let is_one = !to.as_str().contains(SPECIAL);
        if !is_one {
            return Err(io::Error::other("the address has characters that are not sent to"));
        }
        MessageBuilder::new()
            .from(self.settings.from.0.as_str())
            .to(to.as_str())
            .subject(subject)
            // RFC 3834: no answers of absent people.
            .header("Auto-Submitted", mail_builder::headers::raw::Raw::new("auto-generated"))
            .message_id(self.message_id()?)
            .text_body(text)
            .write_to_vec()
    }

    /// Returns an id of a message, in the sender's domain.
    fn message_id(&self) -> io::Result<String> {
        let from = self.settings.from.0.as_str();
        let domain = from.rsplit_once('@').map_or("localhost", |(_, domain)| domain);
        let mut bytes = [0; 16];
        getrandom::fill(&mut bytes).map_err(io::Error::other)?;
        Ok(format!("{:032x}@{domain}", u128::from_be_bytes(bytes)))
    }
}

impl Carrier {
    /// Checks, without sending a message, that a server accepts the login, or that a program is there. Returns
    /// what is right.
    ///
    /// # Errors
    ///
    /// What prevents that messages are sent.
    ///
    /// # Cancel safety
    ///
    /// If the future is dropped, the connection is closed.
    pub async fn check(&self) -> io::Result<&'static str> {
        let server = match self {
            Self::Command(command) => {
                return command.check().map(|()| "the program that sends messages is there");
            }
            Self::Server(server) => server,
        };
        let checked = timeout(RUN_TIME, server.check()).await;
        checked.unwrap_or_else(|_| Err(io::ErrorKind::TimedOut.into()))?;
        Ok(match server.has_login() {
            true => "the mail server accepts the login",
            false => "the mail server answers",
        })
    }
}

/// The address of a sender.
#[derive(Clone, Debug)]
pub struct MailAddress(Email);

impl FromStr for MailAddress {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let email: Email = text.parse().map_err(|rule| format!("{rule}"))?;
        match email.as_str().contains(SPECIAL) {
            true => Err("must be an address without a name, such as checkin@example.com".into()),
            false => Ok(Self(email)),
        }
    }
}

/// The address under which people reach the pages of the application.
#[derive(Clone, Debug)]
pub struct PublicUrl(Url);

impl PublicUrl {
    pub(crate) fn as_url(&self) -> &Url {
        &self.0
    }
}

impl FromStr for PublicUrl {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Self, &'static str> {
        let rule = "must be an address that begins with https:// or http://, without a login, a query or a \
                    fragment, such as https://example.com";
        let url = Url::parse(text).map_err(|_| rule)?;
        let is_page = matches!(url.scheme(), "http" | "https") && url.has_host();
        let has_login = !url.username().is_empty() || url.password().is_some();
        let is_bare = !has_login && url.query().is_none() && url.fragment().is_none();
        if is_page && is_bare { Ok(Self(url)) } else { Err(rule) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const FROM: &str = "checkin@example.com";

    fn mailer(command: &str, url: &str) -> Mailer {
        mailer_of(Carrier::Command(command.parse().unwrap()), url)
    }

    fn mailer_of(carrier: Carrier, url: &str) -> Mailer {
        let (from, public_url) = (FROM.parse().unwrap(), url.parse().unwrap());
        Mailer::new(MailSettings { carrier, from, public_url })
    }

    #[test]
    fn a_message_has_one_receiver_and_its_lines_are_those_of_mail() {
        let mailer = mailer("true", "https://example.com");
        let message = |to: &str| mailer.message(&to.parse().unwrap(), "Grüße", "a\nb ü\n");
        let text = String::from_utf8(message("jürgen@bücher.example").unwrap()).unwrap();
        for line in [
            "To: <jürgen@bücher.example>",
            "From: <checkin@example.com>",
            "Auto-Submitted: auto-generated",
        ] {
            assert!(text.contains(&format!("{line}\r\n")), "{text}");
        }
        assert!(text.contains("@example.com>\r\n") && text.contains("Subject: =?utf-8?"), "{text}");
        for to in ["a>,<b@example.com", "a,b@example.com", "\"a\"@example.com", "g:a@x.example;"] {
            assert!(message(to).is_err(), "{to}");
        }
    }

    #[test]
    fn links_are_below_the_public_address() {
        for (base, link) in [
            ("https://example.com", "https://example.com/password/reset#token=t-_"),
            ("http://example.com/app/", "http://example.com/app/password/reset#token=t-_"),
        ] {
            assert_eq!(mailer("true", base).link(&["password", "reset"], "t-_"), link);
        }
        for bad in ["example.com", "ftp://example.com", "https://a:b@example.com", "https://x/?q"] {
            assert!(bad.parse::<PublicUrl>().is_err(), "{bad}");
        }
    }

    #[tokio::test]
    async fn a_program_that_fails_or_is_not_there_is_an_error_without_the_address() {
        let to = "al@example.com".parse().unwrap();
        for command in ["false", "/no/such/program"] {
            let sent = mailer(command, "https://example.com").send(&to, "s", "t").await;
            assert!(!sent.unwrap_err().to_string().contains('@'));
        }
    }

    #[tokio::test]
    async fn a_program_that_is_stopped_takes_its_children_with_it() {
        let directory = tempfile::tempdir().unwrap();
        let (script, id) = (directory.path().join("deliver.sh"), directory.path().join("id"));
        // The name appears when the file is complete.
        let text = "sleep 1000 & echo $! > \"$1.part\" && mv \"$1.part\" \"$1\" && wait\n";
        std::fs::write(&script, text).unwrap();
        let mailer = mailer(
            &format!("/bin/sh {} {}", script.display(), id.display()),
            "https://example.com",
        );
        let to = "al@example.com".parse().unwrap();
        let started = testkit::until("the child", async || id.exists());
        tokio::select! {
            sent = mailer.send(&to, "s", "t") => panic!("the program waits: {sent:?}"),
            () = started => {}
        }
        let id = std::fs::read_to_string(&id).unwrap();
        let status = std::path::PathBuf::from(format!("/proc/{}/stat", id.trim()));
        // Nobody may be there to collect it.
        let has_ended =
            || std::fs::read_to_string(&status).map_or(true, |status| status.contains(") Z "));
        testkit::wait_until("the child ends", has_ended);
    }

    /// The clock jumps to the next deadline, because nothing else happens.
    #[tokio::test(start_paused = true)]
    async fn a_server_that_never_answers_is_left() {
        let silent = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("smtp://{}", silent.local_addr().unwrap()).parse().unwrap();
        let server = SmtpServer::new(url, None, &FROM.parse().unwrap()).unwrap();
        let mailer = mailer_of(Carrier::Server(server), "https://example.com");
        let sent = mailer.send(&"al@example.com".parse().unwrap(), "s", "t").await;
        let error = sent.unwrap_err().to_string();
        assert!(error.contains("stopped after") || error.contains("timed out"), "{error}");
        assert!(!error.contains('@'), "{error}");
    }

    #[test]
    fn messages_that_wait_are_bounded() {
        let mailer = mailer("true", "https://example.com");
        let places: Vec<_> = std::iter::from_fn(|| mailer.place()).collect();
        assert_eq!(places.len(), MAX_MESSAGES);
        drop(places);
        assert!(mailer.place().is_some());
    }
}
