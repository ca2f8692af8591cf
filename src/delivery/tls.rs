//! The TLS side of connections: whom we trust, and what we offer.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject;
use rustls::{ClientConfig, RootCertStore};
use tokio_rustls::TlsConnector;

/// Why the further authorities could not be read.
#[derive(Debug, thiserror::Error)]
pub enum CaFileError {
    /// Missing, unreadable, or not PEM.
    #[error("delivery.ca_file {}: {reason}", path.display())]
    Unreadable {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        reason: String,
    },
    /// A readable file without certificates, which is surely a mistake.
    #[error("delivery.ca_file {} holds no certificate", .0.display())]
    Empty(PathBuf),
}

/// Trusts Mozilla's authorities and those in `ca_file`; speaks TLS 1.2 and 1.3 and, by ALPN,
/// HTTP/1.1 only.
pub(super) fn connector(ca_file: Option<&Path>) -> Result<TlsConnector, super::TransportError> {
    let mut roots = RootCertStore {
        roots: webpki_roots::TLS_SERVER_ROOTS.to_vec(),
    };
    if let Some(path) = ca_file {
        add_file(&mut roots, path)?;
    }
    // The provider is named, not taken from the process: another crate may install another.
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let mut config = ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()?
        .with_root_certificates(roots)
        .with_no_client_auth();
    config.alpn_protocols = vec![b"http/1.1".to_vec()];
    Ok(TlsConnector::from(Arc::new(config)))
}

fn add_file(roots: &mut RootCertStore, path: &Path) -> Result<(), CaFileError> {
    let unreadable = |error: &dyn std::fmt::Display| CaFileError::Unreadable {
        path: path.to_owned(),
        reason: error.to_string(),
    };
    let mut found = false;
    for certificate in CertificateDer::pem_file_iter(path).map_err(|error| unreadable(&error))? {
        let certificate = certificate.map_err(|error| unreadable(&error))?;
        roots.add(certificate).map_err(|error| unreadable(&error))?;
        found = true;
    }
    if found {
        Ok(())
    } else {
        Err(CaFileError::Empty(path.to_owned()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::Write;

    #[test]
    fn a_file_without_certificates_stops_the_start() {
        let mut roots = RootCertStore::empty();
        let missing = add_file(&mut roots, Path::new("/nonexistent/ca.pem"));
        assert!(matches!(missing, Err(CaFileError::Unreadable { .. })));
        let mut file = tempfile::NamedTempFile::new().unwrap();
        file.write_all(b"nothing here\n").unwrap();
        assert!(matches!(
            add_file(&mut roots, file.path()),
            Err(CaFileError::Empty(_))
        ));
    }
}
