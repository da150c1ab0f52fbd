//! TLS: the certificates that an address names, and the check that the program has set it up.

use redis::ConnectionAddr;
#[cfg(feature = "tls")]
use redis::{ClientTlsConfig, TlsCertificates};

use crate::error::Error;
#[cfg(feature = "tls")]
use crate::error::{ErrorKind, rule};

/// The files in PEM that an address may name.
#[derive(Clone, Debug, Default)]
pub(crate) struct TlsFiles {
    /// The certificate authorities to trust instead of the system's.
    pub(crate) authorities: Option<String>,
    /// The client certificate, with the intermediate ones behind it.
    pub(crate) certificate: Option<String>,
    /// The key of the client certificate.
    pub(crate) key: Option<String>,
}

/// How servers are reached with TLS.
#[derive(Clone, Debug)]
pub(crate) struct Tls {
    /// An address with the parameters that redis-rs makes of the files. They cannot be named.
    template: ConnectionAddr,
    /// The same for the nodes that a cluster names.
    #[cfg(all(feature = "tls", feature = "cluster"))]
    pub(crate) certificates: TlsCertificates,
}

/// Returns the address of a server.
pub(crate) fn address(host: String, port: u16, tls: Option<&Tls>) -> ConnectionAddr {
    match tls.map(|tls| &tls.template) {
        Some(ConnectionAddr::TcpTls { insecure, tls_params, .. }) => {
            let (insecure, tls_params) = (*insecure, tls_params.clone());
            ConnectionAddr::TcpTls { host, port, insecure, tls_params }
        }
        _ => ConnectionAddr::Tcp(host, port),
    }
}

/// Returns the address of a server with TLS and no certificates of its own.
pub(crate) fn plain_address(host: String, port: u16) -> ConnectionAddr {
    ConnectionAddr::TcpTls { host, port, insecure: false, tls_params: None }
}

/// Returns whether TLS can be used. Without a crypto provider of the program, the TLS library would
/// choose one for the whole process, or panic.
pub(crate) fn has_provider() -> bool {
    #[cfg(feature = "tls")]
    return rustls::crypto::CryptoProvider::get_default().is_some();
    #[cfg(not(feature = "tls"))]
    false
}

#[cfg(feature = "tls")]
impl Tls {
    /// Reads the files.
    pub(crate) fn read(files: &TlsFiles) -> Result<Self, Error> {
        let client_tls = match (&files.certificate, &files.key) {
            (Some(certificate), Some(key)) => Some(ClientTlsConfig {
                client_cert: pem::certificates("ssl_certfile", certificate)?,
                client_key: pem::key("ssl_keyfile", key)?,
            }),
            (None, None) => None,
            (Some(_), None) => return Err(rule("must have ssl_keyfile if it has ssl_certfile")),
            (None, Some(_)) => return Err(rule("must have ssl_certfile if it has ssl_keyfile")),
        };
        let authorities = files.authorities.as_deref();
        let root_cert =
            authorities.map(|path| pem::certificates("ssl_ca_certs", path)).transpose()?;
        client_tls.as_ref().map_or(Ok(()), pem::check)?;
        let certificates = TlsCertificates { client_tls, root_cert };
        let mut template = plain_address(String::new(), 0);
        if certificates.client_tls.is_some() || certificates.root_cert.is_some() {
            let client = redis::Client::build_with_tls(template, certificates.clone());
            let client = client.map_err(|_| {
                rule("ssl_ca_certs, ssl_certfile and ssl_keyfile must name files that rustls accepts")
            })?;
            template = client.get_connection_info().addr().clone();
        }
        Ok(Self {
            template,
            #[cfg(feature = "cluster")]
            certificates,
        })
    }

    /// Checks that a crypto provider is installed.
    pub(crate) fn ready(&self) -> Result<(), Error> {
        if has_provider() {
            return Ok(());
        }
        Err(Error::new(
            ErrorKind::Unsupported,
            "TLS needs a rustls crypto provider: the program must install one when it starts, such \
             as rustls::crypto::ring::default_provider().install_default()",
        ))
    }
}

#[cfg(feature = "tls")]
mod pem {
    use redis::ClientTlsConfig;
    use rustls::crypto::CryptoProvider;
    use rustls::pki_types::pem::PemObject as _;
    use rustls::pki_types::{CertificateDer, PrivateKeyDer};
    use rustls::sign::CertifiedKey;

    use crate::error::{Error, rule};

    /// Reads a file with certificates. `parameter` names it in the error.
    pub(super) fn certificates(parameter: &str, path: &str) -> Result<Vec<u8>, Error> {
        let bytes = read(parameter, path)?;
        match parsed(&bytes).is_some_and(|certificates| !certificates.is_empty()) {
            true => Ok(bytes),
            false => Err(rule(&format!("{parameter} must name a file with certificates in PEM"))),
        }
    }

    /// Reads a file with a private key.
    pub(super) fn key(parameter: &str, path: &str) -> Result<Vec<u8>, Error> {
        let bytes = read(parameter, path)?;
        match PrivateKeyDer::from_pem_slice(&bytes) {
            Ok(_) => Ok(bytes),
            Err(_) => Err(rule(&format!(
                "{parameter} must name a file with a private key in PEM, without a password"
            ))),
        }
    }

    /// Checks that the key can be used and belongs to the certificate, as far as that can be known: only a
    /// crypto provider can compare them.
    pub(super) fn check(client: &ClientTlsConfig) -> Result<(), Error> {
        let provider = CryptoProvider::get_default();
        let key = PrivateKeyDer::from_pem_slice(&client.client_key);
        let (Some(provider), Ok(key)) = (provider, key) else { return Ok(()) };
        let certificates = parsed(&client.client_cert).unwrap_or_default();
        match CertifiedKey::from_der(certificates, key, provider) {
            Ok(_) => Ok(()),
            Err(rustls::Error::InconsistentKeys(_)) => {
                Err(rule("ssl_keyfile must name the key of the certificate in ssl_certfile"))
            }
            Err(rustls::Error::InvalidCertificate(_)) => {
                Err(rule("ssl_certfile must name a certificate that can be read"))
            }
            Err(_) => Err(rule(
                "ssl_keyfile must name a key of a kind that TLS supports here: RSA, ECDSA with P-256 or \
                 P-384, or Ed25519",
            )),
        }
    }

    fn parsed(bytes: &[u8]) -> Option<Vec<CertificateDer<'static>>> {
        CertificateDer::pem_slice_iter(bytes).collect::<Result<_, _>>().ok()
    }

    fn read(parameter: &str, path: &str) -> Result<Vec<u8>, Error> {
        let unreadable = |cause: std::io::Error| {
            rule(&format!("{parameter} must name a readable file ({})", cause.kind()))
        };
        // Reading a pipe or a device may never end.
        if !std::fs::metadata(path).map_err(unreadable)?.is_file() {
            return Err(rule(&format!("{parameter} must name a regular file")));
        }
        std::fs::read(path).map_err(unreadable)
    }
}

#[cfg(not(feature = "tls"))]
impl Tls {
    pub(crate) fn read(files: &TlsFiles) -> Result<Self, Error> {
        let TlsFiles { authorities: _, certificate: _, key: _ } = files;
        Ok(Self { template: plain_address(String::new(), 0) })
    }

    pub(crate) fn ready(&self) -> Result<(), Error> {
        Err(Error::needs_feature("tls"))
    }
}
