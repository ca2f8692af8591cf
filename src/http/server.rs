//! Listening: bounded connections, bounded patience, and a stop that finishes what runs.

use std::io;
use std::time::Duration;

use axum::Router;
use hyper::server::conn::http1;
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::service::TowerToHyperService;
use std::sync::Arc;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use super::write_deadline::WriteDeadline;
use crate::settings::ServerSettings;

/// Bytes of one request's head at most, and what a connection reads ahead.
const MAX_HEAD_BYTES: usize = 64 * 1024;
/// How long a connection may stay idle or take over the head of a request.
const HEAD_PATIENCE: Duration = Duration::from_secs(30);
/// Pause after the system refused a connection for want of resources.
const ACCEPT_PAUSE: Duration = Duration::from_millis(200);

/// Bounds of the server. How long a request may take is the router's matter.
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

/// Serves `router` until `shutdown` ends; then accepts nothing more, lets requests that run
/// finish within `stop_patience`, and returns.
pub async fn serve(
    listener: TcpListener,
    router: Router,
    limits: ServerLimits,
    shutdown: impl Future<Output = ()>,
) {
    let slots = Arc::new(Semaphore::new(limits.max_connections));
    let connections = TaskTracker::new();
    let stopping = CancellationToken::new();
    let cut = CancellationToken::new();
    let accepting = async {
        loop {
            let Some((stream, slot)) = accept(&listener, &slots).await else {
                continue;
            };
            let (router, stopping, cut) = (router.clone(), stopping.clone(), cut.clone());
            connections.spawn(async move {
                let _slot = slot;
                tokio::select! {
                    () = connection(stream, router, limits, stopping) => {}
                    () = cut.cancelled() => {}
                }
            });
        }
    };
    tokio::select! {
        () = accepting => {}
        () = shutdown => {}
    }
    drop(listener);
    stopping.cancel();
    connections.close();
    if tokio::time::timeout(limits.stop_patience, connections.wait())
        .await
        .is_err()
    {
        tracing::warn!(
            open = connections.len(),
            "connections were cut at the end of the grace period"
        );
        cut.cancel();
        connections.wait().await;
    }
}

/// A connection and its slot, or nothing where this one came to nothing.
async fn accept(
    listener: &TcpListener,
    slots: &Arc<Semaphore>,
) -> Option<(TcpStream, OwnedSemaphorePermit)> {
    // First the slot, then the connection: what finds no slot stays in the kernel's backlog.
    let slot = slots.clone().acquire_owned().await.ok()?;
    match listener.accept().await {
        Ok((stream, _)) => {
            // Without it small answers wait for the caller's acknowledgement.
            if let Err(error) = stream.set_nodelay(true) {
                tracing::debug!(%error, "TCP_NODELAY was refused");
            }
            Some((stream, slot))
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

async fn connection(
    stream: TcpStream,
    router: Router,
    limits: ServerLimits,
    stopping: CancellationToken,
) {
    let stream = WriteDeadline::new(stream, limits.write_patience);
    let connection = http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(limits.head_patience)
        .max_buf_size(MAX_HEAD_BYTES)
        .serve_connection(TokioIo::new(stream), TowerToHyperService::new(router));
    let mut connection = std::pin::pin!(connection);
    let ended = tokio::select! {
        ended = connection.as_mut() => ended,
        () = stopping.cancelled() => {
            connection.as_mut().graceful_shutdown();
            connection.await
        }
    };
    if let Err(error) = ended {
        tracing::debug!(%error, "a connection ended early");
    }
}

#[cfg(test)]
mod tests;
