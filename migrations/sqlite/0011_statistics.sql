-- Statistics. Postgres has the same in migrations/postgres/0011_statistics.sql, where the reasons
-- stand.

CREATE TABLE statistic_deltas (
    seq             INTEGER PRIMARY KEY,
    at              INTEGER,
    body            BLOB,
    subscription_id BLOB,
    from_state      TEXT,
    to_state        TEXT,
    tenant          TEXT,
    event_type      TEXT,
    moved           INTEGER,
    CONSTRAINT statistic_deltas_form CHECK ((body IS NULL) <> (moved IS NULL))
);

CREATE TABLE statistics (
    scope TEXT    NOT NULL,
    width INTEGER NOT NULL,
    start INTEGER NOT NULL,
    body  BLOB    NOT NULL,
    PRIMARY KEY (scope, width, start)
) WITHOUT ROWID;
CREATE INDEX statistics_of_time ON statistics (width, start);

-- Raised by every fold. A `seq` may come again once the table was empty, so it alone does not tell
-- whether what was read is still what there is.
CREATE TABLE statistic_folds (
    one    INTEGER PRIMARY KEY DEFAULT 1 CHECK (one = 1),
    number INTEGER NOT NULL
);
INSERT INTO statistic_folds (number) VALUES (0);

CREATE INDEX subscription_runtime_cut ON subscription_runtime (subscription_id)
    WHERE breaker_state <> 'closed';

INSERT INTO statistic_deltas (subscription_id, to_state, moved)
SELECT subscription_id, state, count(*) FROM deliveries GROUP BY subscription_id, state;
INSERT INTO statistic_deltas (tenant, event_type, moved)
SELECT tenant, event_type, count(*) FROM events GROUP BY tenant, event_type;
