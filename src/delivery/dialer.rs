//! Opens connections: name, address guard, TCP, TLS, each timed by itself.
//!
//! The guard judges each address right before it is connected to, and it is that address, not
//! a name, that the kernel is given: between judging and using there is no second look-up.

use std::io;
use std::net::{IpAddr, SocketAddr};
use std::time::{Duration, Instant};

use futures_util::StreamExt;
use futures_util::stream::FuturesUnordered;
use rustls::pki_types::ServerName;
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;

use super::address_guard::AddressGuard;
use super::connection::{Connection, Stream};
use super::failure::{connect_failure, failure, request_failure, tls_failure};
use super::resolver::Resolver;
use super::target::{Origin, OriginHost};
use crate::clock;
use crate::domain::outcome::{Failure, FailureKind, Timing};

/// Addresses of one name tried at most, and so sockets one attempt opens at most at a time.
const MAX_ADDRESSES: usize = 4;
/// The next address is tried beside one that has not answered for this long (RFC 8305).
const STAGGER: Duration = Duration::from_millis(250);

/// What an attempt is doing, so that a deadline can say where it fell.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Phase {
    /// Resolving the name.
    Name,
    /// Opening the TCP connection.
    Connect,
    /// In the TLS handshake.
    Tls,
    /// The request is on its way or with the receiver.
    Answer,
    /// Reading the answer's body.
    Body,
}

/// How far an attempt has come; it outlives the future that the deadline drops.
pub(super) struct Progress {
    /// The present phase.
    pub phase: Phase,
    /// When it began.
    pub since: Instant,
    /// The phases that are over, and with [`Progress::stop`] the broken off one too.
    pub timing: Timing,
}

/// Makes fresh connections.
pub(super) struct Dialer {
    /// Judges the addresses.
    pub guard: AddressGuard,
    /// Finds them.
    pub resolver: Resolver,
    /// Makes TLS connections.
    pub tls: TlsConnector,
}

impl Progress {
    /// At the beginning.
    pub(super) fn new(now: Instant) -> Self {
        Self {
            phase: Phase::Answer,
            since: now,
            timing: Timing::default(),
        }
    }

    /// Begins a phase.
    pub(super) fn enter(&mut self, phase: Phase) {
        self.phase = phase;
        self.since = clock::instant();
    }

    /// Ends the present phase and notes how long it took.
    pub(super) fn stop(&mut self, now: Instant) {
        let took = Some(now.saturating_duration_since(self.since));
        match self.phase {
            Phase::Name => self.timing.name = took,
            Phase::Connect => self.timing.connect = took,
            Phase::Tls => self.timing.tls = took,
            // Without a first byte there is no time to it.
            Phase::Answer => {}
            Phase::Body => self.timing.body = took,
        }
    }
}

impl Dialer {
    /// A fresh connection to the origin.
    pub(super) async fn open(
        &self,
        origin: &Origin,
        progress: &mut Progress,
    ) -> Result<Connection, Failure> {
        let stream = match &origin.host {
            OriginHost::Address(address) => {
                self.guard.check(*address).map_err(refused)?;
                progress.enter(Phase::Connect);
                TcpStream::connect(SocketAddr::new(*address, origin.port)).await
            }
            OriginHost::Name(name) => {
                progress.enter(Phase::Name);
                let addresses = self.resolver.resolve(name).await?;
                progress.stop(clock::instant());
                let addresses = self.allowed(&addresses, origin.port)?;
                progress.enter(Phase::Connect);
                connect(addresses).await
            }
        };
        let stream = stream.map_err(|error| connect_failure(&error))?;
        // Requests are written whole; waiting to fill a packet only costs time.
        stream
            .set_nodelay(true)
            .map_err(|error| connect_failure(&error))?;
        progress.stop(clock::instant());
        let stream = if origin.tls {
            progress.enter(Phase::Tls);
            let name = server_name(&origin.host)?;
            let stream = self.tls.connect(name, stream).await;
            let stream = stream.map_err(|error| tls_failure(&error))?;
            progress.stop(clock::instant());
            Stream::Tls(Box::new(stream))
        } else {
            Stream::Plain(stream)
        };
        Connection::open(stream)
            .await
            .map_err(|error| request_failure(&error))
    }

    /// The addresses that may be called. A name with some refused ones is called on the rest.
    fn allowed(&self, addresses: &[IpAddr], port: u16) -> Result<Vec<SocketAddr>, Failure> {
        let mut allowed = Vec::with_capacity(addresses.len().min(MAX_ADDRESSES));
        let mut refusal = None;
        for address in addresses {
            match self.guard.check(*address) {
                Ok(()) if allowed.len() < MAX_ADDRESSES => {
                    allowed.push(SocketAddr::new(*address, port));
                }
                Ok(()) => {}
                Err(reason) => refusal = refusal.or(Some(reason)),
            }
        }
        match refusal {
            Some(reason) if allowed.is_empty() => Err(refused(reason)),
            _ => Ok(allowed),
        }
    }
}

/// The first of these addresses that answers; a slow one is overtaken, a dead one replaced.
async fn connect(addresses: Vec<SocketAddr>) -> io::Result<TcpStream> {
    if let [address] = addresses[..] {
        return TcpStream::connect(address).await;
    }
    let mut waiting = addresses.into_iter();
    let mut running = FuturesUnordered::new();
    let mut last = io::Error::from(io::ErrorKind::AddrNotAvailable);
    loop {
        let overtake = match waiting.next() {
            Some(address) => {
                running.push(TcpStream::connect(address));
                waiting.len() > 0
            }
            None => false,
        };
        tokio::select! {
            connected = running.next() => match connected {
                Some(Ok(stream)) => return Ok(stream),
                Some(Err(error)) => last = error,
                None => return Err(last),
            },
            () = tokio::time::sleep(STAGGER), if overtake => {}
        }
    }
}

fn refused(refusal: super::Refusal) -> Failure {
    failure(FailureKind::AddressRefused, refusal.to_string())
}

fn server_name(host: &OriginHost) -> Result<ServerName<'static>, Failure> {
    match host {
        OriginHost::Address(address) => Ok(ServerName::from(*address)),
        OriginHost::Name(name) => ServerName::try_from(String::from(&**name))
            .map_err(|_| failure(FailureKind::Request, "the host is not a valid DNS name")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use tokio::net::TcpListener;

    #[tokio::test]
    async fn a_dead_address_is_replaced_by_the_next() {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let alive = listener.local_addr().unwrap();
        let dead = {
            let gone = TcpListener::bind("127.0.0.1:0").await.unwrap();
            gone.local_addr().unwrap()
        };
        assert!(connect(vec![dead, alive]).await.is_ok());
        assert!(connect(vec![dead, dead, dead, alive]).await.is_ok());
        let error = connect(vec![dead, dead]).await.unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::ConnectionRefused);
    }
}
