-- Deactivation. Postgres has the same in migrations/postgres/0003_hold.sql, where the reasons stand.

ALTER TABLE subscriptions ADD COLUMN deactivation TEXT;
ALTER TABLE subscriptions ADD COLUMN state_by TEXT NOT NULL DEFAULT 'operator'
    CHECK (state_by IN ('operator', 'rule', 'trial'));
ALTER TABLE subscriptions ADD COLUMN state_evidence TEXT NOT NULL DEFAULT '[]';
ALTER TABLE subscriptions ADD COLUMN counted_from INTEGER NOT NULL DEFAULT 0;
ALTER TABLE subscriptions ADD COLUMN hold_full_since INTEGER;
ALTER TABLE subscriptions ADD COLUMN skip_through INTEGER;
UPDATE subscriptions SET state_by = 'rule' WHERE state_reason IS NOT NULL;

ALTER TABLE subscription_runtime ADD COLUMN streak_from INTEGER;
ALTER TABLE subscription_runtime ADD COLUMN failing_since INTEGER;
ALTER TABLE subscription_runtime ADD COLUMN failed_at INTEGER;
ALTER TABLE subscription_runtime ADD COLUMN exhausted INTEGER;
ALTER TABLE subscription_runtime ADD COLUMN evidence TEXT;
ALTER TABLE subscription_runtime ADD COLUMN tried_at INTEGER;

CREATE TABLE subscription_history (
    subscription_id BLOB    NOT NULL,
    version         INTEGER NOT NULL,
    changed_at      INTEGER NOT NULL,
    from_state      TEXT,
    to_state        TEXT    NOT NULL,
    reason          TEXT,
    changed_by      TEXT    NOT NULL,
    evidence        TEXT    NOT NULL,
    PRIMARY KEY (subscription_id, version)
) WITHOUT ROWID;
