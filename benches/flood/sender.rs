//! Senders: each one connection, one event after the other.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use bytes::Bytes;
use http_body_util::{BodyExt, Full};
use hyper::Request;
use hyper_util::rt::TokioIo;
use tokio::net::TcpStream;

/// How much is sent, by how many.
#[derive(Clone, Copy)]
pub struct Flood {
    pub events: usize,
    pub senders: usize,
}

impl Flood {
    /// Sends it all, each event answered before its sender goes on, and says how long it took.
    #[allow(clippy::disallowed_methods, reason = "a bench measures time")]
    pub async fn send(self, to: SocketAddr, path: &'static str, key: Option<&str>) -> Duration {
        let next = Arc::new(AtomicUsize::new(0));
        let start = std::time::Instant::now();
        let senders: Vec<_> = (0..self.senders)
            .map(|_| {
                tokio::spawn(sender(
                    to,
                    path,
                    key.map(str::to_owned),
                    Arc::clone(&next),
                    self.events,
                ))
            })
            .collect();
        for sender in senders {
            sender.await.expect("a sender");
        }
        start.elapsed()
    }
}

async fn sender(
    to: SocketAddr,
    path: &'static str,
    key: Option<String>,
    next: Arc<AtomicUsize>,
    events: usize,
) {
    let stream = TcpStream::connect(to).await.expect("a connection");
    stream.set_nodelay(true).expect("TCP_NODELAY");
    let (mut connection, driver) = hyper::client::conn::http1::handshake(TokioIo::new(stream))
        .await
        .expect("HTTP");
    tokio::spawn(driver);
    let padding = "x".repeat(200);
    loop {
        let number = next.fetch_add(1, Ordering::Relaxed);
        if number >= events {
            return;
        }
        let body = format!(
            r#"{{"eventType":"bench.event","payload":{{"number":{number},"padding":"{padding}"}}}}"#
        );
        let mut request = Request::post(path)
            .header("host", to.to_string())
            .header("content-type", "application/json")
            .header("webhook-id", number.to_string());
        if let Some(key) = &key {
            request = request.header("x-api-key", key);
        }
        let request = request
            .body(Full::new(Bytes::from(body)))
            .expect("a request");
        let answer = connection.send_request(request).await.expect("an answer");
        let status = answer.status();
        let text = answer
            .into_body()
            .collect()
            .await
            .expect("a body")
            .to_bytes();
        assert!(
            status.is_success(),
            "{status}: {}",
            String::from_utf8_lossy(&text)
        );
    }
}
