//! Rows read back into domain values.
//!
//! The columns have the same names and meanings in both stores; only the driver's row type and
//! the form of a timestamp differ, so one text serves both.

use sqlx::encode::IsNull;
use sqlx::error::BoxDynError;
use sqlx::postgres::{PgArgumentBuffer, PgHasArrayType, PgTypeInfo, PgValueRef};
use sqlx::sqlite::{SqliteArgumentsBuffer, SqliteTypeInfo, SqliteValueRef};
use sqlx::{Decode, Encode, Postgres, Sqlite, Type};
use time::OffsetDateTime;

use crate::domain::Timestamp;

/// A timestamp in a column: `timestamptz` in Postgres, microseconds in SQLite.
#[derive(Clone, Copy, Debug)]
pub(super) struct At(pub(super) Timestamp);

impl Type<Postgres> for At {
    fn type_info() -> PgTypeInfo {
        <OffsetDateTime as Type<Postgres>>::type_info()
    }
}

impl PgHasArrayType for At {
    fn array_type_info() -> PgTypeInfo {
        <OffsetDateTime as PgHasArrayType>::array_type_info()
    }
}

/// 2000-01-01, where Postgres begins to count, in microseconds since 1970.
const POSTGRES_EPOCH: i64 = 946_684_800_000_000;

impl Encode<'_, Postgres> for At {
    fn encode_by_ref(&self, buffer: &mut PgArgumentBuffer) -> Result<IsNull, BoxDynError> {
        let micros = self.0.as_micros().saturating_sub(POSTGRES_EPOCH);
        <i64 as Encode<'_, Postgres>>::encode(micros, buffer)
    }
}

impl<'r> Decode<'r, Postgres> for At {
    fn decode(value: PgValueRef<'r>) -> Result<Self, BoxDynError> {
        <OffsetDateTime as Decode<'r, Postgres>>::decode(value)
            .map(|datetime| Self(Timestamp::from_datetime(datetime)))
    }
}

impl Type<Sqlite> for At {
    fn type_info() -> SqliteTypeInfo {
        <i64 as Type<Sqlite>>::type_info()
    }

    fn compatible(info: &SqliteTypeInfo) -> bool {
        <i64 as Type<Sqlite>>::compatible(info)
    }
}

impl Encode<'_, Sqlite> for At {
    fn encode_by_ref(&self, buffer: &mut SqliteArgumentsBuffer) -> Result<IsNull, BoxDynError> {
        <i64 as Encode<'_, Sqlite>>::encode(self.0.as_micros(), buffer)
    }
}

impl<'r> Decode<'r, Sqlite> for At {
    fn decode(value: SqliteValueRef<'r>) -> Result<Self, BoxDynError> {
        <i64 as Decode<'r, Sqlite>>::decode(value)
            .map(|micros| Self(Timestamp::from_micros(micros)))
    }
}

/// The columns of an event, in every query that reads one.
pub(super) const EVENT_COLUMNS: &str = "id, tenant, event_type, event_name, source, \
     idempotency_key, ordering_key, occurred_at, received_at, payload";

/// A subscription with the secrets of its tenant, where it signs with them: what stands between
/// `SELECT` and the conditions, which call it `s`.
pub(super) const SUBSCRIPTION: &str = "s.*, t.secrets AS tenant_secrets FROM subscriptions s \
     LEFT JOIN tenant_secrets t ON t.tenant = s.tenant AND s.secret_owner = 'tenant'";
/// The columns of an entry of the audit log, in the order of their binding.
pub(super) const AUDIT_COLUMNS: &str =
    "id, at, caller, key_id, user_id, tenant, action, thing, thing_id, changes, request_id";

/// Binds what [`AUDIT_COLUMNS`] names.
macro_rules! bind_audit {
    ($query:expr, $entry:expr) => {{
        let entry: &AuditEntry = $entry;
        $query
            .bind(entry.id)
            .bind(At(entry.at))
            .bind(entry.caller.as_str())
            .bind(entry.key_id.as_deref())
            .bind(entry.user_id.as_deref())
            .bind(entry.tenant.as_deref())
            .bind(entry.action.as_str())
            .bind(entry.thing.as_str())
            .bind(entry.thing_id.as_deref())
            .bind(entry.changes.as_deref())
            .bind(entry.request_id.as_str())
    }};
}

