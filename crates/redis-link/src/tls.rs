//! Addresses with and without TLS, and the check that the program has set it up.

use redis::ConnectionAddr;

use crate::error::Error;
#[cfg(feature = "tls")]
use crate::error::ErrorKind;

/// Checks that a crypto provider is installed. Without this check, the TLS library would choose a
/// provider for the whole process, or panic.
#[cfg(feature = "tls")]
pub(crate) fn ready() -> Result<(), Error> {
    match rustls::crypto::CryptoProvider::get_default() {
        Some(_) => Ok(()),
        None => Err(Error::new(
            ErrorKind::Unsupported,
            "TLS needs a rustls crypto provider: the program must install one when it starts, such \
             as rustls::crypto::ring::default_provider().install_default()",
        )),
    }
}

#[cfg(not(feature = "tls"))]
pub(crate) fn ready() -> Result<(), Error> {
    Err(Error::needs_feature("tls"))
}

pub(crate) fn address(host: String, port: u16, has_tls: bool) -> ConnectionAddr {
    match has_tls {
        true => ConnectionAddr::TcpTls { host, port, insecure: false, tls_params: None },
        false => ConnectionAddr::Tcp(host, port),
    }
}
