//! Events, keys and deliveries in one statement.

use std::collections::{BTreeSet, HashMap};
use std::sync::LazyLock;

use sqlx::postgres::{PgBindIterExt, PgPool, Postgres};
use sqlx::{Executor, Row};
use uuid::Uuid;

use super::columns::{names, sparse, unnested};
use super::rows;
use crate::domain::Timestamp;
use crate::domain::id::EventId;
use crate::domain::idempotency::{KeyName, KnownKey};
use crate::domain::ordering::Line;
use crate::store::rows::At;
use crate::store::statistics::{delta_bytes, of_each_event, of_group};
use crate::store::{AcceptGroup, Accepted, Result, codec};

/// What a group brings beyond events and deliveries of which none stands yet.
#[derive(Clone, Copy, Default)]
struct Form {
    /// Subscriptions with an order, deliveries that are skipped, operational events.
    more: bool,
    /// Idempotency keys.
    keys: bool,
    /// Some of it was accepted before.
    again: bool,
}

/// Parameters 1 and 2 are the directory's version and the group's `now`.
const EVENTS: [(&str, &str); 10] = [
    ("uuid", "id"),
    ("text", "event_type"),
    ("timestamptz", "received_at"),
    ("bytea", "payload"),
    ("text", "tenant"),
    ("text", "event_name"),
    ("text", "source"),
    ("text", "idempotency_key"),
    ("text", "ordering_key"),
    ("timestamptz", "occurred_at"),
];
const FIRST_OF_EVENTS: usize = 3;
const DELIVERIES: [(&str, &str); 6] = [
    ("uuid", "id"),
    ("uuid", "event_id"),
    ("uuid", "subscription_id"),
    ("timestamptz", "due_at"),
    ("int", "payload_bytes"),
    ("text", "line"),
];
const FIRST_OF_DELIVERIES: usize = FIRST_OF_EVENTS + EVENTS.len();
/// What the group comes to; event by event where some may stand already.
const STATISTICS: usize = FIRST_OF_DELIVERIES + DELIVERIES.len();
/// Turns, the number of deliveries that are not skipped, and events that waited.
const FIRST_OF_MORE: usize = STATISTICS + 1;
/// Until when keys have expired, and four columns of keys.
const FIRST_OF_KEYS: usize = FIRST_OF_MORE + 3;