/// Binds the columns of a type in the catalogue, but for the version, in the order of its table.
macro_rules! bind_event_type {
    ($query:expr, $entry:expr) => {{
        let entry: &EventTypeEntry = $entry;
        $query
            .bind(entry.name.as_str())
            .bind(entry.description.as_deref())
            .bind(entry.example.as_deref())
            .bind(entry.schema.as_deref())
            .bind(entry.archived)
            .bind(At(entry.created_at))
            .bind(At(entry.updated_at))
    }};
}

/// Binds what a process tells of itself, then how long it may go unseen, then its age.
macro_rules! bind_node {
    ($query:expr, $node:expr, $patience:expr, $age:expr) => {{
        let node: &NodeReport = $node;
        let figures = &node.figures;
        $query
            .bind(node.name.as_str())
            .bind(node.host.as_deref())
            .bind(node.version.as_str())
            .bind(node.role.as_str())
            .bind(node.profile.as_str())
            .bind(node.unwell.join(" "))
            .bind(codec::large(figures.in_flight))
            .bind(codec::large(figures.most_in_flight))
            .bind(codec::large(figures.window_bytes))
            .bind(codec::large(figures.most_window_bytes))
            .bind(codec::large(figures.subscriptions))
            .bind(codec::large(figures.restarts))
            .bind(codec::large(figures.waiting))
            .bind(figures.resident_bytes.map(codec::large))
            .bind(codec::micros($patience))
            .bind(codec::micros($age))
    }};
}

pub(super) use {bind_audit, bind_event_type, bind_node};

/// The columns of an attempt, in every query that reads one.
pub(super) const ATTEMPT_COLUMNS: &str = "id, number, round, trigger, stale, started_at, duration_us, \
     name_us, connect_us, tls_us, first_byte_us, body_us, request_headers, status, error_kind, \
     error_message, answer_headers, answer_body, answer_cut";

/// The columns of a job that are stored when it is made, in the order of their binding.
pub(super) const NEW_JOB_COLUMNS: &str =
    "id, subscription_id, kind, selection, since, until, rate, total, at_least, created_at";

/// Binds what [`NEW_JOB_COLUMNS`] names.
macro_rules! bind_new_job {
    ($query:expr, $job:expr) => {{
        let job: &Job = $job;
        $query
            .bind(job.id.0)
            .bind(job.subscription_id.0)
            .bind(job.selection.kind())
            .bind(codec::selection_text(&job.selection)?)
            .bind(At(job.since))
            .bind(At(job.until))
            .bind(codec::count(job.rate))
            .bind(codec::large(job.total.count))
            .bind(job.total.at_least)
            .bind(At(job.created_at))
    }};
}

pub(super) use bind_new_job;

/// The columns of a key that are stored when it is made, in the order of their binding.
pub(super) const API_KEY_COLUMNS: &str =
    "id, public_id, hash, name, scopes, tenant, created_at, expires_at, version";

/// Binds what [`API_KEY_COLUMNS`] names.
macro_rules! bind_api_key {
    ($query:expr, $key:expr, $version:expr) => {{
        let key: &ApiKey = $key;
        $query
            .bind(key.id.0)
            .bind(key.public.as_str().to_owned())
            .bind(key.hash.as_bytes().to_vec())
            .bind(key.name.to_string())
            .bind(crate::store::codec::scopes_text(key.scopes))
            .bind(key.tenant.as_deref().map(str::to_owned))
            .bind(At(key.created_at))
            .bind(key.expires_at.map(At))
            .bind($version)
    }};
}

pub(super) use bind_api_key;

