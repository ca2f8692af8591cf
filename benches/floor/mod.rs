//! The floor: an event's way with nothing on it that is not needed.
//!
//! Accept over HTTP, one group commit of events and deliveries, sign, send, one group commit of
//! outcomes. No retry, no breaker, no idempotency, no paging, no fence, no actors: what is left
//! is what a durable relay costs on these crates and these stores at the least. It is as
//! durable as the relay (202 after an fsynced commit, outcomes on disk, a delivery without an
//! outcome is one still to be made), and it uses the relay's own event, ids and signatures.

mod accept;
mod courier;
mod postgres;
mod queue;
mod sqlite;

use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use posthaste::domain::event::Event;
use posthaste::domain::id::{DeliveryId, EventId};
use serde::{Deserialize, Serialize};
use tokio::net::TcpListener;
use tokio::sync::Mutex;
use tokio::sync::oneshot;

use self::queue::Queue;
use crate::bench::{Receiver, role};
use crate::process::Process;
use crate::store::Store;

/// Events of one commit at most, as the relay's default.
const GROUP: usize = 512;
/// How long outcomes wait for company, as the relay's default: nobody waits for them.
const LINGER: Duration = Duration::from_millis(3);

/// How a floor is to be set up.
#[derive(Serialize, Deserialize)]
pub struct Plan {
    place: Place,
    receiver: SocketAddr,
    fan_out: u32,
}

#[derive(Serialize, Deserialize)]
enum Place {
    File(PathBuf),
    Database(String),
}

/// Starts a floor as a process of its own.
pub fn start(store: &Store, receiver: &Receiver, fan_out: u32) -> (Process, SocketAddr) {
    let plan = Plan {
        place: match store {
            Store::Embedded(directory) => Place::File(directory.0.join("floor.db")),
            Store::Distributed { database, .. } => Place::Database(database.to_string()),
        },
        receiver: receiver.address,
        fan_out,
    };
    Process::listening(&mut role("floor", &plan))
}

/// A request's events, answered when they are committed.
struct Unit {
    events: Vec<Arc<Event>>,
    committed: oneshot::Sender<()>,
}

/// One call to make.
struct Job {
    delivery: DeliveryId,
    event: EventId,
    lane: u32,
    body: Bytes,
}

/// What became of it.
struct Outcome {
    delivery: DeliveryId,
    at: i64,
    status: i16,
    duration: i64,
}

/// The two commits there are. One at a time on SQLite, side by side on Postgres.
enum Database {
    File(Mutex<sqlx::SqliteConnection>),
    Server {
        accepting: Mutex<sqlx::PgConnection>,
        recording: Mutex<sqlx::PgConnection>,
    },
}

impl Database {
    async fn open(place: &Place) -> sqlx::Result<Self> {
        Ok(match place {
            Place::File(path) => Self::File(Mutex::new(sqlite::open(path).await?)),
            Place::Database(url) => {
                let accepting = postgres::open(url).await?;
                Self::Server {
                    accepting: Mutex::new(accepting),
                    recording: Mutex::new(postgres::session(url).await?),
                }
            }
        })
    }

    async fn accept(&self, events: &[Arc<Event>], jobs: &[Job]) -> sqlx::Result<()> {
        match self {
            Self::File(connection) => {
                sqlite::accept(&mut *connection.lock().await, events, jobs).await
            }
            Self::Server { accepting, .. } => {
                postgres::accept(&mut *accepting.lock().await, events, jobs).await
            }
        }
    }

    async fn record(&self, outcomes: &[Outcome]) -> sqlx::Result<()> {
        match self {
            Self::File(connection) => sqlite::record(&mut *connection.lock().await, outcomes).await,
            Self::Server { recording, .. } => {
                postgres::record(&mut *recording.lock().await, outcomes).await
            }
        }
    }
}

/// What the parts of a floor share.
struct Floor {
    database: Database,
    fan_out: u32,
    units: Queue<Unit>,
    jobs: Queue<Job>,
    outcomes: Queue<Outcome>,
}

/// Runs a floor until the process is ended.
pub fn run(plan: Plan) {
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build();
    runtime.expect("a runtime").block_on(async {
        let floor = Arc::new(Floor {
            database: Database::open(&plan.place).await.expect("the database"),
            fan_out: plan.fan_out,
            units: Queue::default(),
            jobs: Queue::default(),
            outcomes: Queue::default(),
        });
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
        println!("http://{}/", listener.local_addr().expect("an address"));
        tokio::spawn(accept::commit(Arc::clone(&floor)));
        tokio::spawn(record(Arc::clone(&floor)));
        courier::start(&floor, plan.receiver).await;
        accept::serve(listener, floor).await;
    });
}

/// Commits outcomes in groups.
async fn record(floor: Arc<Floor>) {
    loop {
        floor.outcomes.filled().await;
        tokio::time::sleep(LINGER).await;
        let outcomes = floor.outcomes.take(GROUP);
        floor
            .database
            .record(&outcomes)
            .await
            .expect("a commit of outcomes");
    }
}
