-- The tables of a relay. Postgres has the same ones in migrations/postgres/0001_initial.sql,
-- where the reasons stand. Here ids are blobs of 16 bytes and times are microseconds since 1970.
--
-- `seq` is the rowid, drawn at insert. It never orders a row against one that is gone, so it
-- need not be kept from being used again (AUTOINCREMENT would cost a write per statement).
--
-- auto_vacuum stays off: it would write pointer-map pages with every row, and the pages that
-- retention frees are filled by the rows that follow.

CREATE TABLE installation (
    one  INTEGER PRIMARY KEY DEFAULT 1 CHECK (one = 1),
    name TEXT NOT NULL
);
INSERT INTO installation (name) VALUES (lower(hex(randomblob(6))));

CREATE TABLE directory (
    one     INTEGER PRIMARY KEY DEFAULT 1 CHECK (one = 1),
    version INTEGER NOT NULL
);
INSERT INTO directory (version) VALUES (0);

CREATE TABLE subscriptions (
    id            BLOB    NOT NULL PRIMARY KEY,
    tenant        TEXT,
    name          TEXT    NOT NULL,
    url           TEXT    NOT NULL,
    event_types   TEXT    NOT NULL,
    headers       TEXT    NOT NULL,
    retry_policy  TEXT,
    timeout_us    INTEGER,
    max_in_flight INTEGER,
    rate_limit    TEXT,
    state         TEXT    NOT NULL
        CHECK (state IN ('active', 'paused', 'deactivated', 'suspended', 'deleted')),
    state_at      INTEGER NOT NULL,
    state_reason  TEXT,
    secret        TEXT    NOT NULL,
    created_at    INTEGER NOT NULL,
    updated_at    INTEGER NOT NULL,
    version       INTEGER NOT NULL
);
CREATE INDEX subscriptions_version ON subscriptions (version);

CREATE TABLE subscription_runtime (
    subscription_id BLOB    NOT NULL PRIMARY KEY,
    hold_until      INTEGER NOT NULL
);

CREATE TABLE events (
    seq             INTEGER PRIMARY KEY,
    id              BLOB    NOT NULL UNIQUE,
    received_at     INTEGER NOT NULL,
    occurred_at     INTEGER,
    event_type      TEXT    NOT NULL,
    tenant          TEXT,
    event_name      TEXT,
    source          TEXT,
    idempotency_key TEXT,
    ordering_key    TEXT,
    payload         BLOB    NOT NULL
);
CREATE INDEX events_type ON events (event_type, id);

CREATE TABLE idempotency_keys (
    tenant   TEXT    NOT NULL,
    key      TEXT    NOT NULL,
    event_id BLOB    NOT NULL,
    content  BLOB    NOT NULL,
    taken_at INTEGER NOT NULL,
    PRIMARY KEY (tenant, key)
) WITHOUT ROWID;
CREATE INDEX idempotency_keys_taken ON idempotency_keys (taken_at);

CREATE TABLE deliveries (
    seq             INTEGER PRIMARY KEY,
    id              BLOB    NOT NULL UNIQUE,
    event_id        BLOB    NOT NULL,
    subscription_id BLOB    NOT NULL,
    due_at          INTEGER NOT NULL,
    created_at      INTEGER NOT NULL,
    finished_at     INTEGER,
    aged_us         INTEGER NOT NULL DEFAULT 0,
    version         INTEGER NOT NULL DEFAULT 0,
    attempts        INTEGER NOT NULL DEFAULT 0,
    round           INTEGER NOT NULL DEFAULT 1,
    round_attempts  INTEGER NOT NULL DEFAULT 0,
    payload_bytes   INTEGER NOT NULL,
    partition       INTEGER NOT NULL DEFAULT 0,
    state           TEXT    NOT NULL DEFAULT 'pending'
        CHECK (state IN ('pending', 'delivered', 'failed', 'expired', 'cancelled', 'skipped'))
);
CREATE INDEX deliveries_pending ON deliveries (subscription_id, due_at, seq) WHERE state = 'pending';
CREATE INDEX deliveries_of_subscription ON deliveries (subscription_id, id);

CREATE TABLE attempts (
    delivery_id     BLOB    NOT NULL,
    number          INTEGER NOT NULL,
    id              BLOB    NOT NULL,
    started_at      INTEGER NOT NULL,
    duration_us     INTEGER NOT NULL,
    name_us         INTEGER,
    connect_us      INTEGER,
    tls_us          INTEGER,
    first_byte_us   INTEGER,
    body_us         INTEGER,
    status          INTEGER,
    stale           INTEGER NOT NULL,
    answer_cut      INTEGER NOT NULL,
    trigger         TEXT    NOT NULL,
    error_kind      TEXT,
    error_message   TEXT,
    request_headers BLOB    NOT NULL,
    answer_headers  BLOB    NOT NULL,
    answer_body     BLOB    NOT NULL
);
CREATE UNIQUE INDEX attempts_of_delivery ON attempts (delivery_id, number, id);

-- One process owns the file (it locks the data directory), so the lease never changes hands.
CREATE TABLE leases (
    partition  INTEGER PRIMARY KEY,
    owner      TEXT,
    epoch      INTEGER NOT NULL,
    expires_at INTEGER
);
INSERT INTO leases (partition, owner, epoch, expires_at) VALUES (0, NULL, 1, NULL);
