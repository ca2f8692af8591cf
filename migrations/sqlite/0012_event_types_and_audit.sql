-- The catalogue of event types, the audit log, and the erasure of payloads. Postgres has the same
-- in migrations/postgres/0012_event_types_and_audit.sql, where the reasons stand.

CREATE TABLE catalogue (
    one     INTEGER PRIMARY KEY DEFAULT 1 CHECK (one = 1),
    version INTEGER NOT NULL
);
INSERT INTO catalogue (version) VALUES (0);

CREATE TABLE event_types (
    name        TEXT    NOT NULL PRIMARY KEY,
    description TEXT,
    example     TEXT,
    schema      TEXT,
    archived    INTEGER NOT NULL,
    created_at  INTEGER NOT NULL,
    updated_at  INTEGER NOT NULL,
    version     INTEGER NOT NULL
) WITHOUT ROWID;

CREATE TABLE audit_log (
    at         INTEGER NOT NULL,
    id         BLOB    NOT NULL PRIMARY KEY,
    caller     TEXT    NOT NULL,
    key_id     TEXT,
    tenant     TEXT,
    action     TEXT    NOT NULL,
    thing      TEXT    NOT NULL,
    thing_id   TEXT,
    changes    TEXT,
    request_id TEXT    NOT NULL
) WITHOUT ROWID;

ALTER TABLE events ADD COLUMN payload_erased_at INTEGER;
CREATE INDEX events_erased ON events (payload_erased_at) WHERE payload_erased_at IS NOT NULL;
