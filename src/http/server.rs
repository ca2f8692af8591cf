//! Listening: bounded connections, bounded patience, and a stop that finishes what runs.

use std::io;
use std::net::IpAddr;
use std::sync::Arc;
use std::task::Poll;
use std::time::Duration;

use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio_util::task::TaskTracker;

use super::connection::{Answer, Signal, serve_connection};
use crate::settings::ServerSettings;

/// How long a connection may stay idle or take over the head of a request.
const HEAD_PATIENCE: Duration = Duration::from_secs(30);
/// Pause after the system refused a connection for want of resources.
const ACCEPT_PAUSE: Duration = Duration::from_millis(200);

/// Bounds of the server. How long a request may take is the matter of who answers it.
#[derive(Clone, Copy, Debug)]
pub struct ServerLimits {
    /// Open connections at most; further ones wait in the kernel's backlog.
    pub max_connections: usize,
    /// How long the head of a request may take to arrive, or a connection stay idle.
    pub head_patience: Duration,
    /// How long a caller may leave an answer unread.
    pub write_patience: Duration,
    /// How long a stop waits for requests that run.
    pub stop_patience: Duration,
}

impl From<&ServerSettings> for ServerLimits {
    fn from(settings: &ServerSettings) -> Self {
        Self {
            max_connections: settings.max_connections,
            head_patience: HEAD_PATIENCE.min(settings.request_timeout),
            write_patience: settings.request_timeout,
            stop_patience: settings.shutdown_grace,
        }
    }
}

/// Serves with `answer` until `shutdown` ends; then accepts nothing more, lets requests that run
/// finish within `stop_patience`, and returns.
pub async fn serve(
    listener: TcpListener,
    answer: Arc<impl Answer>,
    limits: ServerLimits,
    shutdown: impl Future<Output = ()>,
) {
    let slots = Arc::new(Semaphore::new(limits.max_connections));
    let connections = TaskTracker::new();
    let (stopping, cut) = (Signal::default(), Signal::default());
    let accepting = async {
        loop {
            let Some((stream, peer, slot)) = accept(&listener, &slots).await else {
                continue;
            };
            let (answer, stopping) = (Arc::clone(&answer), stopping.hearing());
            let mut cut = cut.hearing();
            connections.spawn(async move {
                let _slot = slot;
                let served = serve_connection(stream, peer, answer, limits, stopping);
                let mut served = std::pin::pin!(served);
                std::future::poll_fn(|cx| match cut.poll(cx) {
                    Poll::Ready(()) => Poll::Ready(()),
                    Poll::Pending => served.as_mut().poll(cx),
                })
                .await;
            });
        }
    };
    tokio::select! {
        () = accepting => {}
        () = shutdown => {}
    }
    drop(listener);
    stopping.give();
    connections.close();
    if tokio::time::timeout(limits.stop_patience, connections.wait())
        .await
        .is_err()
    {
        tracing::warn!(
            open = connections.len(),
            "connections were cut at the end of the grace period"
        );
        cut.give();
        connections.wait().await;
    }
}

/// A connection, where it comes from, and its slot, or nothing where this one came to nothing.
async fn accept(
    listener: &TcpListener,
    slots: &Arc<Semaphore>,
) -> Option<(TcpStream, IpAddr, OwnedSemaphorePermit)> {
    // First the slot, then the connection: what finds no slot stays in the kernel's backlog.
    let slot = slots.clone().acquire_owned().await.ok()?;
    match listener.accept().await {
        Ok((stream, peer)) => {
            // Without it small answers wait for the caller's acknowledgement.
            if let Err(error) = stream.set_nodelay(true) {
                tracing::debug!(%error, "TCP_NODELAY was refused");
            }
            Some((stream, peer.ip(), slot))
        }
        Err(error) if is_of_one_connection(&error) => None,
        Err(error) => {
            tracing::error!(%error, "no connection could be accepted");
            tokio::time::sleep(ACCEPT_PAUSE).await;
            None
        }
    }
}

fn is_of_one_connection(error: &io::Error) -> bool {
    matches!(
        error.kind(),
        io::ErrorKind::ConnectionRefused
            | io::ErrorKind::ConnectionAborted
            | io::ErrorKind::ConnectionReset
    )
}

#[cfg(test)]
mod tests;
