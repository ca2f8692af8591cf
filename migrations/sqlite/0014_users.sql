-- Users, their sessions, and the links that can be used once. Postgres has the same in
-- migrations/postgres/0014_users.sql, where the reasons stand.

CREATE TABLE accounts (
    one     INTEGER PRIMARY KEY DEFAULT 1 CHECK (one = 1),
    version INTEGER NOT NULL
);
INSERT INTO accounts (version) VALUES (0);

CREATE TABLE users (
    id           BLOB    NOT NULL PRIMARY KEY,
    email        TEXT    NOT NULL UNIQUE,
    name         TEXT    NOT NULL,
    role         TEXT    NOT NULL,
    password     TEXT,
    places       TEXT    NOT NULL,
    disabled_at  INTEGER,
    signed_in_at INTEGER,
    created_at   INTEGER NOT NULL,
    updated_at   INTEGER NOT NULL,
    version      INTEGER NOT NULL
);

CREATE TABLE user_links (
    hash       BLOB    NOT NULL PRIMARY KEY,
    user_id    BLOB,
    created_at INTEGER NOT NULL,
    expires_at INTEGER NOT NULL
);

CREATE TABLE sessions (
    id           BLOB    NOT NULL PRIMARY KEY,
    hash         BLOB    NOT NULL UNIQUE,
    user_id      BLOB,
    key_id       BLOB,
    proof        BLOB,
    address      TEXT    NOT NULL,
    user_agent   TEXT,
    created_at   INTEGER NOT NULL,
    expires_at   INTEGER NOT NULL,
    last_used_at INTEGER NOT NULL,
    revoked_at   INTEGER,
    version      INTEGER NOT NULL,
    CHECK ((user_id IS NULL) + (key_id IS NULL) + (proof IS NULL) = 2)
);
CREATE INDEX sessions_version ON sessions (version);
CREATE INDEX sessions_of_user ON sessions (user_id) WHERE user_id IS NOT NULL;
CREATE INDEX sessions_of_key ON sessions (key_id) WHERE key_id IS NOT NULL;

ALTER TABLE audit_log ADD COLUMN user_id TEXT;
