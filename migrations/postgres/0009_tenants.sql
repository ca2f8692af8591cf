-- Tenants that were registered: a name, a status and limits. Events and subscriptions carry the
-- tenant as text, and it need not stand here. SQLite has the same in migrations/sqlite/0009_tenants.sql,
-- the reasons are in docs/adr/0015-tenants.md.

CREATE TABLE tenants (
    id         text        NOT NULL PRIMARY KEY,
    place      uuid        NOT NULL UNIQUE, -- begins with the time it was made: the order of lists
    name       text        NOT NULL,
    status     text        NOT NULL CHECK (status IN ('active', 'inactive', 'deleted')),
    limits     text        NOT NULL, -- JSON, as callers write it
    created_at timestamptz NOT NULL,
    updated_at timestamptz NOT NULL,
    version    bigint      NOT NULL -- the directory's version that the last change drew
);
CREATE INDEX tenants_version ON tenants (version);

-- What a tenant sees is walked from here. What has no tenant has no entry.
CREATE INDEX subscriptions_of_tenant ON subscriptions (tenant, id) WHERE tenant IS NOT NULL;
CREATE INDEX events_of_tenant ON events (tenant, id) WHERE tenant IS NOT NULL;
