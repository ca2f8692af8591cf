//! One connection, from its first byte until it is closed: by its caller, because nothing comes,
//! or because the server stops.
//!
//! Many of them share a lock where they wait for the same thing, and each wake of a connection
//! would take it. So what all wait for, the server's stop, is asked about only once it is there.

use std::net::IpAddr;
use std::pin::{Pin, pin};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::task::{Context, Poll};
use std::time::{Duration, Instant};

use axum::body::Body;
use axum::extract::Request;
use axum::response::Response;
use http_body_util::BodyExt;
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use tokio::net::TcpStream;
use tokio_util::sync::{CancellationToken, WaitForCancellationFutureOwned};

use super::connection_timer::ConnectionTimer;
use super::server::ServerLimits;
use super::write_deadline::WriteDeadline;
use crate::clock;

/// Bytes of one request's head at most, and what a connection reads ahead.
const MAX_HEAD_BYTES: usize = 64 * 1024;

/// Answers requests.
pub trait Answer: Send + Sync + 'static {
    /// Answers one that came from there, over a connection with this timer.
    fn answer(
        &self,
        request: Request<Incoming>,
        peer: IpAddr,
        timer: &ConnectionTimer,
    ) -> impl Future<Output = Response> + Send;
}

/// Serves one connection to its end.
pub async fn serve_connection(
    stream: TcpStream,
    peer: IpAddr,
    answer: Arc<impl Answer>,
    limits: ServerLimits,
    mut stopping: Hearing,
) {
    let shared = Arc::<Shared>::default();
    let stream = WriteDeadline::new(stream, limits.write_patience, Arc::clone(&shared));
    let service = {
        let shared = Arc::clone(&shared);
        service_fn(move |request| {
            let (answer, shared) = (Arc::clone(&answer), Arc::clone(&shared));
            async move {
                let busy = Busy::begin(&shared.is_busy);
                let response = answer.answer(request, peer, &shared.timer).await;
                drop(busy);
                let response = match response.extensions().get::<Endless>() {
                    None => response,
                    Some(Endless) => response.map(|body| busy_until_ended(body, shared)),
                };
                Ok::<_, std::convert::Infallible>(response)
            }
        })
    };
    let mut connection = pin!(
        http1::Builder::new()
            // How long the head of a request may take is watched below, along with the rest.
            .header_read_timeout(None)
            .max_buf_size(MAX_HEAD_BYTES)
            // Else hyper makes a second read buffer for each request, the first being held by that
            // request, only to see whether its caller hangs up meanwhile.
            .half_close(true)
            .serve_connection(TokioIo::new(stream), service)
    );
    std::future::poll_fn(|cx| {
        if stopping.poll(cx).is_ready() {
            connection.as_mut().graceful_shutdown();
        }
        if let Poll::Ready(ended) = connection.as_mut().poll(cx) {
            if let Err(error) = ended {
                tracing::debug!(%error, "a connection ended early");
            }
            return Poll::Ready(());
        }
        let Some(since) = shared.idle_since() else {
            return Poll::Pending;
        };
        let idle = shared.timer.poll(cx, since + limits.head_patience);
        idle.map(|()| tracing::debug!("a connection brought nothing for too long"))
    })
    .await;
}

/// What the parts of a connection know of each other.
#[derive(Debug, Default)]
pub struct Shared {
    timer: ConnectionTimer,
    /// Of the caller, as far as it takes what is written.
    pub activity: Activity,
    /// A request is being answered, which has bounds of its own.
    is_busy: AtomicBool,
}

impl Shared {
    /// Since when nothing is done but to wait for the head of a request, if that is so.
    fn idle_since(&self) -> Option<Instant> {
        match self.is_busy.load(Ordering::Relaxed) {
            true => None,
            false => self.activity.last_write(),
        }
    }
}

/// When the caller took something last; before the first time, when it came.
#[derive(Debug)]
pub struct Activity {
    began: Instant,
    /// Nanoseconds from the beginning, or [`Self::WAITING`].
    last: AtomicU64,
}

impl Default for Activity {
    fn default() -> Self {
        Self {
            began: clock::instant(),
            last: AtomicU64::new(0),
        }
    }
}

impl Activity {
    /// A write waits, and has bounds of its own.
    const WAITING: u64 = u64::MAX;

