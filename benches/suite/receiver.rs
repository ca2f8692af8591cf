//! The receiver's own process: answers 200 and keeps a tally per lane.
//!
//! `POST /hook/LANE` answers at once, `POST /slow/MILLISECONDS/LANE` later; a lane is whatever is
//! counted apart, as a rule a subscription. `GET /tally/FIRST/LAST` sums up lanes, `/reset`
//! forgets all.

use std::collections::BTreeMap;
use std::convert::Infallible;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use bytes::Bytes;
use http_body_util::{BodyExt, Full};
use hyper::body::Incoming;
use hyper::service::service_fn;
use hyper::{Request, Response};
use hyper_util::rt::TokioIo;
use serde::{Deserialize, Serialize};
use tokio::net::TcpListener;

use crate::wire::{self, Latencies, Spread};

/// What came, of some lanes.
#[derive(Clone, Copy, Debug, Default, Serialize, Deserialize)]
pub struct Tally {
    /// Requests.
    pub count: u64,
    /// Different events, each counted once per lane.
    pub distinct: u64,
    /// When the last one came that was new.
    pub last: u64,
    /// From the time an event was due to its first receipt.
    pub receipt: Spread,
}

#[derive(Default)]
struct Lane {
    count: u64,
    distinct: u64,
    last: u64,
    /// One bit per event, by number.
    seen: Vec<u64>,
    receipt: Latencies,
}

impl Lane {
    fn take(&mut self, number: u64, due: u64) {
        self.count += 1;
        let (word, bit) = (
            usize::try_from(number / 64).expect("a small number"),
            1 << (number % 64),
        );
        if self.seen.len() <= word {
            self.seen.resize(word + 1, 0);
        }
        if self.seen[word] & bit == 0 {
            self.seen[word] |= bit;
            self.distinct += 1;
            self.last = wire::now();
            self.receipt.record(due, self.last);
        }
    }
}

type Lanes = Arc<Mutex<BTreeMap<u32, Lane>>>;

/// Serves until the process is ended; says on the terminal where.
pub async fn serve() {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
    println!("http://{}/", listener.local_addr().expect("an address"));
    let lanes = Lanes::default();
    loop {
        let Ok((stream, _)) = listener.accept().await else {
            continue;
        };
        let _ = stream.set_nodelay(true);
        let lanes = Arc::clone(&lanes);
        tokio::spawn(async move {
            let service = service_fn(move |request| answer(Arc::clone(&lanes), request));
            let _ = hyper::server::conn::http1::Builder::new()
                .serve_connection(TokioIo::new(stream), service)
                .await;
        });
    }
}

async fn answer(
    lanes: Lanes,
    request: Request<Incoming>,
) -> Result<Response<Full<Bytes>>, Infallible> {
    let path = request.uri().path().to_owned();
    let mut parts = path.split('/').skip(1);
    let (trade, numbers) = (parts.next(), parts.map(|part| part.parse::<u32>()));
    let numbers: Vec<u32> = numbers.collect::<Result<_, _>>().expect("numbers");
    let lock = || lanes.lock().expect("the lanes");
    match (trade, &numbers[..]) {
        (Some("hook"), [lane]) => {
            let body = request.into_body().collect().await;
            if let Ok(body) = body {
                take(&mut lock(), *lane, &body.to_bytes());
            }
            Ok(Response::new(Full::default()))
        }
        (Some("slow"), [milliseconds, lane]) => {
            let body = request.into_body().collect().await;
            if let Ok(body) = body {
                take(&mut lock(), *lane, &body.to_bytes());
            }
            tokio::time::sleep(Duration::from_millis(u64::from(*milliseconds))).await;
            Ok(Response::new(Full::default()))
        }
        (Some("tally"), [first, last]) => {
            let tally = tally(lock().range(first..=last).map(|(_, lane)| lane));
            let text = serde_json::to_string(&tally).expect("JSON");
            Ok(Response::new(Full::from(text)))
        }
        (Some("reset"), []) => {
            lock().clear();
            Ok(Response::new(Full::default()))
        }
        _ => panic!("{path} is no path of the receiver"),
    }
}

fn take(lanes: &mut BTreeMap<u32, Lane>, lane: u32, body: &[u8]) {
    // Events that only warm things up carry no stamp of their own making.
    if let Some((number, due)) = wire::stamp(body) {
        lanes.entry(lane).or_default().take(number, due);
    }
}

fn tally<'a>(lanes: impl Iterator<Item = &'a Lane>) -> Tally {
    let mut sum = Tally::default();
    let mut receipt = Latencies::default();
    for lane in lanes {
        sum.count += lane.count;
        sum.distinct += lane.distinct;
        sum.last = sum.last.max(lane.last);
        receipt.add(&lane.receipt);
    }
    Tally {
        receipt: receipt.spread(),
        ..sum
    }
}
