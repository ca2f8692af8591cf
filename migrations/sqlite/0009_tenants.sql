-- Tenants that were registered. Postgres has the same in migrations/postgres/0009_tenants.sql,
-- where the reasons stand.

CREATE TABLE tenants (
    id         TEXT    NOT NULL PRIMARY KEY,
    place      BLOB    NOT NULL UNIQUE,
    name       TEXT    NOT NULL,
    status     TEXT    NOT NULL CHECK (status IN ('active', 'inactive', 'deleted')),
    limits     TEXT    NOT NULL,
    created_at INTEGER NOT NULL,
    updated_at INTEGER NOT NULL,
    version    INTEGER NOT NULL
) WITHOUT ROWID;
CREATE INDEX tenants_version ON tenants (version);

CREATE INDEX subscriptions_of_tenant ON subscriptions (tenant, id) WHERE tenant IS NOT NULL;
CREATE INDEX events_of_tenant ON events (tenant, id) WHERE tenant IS NOT NULL;
