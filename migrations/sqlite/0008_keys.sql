-- Keys that callers show. Postgres has the same in migrations/postgres/0008_keys.sql, where the
-- reasons stand.

CREATE TABLE keyring (
    one     INTEGER PRIMARY KEY DEFAULT 1 CHECK (one = 1),
    version INTEGER NOT NULL
);
INSERT INTO keyring (version) VALUES (0);

CREATE TABLE api_keys (
    id           BLOB    NOT NULL PRIMARY KEY,
    public_id    TEXT    NOT NULL UNIQUE,
    hash         BLOB    NOT NULL,
    name         TEXT    NOT NULL,
    scopes       TEXT    NOT NULL,
    tenant       TEXT,
    created_at   INTEGER NOT NULL,
    expires_at   INTEGER,
    revoked_at   INTEGER,
    last_used_at INTEGER,
    version      INTEGER NOT NULL
);
CREATE INDEX api_keys_version ON api_keys (version);
CREATE INDEX api_keys_of_tenant ON api_keys (tenant, id) WHERE tenant IS NOT NULL;
