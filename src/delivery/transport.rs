//! One attempt: a POST and whatever comes of it.
//!
//! Rules:
//! - One deadline covers name, connect, TLS, head and body. Nothing outlives the future that
//!   [`Transport::send`] returns but idle connections whose answers were read to the end.
//! - An error on a reused connection before any byte of the answer says that the receiver
//!   closed it while our request was on its way. The request is sent once more, on a fresh
//!   connection. An error on a fresh connection is the receiver's own and is not sent again.
//! - A 2xx head is an acknowledgement. What happens to the body after it (a reset, the
//!   deadline, nonsense) leaves an [`Answer`] with `body_cut`: to send again would only
//!   duplicate. With any other status a broken body is a [`Failure`] that knows the status.
//! - The body is read up to a bound and kept up to a lower one; a connection with more to come
//!   is dropped, not drained. Bodies are never decoded, and no encoding is asked for.
//! - Redirects are answers like any other, system proxies are not looked at, and there are no
//!   cookies.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http_body_util::{BodyExt, Full};
use hyper::body::{Body, Incoming};
use hyper::header::{self, HeaderMap, HeaderName, HeaderValue};
use hyper::{Method, Request, Response, StatusCode};

use super::address_guard::AddressGuard;
use super::connection::Connection;
use super::dialer::{Dialer, Phase, Progress};
use super::failure::{body_failure, failure, request_failure};
use super::pool::Pool;
use super::resolver::Resolver;
use super::target::Target;
use super::tls;
use crate::clock;
use crate::domain::Timestamp;
use crate::domain::outcome::{
    Answer, CallResult, Failure, FailureKind, Headers, Outcome, parse_retry_after,
};
use crate::settings::{AddressGuardSettings, DeliverySettings};

/// What is recorded in place of a header value that is not to be shown.
pub const MASK: &str = "********";

/// Headers that say how the message itself is carried, which is the transport's to decide.
/// (`host` and `content-length` are simply overwritten.)
const OWN_HEADERS: [HeaderName; 6] = [
    header::CONNECTION,
    header::TRANSFER_ENCODING,
    header::UPGRADE,
    header::TE,
    header::TRAILER,
    header::EXPECT,
];

/// What the headers of most messages take, so that their block is made at once.
const ROOM_FOR_HEADERS: usize = 512;

/// Sends requests. Shared by all attempts, behind an `Arc`.
pub struct Transport {
    dialer: Dialer,
    pool: Arc<Pool>,
    read_bytes: usize,
    keep_bytes: usize,
}

/// What to send. The method is always POST.
#[derive(Clone, Debug)]
pub struct OutgoingRequest {
    /// Where to.
    pub target: Target,
    /// In this order. Values marked sensitive ([`HeaderValue::set_sensitive`]) are sent as
    /// they are and recorded as [`MASK`]. `host` and `content-length` are added.
    pub headers: Vec<(HeaderName, HeaderValue)>,
    /// The body, as it was signed.
    pub body: Bytes,
    /// The total deadline.
    pub timeout: Duration,
}

