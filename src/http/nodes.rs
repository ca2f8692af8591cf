//! `GET /system/nodes`: all processes of the installation and how the deliveries are parted among
//! them, with the feed between them and the store below.
//!
//! The processes tell the store that they live; whoever answers here only reads that. A part that
//! cannot be asked is null, and `missing` says why: a store that is away is no reason to hide the rest.

use std::collections::BTreeMap;

use axum::Json;
use axum::extract::State;
use serde::Serialize;
use utoipa::ToSchema;

use super::HttpState;
use super::auth::Asking;
use super::error::Result;
use super::system::{ProfileWord, UsageView, of_the_whole};
use super::view::millis;
use crate::actors::Installation;
use crate::domain::Timestamp;
use crate::domain::node::{KnownNode, Lease, NodeState, Registry};
use crate::feed::FeedKind;
use crate::store::{Storage, StoredDatabase, StoredFile, TableSize, TimePart};

/// The installation.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
#[schema(as = Installation)]
pub struct InstallationView {
    /// The process that answers: the name of one of the nodes.
    answered_by: String,
    /// The processes that run, and those that were there of late. Null where the store did not say.
    nodes: Option<Vec<InstalledNodeView>>,
    /// How the deliveries are parted. Null where the store did not say.
    partitions: Option<Vec<PartitionView>>,
    feed: FeedView,
    /// Null where the store did not say.
    store: Option<StoreView>,
    /// What could not be asked (`nodes`, `partitions`, `feed`, `store`), and why.
    #[schema(value_type = BTreeMap<String, String>)]
    missing: BTreeMap<&'static str, String>,
}

/// A process as it told of itself with its last beat. Times are by the store's clock.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
#[schema(as = InstalledNode)]
struct InstalledNodeView {
    /// What it calls itself to others; never given twice.
    name: String,
    /// The machine, or container, that it runs on; null where the system does not say.
    host: Option<String>,
    version: String,
    role: String,
    #[schema(value_type = ProfileWord)]
    profile: String,
    #[schema(value_type = NodeState)]
    state: &'static str,
    /// How long ago it started.
    uptime_ms: u64,
    /// How long ago its last beat was; it is lost where three are missing.
    unseen_ms: u64,
    /// Its parts that are not well, as `/health` names them.
    unwell: Vec<String>,
    /// Attempts in flight.
    in_flight: UsageView,
    /// Bytes of payload in windows.
    window_bytes: UsageView,
    /// Actors of subscriptions that live.
    subscriptions: u64,
    /// Restarts of actors since its start.
    restarts: u64,
    /// What stands before its actors: events, outcomes, messages.
    waiting: u64,
    /// Null where the system does not say.
    resident_bytes: Option<u64>,
}

/// A part of the deliveries and who owns it.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
#[schema(as = Partition)]
struct PartitionView {
    /// 0 is all deliveries: they are not parted further.
    id: u32,
    /// The name of the process that had it last; null where it was given back, or nobody had it yet.
    owner: Option<String>,
    /// Rises when it changes hands.
    epoch: i64,
    /// How long the lease lasts unless it is renewed: 0 once it has ended, and anybody may take it. Null
    /// where it does not end by itself.
    lease_left_ms: Option<u64>,
}

/// The way from process to process.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
#[schema(as = FeedHealth)]
struct FeedView {
    #[schema(value_type = FeedWord)]
    kind: &'static str,
    /// Whether the process that answers hears the others.
    connected: bool,
    /// One sentence.
    detail: String,
    /// Since when it is so; null where there is nothing to connect to.
    since: Option<Timestamp>,
    /// How often it was connected again since the start.
    reconnects: u64,
    /// Notices kept in Redis; null where there is none, or it did not say.
    entries: Option<u64>,
    /// How much later the newest notice came than the last one that was read; null likewise.
    behind_ms: Option<u64>,
}

/// What the feed goes by: nothing where there is no Redis.
#[derive(ToSchema)]
#[schema(as = FeedKind, rename_all = "lowercase")]
#[expect(dead_code, reason = "only its schema is used")]
enum FeedWord {
    Memory,
    Redis,
}

/// Where everything lies: one of the two.
#[derive(Debug, Default, Serialize, ToSchema)]
#[schema(as = StoreHealth)]
struct StoreView {
    /// Null where it is a database.
    file: Option<FileView>,
    /// Null where it is a file.
    database: Option<DatabaseView>,
}

/// SQLite's file.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
#[schema(as = StoreFile)]
struct FileView {
    path: String,
    bytes: u64,
    /// Bytes of it that hold nothing, and are used before it grows.
    free_bytes: u64,
    /// Bytes of its log, which is moved into it from time to time.
    log_bytes: u64,
}

/// Postgres' database.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
#[schema(as = StoreDatabase)]
struct DatabaseView {
    version: String,
    bytes: u64,
    /// Of the process that answers.
    connections: ConnectionsView,
    /// Pending deliveries, which lie in no partition of time.
    pending: TableSizeView,
    /// Newest first, 100 at most.
    time_partitions: Vec<TimePartitionView>,
}

#[derive(Debug, Serialize, ToSchema)]
#[schema(as = StoreConnections)]
struct ConnectionsView {
    open: u64,
    /// Of them at rest.
    idle: u64,
    most: u64,
}

