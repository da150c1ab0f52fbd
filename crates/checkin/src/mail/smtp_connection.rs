//! Connections to an SMTP server, from each of which a bounded number of bytes is read.

use std::fmt;
use std::io;
use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use lettre::transport::smtp::client::AsyncTokioStream;
use rustls::pki_types::ServerName;
use rustls::{ClientConfig, RootCertStore};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::{TcpStream, lookup_host};
use tokio::time::timeout;
use tokio_rustls::TlsConnector;

/// The maximum number of bytes that a server may send over a connection: some ten responses of a few lines, and
/// its certificates. lettre limits a line of a response only when it has read all of it.
const MAX_READ_BYTES: usize = 256 * 1024;

/// The maximum time to connect to an address of the server, so that there is time for another one.
const CONNECT_TIME: Duration = Duration::from_secs(10);

/// TLS from the first byte, to the server of this name.
#[derive(Clone)]
pub(super) struct TlsFromStart {
    connector: TlsConnector,
    server: ServerName<'static>,
}

impl TlsFromStart {
    /// Trusts the certificates that the system trusts.
    pub(super) fn new(host: &str) -> io::Result<Self> {
        let server = ServerName::try_from(host.to_owned()).map_err(io::Error::other)?;
        let mut roots = RootCertStore::empty();
        // A certificate that cannot be read is none that is trusted.
        roots.add_parsable_certificates(rustls_native_certs::load_native_certs().certs);
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let config = ClientConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .map_err(io::Error::other)?
            .with_root_certificates(roots)
            .with_no_client_auth();
        Ok(Self { connector: TlsConnector::from(Arc::new(config)), server })
    }

    pub(super) async fn connect(
        &self,
        host: &str,
        port: u16,
    ) -> io::Result<impl AsyncTokioStream + use<>> {
        let stream = Bounded::connect(host, port).await?;
        let peer = stream.peer_addr()?;
        let stream = self.connector.connect(self.server.clone(), stream).await?;
        Ok(Encrypted { stream, peer })
    }
}

/// A connection without TLS, or the one below it.
#[derive(Debug)]
pub(super) struct Bounded {
    stream: TcpStream,
    /// The number of bytes that the server may still send.
    left: usize,
}

impl Bounded {
    /// Connects to the first address of the server that accepts it.
    pub(super) async fn connect(host: &str, port: u16) -> io::Result<Self> {
        let mut failed = io::Error::other("the server has no address");
        for address in lookup_host((host, port)).await? {
            failed = match timeout(CONNECT_TIME, TcpStream::connect(address)).await {
                Ok(Ok(stream)) => return Ok(Self { stream, left: MAX_READ_BYTES }),
                Ok(Err(error)) => error,
                Err(_) => io::Error::from(io::ErrorKind::TimedOut),
            };
        }
        Err(failed)
    }
}

impl AsyncRead for Bounded {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let before = buffer.filled().len();
        ready!(Pin::new(&mut self.stream).poll_read(context, buffer))?;
        let read = buffer.filled().len() - before;
        let too_much = || io::Error::other("the server sends more than a mail server has to");
        self.left = self.left.checked_sub(read).ok_or_else(too_much)?;
        Poll::Ready(Ok(()))
    }
}

/// A connection with TLS.
struct Encrypted {
    stream: tokio_rustls::client::TlsStream<Bounded>,
    peer: SocketAddr,
}

impl AsyncRead for Encrypted {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_read(context, buffer)
    }
}

/// Writes to the stream inside.
macro_rules! write_through {
    ($stream:ident) => {
        impl AsyncWrite for $stream {
            fn poll_write(
                mut self: Pin<&mut Self>,
                context: &mut Context<'_>,
                bytes: &[u8],
            ) -> Poll<io::Result<usize>> {
                Pin::new(&mut self.stream).poll_write(context, bytes)
            }

            fn poll_flush(
                mut self: Pin<&mut Self>,
                context: &mut Context<'_>,
            ) -> Poll<io::Result<()>> {
                Pin::new(&mut self.stream).poll_flush(context)
            }

            fn poll_shutdown(
                mut self: Pin<&mut Self>,
                context: &mut Context<'_>,
            ) -> Poll<io::Result<()>> {
                Pin::new(&mut self.stream).poll_shutdown(context)
            }
        }
    };
}

write_through!(Bounded);
write_through!(Encrypted);

impl AsyncTokioStream for Bounded {
    fn peer_addr(&self) -> io::Result<SocketAddr> {
        self.stream.peer_addr()
    }
}

impl AsyncTokioStream for Encrypted {
    fn peer_addr(&self) -> io::Result<SocketAddr> {
        Ok(self.peer)
    }
}

impl fmt::Debug for Encrypted {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Encrypted").field("peer", &self.peer).finish_non_exhaustive()
    }
}
