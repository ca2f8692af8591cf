-- Keys that callers show. SQLite has the same in migrations/sqlite/0008_keys.sql.

-- Raised by every change of a key in the change's own transaction, so that a node fetches only
-- what it does not know yet. A use is no change.
CREATE TABLE keyring (
    one     boolean PRIMARY KEY DEFAULT true CHECK (one),
    version bigint  NOT NULL
);
INSERT INTO keyring (version) VALUES (0);

CREATE TABLE api_keys (
    created_at   timestamptz NOT NULL,
    expires_at   timestamptz,
    revoked_at   timestamptz,
    last_used_at timestamptz, -- to about a minute
    version      bigint NOT NULL, -- of the keyring, when it was changed last
    id           uuid   NOT NULL PRIMARY KEY,
    public_id    text   NOT NULL UNIQUE, -- stands in the key, which is found by it
    hash         bytea  NOT NULL, -- SHA-256 of the key: 256 random bits need no slow hash
    name         text   NOT NULL,
    scopes       text   NOT NULL, -- words parted by blanks
    tenant       text
);
CREATE INDEX api_keys_version ON api_keys (version);
CREATE INDEX api_keys_of_tenant ON api_keys (tenant, id) WHERE tenant IS NOT NULL;
