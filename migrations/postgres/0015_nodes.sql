-- The processes that run, as they tell it themselves. SQLite has the same in
-- migrations/sqlite/0015_nodes.sql; the reasons are in docs/adr/0023-nodes.md.
--
-- No index but the key: every beat changes a row in place, and there are few.
CREATE TABLE nodes (
    started_at        timestamptz NOT NULL, -- by the server's clock, as seen_at
    seen_at           timestamptz NOT NULL,
    patience_us       bigint      NOT NULL, -- not seen for longer: lost
    in_flight         bigint      NOT NULL,
    most_in_flight    bigint      NOT NULL,
    window_bytes      bigint      NOT NULL,
    most_window_bytes bigint      NOT NULL,
    subscriptions     bigint      NOT NULL,
    restarts          bigint      NOT NULL,
    waiting           bigint      NOT NULL,
    resident_bytes    bigint,
    name              text        NOT NULL PRIMARY KEY, -- as in leases.owner
    host              text,
    version           text        NOT NULL,
    role              text        NOT NULL,
    profile           text        NOT NULL,
    unwell            text        NOT NULL -- names of parts, parted by blanks
);