/// Everything of a group, in the order it came, or nothing where the directory has moved or
/// a key is somebody else's.
///
/// The row lock on `directory` makes a change of a subscription and the acceptance of events
/// take turns, and reads the version that is committed by then, not the one of the snapshot.
/// The advisory lock in front of it is there for its queue: holders of a shared row lock
/// would otherwise pass a waiting change by for as long as they overlap.
///
/// Groups that bring deliveries of one subscription with an order take turns from before their
/// places are drawn: places become visible in their order, so that whoever sees one in a
/// line sees all before it. The turns are sorted.
///
/// An event comes with all its deliveries, so one that stands has them, wherever they have got to
/// since: only those of events that this very statement inserts are made.
///
/// `taken` also returns keys that this very group took in an earlier run of unknown fate.
fn accepting(form: Form) -> String {
    let (turns, turned, told) = if form.more {
        let [turns, told] = [FIRST_OF_MORE, FIRST_OF_MORE + 2];
        (
            format!(
                "turns AS MATERIALIZED (
    SELECT pg_advisory_xact_lock(1886352245, turn.of) FROM gate, unnest(${turns}::int[]) AS turn (of)
),"
            ),
            ", (SELECT count(*) FROM turns) AS turned",
            format!(
                "told AS (
    DELETE FROM operational_events
    WHERE id = ANY(${told}) AND (SELECT current AND free FROM clear)
),"
            ),
        )
    } else {
        Default::default()
    };
    let (taken, free) = if form.keys {
        let [expired, tenant, key, event, content] =
            std::array::from_fn(|place| FIRST_OF_KEYS + place);
        (
            format!(
                "taken AS (
    INSERT INTO idempotency_keys AS old (tenant, key, event_id, content, taken_at)
    SELECT k.tenant, k.key, k.event_id, k.content, $2
    FROM unnest(${tenant}::text[], ${key}::text[], ${event}::uuid[], ${content}::bytea[])
        AS k (tenant, key, event_id, content)
    WHERE (SELECT version FROM known) = $1
    ON CONFLICT (tenant, key) DO UPDATE
        SET event_id = excluded.event_id, content = excluded.content, taken_at = excluded.taken_at
        WHERE old.taken_at < ${expired} OR old.event_id = excluded.event_id
    RETURNING 1
),"
            ),
            format!("(SELECT count(*) FROM taken) = cardinality(${tenant}::text[])"),
        )
    } else {
        (String::new(), "true".to_owned())
    };
    // Where rows are left out, or cannot be read straight from the arrays, the order is asked for.
    let (place, in_order) = match form.more || form.again {
        true => (
            format!(", generate_subscripts(${FIRST_OF_DELIVERIES}::uuid[], 1) AS place"),
            "ORDER BY place",
        ),
        false => Default::default(),
    };
    let (if_new, made) = match form.again {
        true => (
            "ON CONFLICT (id) DO NOTHING RETURNING id",
            "AND event_id IN (SELECT id FROM new_events)",
        ),
        false => Default::default(),
    };
    let counted = match form.again {
        true => format!(
            "SELECT $2, c.body
    FROM unnest(${FIRST_OF_EVENTS}::uuid[], ${STATISTICS}::bytea[]) AS c (id, body)
    WHERE c.id IN (SELECT id FROM new_events)"
        ),
        false => format!(
            "SELECT $2, ${STATISTICS}::bytea FROM clear
    WHERE current AND free AND octet_length(${STATISTICS}::bytea) > 0"
        ),
    };
    let unless_there = if form.again {
        "ON CONFLICT DO NOTHING"
    } else {
        ""
    };
    let deliveries = format!(
        "FROM (SELECT {}{place}) AS d WHERE (SELECT current AND free FROM clear) {made}",
        unnested(FIRST_OF_DELIVERIES, &DELIVERIES),
    );
    let (kept, skipped) = if form.more {
        let kept = FIRST_OF_MORE + 1;
        (
            format!("AND place <= ${kept}"),
            format!(
                "skipped AS (
    INSERT INTO final_deliveries ({}, created_at, finished_at, state)
    SELECT {}, $2, $2, 'skipped' {deliveries} AND place > ${kept} {in_order} {unless_there}
),",
                names(&DELIVERIES),
                names(&DELIVERIES),
            ),
        )
    } else {
        Default::default()
    };
    format!(
        "
WITH gate AS MATERIALIZED (SELECT pg_advisory_xact_lock_shared(1886352244, 1)),
{turns}
known AS MATERIALIZED (
    SELECT directory.version FROM gate{turned}, directory
    WHERE directory.one FOR SHARE OF directory
),
{taken}
clear AS MATERIALIZED (
    SELECT (SELECT version FROM known) = $1 AS current, {free} AS free
),
new_events AS (
    INSERT INTO events ({})
    SELECT * FROM (SELECT {}) AS e WHERE (SELECT current AND free FROM clear) {if_new}
),
{skipped}
{told}
counted AS (
    INSERT INTO statistic_deltas (at, body)
    {counted}
),
new_deliveries AS (
    INSERT INTO pending_deliveries ({}, created_at)
    SELECT {}, $2 {deliveries} {kept} {in_order} {unless_there}
)
SELECT current, free FROM clear",
        names(&EVENTS),
        unnested(FIRST_OF_EVENTS, &EVENTS),
        names(&DELIVERIES),
        names(&DELIVERIES),
    )
}

