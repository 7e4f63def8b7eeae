//! Connections: TCP, and TLS where the address asks for it.

use std::io;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;
use tokio_rustls::rustls::pki_types::pem::PemObject as _;
use tokio_rustls::rustls::pki_types::{CertificateDer, ServerName};
use tokio_rustls::rustls::{ClientConfig, RootCertStore, crypto};

use crate::error::{Error, ErrorKind, OrError as _, Result};

use super::address::{Address, Protocol};

/// How long an address may take while there are others: a name may have one that leads nowhere.
const EACH: Duration = Duration::from_millis(700);

/// A connection that bytes go over.
pub(super) trait Stream: AsyncRead + AsyncWrite + Send + Unpin {}

impl<S: AsyncRead + AsyncWrite + Send + Unpin> Stream for S {}

/// Opens connections to one address.
#[derive(Clone)]
pub(super) struct Dialer {
    host: String,
    port: u16,
    tls: Option<(TlsConnector, ServerName<'static>)>,
}

impl Dialer {
    /// Makes ready what connections need. `authority` is a file with certificates to trust beside the system's.
    pub(super) fn new(address: &Address, authority: Option<&Path>) -> Result<Self> {
        let tls = address.is_encrypted.then(|| tls(address, authority)).transpose()?;
        Ok(Self { host: address.host.clone(), port: address.port, tls })
    }

    /// Opens one.
    pub(super) async fn dial(&self) -> io::Result<Box<dyn Stream>> {
        let stream = self.reach().await?;
        stream.set_nodelay(true)?;
        match &self.tls {
            None => Ok(Box::new(stream)),
            Some((connector, name)) => Ok(Box::new(connector.connect(name.clone(), stream).await?)),
        }
    }

    /// Tries the name's addresses in turn. The last may take what time the caller leaves.
    async fn reach(&self) -> io::Result<TcpStream> {
        let addresses: Vec<_> = tokio::net::lookup_host((self.host.as_str(), self.port)).await?.collect();
        let Some((last, others)) = addresses.split_last() else {
            return Err(io::Error::other("its name has no address"));
        };
        for address in others {
            if let Ok(Ok(stream)) = tokio::time::timeout(EACH, TcpStream::connect(address)).await {
                return Ok(stream);
            }
        }
        TcpStream::connect(last).await
    }
}

fn tls(address: &Address, authority: Option<&Path>) -> Result<(TlsConnector, ServerName<'static>)> {
    let mut roots = RootCertStore::empty();
    // A system without certificates is one on which only the user's own are trusted.
    roots.add_parsable_certificates(rustls_native_certs::load_native_certs().certs);
    if let Some(path) = authority {
        let about = || format!("cannot read the certificates {}", path.display());
        let mut n_certificates = 0;
        for certificate in CertificateDer::pem_file_iter(path).or_error(ErrorKind::Config, about)? {
            roots.add(certificate.or_error(ErrorKind::Config, about)?).or_error(ErrorKind::Config, about)?;
            n_certificates += 1;
        }
        if n_certificates == 0 {
            let message = format!(
                "no certificates in {}; expected PEM (BEGIN CERTIFICATE); convert with openssl x509 -inform der",
                path.display()
            );
            return Err(Error::new(ErrorKind::Config, message));
        }
    }
    let mut config = ClientConfig::builder_with_provider(Arc::new(crypto::ring::default_provider()))
        .with_safe_default_protocol_versions()
        .or_error(ErrorKind::Internal, || "cannot set up TLS".to_owned())?
        .with_root_certificates(roots)
        .with_no_client_auth();
    config.alpn_protocols = vec![match address.protocol {
        Protocol::Grpc => b"h2".to_vec(),
        Protocol::Http => b"http/1.1".to_vec(),
    }];
    let name = ServerName::try_from(address.host.clone()).map_err(|_| {
        Error::new(ErrorKind::Config, format!("{:?} is no name that a certificate could be for", address.host))
    })?;
    Ok((TlsConnector::from(Arc::new(config)), name))
}
