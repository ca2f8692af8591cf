-- The processes that run, as they tell it themselves. Postgres has the same in
-- migrations/postgres/0015_nodes.sql. Only one runs at a time: the one with the highest id.
CREATE TABLE nodes (
    id                INTEGER PRIMARY KEY,
    name              TEXT    NOT NULL UNIQUE,
    host              TEXT,
    version           TEXT    NOT NULL,
    role              TEXT    NOT NULL,
    profile           TEXT    NOT NULL,
    started_at        INTEGER NOT NULL,
    seen_at           INTEGER NOT NULL,
    patience_us       INTEGER NOT NULL,
    in_flight         INTEGER NOT NULL,
    most_in_flight    INTEGER NOT NULL,
    window_bytes      INTEGER NOT NULL,
    most_window_bytes INTEGER NOT NULL,
    subscriptions     INTEGER NOT NULL,
    restarts          INTEGER NOT NULL,
    waiting           INTEGER NOT NULL,
    resident_bytes    INTEGER,
    unwell            TEXT    NOT NULL
);
