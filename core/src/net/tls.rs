//! TLS over a stream of a loop's, by rustls with its ring provider.
//!
//! * A certificate is checked: against the system's authorities or given ones, and against the name that was asked for. What fails says which of the two.
//! * Files are read when a [`Connector`] is made, not when it connects.

#![forbid(unsafe_code)]

use std::{fs, io, path::PathBuf, sync::Arc};

use futures_rustls::{TlsConnector, client::TlsStream};
use rustls::{
    CertificateError, ClientConfig, RootCertStore,
    pki_types::{CertificateDer, PrivateKeyDer, ServerName, pem::PemObject},
};

use crate::{
    error::{Error, Result},
    event_loop::stream::Stream,
};

/// Certificates or a key, in PEM.
#[derive(Clone, PartialEq, Eq)]
pub enum Pem {
    /// In a file.
    File(PathBuf),
    /// Here.
    Bytes(Vec<u8>),
}

impl std::fmt::Debug for Pem {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::File(path) => write!(f, "{}", path.display()),
            // It may be a key.
            Self::Bytes(bytes) => write!(f, "({} bytes)", bytes.len()),
        }
    }
}

/// What a client shows a server that asks who it is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Identity {
    /// Its certificate, and those between it and the authority.
    pub certificates: Pem,
    /// The certificate's key.
    pub key: Pem,
}

/// How to connect.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct TlsOptions {
    /// Authorities that are trusted; `None` is the system's.
    pub authorities: Option<Pem>,
    /// What is shown to a server that asks for a certificate.
    pub identity: Option<Identity>,
    /// The name that the server's certificate must be for; `None` is the one that is connected to.
    pub server_name: Option<String>,
}

/// Makes connections of one kind; cheap to clone.
#[derive(Clone)]
pub struct Connector {
    config: Arc<ClientConfig>,
    server_name: Option<String>,
}

impl std::fmt::Debug for Connector {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Connector").field("server_name", &self.server_name).finish_non_exhaustive()
    }
}

impl Pem {
    fn read(&self, what: &str) -> Result<Vec<u8>> {
        match self {
            Self::Bytes(bytes) => Ok(bytes.clone()),
            Self::File(path) => {
                fs::read(path).map_err(|error| Error::os(format!("read the {what} {}", path.display()), &error))
            }
        }
    }

    fn certificates(&self, what: &str) -> Result<Vec<CertificateDer<'static>>> {
        let pem = self.read(what)?;
        let read: Result<Vec<_>, _> = CertificateDer::pem_slice_iter(&pem).collect();
        match read {
            Ok(certificates) if !certificates.is_empty() => Ok(certificates),
            Ok(_) => Err(Error::Invalid(format!("the {what} {self:?}: there is no certificate in it"))),
            Err(error) => Err(Error::Invalid(format!("the {what} {self:?}: {error}"))),
        }
    }
}

impl TlsOptions {
    fn roots(&self) -> Result<RootCertStore> {
        let mut roots = RootCertStore::empty();
        match &self.authorities {
            Some(pem) => {
                for certificate in pem.certificates("TLS authorities")? {
                    let added = roots.add(certificate);
                    added.map_err(|error| Error::Invalid(format!("the TLS authorities {pem:?}: {error}")))?;
                }
            }
            None => {
                let system = rustls_native_certs::load_native_certs();
                roots.add_parsable_certificates(system.certs);
                if roots.is_empty() {
                    return Err(Error::Failed("TLS: the system has no authorities that are trusted: name some".into()));
                }
            }
        }
        Ok(roots)
    }
}

impl Connector {
    /// Reads what the options name.
    ///
    /// # Errors
    /// [`Error::Os`] for a file that cannot be read, [`Error::Invalid`] for what is no certificate, key or name, [`Error::Failed`] if the
    /// system has no authorities.
    pub fn new(options: &TlsOptions) -> Result<Self> {
        if let Some(name) = &options.server_name {
            name_of(name)?;
        }
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let builder = ClientConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .map_err(|error| Error::Unsupported(format!("TLS: {error}")))?
            .with_root_certificates(options.roots()?);
        let config = match &options.identity {
            None => builder.with_no_client_auth(),
            Some(identity) => {
                let certificates = identity.certificates.certificates("TLS client certificate")?;
                let refused = |error: &dyn std::fmt::Display| {
                    Error::Invalid(format!("the TLS client key {:?}: {error}", identity.key))
                };
                let key = identity.key.read("TLS client key")?;
                let key = PrivateKeyDer::from_pem_slice(&key).map_err(|error| refused(&error))?;
                builder.with_client_auth_cert(certificates, key).map_err(|error| refused(&error))?
            }
        };
        Ok(Self { config: Arc::new(config), server_name: options.server_name.clone() })
    }

    /// Shakes hands over a connected stream, with the server of this name or address.
    ///
    /// # Errors
    /// Awaited: [`Error::Invalid`] for what is no name, [`Error::Failed`] if the certificate is not trusted or not for that name, or for what the server
    /// says instead, [`Error::Os`] if the connection is lost.
    pub async fn connect(&self, stream: Stream, name: &str) -> Result<TlsStream<Stream>> {
        let name = self.server_name.as_deref().unwrap_or(name);
        let peer = stream.peer_addr().to_string();
        let server_name = name_of(name)?;
        let connected = TlsConnector::from(self.config.clone()).connect(server_name, stream).await;
        connected.map_err(|error| failed(&peer, name, &error))
    }
}

fn name_of(name: &str) -> Result<ServerName<'static>> {
    let bare = name.strip_prefix('[').and_then(|name| name.strip_suffix(']')).unwrap_or(name);
    ServerName::try_from(bare.to_owned())
        .map_err(|_| Error::Invalid(format!("TLS server name {name:?}: it is neither a host's name nor an address")))
}

/// The error of a handshake, or of what follows it, in words.
pub(crate) fn failed(peer: &str, name: &str, error: &io::Error) -> Error {
    let Some(tls) = error.get_ref().and_then(|inner| inner.downcast_ref::<rustls::Error>()) else {
        return match error.raw_os_error() {
            Some(_) => Error::os(format!("TLS with {peer}"), error),
            None if error.kind() == io::ErrorKind::UnexpectedEof => {
                let context = format!("TLS with {peer}: the other end has closed the connection");
                Error::Os { context, errno: libc::ECONNRESET }
            }
            None => Error::Failed(format!("TLS with {peer}: {error}")),
        };
    };
    Error::Failed(match tls {
        rustls::Error::InvalidCertificate(
            CertificateError::NotValidForName | CertificateError::NotValidForNameContext { .. },
        ) => format!("TLS with {peer}: the server's certificate is not for the name {name:?} ({tls})"),
        rustls::Error::InvalidCertificate(
            CertificateError::UnknownIssuer | CertificateError::BadSignature | CertificateError::Other(_),
        ) => format!("TLS with {peer}: the server's certificate is not trusted ({tls})"),
        rustls::Error::InvalidCertificate(CertificateError::Expired | CertificateError::ExpiredContext { .. }) => {
            format!("TLS with {peer}: the server's certificate has expired ({tls})")
        }
        _ => format!("TLS with {peer}: {tls}"),
    })
}
