//! Errors of the libraries below, turned into failures that people can read.
//!
//! Messages are one plain sentence. They never hold an address that a name resolved to, nor a
//! path, query or header of the request.

use std::error::Error;
use std::io;

use rustls::CertificateError;

use crate::domain::outcome::{Failure, FailureKind};

/// A failure before any head of an answer came.
pub(super) fn failure(kind: FailureKind, message: impl Into<String>) -> Failure {
    Failure {
        kind,
        message: message.into(),
        status: None,
    }
}

/// No TCP connection came about.
pub(super) fn connect_failure(error: &io::Error) -> Failure {
    let message = match error.kind() {
        io::ErrorKind::ConnectionRefused => "the receiver refused the connection".to_owned(),
        io::ErrorKind::ConnectionReset => "the receiver reset the connection".to_owned(),
        io::ErrorKind::HostUnreachable => "the receiver's host is unreachable".to_owned(),
        io::ErrorKind::NetworkUnreachable => "the receiver's network is unreachable".to_owned(),
        io::ErrorKind::TimedOut => "the receiver did not accept the connection".to_owned(),
        kind => format!("the connection could not be opened: {kind}"),
    };
    failure(FailureKind::Connect, message)
}

/// The TLS handshake failed.
pub(super) fn tls_failure(error: &io::Error) -> Failure {
    let message = match rustls_error(error) {
        Some(rustls::Error::InvalidCertificate(reason)) => {
            format!(
                "the certificate is not trusted: {}",
                certificate_reason(reason)
            )
        }
        Some(rustls::Error::AlertReceived(alert)) => {
            format!("the receiver refused the TLS connection: {alert:?}")
        }
        Some(rustls::Error::InvalidMessage(_)) => {
            "the receiver does not speak TLS on this port".to_owned()
        }
        Some(other) => format!("the TLS handshake failed: {other}"),
        None => "the receiver ended the connection during the TLS handshake".to_owned(),
    };
    failure(FailureKind::Tls, message)
}

/// The call failed after the connection stood and before the answer's head was complete.
pub(super) fn request_failure(error: &hyper::Error) -> Failure {
    if error.is_parse_too_large() {
        let message = "the head of the receiver's answer is too large";
        return failure(FailureKind::Protocol, message);
    }
    if error.is_parse() {
        let message = "the receiver's answer is not HTTP/1.1";
        return failure(FailureKind::Protocol, message);
    }
    if let Some(tls) = io_cause(error).filter(|cause| rustls_error(cause).is_some()) {
        return tls_failure(tls);
    }
    if error.is_user() {
        return failure(
            FailureKind::Internal,
            format!("the request could not be sent: {error}"),
        );
    }
    failure(
        FailureKind::Reset,
        "the receiver closed the connection without an answer",
    )
}

/// The body of an answer broke off, or was not HTTP.
pub(super) fn body_failure(error: &hyper::Error, status: u16) -> Failure {
    use io::ErrorKind::{InvalidData, InvalidInput};
    let malformed = error.is_parse()
        || io_cause(error).is_some_and(|cause| matches!(cause.kind(), InvalidData | InvalidInput));
    let (kind, message) = if malformed {
        (
            FailureKind::Protocol,
            "the body of the receiver's answer is not valid HTTP/1.1",
        )
    } else {
        (
            FailureKind::Reset,
            "the connection broke off in the body of the receiver's answer",
        )
    };
    Failure {
        kind,
        message: message.to_owned(),
        status: Some(status),
    }
}

fn certificate_reason(reason: &CertificateError) -> &'static str {
    use CertificateError as E;
    match reason {
        E::Expired | E::ExpiredContext { .. } => "it has expired",
        E::NotValidYet | E::NotValidYetContext { .. } => "it is not valid yet",
        E::NotValidForName | E::NotValidForNameContext { .. } => "it is for another name",
        E::UnknownIssuer => "its issuer is unknown",
        E::Revoked => "it was revoked",
        E::BadSignature => "its signature is wrong",
        E::BadEncoding => "it is malformed",
        E::InvalidPurpose | E::InvalidPurposeContext { .. } => "it is not for servers",
        _ => "it was not accepted",
    }
}

fn rustls_error(error: &io::Error) -> Option<&rustls::Error> {
    error.get_ref().and_then(|inner| inner.downcast_ref())
}

/// The I/O error at the bottom of a chain.
fn io_cause<'a>(error: &'a (dyn Error + 'static)) -> Option<&'a io::Error> {
    let mut next = error.source();
    while let Some(cause) = next {
        if let Some(io) = cause.downcast_ref::<io::Error>() {
            return Some(io);
        }
        next = cause.source();
    }
    None
}
