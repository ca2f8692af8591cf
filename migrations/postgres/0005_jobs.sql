-- Bulk work that operators ask for. SQLite has the same in migrations/sqlite/0005_jobs.sql.

CREATE TABLE jobs (
    created_at      timestamptz NOT NULL,
    started_at      timestamptz,
    finished_at     timestamptz,
    since           timestamptz NOT NULL,
    until           timestamptz NOT NULL,
    total           bigint      NOT NULL, -- as counted when the job was made
    done            bigint      NOT NULL DEFAULT 0,
    skipped         bigint      NOT NULL DEFAULT 0,
    version         bigint      NOT NULL DEFAULT 0, -- raised by every move
    id              uuid        NOT NULL PRIMARY KEY,
    subscription_id uuid        NOT NULL,
    cursor          uuid, -- the walk has come to the row with this id
    rate            integer     NOT NULL, -- deliveries per second
    at_least        boolean     NOT NULL, -- the count ended at its bound
    kind            text        NOT NULL CHECK (kind IN ('retry_failed', 'replay')),
    selection       text        NOT NULL, -- JSON: {"states": […]}, {"eventIds": […]} or {"eventTypes": […]}
    error           text,
    state           text        NOT NULL DEFAULT 'queued'
        CHECK (state IN ('queued', 'running', 'completed', 'cancelled', 'failed'))
);
CREATE INDEX jobs_of_subscription ON jobs (subscription_id, id);
-- What there is to work at; stays as small as that.
CREATE INDEX jobs_open ON jobs (id) WHERE finished_at IS NULL;
CREATE INDEX jobs_finished ON jobs (finished_at) WHERE finished_at IS NOT NULL;
