//! An SMTP server that takes messages.

use std::fmt;
use std::io;
use std::str::FromStr;

use lettre::address::{Address, Envelope};
use lettre::transport::smtp::Error;
use lettre::transport::smtp::authentication::{Credentials, Mechanism};
use lettre::transport::smtp::client::{AsyncSmtpConnection, AsyncTokioStream, TlsParameters};
use lettre::transport::smtp::extension::ClientId;
use percent_encoding::percent_decode_str;
use reqwest::Url;

use super::MailAddress;
use super::smtp_connection::{Bounded, TlsFromStart};
use crate::domain::Email;

/// The ports of TLS from the first byte, of STARTTLS, and of a server on the same machine.
const TLS_PORT: u16 = 465;
const STARTTLS_PORT: u16 = 587;
const LOCAL_PORT: u16 = 25;

/// The ways to give the password. Each sends it as it is, over TLS or to the same machine.
const MECHANISMS: &[Mechanism] = &[Mechanism::Plain, Mechanism::Login];

const RULE: &str = "must be smtps://[user@]host[:port] or smtp://[user@]host[:port]";

/// The address of an SMTP server.
///
/// Messages contain tokens, so they are never sent over a network without TLS: `smtps` begins with it, and
/// `smtp` is STARTTLS, without which nothing is sent. A server on the same machine needs none.
#[derive(Clone, Debug)]
pub struct MailUrl {
    host: String,
    port: u16,
    security: Security,
    user: Option<String>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Security {
    Tls,
    StartTls,
    SameMachine,
}

impl MailUrl {
    /// Returns whether the address has a user, who needs a password.
    #[must_use]
    pub fn has_user(&self) -> bool {
        self.user.is_some()
    }
}

impl FromStr for MailUrl {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Self, &'static str> {
        let url = Url::parse(text).map_err(|_| RULE)?;
        if url.password().is_some() {
            return Err("must not contain a password; put it into --mail-password-file");
        }
        let is_bare = matches!(url.path(), "" | "/") && url.query().is_none();
        let host = url.host_str().filter(|host| !host.is_empty()).ok_or(RULE)?;
        if !is_bare || url.fragment().is_some() {
            return Err(RULE);
        }
        let is_local = matches!(host, "localhost" | "127.0.0.1" | "[::1]");
        let (security, port) = match url.scheme() {
            "smtps" => (Security::Tls, TLS_PORT),
            "smtp" if is_local => (Security::SameMachine, LOCAL_PORT),
            "smtp" => (Security::StartTls, STARTTLS_PORT),
            _ => return Err(RULE),
        };
        let user = percent_decode_str(url.username()).decode_utf8().map_err(|_| RULE)?;
        let user = (!user.is_empty()).then(|| user.into_owned());
        // An IPv6 address stands in brackets in a URL only.
        let host = host.trim_start_matches('[').trim_end_matches(']').to_owned();
        Ok(Self { host, port: url.port().unwrap_or(port), security, user })
    }
}

/// Hands messages over to an SMTP server, each over a connection of its own.
#[derive(Clone)]
pub struct SmtpServer {
    host: String,
    port: u16,
    tls: Encryption,
    login: Option<Credentials>,
    sender: Address,
}

#[derive(Clone)]
enum Encryption {
    FromStart(TlsFromStart),
    StartTls(TlsParameters),
    None,
}

impl SmtpServer {
    /// Prepares the connections to a server. The name with which they introduce themselves is the domain of the
    /// sender.
    ///
    /// # Errors
    ///
    /// If the sender's address or the name of the server is none that SMTP or TLS can carry.
    pub fn new(url: MailUrl, password: Option<String>, from: &MailAddress) -> io::Result<Self> {
        let MailUrl { host, port, security, user } = url;
        let sender = address(&from.0)?;
        let tls = match security {
            Security::Tls => Encryption::FromStart(TlsFromStart::new(&host)?),
            Security::StartTls => {
                let parameters = TlsParameters::new_rustls(host.clone());
                Encryption::StartTls(parameters.map_err(|error| described(&error))?)
            }
            Security::SameMachine => Encryption::None,
        };
        let login = user.zip(password).map(|(user, password)| Credentials::new(user, password));
        Ok(Self { host, port, tls, login, sender })
    }

    /// Returns whether it has a user, who must log in.
    pub(super) fn has_login(&self) -> bool {
        self.login.is_some()
    }