/// Defines the readers for one driver's row type.
macro_rules! row_readers {
    ($row:ty) => {
        use sqlx::Row;

        use crate::domain::Timestamp;
        use crate::domain::api_key::ApiKey;
        use crate::domain::audit::AuditEntry;
        use crate::domain::breaker::StoredBreaker;
        use crate::domain::catalogue::EventTypeEntry;
        use crate::domain::deactivation::Streak;
        use crate::domain::delivery::{PendingDelivery, Progress};
        use crate::domain::event::Event;
        use crate::domain::event_type::EventType;
        use crate::domain::id::{
            ApiKeyId, AttemptId, DeliveryId, EventId, JobId, SessionId, SubscriptionId, UserId,
        };
        use crate::domain::idempotency::{KeyName, KnownKey};
        use crate::domain::job::{EventHead, FinalDelivery, Job, Total};
        use crate::domain::node::{KnownNode, NodeFigures, NodeReport};
        use crate::domain::operational::OperationalEvent;
        use crate::domain::ordering::Line;
        use crate::domain::outcome::{Headers, Timing};
        use crate::domain::session::{Session, SessionOwner, SessionUser};
        use crate::domain::subscription::{HistoryEntry, StateChange, Subscription};
        use crate::domain::tenant::Tenant;
        use crate::domain::user::{PasswordHash, User};
        use crate::store::codec::{self, SubscriptionColumns};
        use crate::store::rows::At;
        use crate::store::secret_box::SecretBox;
        use crate::store::{
            AttemptRow, BlockingRow, DeliveryCandidate, DeliveryRow, DueRow, EventCandidate,
            EventRow, HeadRow, LastAttempt, LastFailure, Result, Runtime, Standing, StoreError,
            TenantLeftovers, WaitingEvent,
        };

        fn at(row: &$row, column: &str) -> Result<Timestamp> {
            Ok(row.try_get::<At, _>(column)?.0)
        }

        fn at_or_none(row: &$row, column: &str) -> Result<Option<Timestamp>> {
            Ok(row.try_get::<Option<At>, _>(column)?.map(|at| at.0))
        }

        fn count(row: &$row, column: &str) -> Result<u32> {
            Ok(codec::uncount(row.try_get(column)?))
        }

        fn progress(row: &$row) -> Result<Progress> {
            Ok(Progress {
                attempts: count(row, "attempts")?,
                round: count(row, "round")?,
                round_attempts: count(row, "round_attempts")?,
                aged: codec::duration(row.try_get("aged_us")?),
                version: row.try_get("version")?,
            })
        }

        pub(super) fn event(row: &$row) -> Result<Event> {
            Ok(Event {
                id: EventId(row.try_get("id")?),
                tenant: row.try_get::<Option<String>, _>("tenant")?.map(Into::into),
                event_type: EventType::from_stored(row.try_get("event_type")?),
                event_name: row.try_get("event_name")?,
                source: row.try_get("source")?,
                idempotency_key: row
                    .try_get::<Option<String>, _>("idempotency_key")?
                    .map(Into::into),
                ordering_key: row.try_get("ordering_key")?,
                occurred_at: at_or_none(row, "occurred_at")?,
                received_at: at(row, "received_at")?,
                payload: row.try_get::<Vec<u8>, _>("payload")?.into(),
            })
        }

        pub(super) fn event_row(row: &$row) -> Result<EventRow> {
            Ok(EventRow {
                event: event(row)?,
                payload_erased_at: at_or_none(row, "payload_erased_at")?,
            })
        }

        pub(super) fn event_candidate(row: &$row) -> Result<EventCandidate> {
            Ok(EventCandidate {
                id: EventId(row.try_get("id")?),
                event_type: row.try_get("event_type")?,
                event_name: row.try_get("event_name")?,
                source: row.try_get("source")?,
                tenant: row.try_get("tenant")?,
                ordering_key: row.try_get("ordering_key")?,
                idempotency_key: row.try_get("idempotency_key")?,
                received_at: at(row, "received_at")?,
                payload_bytes: row.try_get("payload_bytes")?,
            })
        }

        pub(super) fn delivery_candidate(row: &$row) -> Result<DeliveryCandidate> {
            Ok(DeliveryCandidate {
                id: DeliveryId(row.try_get("id")?),
                event: EventId(row.try_get("event_id")?),
                subscription: SubscriptionId(row.try_get("subscription_id")?),
                state: codec::delivery_state(row.try_get("state")?)?,
                payload_bytes: row.try_get("payload_bytes")?,
                event_type: row.try_get("event_type")?,
                event_name: row.try_get("event_name")?,
                source: row.try_get("source")?,
                last: None,
            })
        }

        pub(super) fn last_attempt(row: &$row) -> Result<LastAttempt> {
            Ok(LastAttempt {
                status: status(row, "status")?,
                error_kind: row.try_get("error_kind")?,
                error_message: row.try_get("error_message")?,
            })
        }

        pub(super) fn event_type(row: &$row) -> Result<EventTypeEntry> {
            Ok(EventTypeEntry {
                name: EventType::from_stored(row.try_get("name")?),
                description: row.try_get("description")?,
                example: row.try_get("example")?,
                schema: row.try_get("schema")?,
                archived: row.try_get("archived")?,
                created_at: at(row, "created_at")?,
                updated_at: at(row, "updated_at")?,
                version: row.try_get("version")?,
            })
        }

        pub(super) fn audit_entry(row: &$row) -> Result<AuditEntry> {
            Ok(AuditEntry {
                id: row.try_get("id")?,
                at: at(row, "at")?,
                caller: row.try_get("caller")?,
                key_id: row.try_get("key_id")?,
                user_id: row.try_get("user_id")?,
                tenant: row.try_get("tenant")?,
                action: row.try_get("action")?,
                thing: row.try_get("thing")?,
                thing_id: row.try_get("thing_id")?,
                changes: row.try_get("changes")?,
                request_id: row.try_get("request_id")?,
            })
        }

        pub(super) fn due(row: &$row, subscription_id: SubscriptionId) -> Result<DueRow> {
            Ok(DueRow {
                delivery: PendingDelivery {
                    id: DeliveryId(row.try_get("id")?),
                    event_id: EventId(row.try_get("event_id")?),
                    subscription_id,
                    due_at: at(row, "due_at")?,
                    progress: progress(row)?,
                },
                payload_bytes: count(row, "payload_bytes")? as usize,
            })
        }

        pub(super) fn line(row: &$row) -> Result<Line> {
            Ok(Line::from_stored(row.try_get("line")?))
        }

        pub(super) fn head(row: &$row, subscription_id: SubscriptionId) -> Result<HeadRow> {
            Ok(HeadRow {
                line: line(row)?,
                seq: row.try_get("seq")?,
                blocked: row.try_get("blocked")?,
                row: due(row, subscription_id)?,
            })
        }

        pub(super) fn blocking(row: &$row) -> Result<BlockingRow> {
            Ok(BlockingRow {
                line: line(row)?,
                delivery: DeliveryId(row.try_get("id")?),
                event: EventId(row.try_get("event_id")?),
                state: codec::delivery_state(row.try_get("state")?)?,
                since: at(row, "finished_at")?,
            })
        }

        pub(super) fn runtime(row: &$row) -> Result<Runtime> {
            let state: Option<String> = row.try_get("breaker_state")?;
            let opened: Option<i32> = row.try_get("breaker_opened")?;
            let breaker = match state {
                Some(state) => Some(StoredBreaker {
                    state: codec::breaker_state(&state)?,
                    until: at_or_none(row, "breaker_until")?,
                    opened_in_a_row: codec::uncount(opened.unwrap_or_default()),
                }),
                None => None,
            };
            Ok(Runtime {
                hold_until: at_or_none(row, "hold_until")?,
                breaker,
                lined_up: at_or_none(row, "lined_up")?,
                streak: streak(row)?,
                tried_at: at_or_none(row, "tried_at")?,
            })
        }

        fn streak(row: &$row) -> Result<Streak> {
            let evidence: Option<String> = row.try_get("evidence")?;
            let exhausted: Option<i32> = row.try_get("exhausted")?;
            Ok(Streak {
                counted_from: at_or_none(row, "streak_from")?.unwrap_or_default(),
                failing_since: at_or_none(row, "failing_since")?,
                failed_at: at_or_none(row, "failed_at")?,
                exhausted: codec::uncount(exhausted.unwrap_or_default()),
                evidence: evidence.map_or(Ok(Vec::new()), |ids| codec::attempts(&ids))?,
            })
        }

        pub(super) fn tenant(row: &$row) -> Result<Tenant> {
            Ok(Tenant {
                id: row.try_get::<String, _>("id")?.into(),
                place: row.try_get("place")?,
                name: row.try_get("name")?,
                status: codec::tenant_status(row.try_get("status")?)?,
                limits: codec::tenant_limits(row.try_get("limits")?)?,
                created_at: at(row, "created_at")?,
                updated_at: at(row, "updated_at")?,
                version: row.try_get("version")?,
            })
        }

        pub(super) fn leftovers(row: &$row) -> Result<TenantLeftovers> {
            Ok(TenantLeftovers {
                subscriptions: row.try_get::<i64, _>("subscriptions")?.unsigned_abs(),
                keys: row.try_get::<i64, _>("keys")?.unsigned_abs(),
                deliveries: row.try_get("deliveries")?,
                events: row.try_get("events")?,
            })
        }

        pub(super) fn history(row: &$row) -> Result<HistoryEntry> {
            let from: Option<String> = row.try_get("from_state")?;
            Ok(HistoryEntry {
                version: row.try_get("version")?,
                from: from.as_deref().map(codec::subscription_state).transpose()?,
                to: codec::subscription_state(row.try_get("to_state")?)?,
                change: StateChange {
                    at: at(row, "changed_at")?,
                    reason: row.try_get("reason")?,
                    by: codec::changed_by(row.try_get("changed_by")?)?,
                    evidence: codec::attempts(row.try_get("evidence")?)?,
                },
            })
        }

        pub(super) fn standing(row: &$row) -> Result<Standing> {
            let last_failure = match at_or_none(row, "error_at")? {
                Some(at) => Some(LastFailure {
                    at,
                    status: status(row, "error_status")?,
                    kind: row.try_get("error_kind")?,
                    delivery: DeliveryId(row.try_get("error_delivery")?),
                    attempt: AttemptId(row.try_get("error_attempt")?),
                }),
                None => None,
            };
            Ok(Standing {
                pending: row.try_get::<i64, _>("pending")?.unsigned_abs(),
                oldest: at_or_none(row, "oldest")?,
                last_failure,
            })
        }

        fn status(row: &$row, column: &str) -> Result<Option<u16>> {
            let status = row.try_get::<Option<i16>, _>(column)?;
            Ok(status.and_then(|status| u16::try_from(status).ok()))
        }

        pub(super) fn delivery(row: &$row) -> Result<DeliveryRow> {
            Ok(DeliveryRow {
                id: DeliveryId(row.try_get("id")?),
                event_id: EventId(row.try_get("event_id")?),
                event_type: row.try_get("event_type")?,
                subscription_id: SubscriptionId(row.try_get("subscription_id")?),
                state: codec::delivery_state(row.try_get("state")?)?,
                due_at: at(row, "due_at")?,
                progress: progress(row)?,
                created_at: at(row, "created_at")?,
                finished_at: at_or_none(row, "finished_at")?,
                line: row
                    .try_get::<Option<String>, _>("line")?
                    .filter(|name| !name.is_empty())
                    .map(|name| Line::from_stored(&name)),
                blocks: at_or_none(row, "blocks")?,
                last_attempt: None,
            })
        }

        pub(super) fn attempt(row: &$row) -> Result<AttemptRow> {
            let part = |column: &str| -> Result<_> {
                Ok(row.try_get::<Option<i64>, _>(column)?.map(codec::duration))
            };
            Ok(AttemptRow {
                id: AttemptId(row.try_get("id")?),
                number: count(row, "number")?,
                round: row.try_get::<Option<i32>, _>("round")?.map(codec::uncount),
                trigger: row.try_get("trigger")?,
                stale: row.try_get("stale")?,
                started_at: at(row, "started_at")?,
                duration: codec::duration(row.try_get("duration_us")?),
                timing: Timing {
                    name: part("name_us")?,
                    connect: part("connect_us")?,
                    tls: part("tls_us")?,
                    first_byte: part("first_byte_us")?,
                    body: part("body_us")?,
                },
                request_headers: Headers::list_of(row.try_get("request_headers")?),
                status: status(row, "status")?,
                error_kind: row.try_get("error_kind")?,
                error_message: row.try_get("error_message")?,
                answer_headers: Headers::list_of(row.try_get("answer_headers")?),
                answer_body: row.try_get("answer_body")?,
                answer_cut: row.try_get("answer_cut")?,
            })
        }

        pub(super) fn subscription(row: &$row, secret_box: &SecretBox) -> Result<Subscription> {
            SubscriptionColumns {
                id: SubscriptionId(row.try_get("id")?),
                tenant: row.try_get("tenant")?,
                name: row.try_get("name")?,
                url: row.try_get("url")?,
                event_types: row.try_get("event_types")?,
                headers: row.try_get("headers")?,
                retry_policy: row.try_get("retry_policy")?,
                timeout_us: row.try_get("timeout_us")?,
                max_in_flight: row.try_get("max_in_flight")?,
                rate_limit: row.try_get("rate_limit")?,
                breaker: row.try_get("breaker")?,
                ordering: row.try_get("ordering")?,
                ordering_failure: row.try_get("ordering_failure")?,
                ordering_since: at(row, "ordering_since")?,
                deactivation: row.try_get("deactivation")?,
                state: row.try_get("state")?,
                state_at: at(row, "state_at")?,
                state_reason: row.try_get("state_reason")?,
                state_by: row.try_get("state_by")?,
                state_evidence: row.try_get("state_evidence")?,
                counted_from: at(row, "counted_from")?,
                hold_full_since: at_or_none(row, "hold_full_since")?,
                skip_through: row.try_get("skip_through")?,
                payload_format: row.try_get("payload_format")?,
                signature: row.try_get("signature")?,
                secret_owner: row.try_get("secret_owner")?,
                secret: row.try_get("secret")?,
                tenant_secrets: row.try_get("tenant_secrets")?,
                created_at: at(row, "created_at")?,
                updated_at: at(row, "updated_at")?,
                version: row.try_get("version")?,
            }
            .into_subscription(secret_box)
        }

        pub(super) fn waiting_event(row: &$row) -> Result<WaitingEvent> {
            let event_type: String = row.try_get("event_type")?;
            Ok(WaitingEvent {
                seq: row.try_get("seq")?,
                event: OperationalEvent {
                    id: EventId(row.try_get("id")?),
                    event_type: EventType::from_stored(&event_type),
                    subscription_id: SubscriptionId(row.try_get("subscription_id")?),
                    occurred_at: at(row, "occurred_at")?,
                    payload: row.try_get::<Vec<u8>, _>("payload")?.into(),
                },
            })
        }

        pub(super) fn job(row: &$row) -> Result<Job> {
            let total: i64 = row.try_get("total")?;
            let unsigned = |count: i64| u64::try_from(count).unwrap_or(0);
            Ok(Job {
                id: JobId(row.try_get("id")?),
                subscription_id: SubscriptionId(row.try_get("subscription_id")?),
                selection: codec::selection(row.try_get("selection")?)?,
                since: at(row, "since")?,
                until: at(row, "until")?,
                rate: count(row, "rate")?,
                state: codec::job_state(row.try_get("state")?)?,
                error: row.try_get("error")?,
                total: Total {
                    count: unsigned(total),
                    at_least: row.try_get("at_least")?,
                },
                done: unsigned(row.try_get("done")?),
                skipped: unsigned(row.try_get("skipped")?),
                cursor: row.try_get("cursor")?,
                created_at: at(row, "created_at")?,
                started_at: at_or_none(row, "started_at")?,
                finished_at: at_or_none(row, "finished_at")?,
                version: row.try_get("version")?,
            })
        }

        pub(super) fn api_key(row: &$row) -> Result<ApiKey> {
            let name: String = row.try_get("name")?;
            let tenant: Option<String> = row.try_get("tenant")?;
            Ok(ApiKey {
                id: ApiKeyId(row.try_get("id")?),
                name: name.into(),
                public: codec::public_id(row.try_get("public_id")?)?,
                hash: codec::key_hash(row.try_get("hash")?)?,
                scopes: codec::scopes(row.try_get("scopes")?)?,
                tenant: tenant.map(Into::into),
                created_at: at(row, "created_at")?,
                expires_at: at_or_none(row, "expires_at")?,
                revoked_at: at_or_none(row, "revoked_at")?,
                last_used_at: at_or_none(row, "last_used_at")?,
                version: row.try_get("version")?,
            })
        }

        pub(super) fn user(row: &$row) -> Result<User> {
            let (email, name): (String, String) = (row.try_get("email")?, row.try_get("name")?);
            let password: Option<String> = row.try_get("password")?;
            Ok(User {
                id: UserId(row.try_get("id")?),
                email: email.into(),
                name: name.into(),
                role: codec::role(row.try_get("role")?)?,
                disabled_at: at_or_none(row, "disabled_at")?,
                password: password.map(PasswordHash::from_stored),
                places: codec::places(row.try_get("places")?)?,
                signed_in_at: at_or_none(row, "signed_in_at")?,
                created_at: at(row, "created_at")?,
                updated_at: at(row, "updated_at")?,
                version: row.try_get("version")?,
            })
        }

        /// With what the columns `user_…` say about its user.
        pub(super) fn session(row: &$row) -> Result<Session> {
            Ok(Session {
                id: SessionId(row.try_get("id")?),
                hash: codec::key_hash(row.try_get("hash")?)?,
                owner: session_owner(row)?,
                created_at: at(row, "created_at")?,
                expires_at: at(row, "expires_at")?,
                last_used_at: at(row, "last_used_at")?,
                address: row.try_get("address")?,
                user_agent: row.try_get("user_agent")?,
                version: row.try_get("version")?,
            })
        }

        fn session_owner(row: &$row) -> Result<SessionOwner> {
            if let Some(id) = row.try_get("user_id")? {
                let email: String = row.try_get("user_email")?;
                let name: String = row.try_get("user_name")?;
                return Ok(SessionOwner::User(SessionUser {
                    id: UserId(id),
                    email: email.into(),
                    name: name.into(),
                    role: codec::role(row.try_get("user_role")?)?,
                }));
            }
            Ok(match row.try_get("key_id")? {
                Some(id) => SessionOwner::Key(ApiKeyId(id)),
                None => SessionOwner::AdminKey(codec::admin_key_proof(row.try_get("proof")?)?),
            })
        }

        pub(super) fn final_delivery(row: &$row) -> Result<FinalDelivery> {
            Ok(FinalDelivery {
                id: DeliveryId(row.try_get("id")?),
                state: codec::delivery_state(row.try_get("state")?)?,
            })
        }

        pub(super) fn event_head(row: &$row) -> Result<EventHead> {
            Ok(EventHead {
                id: EventId(row.try_get("id")?),
                event_type: EventType::from_stored(row.try_get("event_type")?),
                tenant: row.try_get("tenant")?,
                received_at: at(row, "received_at")?,
                ordering_key: row.try_get("ordering_key")?,
                payload_bytes: row.try_get("payload_bytes")?,
            })
        }

        pub(super) fn node(row: &$row) -> Result<KnownNode> {
            let count = |column| Ok::<_, StoreError>(row.try_get::<i64, _>(column)?.unsigned_abs());
            let unwell: String = row.try_get("unwell")?;
            let resident_bytes: Option<i64> = row.try_get("resident_bytes")?;
            Ok(KnownNode {
                report: NodeReport {
                    name: row.try_get("name")?,
                    host: row.try_get("host")?,
                    version: row.try_get("version")?,
                    role: row.try_get("role")?,
                    profile: row.try_get("profile")?,
                    figures: NodeFigures {
                        in_flight: count("in_flight")?,
                        most_in_flight: count("most_in_flight")?,
                        window_bytes: count("window_bytes")?,
                        most_window_bytes: count("most_window_bytes")?,
                        subscriptions: count("subscriptions")?,
                        restarts: count("restarts")?,
                        waiting: count("waiting")?,
                        resident_bytes: resident_bytes.map(i64::unsigned_abs),
                    },
                    unwell: unwell.split_whitespace().map(str::to_owned).collect(),
                },
                age: codec::duration(row.try_get("age_us")?),
                unseen: codec::duration(row.try_get("unseen_us")?),
                is_lost: row.try_get("is_lost")?,
            })
        }

        pub(super) fn known_key(row: &$row) -> Result<KnownKey> {
            Ok(KnownKey {
                name: KeyName {
                    tenant: codec::tenant_of_key(row.try_get("tenant")?).map(Into::into),
                    key: row.try_get::<String, _>("key")?.into(),
                },
                event_id: EventId(row.try_get("event_id")?),
                content: codec::content_hash(row.try_get("content")?)?,
            })
        }
    };
}

pub(super) use row_readers;
