-- The tables of a relay. SQLite has the same ones in migrations/sqlite/0001_initial.sql.
--
-- No foreign keys between events, deliveries and attempts: each check would lock and dirty the
-- parent row once per child, on the hottest path there is. The relay inserts parent and child
-- in one statement, and deletes children first.
--
-- What comes from outside and is not checked text (payloads, headers, bodies) is bytea: text
-- and jsonb refuse NUL.
--
-- Events, deliveries and attempts lie in partitions of time, with the same bounds in all three:
-- ids begin with the time of the event, so old ones are dropped whole and together. The relay
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

CREATE SEQUENCE events_seq;
CREATE TABLE events (
    seq             bigint      NOT NULL DEFAULT nextval('events_seq'),
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

CREATE SEQUENCE deliveries_seq;
CREATE TABLE deliveries (
    seq             bigint      NOT NULL DEFAULT nextval('deliveries_seq'), -- the order of acceptance
    due_at          timestamptz NOT NULL,
    created_at      timestamptz NOT NULL,
    finished_at     timestamptz,
    aged_us         bigint      NOT NULL DEFAULT 0,
    version         bigint      NOT NULL DEFAULT 0, -- raised by every move
    id              uuid        NOT NULL PRIMARY KEY, -- of both ids below: one for each pair, ever
    event_id        uuid        NOT NULL,
    subscription_id uuid        NOT NULL,
    attempts        integer     NOT NULL DEFAULT 0,
    round           integer     NOT NULL DEFAULT 1,
    round_attempts  integer     NOT NULL DEFAULT 0,
    payload_bytes   integer     NOT NULL,
    partition       smallint    NOT NULL DEFAULT 0,
    state           text        NOT NULL DEFAULT 'pending'
        CHECK (state IN ('pending', 'delivered', 'failed', 'expired', 'cancelled', 'skipped'))
) PARTITION BY RANGE (id);
CREATE TABLE deliveries_default PARTITION OF deliveries DEFAULT;
-- What a subscription has to deliver; holds pending rows only, so it stays as small as the backlog.
CREATE INDEX deliveries_pending ON deliveries (subscription_id, due_at, seq) WHERE state = 'pending';
CREATE INDEX deliveries_of_subscription ON deliveries (subscription_id, id)
    WHERE subscription_id IS NOT NULL; -- as that of the events' types
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
