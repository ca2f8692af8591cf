-- Formats, own signature headers, and whose secrets sign. SQLite has the same in
-- migrations/sqlite/0010_signing.sql, the reasons are in docs/adr/0016-secrets.md.

-- What lies in "secret" from here on is a list of secrets with their ends (JSON), or one text that
-- begins with whsec_; encrypted where there is a master key, and so is "headers".
ALTER TABLE subscriptions
    ADD COLUMN payload_format text NOT NULL DEFAULT 'relay'
        CHECK (payload_format IN ('relay', 'standard', 'raw', 'cloudevents')),
    ADD COLUMN signature      text,          -- JSON, as callers write it
    ADD COLUMN secret_owner   text NOT NULL DEFAULT 'subscription'
        CHECK (secret_owner IN ('subscription', 'tenant'));

-- A tenant's secrets, for the subscriptions of it that sign with them.
CREATE TABLE tenant_secrets (
    tenant     text        PRIMARY KEY,
    secrets    text        NOT NULL, -- as in subscriptions.secret
    updated_at timestamptz NOT NULL,
    version    bigint      NOT NULL  -- the directory's version that the last change drew
);
CREATE INDEX subscriptions_signing_with_tenant ON subscriptions (tenant)
    WHERE secret_owner = 'tenant';