/// A table.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = TableSize)]
struct TableSizeView {
    /// As the server estimates them.
    rows: u64,
    /// With indexes.
    bytes: u64,
}

/// What came within a span of time: it is dropped as a whole once it is old.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = TimePartition)]
struct TimePartitionView {
    /// Null, like `to`, of what lies in no other one.
    from: Option<Timestamp>,
    to: Option<Timestamp>,
    events: TableSizeView,
    /// Those that are final.
    deliveries: TableSizeView,
    attempts: TableSizeView,
}

impl InstallationView {
    fn new(seen: Installation) -> Self {
        let mut missing = BTreeMap::new();
        let mut note = |part, reason: String| missing.insert(part, reason);
        let (nodes, partitions) = match seen.registry {
            Ok(registry) => (Some(nodes(&registry)), Some(partitions(registry.leases))),
            Err(reason) => {
                note("nodes", reason.clone());
                note("partitions", reason);
                (None, None)
            }
        };
        let store = match seen.storage {
            Ok(storage) => Some(StoreView::from(storage)),
            Err(reason) => {
                note("store", reason);
                None
            }
        };
        let depth = seen.feed_depth.unwrap_or_else(|reason| {
            note("feed", reason);
            None
        });
        let (connected, detail) = match seen.feed_health {
            Ok(detail) => (true, detail),
            Err(detail) => (false, detail),
        };
        Self {
            answered_by: seen.told_by,
            nodes,
            partitions,
            feed: FeedView {
                kind: match seen.feed.kind {
                    FeedKind::Memory => "memory",
                    FeedKind::Redis => "redis",
                },
                connected,
                detail,
                since: seen.feed.since,
                reconnects: seen.feed.reconnects,
                entries: depth.map(|depth| depth.entries),
                behind_ms: depth.map(|depth| millis(depth.behind)),
            },
            store,
            missing,
        }
    }
}

fn nodes(registry: &Registry) -> Vec<InstalledNodeView> {
    let view = |node: &KnownNode| {
        let (report, figures) = (node.report.clone(), node.report.figures);
        let usage = |count, most| UsageView { count, most };
        InstalledNodeView {
            name: report.name,
            host: report.host,
            version: report.version,
            role: report.role,
            profile: report.profile,
            state: registry.state(node).as_str(),
            uptime_ms: millis(node.age),
            unseen_ms: millis(node.unseen),
            unwell: report.unwell,
            in_flight: usage(figures.in_flight, figures.most_in_flight),
            window_bytes: usage(figures.window_bytes, figures.most_window_bytes),
            subscriptions: figures.subscriptions,
            restarts: figures.restarts,
            waiting: figures.waiting,
            resident_bytes: figures.resident_bytes,
        }
    };
    registry.nodes.iter().map(view).collect()
}

fn partitions(leases: Vec<Lease>) -> Vec<PartitionView> {
    let view = |lease: Lease| PartitionView {
        id: lease.partition,
        owner: lease.owner,
        epoch: lease.epoch,
        lease_left_ms: lease.left.map(millis),
    };
    leases.into_iter().map(view).collect()
}

impl From<Storage> for StoreView {
    fn from(storage: Storage) -> Self {
        match storage {
            Storage::File(file) => Self {
                file: Some(file.into()),
                ..Self::default()
            },
            Storage::Database(database) => Self {
                database: Some(database.into()),
                ..Self::default()
            },
        }
    }
}

impl From<StoredFile> for FileView {
    fn from(file: StoredFile) -> Self {
        Self {
            path: file.path.display().to_string(),
            bytes: file.pages * file.page_bytes,
            free_bytes: file.free_pages * file.page_bytes,
            log_bytes: file.log_bytes,
        }
    }
}

impl From<StoredDatabase> for DatabaseView {
    fn from(database: StoredDatabase) -> Self {
        let connections = database.connections;
        Self {
            version: database.version,
            bytes: database.bytes,
            connections: ConnectionsView {
                open: connections.open,
                idle: connections.idle,
                most: connections.most,
            },
            pending: database.pending.into(),
            time_partitions: database.parts.into_iter().map(Into::into).collect(),
        }
    }
}

impl From<TimePart> for TimePartitionView {
    fn from(part: TimePart) -> Self {
        Self {
            from: part.span.map(|span| span.from),
            to: part.span.map(|span| span.to),
            events: part.events.into(),
            deliveries: part.deliveries.into(),
            attempts: part.attempts.into(),
        }
    }
}

impl From<TableSize> for TableSizeView {
    fn from(TableSize { rows, bytes }: TableSize) -> Self {
        Self { rows, bytes }
    }
}

/// `GET /system/nodes`.
#[utoipa::path(
    get,
    path = "/system/nodes",
    tag = "relay",
    operation_id = "nodes",
    summary = "All processes of the installation, who delivers, the feed between them and the store",
    description = "A process tells the store that it lives every `engine.beat_ms`; one that ends gracefully \
        is taken out, one that is not heard of any more is `lost`, and forgotten after a day. What could not be \
        asked is null, and `missing` says why.",
    responses((status = 200, description = "As the store knows it at this moment.", body = InstallationView))
)]
pub async fn show(
    State(app): State<HttpState>,
    Asking(caller): Asking,
) -> Result<Json<InstallationView>> {
    of_the_whole(&caller)?;
    Ok(Json(InstallationView::new(app.relay.installation().await)))
}
