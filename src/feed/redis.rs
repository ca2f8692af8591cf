//! The feed over Redis: one stream for each installation, read by every node for itself.
//!
//! Entries say who has something due and what changed; the deliveries themselves are read from
//! the database. So a stream that is trimmed, flushed or lost costs time and nothing else.
//! There are no consumer groups: nothing has to survive in Redis, not even a position.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use async_trait::async_trait;
use redis::aio::{ConnectionManager, ConnectionManagerConfig, MultiplexedConnection};
use redis::streams::{StreamRangeReply, StreamReadOptions, StreamReadReply};
use redis::{AsyncCommands, AsyncConnectionConfig, Client, RedisError};
use tokio::sync::mpsc;
use uuid::Uuid;

use super::{Feed, FeedDepth, FeedKind, FeedStanding, Notice};
use crate::clock;
use crate::domain::Timestamp;
use crate::domain::id::{DeliveryId, SubscriptionId};

/// Entries that the stream keeps, about: enough for a reader that lags by seconds.
const KEPT_ENTRIES: usize = 10_000;
/// Notices waiting to be written; past it they are dropped, and the sweeper makes good.
const WAITING_NOTICES: usize = 1_024;
/// How long one read waits for news, in milliseconds.
const BLOCK_MS: usize = 1_000;
/// How long Redis may take to answer, besides waiting for news.
const ANSWER_TIME: Duration = Duration::from_secs(3);

/// See the module's documentation.
pub struct RedisFeed {
    client: Client,
    stream: String,
    /// This process: entries of its own are not heard again.
    node: String,
    outbox: mpsc::Sender<Notice>,
    /// For people's questions; it connects when somebody asks, and again by itself.
    asking: ConnectionManager,
    state: Arc<Mutex<State>>,
}

/// How the connection that reads is.
struct State {
    health: Result<String, String>,
    /// Since when.
    since: Timestamp,
    /// How often it was made.
    connects: u64,
    /// The entry that was read last.
    position: EntryId,
}

/// The id of an entry: milliseconds by Redis's clock, and a number within them.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
struct EntryId(u64, u64);

impl EntryId {
    /// The one before all where the text is no id.
    fn read(text: &str) -> Self {
        let parts = text.split_once('-');
        let read = parts
            .and_then(|(millis, number)| Some(Self(millis.parse().ok()?, number.parse().ok()?)));
        read.unwrap_or_default()
    }
}

impl RedisFeed {
    /// Prepares the feed of an installation. The connection is made, and made again, in the
    /// background: Redis may be away at any time, also now.
    pub fn start(url: &str, installation: &str, node: &str) -> Result<Self, String> {
        let client = Client::open(url).map_err(|error| describe(&error))?;
        let (outbox, waiting) = mpsc::channel(WAITING_NOTICES);
        let config = ConnectionManagerConfig::new()
            .set_number_of_retries(1)
            .set_connection_timeout(Some(ANSWER_TIME))
            .set_response_timeout(Some(ANSWER_TIME));
        let asking = ConnectionManager::new_lazy_with_config(client.clone(), config)
            .map_err(|error| describe(&error))?;
        let feed = Self {
            client,
            stream: format!("posthaste:{installation}:feed"),
            node: node.to_owned(),
            outbox,
            asking,
            state: Arc::new(Mutex::new(State {
                health: Err("not connected yet".to_owned()),
                since: clock::now(),
                connects: 0,
                position: EntryId::default(),
            })),
        };
        tokio::spawn(write(
            feed.client.clone(),
            feed.stream.clone(),
            feed.node.clone(),
            waiting,
        ));
        Ok(feed)
    }

    async fn read(&self, heard: &mpsc::Sender<Notice>) -> Result<(), RedisError> {
        let mut connection = connect(&self.client).await?;
        // The position is read before anybody looks into the database, so that nothing falls
        // between the two.
        let newest: StreamRangeReply = connection
            .xrevrange_count(&self.stream, "+", "-", 1)
            .await?;
        let mut position = newest
            .ids
            .first()
            .map_or_else(|| "0-0".to_owned(), |entry| entry.id.clone());
        self.note(Ok("connected".to_owned()));
        self.state().position = EntryId::read(&position);
        let options = StreamReadOptions::default().block(BLOCK_MS).count(256);
        let mut notices = vec![Notice::Gap];
        loop {
            for notice in notices.drain(..) {
                if heard.send(notice).await.is_err() {
                    return Ok(());
                }
            }
            let reply: Option<StreamReadReply> = connection
                .xread_options(&[&self.stream], &[&position], &options)
                .await?;
            let entries = reply
                .into_iter()
                .flat_map(|reply| reply.keys)
                .flat_map(|key| key.ids);
            for entry in entries {
                let from: Option<String> = entry.get("from");
                if from.as_deref() != Some(self.node.as_str()) {
                    notices.extend(
                        FIELDS
                            .into_iter()
                            .filter_map(|field| {
                                let value: Vec<u8> = entry.get(field)?;
                                Some(decode(field, &value))
                            })
                            .flatten(),
                    );
                }
                position = entry.id;
            }
            self.state().position = EntryId::read(&position);
        }
    }