static FORMS: LazyLock<[String; 8]> = LazyLock::new(|| {
    std::array::from_fn(|number| {
        let bit = |bit| number & bit != 0;
        accepting(Form {
            more: bit(1),
            keys: bit(2),
            again: bit(4),
        })
    })
});

impl Form {
    /// What the statement has to look after.
    fn of(group: &AcceptGroup) -> Self {
        let own = group.events.iter().any(|event| event.event_type.is_own());
        Self {
            more: own || !group.ordered.is_empty() || !group.skipped.is_empty(),
            keys: !group.keys.is_empty(),
            again: false,
        }
    }

    fn sql(self) -> &'static str {
        let number =
            usize::from(self.more) + 2 * usize::from(self.keys) + 4 * usize::from(self.again);
        &FORMS[number]
    }
}

/// Takes a group as one that is new. That something of it stands already (it was run before, and
/// its fate was unknown; or others accepted an operational event) is what the database says then;
/// asking of each row costs more than all those cases.
pub(super) async fn accept(pool: &PgPool, group: &AcceptGroup) -> Result<Accepted> {
    let form = Form::of(group);
    let accepted = match run(pool, group, form).await {
        Err(sqlx::Error::Database(error)) if error.is_unique_violation() => {
            run(
                pool,
                group,
                Form {
                    again: true,
                    ..form
                },
            )
            .await?
        }
        accepted => accepted?,
    };
    // Seen from here a run of unknown fate may have been committed before the directory moved:
    // a group is committed whole, so its first event tells: of a sender's, because an
    // operational one may have been accepted by somebody else. A change of the directory waits
    // for such a run to end, so asking after it cannot be too early.
    if let (Accepted::DirectoryMoved | Accepted::KeyTaken, Some(first)) =
        (accepted, group.first_of_senders())
        && event_exists(pool, first.id).await?
    {
        return Ok(Accepted::Committed);
    }
    Ok(accepted)
}

/// One round trip where the group has no keys: the statement is its own transaction. Keys that
/// turn out to be taken must be able to take the others back, so they need a transaction around.
async fn run(pool: &PgPool, group: &AcceptGroup, form: Form) -> sqlx::Result<Accepted> {
    if group.keys.is_empty() {
        return insert(pool, group, form).await;
    }
    let mut transaction = pool.begin().await?;
    let accepted = insert(&mut *transaction, group, form).await?;
    if accepted == Accepted::Committed {
        transaction.commit().await?;
    } else {
        transaction.rollback().await?;
    }
    Ok(accepted)
}

