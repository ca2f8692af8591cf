//! Receivers on real sockets: healthy, slow, flaky, breaking connections, and limiting. What
//! each does with a request is decided by the seed, the event and how often it came before,
//! whatever the order in which things happen.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use axum::http::{HeaderMap, HeaderName, HeaderValue};
use serde_json::{Value, json};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;
use tokio::task::JoinHandle;

use crate::chance::Chance;
use crate::ledger::{Ledger, Receipt};
use crate::support::relay::text;

/// One kind of receiver and the subscription it gets.
#[derive(Clone, Copy, Debug)]
pub struct Kind {
    pub name: &'static str,
    /// Empty: all.
    pub event_types: &'static [&'static str],
    /// Further fields of the subscription.
    subscription: fn() -> Value,
    answer: fn(&mut Chance, usize) -> Answer,
    /// Its first successful receipts of an ordering key are to come in order.
    pub ordered: bool,
}

/// What a receiver does with a request that it has read whole.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Answer {
    /// 200, after that long.
    Ok(Duration),
    /// 500.
    Broken,
    /// 429 with a `Retry-After` of one second.
    TooMany,
    /// The connection is reset.
    Reset,
}

impl Answer {
    pub fn is_success(self) -> bool {
        matches!(self, Self::Ok(_))
    }
}

/// All kinds; the first one is the healthy one.
pub const KINDS: [Kind; 6] = [
    Kind {
        name: "healthy",
        event_types: &[],
        subscription: || json!({}),
        answer: |_, _| Answer::Ok(Duration::ZERO),
        ordered: false,
    },
    Kind {
        name: "slow",
        event_types: &["chaos.a"],
        subscription: || json!({"maxInFlight": 8}),
        answer: |chance, _| Answer::Ok(chance.millis(100, 400)),
        ordered: false,
    },
    Kind {
        name: "flaky",
        event_types: &["chaos.a", "chaos.b"],
        subscription: || json!({}),
        answer: |chance, before| match chance.percent(30) && before < 5 {
            true => Answer::Broken,
            false => Answer::Ok(Duration::ZERO),
        },
        ordered: false,
    },
    Kind {
        name: "resetting",
        event_types: &["chaos.b", "chaos.c"],
        subscription: || json!({}),
        answer: |chance, before| match chance.percent(25) && before < 5 {
            true => Answer::Reset,
            false => Answer::Ok(Duration::ZERO),
        },
        ordered: false,
    },
    Kind {
        name: "limited",
        event_types: &["chaos.d"],
        subscription: || json!({"rateLimit": {"limit": 50, "periodMs": 1000, "burst": 10}}),
        answer: |chance, before| match chance.percent(2) && before < 5 {
            true => Answer::TooMany,
            false => Answer::Ok(Duration::ZERO),
        },
        ordered: false,
    },
    Kind {
        name: "in order",
        event_types: &["chaos.a", "chaos.d"],
        subscription: || json!({"ordering": "key"}),
        // Each failure holds its key back until the retry.
        answer: |chance, before| match chance.percent(5) && before < 3 {
            true => Answer::Broken,
            false => Answer::Ok(Duration::ZERO),
        },
        ordered: true,
    },
];

impl Kind {
    pub fn wants(&self, event_type: &str) -> bool {
        self.event_types.is_empty() || self.event_types.contains(&event_type)
    }
}

/// Lets go of everything when it is dropped.
pub struct Receiver {
    pub kind: Kind,
    pub subscription: String,
    task: JoinHandle<()>,
}

struct Shared {
    kind: Kind,
    index: usize,
    seed: u64,
    ledger: Arc<Ledger>,
    /// Known once the subscription is made, which needs the address first.
    secret: watch::Receiver<Option<standardwebhooks::Webhook>>,
}