    /// The caller took something.
    pub fn note_written(&self) {
        let since = clock::instant().saturating_duration_since(self.began);
        let nanos = u64::try_from(since.as_nanos()).unwrap_or(Self::WAITING - 1);
        self.last.store(nanos, Ordering::Relaxed);
    }

    /// The caller does not take what is written.
    pub fn note_waiting(&self) {
        self.last.store(Self::WAITING, Ordering::Relaxed);
    }

    fn last_write(&self) -> Option<Instant> {
        match self.last.load(Ordering::Relaxed) {
            Self::WAITING => None,
            nanos => Some(self.began + Duration::from_nanos(nanos)),
        }
    }
}

/// Counts as busy until it is dropped.
struct Busy<'a>(&'a AtomicBool);

impl<'a> Busy<'a> {
    fn begin(is_busy: &'a AtomicBool) -> Self {
        is_busy.store(true, Ordering::Relaxed);
        Self(is_busy)
    }
}

impl Drop for Busy<'_> {
    fn drop(&mut self) {
        self.0.store(false, Ordering::Relaxed);
    }
}

/// Marks an answer that has pauses of its own: its connection is not idle while it lasts.
#[derive(Clone, Copy, Debug)]
pub struct Endless;

fn busy_until_ended(body: Body, shared: Arc<Shared>) -> Body {
    struct BusyBody(Arc<Shared>);
    impl Drop for BusyBody {
        fn drop(&mut self) {
            self.0.is_busy.store(false, Ordering::Relaxed);
            // The pause before the next request begins now.
            self.0.activity.note_written();
        }
    }
    shared.is_busy.store(true, Ordering::Relaxed);
    let busy = BusyBody(shared);
    Body::new(body.map_frame(move |frame| {
        let _held = &busy;
        frame
    }))
}

/// Something that happens once and that all connections are to hear of.
#[derive(Debug, Default)]
pub struct Signal {
    given: Arc<AtomicBool>,
    token: CancellationToken,
}

impl Signal {
    /// It happens.
    pub fn give(&self) {
        self.given.store(true, Ordering::Release);
        self.token.cancel();
    }

    /// For one task that is to hear of it.
    pub fn hearing(&self) -> Hearing {
        Hearing {
            given: Arc::clone(&self.given),
            wait: Some(Box::pin(self.token.clone().cancelled_owned())),
            is_registered: false,
        }
    }
}

/// Hears of a [`Signal`], once. The task that polls it first is the one that is woken.
#[derive(Debug)]
pub struct Hearing {
    given: Arc<AtomicBool>,
    /// Until it was heard.
    wait: Option<Pin<Box<WaitForCancellationFutureOwned>>>,
    is_registered: bool,
}

impl Hearing {
    /// Ready the first time that it is asked after the signal was given, and never again.
    pub fn poll(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        if self.is_registered && !self.given.load(Ordering::Acquire) {
            return Poll::Pending;
        }
        self.is_registered = true;
        let Some(wait) = &mut self.wait else {
            return Poll::Pending;
        };
        let heard = wait.as_mut().poll(cx);
        if heard.is_ready() {
            self.wait = None;
        }
        heard
    }
}

#[cfg(test)]
mod tests {
    use std::future::poll_fn;

    use super::*;

    #[tokio::test]
    async fn a_signal_is_heard_once_by_each_whenever_it_is_given() {
        let signal = Signal::default();
        let (mut early, mut late) = (signal.hearing(), signal.hearing());
        let is_heard = async |hearing: &mut Hearing| {
            poll_fn(|cx| Poll::Ready(hearing.poll(cx).is_ready())).await
        };
        assert!(!is_heard(&mut early).await);
        let waiting = tokio::spawn(async move {
            poll_fn(|cx| early.poll(cx)).await;
            early
        });
        signal.give();
        let mut early = waiting.await.unwrap();
        assert!(!is_heard(&mut early).await, "it was heard before");
        assert!(is_heard(&mut late).await);
        assert!(!is_heard(&mut late).await);
    }

    #[test]
    fn only_waiting_for_a_request_counts_as_idle() {
        let shared = Shared::default();
        let began = shared.idle_since().unwrap();
        let busy = Busy::begin(&shared.is_busy);
        assert_eq!(shared.idle_since(), None);
        drop(busy);
        shared.activity.note_waiting();
        assert_eq!(shared.idle_since(), None);
        shared.activity.note_written();
        assert!(shared.idle_since().unwrap() > began);
    }
}
