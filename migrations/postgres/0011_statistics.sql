-- Statistics: what happened, counted in the commit in which it happened, and folded into buckets of
-- time. SQLite has the same in migrations/sqlite/0011_statistics.sql, the reasons are in
-- docs/adr/0018-statistics-are-deltas.md.

-- What nobody has folded yet. Only ever inserted and deleted, so nobody waits for anybody.
CREATE TABLE statistic_deltas (
    seq             bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    at              timestamptz, -- absent where only totals count it: it was there before this table
    body            bytea,       -- what a group of events or outcomes comes to
    -- Or one move of many deliveries of a subscription, or many events of a type.
    subscription_id uuid,
    from_state      text, -- absent where they were made
    to_state        text,
    tenant          text,
    event_type      text,
    moved           bigint,
    -- Also what takes a group back whose count does not hold: `record.rs` says when.
    CONSTRAINT statistic_deltas_form CHECK ((body IS NULL) <> (moved IS NULL))
) WITH (
    -- A queue, as pending_deliveries is.
    autovacuum_vacuum_threshold = 5000, autovacuum_vacuum_scale_factor = 0,
    autovacuum_vacuum_insert_threshold = -1, autovacuum_vacuum_cost_delay = 0,
    vacuum_truncate = off
);

CREATE TABLE statistics (
    start timestamptz NOT NULL,
    width smallint    NOT NULL, -- minutes: 1, 60 or 1440; 0 for all that ever was
    scope text COLLATE "C" NOT NULL, -- 'all', 't' and a tenant, or 's' and a subscription's id
    body  bytea       NOT NULL,
    PRIMARY KEY (scope, width, start)
) WITH (
    -- Its rows are written again and again where they are.
    fillfactor = 60,
    autovacuum_vacuum_threshold = 5000, autovacuum_vacuum_scale_factor = 0.05
);
-- What is old, and who did anything at a time.
CREATE INDEX statistics_of_time ON statistics (width, start, scope);

-- Those that do not flow: as a rule few.
CREATE INDEX subscription_runtime_cut ON subscription_runtime (subscription_id)
    WHERE breaker_state <> 'closed';

INSERT INTO statistic_deltas (subscription_id, to_state, moved)
SELECT subscription_id, state, count(*) FROM deliveries GROUP BY subscription_id, state;
INSERT INTO statistic_deltas (tenant, event_type, moved)
SELECT tenant, event_type, count(*) FROM events GROUP BY tenant, event_type;