async fn insert<'e>(
    executor: impl Executor<'e, Database = Postgres>,
    group: &AcceptGroup,
    form: Form,
) -> sqlx::Result<Accepted> {
    let events = group.events.iter();
    let deliveries = group.deliveries.iter().chain(&group.skipped);
    let bytes: HashMap<EventId, i32> = events
        .clone()
        .map(|event| (event.id, codec::size(event.payload.len())))
        .collect();
    let lines = codec::lines(group);

    macro_rules! column {
        ($rows:expr, $row:ident => $value:expr) => {
            $rows.clone().map(|$row| $value).bind_iter()
        };
    }
    macro_rules! sparse_column {
        ($rows:expr, $row:ident => $value:expr) => {
            sparse($rows.clone().map(|$row| $value)).bind_iter()
        };
    }
    let mut query = sqlx::query(form.sql())
        .bind(group.directory_version)
        .bind(At(group.now))
        .bind(column!(events, event => event.id.0))
        .bind(column!(events, event => event.event_type.as_str()))
        .bind(column!(events, event => At(event.received_at)))
        .bind(column!(events, event => &event.payload[..]))
        .bind(sparse_column!(events, event => event.tenant.as_deref()))
        .bind(sparse_column!(events, event => event.event_name.as_deref()))
        .bind(sparse_column!(events, event => event.source.as_deref()))
        .bind(sparse_column!(events, event => event.idempotency_key.as_deref()))
        .bind(sparse_column!(events, event => event.ordering_key.as_deref()))
        .bind(sparse_column!(events, event => event.occurred_at.map(At)))
        .bind(column!(deliveries, delivery => delivery.id.0))
        .bind(column!(deliveries, delivery => delivery.event_id.0))
        .bind(column!(deliveries, delivery => delivery.subscription_id.0))
        .bind(column!(deliveries, delivery => At(delivery.due_at)))
        .bind(column!(deliveries, delivery =>
            bytes.get(&delivery.event_id).copied().unwrap_or(0)))
        .bind(sparse(lines.iter().map(|line| line.as_ref().map(Line::as_str))).bind_iter());
    query = match form.again {
        true => {
            let deltas = of_each_event(group);
            query.bind(deltas.iter().map(delta_bytes).collect::<Vec<_>>())
        }
        false => query.bind(delta_bytes(&of_group(group, |_| true))),
    };
    if form.more || form.keys {
        let own = events.clone().filter(|event| event.event_type.is_own());
        query = query
            .bind(turns(group))
            .bind(codec::size(group.deliveries.len()))
            .bind(column!(own, event => event.id.0));
    }
    if form.keys {
        // In the order of their names, so that two groups never wait for each other's keys.
        let mut keys: Vec<&KnownKey> = group.keys.iter().collect();
        keys.sort_unstable_by(|a, b| a.name.cmp(&b.name));
        let keys = keys.iter();
        query = query
            .bind(At(group.keys_expired_before))
            .bind(column!(keys, key => codec::tenant_key(key.name.tenant.as_deref())))
            .bind(column!(keys, key => &*key.name.key))
            .bind(column!(keys, key => key.event_id.0))
            .bind(column!(keys, key => key.content.as_slice()));
    }
    let row = query.fetch_one(executor).await?;
    let (current, free): (bool, bool) = (row.try_get("current")?, row.try_get("free")?);
    Ok(match (current, free) {
        (false, _) => Accepted::DirectoryMoved,
        (true, false) => Accepted::KeyTaken,
        (true, true) => Accepted::Committed,
    })
}

/// The turns that a group has to wait for. The last bytes of an id are chance. Where two
/// subscriptions share them, they share turns.
fn turns(group: &AcceptGroup) -> Vec<i32> {
    let turns = group.ordered.keys().map(|id| {
        let [.., a, b, c, d] = *id.0.as_bytes();
        i32::from_be_bytes([a, b, c, d])
    });
    turns.collect::<BTreeSet<_>>().into_iter().collect()
}

/// Which of these keys are taken. One probe each, whatever the plan: a join could come to walk
/// all keys that are not expired.
pub(super) async fn known_keys(
    pool: &PgPool,
    names: &[KeyName],
    expired_before: Timestamp,
) -> Result<Vec<KnownKey>> {
    let tenants: Vec<String> = names
        .iter()
        .map(|name| codec::tenant_key(name.tenant.as_deref()))
        .collect();
    let keys: Vec<&str> = names.iter().map(|name| &*name.key).collect();
    let found = sqlx::query(
        "SELECT k.tenant, k.key, k.event_id, k.content
         FROM unnest($1::text[], $2::text[]) AS n (tenant, key)
         CROSS JOIN LATERAL (
             SELECT * FROM idempotency_keys WHERE tenant = n.tenant AND key = n.key LIMIT 1
         ) AS k
         WHERE k.taken_at >= $3",
    )
    .bind(tenants)
    .bind(keys)
    .bind(At(expired_before))
    .fetch_all(pool)
    .await?;
    found.iter().map(rows::known_key).collect()
}

/// Whether this event is stored.
async fn event_exists(pool: &PgPool, id: EventId) -> Result<bool> {
    let found: Option<Uuid> = sqlx::query_scalar("SELECT id FROM events WHERE id = $1")
        .bind(id.0)
        .fetch_optional(pool)
        .await?;
    Ok(found.is_some())
}
