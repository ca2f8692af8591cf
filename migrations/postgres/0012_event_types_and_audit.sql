-- The catalogue of event types, the audit log, and the erasure of payloads. SQLite has the same in
-- migrations/sqlite/0012_event_types_and_audit.sql; the reasons are in
-- docs/adr/0019-the-catalogue-rides-on-the-directory.md.

-- One row: the directory's version that the catalogue's last change drew.
CREATE TABLE catalogue (
    one     boolean PRIMARY KEY DEFAULT true CHECK (one),
    version bigint  NOT NULL
);
INSERT INTO catalogue (version) VALUES (0);

CREATE TABLE event_types (
    name        text COLLATE "C" NOT NULL PRIMARY KEY,
    description text,
    example     text, -- JSON, as it came
    schema      text, -- JSON Schema, as it came
    archived    boolean          NOT NULL,
    created_at  timestamptz      NOT NULL,
    updated_at  timestamptz      NOT NULL,
    version     bigint           NOT NULL -- the directory's version that the last change drew
);

-- Who did what. Written in the transaction of the change where that has one, never changed. The id
-- begins with the time.
CREATE TABLE audit_log (
    at         timestamptz NOT NULL,
    id         uuid        NOT NULL PRIMARY KEY,
    caller     text        NOT NULL, -- the key's name
    key_id     text,
    tenant     text,                 -- of the key
    action     text        NOT NULL, -- "subscription.pause"
    thing      text        NOT NULL, -- its kind: "subscription"
    thing_id   text,
    changes    text,                 -- JSON, without secrets
    request_id text        NOT NULL
);

-- From then on the payload is gone: empty, as no accepted one is.
ALTER TABLE events ADD COLUMN payload_erased_at timestamptz;
-- What was erased of late: an answer that is recorded after that has to go as well. Nothing else
-- is in it.
CREATE INDEX events_erased ON events (payload_erased_at) WHERE payload_erased_at IS NOT NULL;
