//! A receiver on a real socket that remembers what it got and answers as it is told.

use std::collections::HashMap;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex};

use axum::body::Body;
use axum::http::{HeaderMap, Request, Response, StatusCode};
use bytes::Bytes;
use futures_util::future::BoxFuture;
use http_body_util::BodyExt;
use tokio::net::TcpListener;
use tokio::sync::{Notify, watch};
use tokio::task::JoinHandle;

use super::soon;

/// One request as received.
#[derive(Clone, Debug)]
pub struct Received {
    pub path: String,
    pub headers: HeaderMap,
    pub body: Bytes,
}

impl Received {
    pub fn header(&self, name: &str) -> &str {
        self.headers
            .get(name)
            .unwrap_or_else(|| panic!("no header {name}"))
            .to_str()
            .unwrap()
    }

    pub fn json(&self) -> serde_json::Value {
        serde_json::from_slice(&self.body).unwrap()
    }

    /// The `webhook-id`: the event's id.
    pub fn event_id(&self) -> String {
        self.header("webhook-id").to_owned()
    }
}

/// What to answer.
pub type Answer = Response<Body>;

/// An answer with this status and no body.
pub fn status(code: u16) -> Answer {
    Response::builder()
        .status(StatusCode::from_u16(code).unwrap())
        .body(Body::empty())
        .unwrap()
}

type Script = dyn Fn(usize, Received) -> BoxFuture<'static, Answer> + Send + Sync;

/// Lets go of everything when it is dropped.
pub struct Receiver {
    address: SocketAddr,
    received: Arc<watch::Sender<Vec<Received>>>,
    task: JoinHandle<()>,
}

impl Receiver {
    /// Answers 200 to everything.
    pub async fn ok() -> Self {
        Self::answering(|_, _| status(200)).await
    }

    /// Answers what `script` says, given the number of the request (from 0).
    pub async fn answering(
        script: impl Fn(usize, Received) -> Answer + Send + Sync + 'static,
    ) -> Self {
        Self::scripted(move |number, received| {
            let answer = script(number, received);
            Box::pin(async move { answer })
        })
        .await
    }

    /// Answers 200 once the gate is opened, request by request.
    pub async fn gated() -> (Self, Arc<Gate>) {
        let gate = Arc::new(Gate::default());
        let passing = Arc::clone(&gate);
        let receiver = Self::scripted(move |_, _| {
            let gate = Arc::clone(&passing);
            Box::pin(async move {
                gate.pass().await;
                status(200)
            })
        })
        .await;
        (receiver, gate)
    }

    pub async fn scripted(
        script: impl Fn(usize, Received) -> BoxFuture<'static, Answer> + Send + Sync + 'static,
    ) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let received = Arc::new(watch::Sender::new(Vec::new()));
        let script: Arc<Script> = Arc::new(script);
        let noting = Arc::clone(&received);
        let app = axum::Router::new().fallback(move |request: Request<Body>| {
            let (noting, script) = (Arc::clone(&noting), Arc::clone(&script));
            async move {
                let (parts, body) = request.into_parts();
                let body = body.collect().await.unwrap().to_bytes();
                let received = Received {
                    path: parts.uri.path().to_owned(),
                    headers: parts.headers,
                    body,
                };
                let mut number = 0;
                noting.send_modify(|all: &mut Vec<Received>| {
                    number = all.len();
                    all.push(received.clone());
                });
                script(number, received).await
            }
        });
        let task = tokio::spawn(async move {
            axum::serve(listener, app).await.unwrap();
        });
        Self {
            address,
            received,
            task,
        }
    }

    pub fn url(&self) -> String {
        format!("http://{}/hook", self.address)
    }

    /// All that was received so far.
    pub fn all(&self) -> Vec<Received> {
        self.received.borrow().clone()
    }

    pub fn count(&self) -> usize {
        self.received.borrow().len()
    }

    /// Waits until this many requests came.
    pub async fn received(&self, count: usize) -> Vec<Received> {
        let mut watching = self.received.subscribe();
        let what = format!("{count} requests at {}", self.address);
        soon(&what, watching.wait_for(|all| all.len() >= count))
            .await
            .unwrap()
            .clone()
    }

    /// Waits until these many different events came.
    pub async fn received_events(&self, count: usize) -> HashMap<String, usize> {
        let mut watching = self.received.subscribe();
        let what = format!("{count} different events at {}", self.address);
        soon(&what, watching.wait_for(|all| tally(all).len() >= count))
            .await
            .unwrap();
        tally(&self.all())
    }
}

/// How often each event came.
pub fn tally(all: &[Received]) -> HashMap<String, usize> {
    let mut tally = HashMap::new();
    for one in all {
        *tally.entry(one.event_id()).or_default() += 1;
    }
    tally
}

impl Drop for Receiver {
    fn drop(&mut self) {
        self.task.abort();
    }
}

/// Holds requests back until it is opened.
#[derive(Default)]
pub struct Gate {
    open: Mutex<bool>,
    opened: Notify,
}

impl Gate {
    pub fn open(&self) {
        *self.open.lock().unwrap() = true;
        self.opened.notify_waiters();
    }

    /// Waits until it is open.
    pub async fn pass(&self) {
        loop {
            let opened = self.opened.notified();
            tokio::pin!(opened);
            opened.as_mut().enable();
            if *self.open.lock().unwrap() {
                return;
            }
            opened.await;
        }
    }
}