impl Receiver {
    /// Listens, and subscribes by `subscribe`, which answers with the subscription as made.
    pub async fn start(
        index: usize,
        seed: u64,
        ledger: &Arc<Ledger>,
        subscribe: impl AsyncFnOnce(Value) -> Value,
    ) -> Self {
        let kind = KINDS[index];
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address: SocketAddr = listener.local_addr().unwrap();
        let (secret, known) = watch::channel(None);
        let shared = Arc::new(Shared {
            kind,
            index,
            seed,
            ledger: Arc::clone(ledger),
            secret: known,
        });
        let task = tokio::spawn(async move {
            loop {
                let (stream, _) = listener.accept().await.unwrap();
                tokio::spawn(Arc::clone(&shared).serve(stream));
            }
        });
        let types: &[&str] = match kind.event_types {
            [] => &["*"],
            some => some,
        };
        let mut body = json!({
            "name": kind.name,
            "url": format!("http://{address}/hook"),
            "eventTypes": types,
        });
        let more = (kind.subscription)();
        let fields = body.as_object_mut().unwrap();
        fields.extend(more.as_object().cloned().unwrap_or_default());
        let made = subscribe(body).await;
        let webhook = standardwebhooks::Webhook::new(text(&made, "secret")).unwrap();
        secret.send_replace(Some(webhook));
        Self {
            kind,
            subscription: text(&made, "id").to_owned(),
            task,
        }
    }
}

impl Drop for Receiver {
    fn drop(&mut self) {
        self.task.abort();
    }
}

impl Shared {
    async fn serve(self: Arc<Self>, mut stream: TcpStream) {
        let _ = stream.set_nodelay(true);
        let mut read = Vec::new();
        while let Some((headers, body)) = request(&mut stream, &mut read).await {
            let answer = self.note(&headers, &body).await;
            let text = match answer {
                Answer::Ok(after) => {
                    // Slowness is what this receiver is there for.
                    tokio::time::sleep(after).await;
                    "HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n"
                }
                Answer::Broken => "HTTP/1.1 500 Internal Server Error\r\ncontent-length: 0\r\n\r\n",
                Answer::TooMany => {
                    "HTTP/1.1 429 Too Many Requests\r\nretry-after: 1\r\ncontent-length: 0\r\n\r\n"
                }
                Answer::Reset => {
                    let _ = stream.set_zero_linger();
                    return;
                }
            };
            if stream.write_all(text.as_bytes()).await.is_err() {
                return;
            }
        }
    }

    /// Judges a request and decides on its answer.
    async fn note(&self, headers: &HeaderMap, body: &[u8]) -> Answer {
        let mut secret = self.secret.clone();
        let good = {
            let known = secret.wait_for(Option::is_some).await.unwrap();
            known.as_ref().unwrap().verify(body, headers)
        };
        if let Err(problem) = good {
            let name = self.kind.name;
            let complaint = format!("{name} got a request whose signature is bad: {problem}");
            self.ledger.complain(complaint);
        }
        let event = headers["webhook-id"].to_str().unwrap().to_owned();
        let before = self.ledger.received(self.index, &event, body);
        let sent: Value = serde_json::from_slice(body).unwrap();
        let name = format!("{} {} {before}", self.kind.name, sent["data"]["name"]);
        let answer = (self.kind.answer)(&mut Chance::of(self.seed, &name), before);
        self.ledger.note(|notes| {
            notes.receipts[self.index].push(Receipt { event, answer });
        });
        answer
    }
}

/// The next request of a connection, read whole. `None` at its end.
async fn request(stream: &mut TcpStream, read: &mut Vec<u8>) -> Option<(HeaderMap, Vec<u8>)> {
    let (headers, start) = loop {
        let end = read.windows(4).position(|four| four == b"\r\n\r\n");
        if let Some(end) = end {
            break (parse(&read[..end]), end + 4);
        }
        more(stream, read).await?;
    };
    let length: usize = headers["content-length"].to_str().unwrap().parse().unwrap();
    while read.len() < start + length {
        more(stream, read).await?;
    }
    let rest = read.split_off(start + length);
    let body = std::mem::replace(read, rest).split_off(start);
    Some((headers, body))
}

async fn more(stream: &mut TcpStream, read: &mut Vec<u8>) -> Option<()> {
    match stream.read_buf(read).await {
        Ok(0) | Err(_) => None,
        Ok(_) => Some(()),
    }
}

fn parse(head: &[u8]) -> HeaderMap {
    let lines = head.split(|byte| *byte == b'\n').skip(1);
    lines
        .map(|line| {
            let colon = line.iter().position(|byte| *byte == b':').unwrap();
            let name = HeaderName::from_bytes(&line[..colon]).unwrap();
            let value = HeaderValue::from_bytes(line[colon + 1..].trim_ascii()).unwrap();
            (name, value)
        })
        .collect()
}
