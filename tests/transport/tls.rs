//! TLS to receivers whose certificates are good, and to others.

use std::io::Write;
use std::net::Ipv4Addr;
use std::sync::Arc;

use posthaste::domain::outcome::FailureKind;
use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, IsCa, KeyPair};
use rustls::ServerConfig;
use rustls::pki_types::{PrivateKeyDer, PrivatePkcs8KeyDer};
use tempfile::NamedTempFile;
use tokio::io::AsyncWriteExt;
use tokio_rustls::TlsAcceptor;

use crate::receiver::{OK, Receiver, read_request};
use crate::{build, failure, request};

const LOOPBACK: &[&str] = &["127.0.0.0/8"];

/// An authority in a PEM file, and a TLS server whose certificate it signed for `name`.
fn authority(name: &str) -> (NamedTempFile, TlsAcceptor) {
    let mut params = CertificateParams::default();
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    let issuer = CertifiedIssuer::self_signed(params, KeyPair::generate().unwrap()).unwrap();
    let mut file = NamedTempFile::new().unwrap();
    file.write_all(issuer.pem().as_bytes()).unwrap();

    let key = KeyPair::generate().unwrap();
    let leaf = CertificateParams::new([name.to_owned()])
        .unwrap()
        .signed_by(&key, &issuer)
        .unwrap();
    let key = PrivateKeyDer::from(PrivatePkcs8KeyDer::from(key.serialize_der()));
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let mut config = ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_no_client_auth()
        .with_single_cert(vec![leaf.der().clone()], key)
        .unwrap();
    config.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
    (file, TlsAcceptor::from(Arc::new(config)))
}

async fn receiver(acceptor: TlsAcceptor, server_name: Option<&'static str>) -> Receiver {
    Receiver::start(move |peer| {
        let acceptor = acceptor.clone();
        async move {
            let mut stream = acceptor.accept(peer.stream).await?;
            let (_, session) = stream.get_ref();
            assert_eq!(session.alpn_protocol(), Some(&b"http/1.1"[..]));
            assert_eq!(session.server_name(), server_name);
            while read_request(&mut stream).await?.is_some() {
                stream.write_all(OK).await?;
            }
            Ok(())
        }
    })
    .await
}

#[tokio::test]
async fn a_receiver_trusted_by_the_ca_file_is_called_and_timed() {
    let (file, acceptor) = authority("localhost");
    let receiver = receiver(acceptor, Some("localhost")).await;
    let transport = build(LOOPBACK, false, Some(file.path().to_owned()));
    let url = format!("https://localhost:{}/", receiver.port);
    let first = transport.send(request(&url)).await;
    assert!(first.is_success(), "{first:?}");
    assert!(first.timing.connect.is_some() && first.timing.tls.is_some());
    let second = transport.send(request(&url)).await;
    assert!(second.is_success());
    assert_eq!((second.timing.connect, second.timing.tls), (None, None));
    assert_eq!(receiver.connections(), 1);
}

#[tokio::test]
async fn a_literal_address_is_verified_too() {
    let (file, acceptor) = authority(&Ipv4Addr::LOCALHOST.to_string());
    let receiver = receiver(acceptor, None).await;
    let transport = build(LOOPBACK, false, Some(file.path().to_owned()));
    let outcome = transport
        .send(request(&format!("https://127.0.0.1:{}/", receiver.port)))
        .await;
    assert!(outcome.is_success(), "{outcome:?}");
}

#[tokio::test]
async fn an_untrusted_certificate_is_a_failure_of_tls() {
    let (_file, acceptor) = authority("localhost");
    let receiver = receiver(acceptor, None).await;
    let outcome = build(LOOPBACK, false, None)
        .send(request(&format!("https://localhost:{}/", receiver.port)))
        .await;
    assert_eq!(failure(&outcome).kind, FailureKind::Tls);
    let message = &failure(&outcome).message;
    assert_eq!(
        message,
        "the certificate is not trusted: its issuer is unknown"
    );
    assert!(outcome.timing.tls.is_some());
}

#[tokio::test]
async fn a_certificate_for_another_name_is_a_failure_of_tls() {
    let (file, acceptor) = authority("elsewhere.example");
    let receiver = receiver(acceptor, None).await;
    let outcome = build(LOOPBACK, false, Some(file.path().to_owned()))
        .send(request(&format!("https://localhost:{}/", receiver.port)))
        .await;
    assert_eq!(failure(&outcome).kind, FailureKind::Tls);
    assert_eq!(
        failure(&outcome).message,
        "the certificate is not trusted: it is for another name"
    );
}

#[tokio::test]
async fn a_receiver_without_tls_is_a_failure_of_tls() {
    let receiver = Receiver::start(|mut peer| async move {
        peer.stream
            .write_all(b"HTTP/1.1 400 Bad Request\r\n\r\n")
            .await?;
        std::future::pending().await
    })
    .await;
    let outcome = build(LOOPBACK, false, None)
        .send(request(&format!("https://127.0.0.1:{}/", receiver.port)))
        .await;
    assert_eq!(failure(&outcome).kind, FailureKind::Tls);
    assert_eq!(
        failure(&outcome).message,
        "the receiver does not speak TLS on this port"
    );
}
