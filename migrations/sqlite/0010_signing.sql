-- Formats, own signature headers, and whose secrets sign. Postgres has the same in
-- migrations/postgres/0010_signing.sql, where the reasons stand.

ALTER TABLE subscriptions ADD COLUMN payload_format TEXT NOT NULL DEFAULT 'relay'
    CHECK (payload_format IN ('relay', 'standard', 'raw', 'cloudevents'));
ALTER TABLE subscriptions ADD COLUMN signature TEXT;
ALTER TABLE subscriptions ADD COLUMN secret_owner TEXT NOT NULL DEFAULT 'subscription'
    CHECK (secret_owner IN ('subscription', 'tenant'));

CREATE TABLE tenant_secrets (
    tenant     TEXT    NOT NULL PRIMARY KEY,
    secrets    TEXT    NOT NULL,
    updated_at INTEGER NOT NULL,
    version    INTEGER NOT NULL
);
CREATE INDEX subscriptions_signing_with_tenant ON subscriptions (tenant)
    WHERE secret_owner = 'tenant';
