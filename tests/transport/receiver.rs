//! A receiver that does what a test tells it to, byte for byte.

use std::future::Future;
use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use tokio::io::{AsyncRead, AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinHandle;

/// Listens until dropped and counts what it sees.
pub struct Receiver {
    pub url: String,
    pub port: u16,
    connections: Arc<AtomicUsize>,
    requests: Arc<AtomicUsize>,
    task: JoinHandle<()>,
}

/// One accepted connection.
pub struct Peer {
    pub stream: TcpStream,
    /// From 0, in the order of acceptance.
    pub number: usize,
    requests: Arc<AtomicUsize>,
}

pub const OK: &[u8] = b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok";

impl Receiver {
    /// Runs `serve` for each connection.
    pub async fn start<F, S>(serve: F) -> Self
    where
        F: Fn(Peer) -> S + Send + 'static,
        S: Future<Output = io::Result<()>> + Send + 'static,
    {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let port = listener.local_addr().unwrap().port();
        let connections = Arc::new(AtomicUsize::new(0));
        let requests = Arc::new(AtomicUsize::new(0));
        let counters = (Arc::clone(&connections), Arc::clone(&requests));
        let task = tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                let number = counters.0.fetch_add(1, Ordering::SeqCst);
                let peer = Peer {
                    stream,
                    number,
                    requests: Arc::clone(&counters.1),
                };
                tokio::spawn(serve(peer));
            }
        });
        Self {
            url: format!("http://127.0.0.1:{port}/hook"),
            port,
            connections,
            requests,
            task,
        }
    }

    /// Gives every request of every connection this answer.
    pub async fn answering(answer: impl Into<Vec<u8>>) -> Self {
        let answer: Arc<[u8]> = answer.into().into();
        Self::start(move |mut peer| {
            let answer = Arc::clone(&answer);
            async move {
                while peer.request().await?.is_some() {
                    peer.stream.write_all(&answer).await?;
                }
                Ok(())
            }
        })
        .await
    }

    /// Gives the first request of every connection this answer, and closes.
    pub async fn answering_once(answer: impl Into<Vec<u8>>) -> Self {
        let answer: Arc<[u8]> = answer.into().into();
        Self::start(move |mut peer| {
            let answer = Arc::clone(&answer);
            async move {
                peer.request().await?;
                peer.stream.write_all(&answer).await
            }
        })
        .await
    }

    pub fn connections(&self) -> usize {
        self.connections.load(Ordering::SeqCst)
    }

    pub fn requests(&self) -> usize {
        self.requests.load(Ordering::SeqCst)
    }
}

impl Drop for Receiver {
    fn drop(&mut self) {
        self.task.abort();
    }
}

impl Peer {
    /// The next request whole, or `None` where the relay has closed.
    pub async fn request(&mut self) -> io::Result<Option<Vec<u8>>> {
        let request = read_request(&mut self.stream).await?;
        if request.is_some() {
            self.requests.fetch_add(1, Ordering::SeqCst);
        }
        Ok(request)
    }

    /// Closes with a reset instead of an orderly end.
    pub fn reset(self) {
        self.stream.set_zero_linger().unwrap();
    }
}

/// Reads one request by its `content-length`.
pub async fn read_request(stream: &mut (impl AsyncRead + Unpin)) -> io::Result<Option<Vec<u8>>> {
    let mut request = Vec::new();
    loop {
        if stream.read_buf(&mut request).await? == 0 {
            return Ok(None);
        }
        let text = String::from_utf8_lossy(&request);
        let Some((head, body)) = text.split_once("\r\n\r\n") else {
            continue;
        };
        let length = head
            .lines()
            .find_map(|line| line.strip_prefix("content-length: "));
        if body.len() >= length.unwrap().parse().unwrap() {
            return Ok(Some(request));
        }
    }
}
