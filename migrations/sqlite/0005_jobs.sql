-- Bulk work that operators ask for. Postgres has the same in migrations/postgres/0005_jobs.sql,
-- where the reasons stand.

CREATE TABLE jobs (
    id              BLOB    NOT NULL PRIMARY KEY,
    subscription_id BLOB    NOT NULL,
    kind            TEXT    NOT NULL CHECK (kind IN ('retry_failed', 'replay')),
    selection       TEXT    NOT NULL,
    since           INTEGER NOT NULL,
    until           INTEGER NOT NULL,
    rate            INTEGER NOT NULL,
    total           INTEGER NOT NULL,
    at_least        INTEGER NOT NULL,
    done            INTEGER NOT NULL DEFAULT 0,
    skipped         INTEGER NOT NULL DEFAULT 0,
    cursor          BLOB,
    state           TEXT    NOT NULL DEFAULT 'queued'
        CHECK (state IN ('queued', 'running', 'completed', 'cancelled', 'failed')),
    error           TEXT,
    created_at      INTEGER NOT NULL,
    started_at      INTEGER,
    finished_at     INTEGER,
    version         INTEGER NOT NULL DEFAULT 0
);
CREATE INDEX jobs_of_subscription ON jobs (subscription_id, id);
CREATE INDEX jobs_open ON jobs (id) WHERE finished_at IS NULL;
CREATE INDEX jobs_finished ON jobs (finished_at) WHERE finished_at IS NOT NULL;
