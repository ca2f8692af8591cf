-- The tables of a relay. Postgres has the same ones in migrations/postgres/0001_initial.sql,
-- where the reasons stand. Here ids are blobs of 16 bytes and times are microseconds since 1970.
--
-- The `seq` of an event is its rowid. It never orders a row against one that is gone, so it need
-- not be kept from being used again.
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

-- The order of acceptance: the last number that was drawn, kept here because the rows that bear
-- it leave the table of what is pending.
CREATE TABLE deliveries_seq (
    one  INTEGER PRIMARY KEY DEFAULT 1 CHECK (one = 1),
    last INTEGER NOT NULL
);
INSERT INTO deliveries_seq (last) VALUES (0);

-- The key is what the relay knows of a delivery, and the order in which lists walk.
CREATE TABLE pending_deliveries (
    seq             INTEGER NOT NULL,
    id              BLOB    NOT NULL,
    event_id        BLOB    NOT NULL,
    subscription_id BLOB    NOT NULL,
    due_at          INTEGER NOT NULL,
    created_at      INTEGER NOT NULL,
    aged_us         INTEGER NOT NULL DEFAULT 0,
    version         INTEGER NOT NULL DEFAULT 0,
    attempts        INTEGER NOT NULL DEFAULT 0,
    round           INTEGER NOT NULL DEFAULT 1,
    round_attempts  INTEGER NOT NULL DEFAULT 0,
    payload_bytes   INTEGER NOT NULL,
    line            TEXT             DEFAULT '',
    PRIMARY KEY (subscription_id, id)
) WITHOUT ROWID;
-- Unique by what it is made of; said to be, a plan would take it rather than the key.
CREATE INDEX pending_deliveries_id ON pending_deliveries (id);
CREATE INDEX pending_deliveries_due ON pending_deliveries (subscription_id, due_at, seq);
CREATE INDEX pending_deliveries_age ON pending_deliveries (subscription_id, seq);
CREATE INDEX pending_deliveries_in_line ON pending_deliveries (subscription_id, line, seq)
    WHERE line > '';
CREATE INDEX pending_deliveries_free ON pending_deliveries (subscription_id, due_at, seq)
    WHERE line = '' OR (line IS NULL AND round > 1);

CREATE TABLE final_deliveries (
    seq             INTEGER NOT NULL,
    id              BLOB    NOT NULL PRIMARY KEY,
    event_id        BLOB    NOT NULL,
    subscription_id BLOB    NOT NULL,
    due_at          INTEGER NOT NULL,
    created_at      INTEGER NOT NULL,
    finished_at     INTEGER NOT NULL,
    aged_us         INTEGER NOT NULL DEFAULT 0,
    version         INTEGER NOT NULL DEFAULT 0,
    attempts        INTEGER NOT NULL DEFAULT 0,
    round           INTEGER NOT NULL DEFAULT 1,
    round_attempts  INTEGER NOT NULL DEFAULT 0,
    payload_bytes   INTEGER NOT NULL,
    line            TEXT,
    blocks          INTEGER,
    state           TEXT    NOT NULL
        CHECK (state IN ('delivered', 'failed', 'expired', 'cancelled', 'skipped'))
) WITHOUT ROWID;
CREATE INDEX final_deliveries_of_subscription ON final_deliveries (subscription_id, id);
CREATE INDEX final_deliveries_unarrived ON final_deliveries (subscription_id, id)
    WHERE state <> 'delivered';
CREATE INDEX final_deliveries_blocking ON final_deliveries (subscription_id, line, seq)
    WHERE blocks IS NOT NULL;

-- The casts are there for plans: only where both sides have the same types does a condition or an
-- order reach the two tables and their indexes.
CREATE VIEW deliveries AS
SELECT seq, due_at, created_at, CAST(NULL AS INTEGER) AS finished_at,
    CAST(NULL AS INTEGER) AS blocks, aged_us, version, id, event_id, subscription_id, attempts,
    round, round_attempts, payload_bytes, CAST('pending' AS TEXT) AS state, line
FROM pending_deliveries
UNION ALL
SELECT seq, due_at, created_at, finished_at, blocks, aged_us, version, id, event_id,
    subscription_id, attempts, round, round_attempts, payload_bytes, state, line
FROM final_deliveries;

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
