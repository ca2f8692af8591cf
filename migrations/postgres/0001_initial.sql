-- The tables of a relay. SQLite has the same ones in migrations/sqlite/0001_initial.sql.
--
-- No foreign keys between events, deliveries and attempts: each check would lock and dirty the
-- parent row once per child, on the hottest path there is. The relay inserts parent and child
-- in one statement, and deletes children first.
--
-- What comes from outside and is not checked text (payloads, headers, bodies) is bytea: text
-- and jsonb refuse NUL.
--
-- Events, final deliveries and attempts lie in partitions of time, with the same bounds in all
-- three: ids begin with the time of the event, so old ones are dropped whole and together. The relay
-- makes the partitions (src/store/postgres/partitions.rs); what no partition takes, because a
-- clock was odd, lies in the default ones.

-- One row: the name that keeps the keys of several installations apart in one Redis.
CREATE TABLE installation (
    one  boolean PRIMARY KEY DEFAULT true CHECK (one),
    name text    NOT NULL
);
INSERT INTO installation (name) VALUES (left(replace(gen_random_uuid()::text, '-', ''), 12));

-- One row: raised by every change of a subscription, in its transaction.
CREATE TABLE directory (
    one     boolean PRIMARY KEY DEFAULT true CHECK (one),
    version bigint  NOT NULL
);
INSERT INTO directory (version) VALUES (0);

CREATE TABLE subscriptions (
    id            uuid        PRIMARY KEY,
    tenant        text,
    name          text        NOT NULL,
    url           text        NOT NULL,
    event_types   text        NOT NULL, -- JSON: ["job.created", "candidate.*"]
    headers       text        NOT NULL, -- JSON: [["name", "value"]]
    retry_policy  text,                 -- JSON, as callers write it
    timeout_us    bigint,
    max_in_flight integer,
    rate_limit    text,                 -- JSON, as callers write it
    state         text        NOT NULL
        CHECK (state IN ('active', 'paused', 'deactivated', 'suspended', 'deleted')),
    state_at      timestamptz NOT NULL,
    state_reason  text,
    secret        text        NOT NULL,
    created_at    timestamptz NOT NULL,
    updated_at    timestamptz NOT NULL,
    version       bigint      NOT NULL  -- the directory's version that the last change drew
);
CREATE INDEX subscriptions_version ON subscriptions (version);

-- What the relay learned about a receiver; apart, so that it changes no subscription's version.
CREATE TABLE subscription_runtime (
    subscription_id uuid        PRIMARY KEY,
    hold_until      timestamptz NOT NULL -- the receiver asked to be left alone until then
);

CREATE TABLE events (
    received_at     timestamptz NOT NULL,
    occurred_at     timestamptz,
    id              uuid        NOT NULL PRIMARY KEY,
    event_type      text        NOT NULL,
    tenant          text,
    event_name      text,
    source          text,
    idempotency_key text,
    ordering_key    text,
    payload         bytea       NOT NULL -- byte for byte as it came
) PARTITION BY RANGE (id);
CREATE TABLE events_default PARTITION OF events DEFAULT;
-- The condition is true of every row and is there for plans: without it this index could be asked
-- for an id alone, which walks all of it, and on a partition that was empty when its statistics
-- were taken that looks no dearer than the primary key.
CREATE INDEX events_type ON events (event_type, id) WHERE event_type IS NOT NULL;

-- Keys have their own table, so that they can be forgotten sooner than their events.
CREATE TABLE idempotency_keys (
    tenant   text        NOT NULL, -- '' where there is none, '=' and the tenant otherwise
    key      text        NOT NULL,
    event_id uuid        NOT NULL,
    content  bytea       NOT NULL, -- SHA-256 of the item as sent
    taken_at timestamptz NOT NULL,
    PRIMARY KEY (tenant, key)
);
CREATE INDEX idempotency_keys_taken ON idempotency_keys (taken_at);

-- Deliveries lie in two tables and are in exactly one of them: what is pending, and what is final.
-- All that changes while a delivery is pending changes in a small table without partitions, and
-- what is final is written once. Whatever moves one deletes it here and inserts it there in one
-- statement. The sequence is the order of acceptance.
CREATE SEQUENCE deliveries_seq;
CREATE TABLE pending_deliveries (
    seq             bigint      NOT NULL DEFAULT nextval('deliveries_seq'),
    due_at          timestamptz NOT NULL,
    created_at      timestamptz NOT NULL,
    aged_us         bigint      NOT NULL DEFAULT 0,
    version         bigint      NOT NULL DEFAULT 0, -- raised by every move
    id              uuid        NOT NULL PRIMARY KEY, -- of both ids below
    event_id        uuid        NOT NULL,
    subscription_id uuid        NOT NULL,
    attempts        integer     NOT NULL DEFAULT 0,
    round           integer     NOT NULL DEFAULT 1,
    round_attempts  integer     NOT NULL DEFAULT 0,
    payload_bytes   integer     NOT NULL,
    -- NULL where the subscription has no order; '' for what goes free; otherwise the line's name.
    -- What is made without saying goes free.
    line            text COLLATE "C" DEFAULT ''
) WITH (
    -- A queue: rows come and go, and a page that starts at the front of an index walks over what
    -- went until it is vacuumed. Often, then, and at full speed; and never truncated, because that
    -- locks everybody out and the space is wanted again at once.
    autovacuum_vacuum_threshold = 10000, autovacuum_vacuum_scale_factor = 0.02,
    autovacuum_vacuum_insert_threshold = -1, autovacuum_vacuum_cost_delay = 0,
    autovacuum_analyze_threshold = 10000, autovacuum_analyze_scale_factor = 0.1,
    vacuum_truncate = off
);
-- What a subscription has to deliver.
CREATE INDEX pending_deliveries_due ON pending_deliveries (subscription_id, due_at, seq);
-- A probe takes the oldest of what is pending, however far off its retry: one step into this.
CREATE INDEX pending_deliveries_age ON pending_deliveries (subscription_id, seq);
-- The condition is true of every row and is there for plans, as that of the events' types.
CREATE INDEX pending_deliveries_of_subscription ON pending_deliveries (subscription_id, id)
    WHERE subscription_id IS NOT NULL;
