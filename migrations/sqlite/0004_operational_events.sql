-- Operational events that wait for their acceptance. Postgres has the same in
-- migrations/postgres/0004_operational_events.sql, where the reasons stand.

CREATE TABLE operational_events (
    seq             INTEGER PRIMARY KEY,
    id              BLOB    NOT NULL UNIQUE,
    occurred_at     INTEGER NOT NULL,
    subscription_id BLOB    NOT NULL,
    event_type      TEXT    NOT NULL,
    payload         BLOB    NOT NULL
);

CREATE INDEX subscriptions_told ON subscriptions (id)
    WHERE tenant IS NULL AND state <> 'deleted' AND event_types LIKE '%"posthaste.%';
