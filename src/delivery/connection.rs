//! One connection to a receiver, and the byte stream under it.

use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::{Context, Poll};

use bytes::Bytes;
use http_body_util::Full;
use hyper::client::conn::http1;
use hyper_util::rt::TokioIo;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::TcpStream;
use tokio::task::JoinHandle;
use tokio_rustls::client::TlsStream;

/// The head of an answer may take this much; the read buffer grows no further either. Bodies
/// are read through the same buffer.
const MAX_HEAD_BYTES: usize = 64 * 1024;

/// Sends one request at a time. Dropping it ends the connection at once: its task may be
/// stuck writing to a receiver that does not read, and must not outlive the attempt.
pub(super) struct Connection {
    /// Hyper's end.
    pub sender: http1::SendRequest<Full<Bytes>>,
    /// Whether the receiver has said anything since this was last cleared.
    pub heard: Heard,
    task: Task,
}

/// Set by every byte that comes in.
#[derive(Clone, Default)]
pub(super) struct Heard(Arc<AtomicBool>);

/// Hyper's task of a connection, ended when this is dropped.
pub(super) struct Task(JoinHandle<()>);

/// In the clear or by TLS.
pub(super) enum Stream {
    /// `http://`
    Plain(TcpStream),
    /// `https://`
    Tls(Box<TlsStream<TcpStream>>),
}

impl Connection {
    /// Speaks HTTP/1.1 over the stream.
    pub(super) async fn open(stream: Stream) -> hyper::Result<Self> {
        let heard = Heard::default();
        let listened = TokioIo::new(Listened {
            stream,
            heard: heard.clone(),
        });
        // Hyper's own bound of 100 headers stands: only the default is free of allocation.
        let (sender, connection) = http1::Builder::new()
            .max_buf_size(MAX_HEAD_BYTES)
            .handshake(listened)
            .await?;
        // Its errors reach the request that they fail; an idle connection's are of no interest.
        let task = Task(tokio::spawn(async move { drop(connection.await) }));
        Ok(Self {
            sender,
            heard,
            task,
        })
    }

    /// Lets go without cutting off: the task may still say goodbye (TLS `close_notify`) for as
    /// long as the returned handle lives.
    pub(super) fn close(self) -> Task {
        self.task
    }
}

impl Heard {
    /// Forgets.
    pub(super) fn clear(&self) {
        self.0.store(false, Ordering::Release);
    }

    /// Whether a byte has come since.
    pub(super) fn anything(&self) -> bool {
        self.0.load(Ordering::Acquire)
    }
}

impl Drop for Task {
    fn drop(&mut self) {
        self.0.abort();
    }
}

struct Listened {
    stream: Stream,
    heard: Heard,
}

impl AsyncRead for Listened {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let before = buf.filled().len();
        let polled = match &mut self.stream {
            Stream::Plain(stream) => Pin::new(stream).poll_read(cx, buf),
            Stream::Tls(stream) => Pin::new(stream).poll_read(cx, buf),
        };
        if buf.filled().len() > before {
            self.heard.0.store(true, Ordering::Release);
        }
        polled
    }
}

impl AsyncWrite for Listened {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &[u8],
    ) -> Poll<io::Result<usize>> {
        match &mut self.stream {
            Stream::Plain(stream) => Pin::new(stream).poll_write(cx, buf),
            Stream::Tls(stream) => Pin::new(stream).poll_write(cx, buf),
        }
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bufs: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        match &mut self.stream {
            Stream::Plain(stream) => Pin::new(stream).poll_write_vectored(cx, bufs),
            Stream::Tls(stream) => Pin::new(stream).poll_write_vectored(cx, bufs),
        }
    }

    fn is_write_vectored(&self) -> bool {
        match &self.stream {
            Stream::Plain(stream) => stream.is_write_vectored(),
            Stream::Tls(stream) => stream.is_write_vectored(),
        }
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        match &mut self.stream {
            Stream::Plain(stream) => Pin::new(stream).poll_flush(cx),
            Stream::Tls(stream) => Pin::new(stream).poll_flush(cx),
        }
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        match &mut self.stream {
            Stream::Plain(stream) => Pin::new(stream).poll_shutdown(cx),
            Stream::Tls(stream) => Pin::new(stream).poll_shutdown(cx),
        }
    }
}