/// Why the transport cannot be built.
#[derive(Debug, thiserror::Error)]
pub enum TransportError {
    /// The further authorities could not be read.
    #[error(transparent)]
    CaFile(#[from] tls::CaFileError),
    /// TLS cannot be set up.
    #[error("TLS cannot be set up: {0}")]
    Tls(#[from] rustls::Error),
    /// The resolver cannot be set up.
    #[error("the resolver cannot be set up: {0}")]
    Resolver(String),
}

/// An answer as far as it has come.
struct Reading {
    status: StatusCode,
    headers: HeaderMap,
    body: Vec<u8>,
    /// Whether there was or may be more than `body`.
    cut: bool,
}

impl Transport {
    /// Reads the certificates and the resolver's configuration.
    pub fn new(
        delivery: &DeliverySettings,
        guard: &AddressGuardSettings,
    ) -> Result<Self, TransportError> {
        let resolver = Resolver::new(delivery.dns_cache, &delivery.dns_servers)
            .map_err(|error| TransportError::Resolver(error.to_string()))?;
        let tls = tls::connector(delivery.ca_file.as_deref())?;
        Ok(Self {
            dialer: Dialer {
                guard: AddressGuard::new(guard),
                resolver,
                tls,
            },
            pool: Pool::new(
                delivery.idle_connection,
                delivery.max_idle_per_host,
                delivery.max_in_flight_total,
            ),
            read_bytes: delivery.answer_read_bytes,
            keep_bytes: delivery.answer_keep_bytes.min(delivery.answer_read_bytes),
        })
    }

    /// One attempt. An outcome is data: this never fails. Dropping the future ends the call.
    pub async fn send(&self, request: OutgoingRequest) -> Outcome {
        let started_at = clock::now();
        let start = clock::instant();
        let mut progress = Progress::new(start);
        let mut reading = None;
        let call = self.call(&request, &mut progress, &mut reading);
        let called = tokio::time::timeout(request.timeout, call).await;
        let end = clock::instant();
        if !matches!(called, Ok(Ok(()))) {
            progress.stop(end);
        }
        let broken = match called {
            Ok(Ok(())) => None,
            Ok(Err(failure)) => Some(failure),
            Err(_) => Some(deadline_passed(request.timeout, progress.phase)),
        };
        let duration = end.saturating_duration_since(start);
        Outcome {
            started_at,
            duration,
            timing: progress.timing,
            request_headers: as_recorded(&request),
            result: conclude(reading, broken, started_at.plus(duration)),
        }
    }

    async fn call(
        &self,
        request: &OutgoingRequest,
        progress: &mut Progress,
        reading: &mut Option<Reading>,
    ) -> Result<(), Failure> {
        self.refuse_unsendable(request)?;
        let (connection, response) = self.exchange(request, progress).await?;
        progress.enter(Phase::Body);
        let (head, body) = response.into_parts();
        let reading = reading.insert(Reading {
            status: head.status,
            headers: head.headers,
            body: Vec::new(),
            cut: true,
        });
        let complete = self.read_body(body, reading).await;
        let complete = complete.map_err(|error| body_failure(&error, head.status.as_u16()))?;
        progress.stop(clock::instant());
        if complete {
            self.pool.put(request.target.origin(), connection);
        }
        Ok(())
    }

    /// The head of the answer: over an idle connection where there is one, and over a fresh
    /// one where there is none or the idle one turns out to be closed.
    async fn exchange(
        &self,
        request: &OutgoingRequest,
        progress: &mut Progress,
    ) -> Result<(Connection, Response<Incoming>), Failure> {
        let origin = request.target.origin();
        let mut message = None;
        if let Some(mut connection) = self.pool.take(origin) {
            connection.heard.clear();
            progress.enter(Phase::Answer);
            let sent = connection.sender.try_send_request(to_message(request));
            match sent.await {
                Ok(response) => return Ok(answered(connection, response, progress)),
                Err(mut error) => {
                    message = error.take_message();
                    // A message that comes back was not even begun.
                    if message.is_none() && connection.heard.anything() {
                        return Err(request_failure(&error.into_error()));
                    }
                }
            }
        }
        // Boxed: rare and large, it would only weigh down the common way.
        let mut connection = Box::pin(self.dialer.open(origin, progress)).await?;
        progress.enter(Phase::Answer);
        let message = message.unwrap_or_else(|| to_message(request));
        match connection.sender.try_send_request(message).await {
            Ok(response) => Ok(answered(connection, response, progress)),
            Err(error) => Err(request_failure(&error.into_error())),
        }
    }

    /// Reads up to the bounds. True where the body came to its end.
    async fn read_body(&self, mut body: Incoming, reading: &mut Reading) -> hyper::Result<bool> {
        // A body that announces more than will be read is not worth reading past what is kept.
        let announced = body.size_hint().lower();
        let read_bytes = if announced > self.read_bytes as u64 {
            self.keep_bytes
        } else {
            self.read_bytes
        };
        reading
            .body
            .reserve_exact(usize::try_from(announced).unwrap_or(0).min(self.keep_bytes));
        let mut read = 0;
        while !body.is_end_stream() {
            if read >= read_bytes {
                return Ok(false);
            }
            let Some(frame) = body.frame().await else {
                break;
            };
            let Ok(data) = frame?.into_data() else {
                continue;
            };
            read += data.len();
            let room = self.keep_bytes - reading.body.len();
            reading
                .body
                .extend_from_slice(&data[..data.len().min(room)]);
        }
        reading.cut = read > reading.body.len();
        Ok(true)
    }

    fn refuse_unsendable(&self, request: &OutgoingRequest) -> Result<(), Failure> {
        if !request.target.origin().tls && !self.dialer.guard.allows_http() {
            let message = "http:// receivers are refused; use https://, or start with --dev";
            return Err(failure(FailureKind::Request, message));
        }
        match request
            .headers
            .iter()
            .find(|(name, _)| OWN_HEADERS.contains(name))
        {
            Some((name, _)) => {
                let message = format!("the header {name} cannot be set");
                Err(failure(FailureKind::Request, message))
            }
            None => Ok(()),
        }
    }
}

fn answered(
    connection: Connection,
    response: Response<Incoming>,
    progress: &mut Progress,
) -> (Connection, Response<Incoming>) {
    progress.timing.first_byte = Some(clock::instant().saturating_duration_since(progress.since));
    (connection, response)
}

fn to_message(request: &OutgoingRequest) -> Request<Full<Bytes>> {
    let mut message = Request::new(Full::new(request.body.clone()));
    *message.method_mut() = Method::POST;
    *message.uri_mut() = request.target.path().clone();
    let headers = message.headers_mut();
    headers.reserve(request.headers.len() + 2);
    // First, as receivers expect it.
    headers.insert(header::HOST, request.target.host().clone());
    for (name, value) in carried(request) {
        headers.append(name.clone(), value.clone());
    }
    headers.insert(
        header::CONTENT_LENGTH,
        HeaderValue::from(request.body.len()),
    );
    message
}

/// The caller's headers that are sent.
fn carried(request: &OutgoingRequest) -> impl Iterator<Item = &(HeaderName, HeaderValue)> {
    let ours = |name: &HeaderName| *name == header::HOST || *name == header::CONTENT_LENGTH;
    request.headers.iter().filter(move |(name, _)| !ours(name))
}

/// The same headers as [`to_message`], for the record.
fn as_recorded(request: &OutgoingRequest) -> Headers {
    let shown = |value: &HeaderValue| match value.is_sensitive() {
        true => HeaderValue::from_static(MASK),
        false => value.clone(),
    };
    let length = HeaderValue::from(request.body.len());
    let host = (&header::HOST, request.target.host().clone());
    let carried = carried(request).map(|(name, value)| (name, shown(value)));
    let all = std::iter::once(host)
        .chain(carried)
        .chain([(&header::CONTENT_LENGTH, length)]);
    block(all)
}

fn block<'a, V: AsRef<[u8]>>(headers: impl Iterator<Item = (&'a HeaderName, V)>) -> Headers {
    let mut block = Headers::with_capacity(ROOM_FOR_HEADERS);
    for (name, value) in headers {
        block.push(name.as_str(), value.as_ref());
    }
    block
}