    /// Sends a message.
    ///
    /// # Errors
    ///
    /// If the server cannot be reached or refuses the message. The error does not contain the address.
    ///
    /// # Cancel safety
    ///
    /// If the future is dropped, the connection is closed. The server may have taken the message or not.
    pub(super) async fn send(&self, to: &Email, message: &[u8]) -> io::Result<()> {
        let envelope = Envelope::new(Some(self.sender.clone()), vec![address(to)?]);
        let envelope = envelope.map_err(io::Error::other)?;
        let mut connection = self.connect().await?;
        let sent = connection.send(&envelope, message).await;
        sent.map_err(|error| described(&error))?;
        connection.abort().await;
        Ok(())
    }

    /// Connects and logs in, and sends nothing.
    pub(super) async fn check(&self) -> io::Result<()> {
        self.connect().await?.abort().await;
        Ok(())
    }

    /// Connects, with TLS unless the server is on the same machine, and logs in if it has a user.
    async fn connect(&self) -> io::Result<AsyncSmtpConnection> {
        let (host, port) = (self.host.as_str(), self.port);
        let stream: Box<dyn AsyncTokioStream> = match &self.tls {
            Encryption::FromStart(tls) => Box::new(tls.connect(host, port).await?),
            Encryption::StartTls(_) | Encryption::None => {
                Box::new(Bounded::connect(host, port).await?)
            }
        };
        self.greet(stream).await.map_err(|error| described(&error))
    }

    async fn greet(&self, stream: Box<dyn AsyncTokioStream>) -> Result<AsyncSmtpConnection, Error> {
        let name = ClientId::Domain(self.sender.domain().to_owned());
        let mut connection = AsyncSmtpConnection::connect_with_transport(stream, &name).await?;
        if let Encryption::StartTls(parameters) = &self.tls {
            connection.starttls(parameters.clone(), &name).await?;
        }
        if let Some(login) = &self.login {
            connection.auth(MECHANISMS, login).await?;
        }
        Ok(connection)
    }
}

fn address(email: &Email) -> io::Result<Address> {
    let unusable = |_| io::Error::other("the address is none that SMTP can carry");
    email.as_str().parse::<Address>().map_err(unusable)
}

/// Describes an error without the text of a response, which may contain the address.
fn described(error: &Error) -> io::Error {
    io::Error::other(match error.status() {
        Some(code) => format!("the server refused it with {code}"),
        None if error.is_response() => "the server's response cannot be read".to_owned(),
        None => error.to_string(),
    })
}

/// The login contains a password.
impl fmt::Debug for SmtpServer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("SmtpServer")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A line without an end, for as long as the client reads it.
    #[tokio::test]
    async fn a_server_that_sends_too_much_is_left() {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("smtp://{}", listener.local_addr().unwrap()).parse().unwrap();
        let server = SmtpServer::new(url, None, &"a@sender.example".parse().unwrap()).unwrap();
        let sends = async {
            let (mut client, _) = listener.accept().await.unwrap();
            let (mut sent, line) = (0, [b'2'; 8192]);
            while tokio::io::AsyncWriteExt::write_all(&mut client, &line).await.is_ok() {
                sent += line.len();
                // More than the buffers of both ends.
                assert!(sent < 64 * 1024 * 1024, "the client reads on");
            }
        };
        let (checked, ()) = tokio::join!(server.check(), sends);
        let error = checked.unwrap_err().to_string();
        assert!(error.contains("sends more"), "{error}");
    }

    #[test]
    fn only_a_server_on_the_same_machine_needs_no_tls() {
        for (text, host, port, security, user) in [
            ("smtps://mail.example.com", "mail.example.com", 465, Security::Tls, None),
            ("smtp://mail.example.com", "mail.example.com", 587, Security::StartTls, None),
            ("smtps://al%40x@127.0.0.1:2465/", "127.0.0.1", 2465, Security::Tls, Some("al@x")),
            ("smtp://localhost", "localhost", 25, Security::SameMachine, None),
            ("smtp://[::1]:2525", "::1", 2525, Security::SameMachine, None),
            (
                "smtp://localhost.example.com",
                "localhost.example.com",
                587,
                Security::StartTls,
                None,
            ),
            ("smtp://127.0.0.2:25", "127.0.0.2", 25, Security::StartTls, None),
        ] {
            let url: MailUrl = text.parse().unwrap();
            assert_eq!((url.host.as_str(), url.port), (host, port), "{text}");
            assert_eq!((url.security, url.user.as_deref()), (security, user), "{text}");
        }
        for text in [
            "mail.example.com",
            "http://mail.example.com",
            "smtp://",
            "smtp://al:pass@mail.example.com",
            "smtp://:pass@mail.example.com",
            "smtp://mail.example.com/path",
            "smtp://mail.example.com?tls=none",
            "smtp://mail.example.com#a",
            "smtp://%ff@mail.example.com",
        ] {
            assert!(text.parse::<MailUrl>().is_err(), "{text}");
        }
    }
}