-- Neither of these has an entry for a delivery without order.
CREATE INDEX pending_deliveries_in_line ON pending_deliveries (subscription_id, line, seq)
    WHERE line > '';
CREATE INDEX pending_deliveries_free ON pending_deliveries (subscription_id, due_at, seq)
    WHERE line = '' OR (line IS NULL AND round > 1);

CREATE TABLE final_deliveries (
    seq             bigint      NOT NULL DEFAULT nextval('deliveries_seq'),
    due_at          timestamptz NOT NULL,
    created_at      timestamptz NOT NULL,
    finished_at     timestamptz NOT NULL,
    blocks          timestamptz, -- the rule of order under which it keeps its line from going on
    aged_us         bigint      NOT NULL DEFAULT 0,
    version         bigint      NOT NULL DEFAULT 0,
    id              uuid        NOT NULL PRIMARY KEY,
    event_id        uuid        NOT NULL,
    subscription_id uuid        NOT NULL,
    attempts        integer     NOT NULL DEFAULT 0,
    round           integer     NOT NULL DEFAULT 1,
    round_attempts  integer     NOT NULL DEFAULT 0,
    payload_bytes   integer     NOT NULL,
    state           text        NOT NULL
        CHECK (state IN ('delivered', 'failed', 'expired', 'cancelled', 'skipped')),
    line            text COLLATE "C"
) PARTITION BY RANGE (id);
CREATE TABLE final_deliveries_default PARTITION OF final_deliveries DEFAULT;
CREATE INDEX final_deliveries_of_subscription ON final_deliveries (subscription_id, id)
    WHERE subscription_id IS NOT NULL; -- as that of the events' types
-- What a bulk retry walks, in the order of its events. What was delivered never touches it.
CREATE INDEX final_deliveries_unarrived ON final_deliveries (subscription_id, id)
    WHERE state <> 'delivered';
CREATE INDEX final_deliveries_blocking ON final_deliveries (subscription_id, line, seq)
    WHERE blocks IS NOT NULL;

-- For whoever reads and asks for both.
CREATE VIEW deliveries AS
SELECT seq, due_at, created_at, NULL::timestamptz AS finished_at, NULL::timestamptz AS blocks,
    aged_us, version, id, event_id, subscription_id, attempts, round, round_attempts,
    payload_bytes, 'pending'::text AS state, line
FROM pending_deliveries
UNION ALL
SELECT seq, due_at, created_at, finished_at, blocks, aged_us, version, id, event_id,
    subscription_id, attempts, round, round_attempts, payload_bytes, state, line
FROM final_deliveries;

-- One key serves the log of a delivery, its last attempt, and the guard against recording an
-- attempt twice.
CREATE TABLE attempts (
    started_at      timestamptz NOT NULL,
    duration_us     bigint      NOT NULL,
    name_us         bigint, -- where the time went; absent where it did not happen
    connect_us      bigint,
    tls_us          bigint,
    first_byte_us   bigint,
    body_us         bigint,
    id              uuid        NOT NULL,
    delivery_id     uuid        NOT NULL,
    number          integer     NOT NULL,
    status          smallint,
    stale           boolean     NOT NULL, -- the delivery had moved on
    answer_cut      boolean     NOT NULL,
    trigger         text        NOT NULL,
    error_kind      text,
    error_message   text,
    request_headers bytea       NOT NULL, -- "name: value\r\n" each
    answer_headers  bytea       NOT NULL,
    answer_body     bytea       NOT NULL,
    PRIMARY KEY (delivery_id, number, id)
) PARTITION BY RANGE (delivery_id);
CREATE TABLE attempts_default PARTITION OF attempts DEFAULT;

-- Who owns the deliveries of a partition. The epoch is part of a unique key on purpose: an
-- update that changes it (a takeover) then conflicts with the FOR KEY SHARE of whoever records,
-- while one that only moves expires_at (a renewal) does not.
CREATE TABLE leases (
    partition  smallint PRIMARY KEY,
    owner      text,
    epoch      bigint      NOT NULL,
    expires_at timestamptz,
    UNIQUE (partition, epoch)
);
INSERT INTO leases (partition, owner, epoch, expires_at) VALUES (0, NULL, 0, NULL);
