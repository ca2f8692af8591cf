//! The load generator's own process.
//!
//! A closed loop finds the highest rate: each sender posts, waits for the answer, posts again. An
//! open loop measures latency: events fall due at a steady pace whether or not earlier ones were
//! answered, and each is measured from the time it was due, so a stall counts for all that
//! waited behind it (no coordinated omission).

use std::net::SocketAddr;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use bytes::Bytes;
use http_body_util::{BodyExt, Full};
use hyper::client::conn::http1::SendRequest;
use hyper::{Request, StatusCode};
use hyper_util::rt::TokioIo;
use serde::{Deserialize, Serialize};
use tokio::net::TcpStream;
use tokio::sync::mpsc;

use crate::wire::{self, Latencies, Spread};

/// How long a sender waits after it was refused.
const REFUSED_PAUSE: Duration = Duration::from_millis(10);

/// What to send, and where to.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Job {
    pub to: SocketAddr,
    pub path: String,
    pub key: Option<String>,
    pub load: Load,
}

/// What to send.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Load {
    /// The event type; where there are several `kinds`, their beginning.
    pub kind: String,
    /// Event types in turn.
    pub kinds: u64,
    pub events: u64,
    /// Connections.
    pub senders: usize,
    /// Events in one request.
    pub batch: u64,
    /// Events a second; none for a closed loop.
    pub pace: Option<u64>,
}

/// What became of it.
#[derive(Clone, Copy, Debug, Serialize, Deserialize)]
pub struct Sent {
    pub began: u64,
    pub ended: u64,
    /// Times a sender heard 503 and sent again.
    pub refused: u64,
    /// From the time an event was due to its acknowledgement.
    pub acknowledged: Spread,
}

#[derive(Default)]
struct Progress {
    next: u64,
    refused: u64,
    acknowledged: Latencies,
}

/// Sends it all and says on the terminal what became of it.
pub async fn run(job: Job) {
    let job = Arc::new(job);
    let progress = Arc::new(Mutex::new(Progress::default()));
    let mut connections = Vec::new();
    for _ in 0..job.load.senders {
        connections.push(connect(job.to).await);
    }
    let due = job.load.pace.map(|pace| paced(pace, job.load.events));
    let due = due.map(|due| Arc::new(tokio::sync::Mutex::new(due)));
    let began = wire::now();
    let senders: Vec<_> = connections
        .into_iter()
        .map(|connection| {
            let (job, progress) = (Arc::clone(&job), Arc::clone(&progress));
            match due.clone() {
                Some(due) => tokio::spawn(open_loop(job, connection, due, progress)),
                None => tokio::spawn(closed_loop(job, connection, progress)),
            }
        })
        .collect();
    for sender in senders {
        sender.await.expect("a sender");
    }
    let progress = progress.lock().expect("the progress");
    let sent = Sent {
        began,
        ended: wire::now(),
        refused: progress.refused,
        acknowledged: progress.acknowledged.spread(),
    };
    println!("{}", serde_json::to_string(&sent).expect("JSON"));
}

type Connection = SendRequest<Full<Bytes>>;

async fn connect(to: SocketAddr) -> Connection {
    let stream = TcpStream::connect(to).await.expect("a connection");
    stream.set_nodelay(true).expect("TCP_NODELAY");
    let (connection, driver) = hyper::client::conn::http1::handshake(TokioIo::new(stream))
        .await
        .expect("HTTP");
    tokio::spawn(driver);
    connection
}

async fn closed_loop(job: Arc<Job>, mut connection: Connection, progress: Arc<Mutex<Progress>>) {
    loop {
        let first = {
            let mut progress = progress.lock().expect("the progress");
            let first = progress.next;
            progress.next += job.load.batch;
            first
        };
        if first >= job.load.events {
            return;
        }
        let due = wire::now();
        post(&job, &mut connection, first, due, &progress).await;
    }
}

async fn open_loop(
    job: Arc<Job>,
    mut connection: Connection,
    due: Arc<tokio::sync::Mutex<mpsc::UnboundedReceiver<(u64, u64)>>>,
    progress: Arc<Mutex<Progress>>,
) {
    loop {
        let next = due.lock().await.recv().await;
        let Some((number, due)) = next else { return };
        post(&job, &mut connection, number, due, &progress).await;
    }
}

/// Numbers and due times, each handed out when it falls due. A thread keeps the pace: the
/// runtime's own timers round to milliseconds.
fn paced(pace: u64, events: u64) -> mpsc::UnboundedReceiver<(u64, u64)> {
    let (sender, receiver) = mpsc::unbounded_channel();
    std::thread::spawn(move || {
        let began = wire::now() + 10_000_000;
        for number in 0..events {
            let due = began + number * 1_000_000_000 / pace;
            std::thread::sleep(Duration::from_nanos(due.saturating_sub(wire::now())));
            if sender.send((number, due)).is_err() {
                return;
            }
        }
    });
    receiver
}

/// Posts one request until it is accepted.
async fn post(
    job: &Job,
    connection: &mut Connection,
    first: u64,
    due: u64,
    progress: &Mutex<Progress>,
) {
    let body = Bytes::from(body(&job.load, first, due));
    loop {
        let mut request = Request::post(job.path.as_str())
            .header("host", "localhost")
            .header("content-type", "application/json");
        if let Some(key) = &job.key {
            request = request.header("x-api-key", key);
        }
        let request = request.body(Full::new(body.clone())).expect("a request");
        let answer = connection.send_request(request).await.expect("an answer");
        let status = answer.status();
        let text = answer.into_body().collect().await.expect("a body");
        if status.is_success() {
            let mut progress = progress.lock().expect("the progress");
            progress.acknowledged.record(due, wire::now());
            return;
        }
        let text = text.to_bytes();
        assert!(
            status == StatusCode::SERVICE_UNAVAILABLE,
            "{status}: {}",
            String::from_utf8_lossy(&text)
        );
        progress.lock().expect("the progress").refused += 1;
        tokio::time::sleep(REFUSED_PAUSE).await;
    }
}

fn body(load: &Load, first: u64, due: u64) -> String {
    let one = |number: u64| match load.kinds {
        1 => wire::event(&load.kind, number, due),
        kinds => wire::event(&format!("{}{}", load.kind, number % kinds), number, due),
    };
    if load.batch == 1 {
        return one(first);
    }
    let last = (first + load.batch).min(load.events);
    let items: Vec<String> = (first..last).map(one).collect();
    format!("[{}]", items.join(","))
}