/// Weighs what has come of the answer against what broke it off.
fn conclude(reading: Option<Reading>, broken: Option<Failure>, now: Timestamp) -> CallResult {
    match (reading, broken) {
        (None, None) => CallResult::Failure(failure(FailureKind::Internal, "nothing happened")),
        (None, Some(failure)) => CallResult::Failure(failure),
        (Some(reading), Some(failure)) if !reading.status.is_success() => {
            CallResult::Failure(Failure {
                status: Some(reading.status.as_u16()),
                ..failure
            })
        }
        (Some(reading), _) => CallResult::Answer(reading.into_answer(now)),
    }
}

impl Reading {
    fn into_answer(self, now: Timestamp) -> Answer {
        let retry_after = self.headers.get(header::RETRY_AFTER);
        let retry_after = retry_after
            .and_then(|value| value.to_str().ok())
            .and_then(|value| parse_retry_after(value, now));
        Answer {
            status: self.status.as_u16(),
            headers: block(self.headers.iter()),
            body: self.body,
            body_cut: self.cut,
            retry_after,
        }
    }
}

fn deadline_passed(timeout: Duration, phase: Phase) -> Failure {
    let phase = match phase {
        Phase::Name => "resolving the name",
        Phase::Connect => "connecting",
        Phase::Tls => "in the TLS handshake",
        Phase::Answer => "waiting for the answer",
        Phase::Body => "reading the answer's body",
    };
    let seconds = timeout.as_secs_f64();
    failure(
        FailureKind::Timeout,
        format!("the deadline of {seconds} s passed while {phase}"),
    )
}