    fn note(&self, health: Result<String, String>) {
        let mut state = self.state();
        // Attempts that fail one after the other are one absence.
        if state.health.is_ok() != health.is_ok() {
            state.since = clock::now();
        }
        state.connects += u64::from(health.is_ok());
        state.health = health;
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[async_trait]
impl Feed for RedisFeed {
    fn announce(&self, notice: Notice) {
        // Full while Redis is away: the sweeper finds what is not announced.
        let _ = self.outbox.try_send(notice);
    }

    async fn listen(&self, heard: mpsc::Sender<Notice>) -> String {
        let reason = match self.read(&heard).await {
            Ok(()) => "nobody listens any more".to_owned(),
            Err(error) => describe(&error),
        };
        self.note(Err(reason.clone()));
        reason
    }

    fn health(&self) -> Result<String, String> {
        self.state().health.clone()
    }

    fn standing(&self) -> FeedStanding {
        let state = self.state();
        FeedStanding {
            kind: FeedKind::Redis,
            since: Some(state.since),
            reconnects: state.connects.saturating_sub(1),
        }
    }

    async fn depth(&self) -> Result<Option<FeedDepth>, String> {
        let mut asking = self.asking.clone();
        let mut question = redis::pipe();
        question.xlen(&self.stream);
        question.xrange_count(&self.stream, "-", "+", 1);
        question.xrevrange_count(&self.stream, "+", "-", 1);
        let answer = question.query_async(&mut asking);
        let answer: (u64, StreamRangeReply, StreamRangeReply) =
            answer.await.map_err(|error: RedisError| describe(&error))?;
        let (entries, first, last) = answer;
        let id = |reply: StreamRangeReply| reply.ids.first().map(|entry| EntryId::read(&entry.id));
        // What was trimmed, nobody reads any more.
        let read = self.state().position.max(id(first).unwrap_or_default());
        let behind = id(last).map_or(0, |last| last.0.saturating_sub(read.0));
        Ok(Some(FeedDepth {
            entries,
            behind: Duration::from_millis(behind),
        }))
    }
}

/// Errors of the client may quote the address with its password.
fn describe(error: &RedisError) -> String {
    format!("Redis: {}", error.category())
}

async fn connect(client: &Client) -> Result<MultiplexedConnection, RedisError> {
    let config = AsyncConnectionConfig::new()
        .set_connection_timeout(Some(ANSWER_TIME))
        .set_response_timeout(Some(ANSWER_TIME + Duration::from_millis(BLOCK_MS as u64)));
    client
        .get_multiplexed_async_connection_with_config(&config)
        .await
}

/// Writes notices to the stream until the feed is dropped. What cannot be written is dropped.
async fn write(client: Client, stream: String, node: String, mut waiting: mpsc::Receiver<Notice>) {
    let mut connection: Option<MultiplexedConnection> = None;
    while let Some(first) = waiting.recv().await {
        let mut notices = vec![first];
        while notices.len() < 64
            && let Ok(next) = waiting.try_recv()
        {
            notices.push(next);
        }
        let notices = coalesce(notices);
        let reused = connection.is_some();
        let mut written = add(&client, &mut connection, &stream, &node, &notices).await;
        if written.is_err() && reused {
            // It had broken since it was last used, which is not to cost this notice.
            connection = None;
            written = add(&client, &mut connection, &stream, &node, &notices).await;
        }
        if written.is_err() {
            connection = None;
        }
    }
}

/// Adds notices to the stream, by the connection there is or a new one.
async fn add(
    client: &Client,
    connection: &mut Option<MultiplexedConnection>,
    stream: &str,
    node: &str,
    notices: &[Notice],
) -> Result<(), RedisError> {
    let open = match connection {
        Some(open) => open,
        None => connection.insert(connect(client).await?),
    };
    let mut pipeline = redis::pipe();
    for notice in notices {
        let (field, value) = encode(notice);
        pipeline
            .cmd("XADD")
            .arg(stream)
            .arg("MAXLEN")
            .arg("~")
            .arg(KEPT_ENTRIES)
            .arg("*")
            .arg("from")
            .arg(node)
            .arg(field)
            .arg(value)
            .ignore();
    }
    pipeline.query_async(open).await
}

/// Several notices of what is due say no more than one of all of it.
fn coalesce(notices: Vec<Notice>) -> Vec<Notice> {
    let mut due = Vec::new();
    let mut others = Vec::new();
    for notice in notices {
        match notice {
            Notice::Due(ids) => due.extend(ids),
            other if !others.contains(&other) => others.push(other),
            _ => {}
        }
    }
    due.sort_unstable();
    due.dedup();
    if !due.is_empty() {
        others.push(Notice::Due(due));
    }
    others
}

/// The names under which notices stand in an entry.
const FIELDS: [&str; 7] = [
    "changed",
    "due",
    "retry",
    "tenants",
    "jobs",
    "keys",
    "catalogue",
];

fn encode(notice: &Notice) -> (&'static str, Vec<u8>) {
    match notice {
        Notice::Due(ids) => ("due", ids.iter().flat_map(|id| *id.0.as_bytes()).collect()),
        Notice::Changed(id) => ("changed", id.0.as_bytes().to_vec()),
        Notice::Retry {
            subscription,
            delivery,
            round,
        } => {
            let ids = [*subscription.0.as_bytes(), *delivery.0.as_bytes()].concat();
            ("retry", [&ids[..], &round.to_be_bytes()].concat())
        }
        Notice::Tenants => ("tenants", Vec::new()),
        Notice::Jobs => ("jobs", Vec::new()),
        Notice::Keys => ("keys", Vec::new()),
        Notice::Catalogue => ("catalogue", Vec::new()),
        Notice::Gap => ("due", Vec::new()),
    }
}

/// What stands in a field; nothing where it is garbage.
fn decode(field: &str, value: &[u8]) -> Vec<Notice> {
    let ids = || {
        value
            .chunks_exact(16)
            .filter_map(|id| Uuid::from_slice(id).ok())
    };
    match field {
        "changed" => ids().map(SubscriptionId).map(Notice::Changed).collect(),
        "due" => {
            let due: Vec<_> = ids().map(SubscriptionId).collect();
            (!due.is_empty())
                .then_some(Notice::Due(due))
                .into_iter()
                .collect()
        }
        "retry" => {
            let round = value.get(32..).and_then(|round| round.try_into().ok());
            let ids: Vec<_> = ids().collect();
            match (ids.as_slice(), round.map(u32::from_be_bytes)) {
                ([subscription, delivery], Some(round)) => vec![Notice::Retry {
                    subscription: SubscriptionId(*subscription),
                    delivery: DeliveryId(*delivery),
                    round,
                }],
                _ => Vec::new(),
            }
        }
        "tenants" => vec![Notice::Tenants],
        "jobs" => vec![Notice::Jobs],
        "keys" => vec![Notice::Keys],
        "catalogue" => vec![Notice::Catalogue],
        _ => Vec::new(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn id(number: u128) -> SubscriptionId {
        SubscriptionId(Uuid::from_u128(number))
    }

    #[test]
    fn notices_survive_the_way() {
        let retry = Notice::Retry {
            subscription: id(4),
            delivery: DeliveryId(Uuid::from_u128(5)),
            round: 6,
        };
        let due = Notice::Due(vec![id(1), id(2)]);
        for notice in [
            due,
            Notice::Changed(id(3)),
            retry,
            Notice::Tenants,
            Notice::Jobs,
            Notice::Keys,
            Notice::Catalogue,
        ] {
            let (field, value) = encode(&notice);
            assert!(FIELDS.contains(&field), "{field} is not read");
            assert_eq!(decode(field, &value), [notice]);
        }
        for garbage in [vec![1, 2, 3], vec![7; 33], vec![7; 37]] {
            assert_eq!(decode("retry", &garbage), [], "garbage is nothing");
        }
        assert_eq!(decode("due", &[1, 2, 3]), []);
    }

    #[test]
    fn entries_lie_in_the_order_of_their_ids() {
        assert_eq!(
            EntryId::read("1761472800000-12"),
            EntryId(1_761_472_800_000, 12)
        );
        assert!(EntryId::read("9-0") < EntryId::read("10-0"));
        assert!(EntryId::read("10-9") < EntryId::read("10-10"));
        assert_eq!(EntryId::read("garbage"), EntryId(0, 0));
    }

    #[test]
    fn what_is_due_is_said_once() {
        let said = vec![
            Notice::Due(vec![id(2), id(1)]),
            Notice::Changed(id(9)),
            Notice::Changed(id(9)),
            Notice::Due(vec![id(2)]),
        ];
        let expected = [Notice::Changed(id(9)), Notice::Due(vec![id(1), id(2)])];
        assert_eq!(coalesce(said), expected);
    }
}
