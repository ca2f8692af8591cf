-- Deactivation: its rules and evidence, what is held meanwhile, and the history of all states.
-- SQLite has the same in migrations/sqlite/0003_hold.sql.

ALTER TABLE subscriptions
    ADD COLUMN deactivation text, -- JSON, as callers write it
    ADD COLUMN state_by text NOT NULL DEFAULT 'operator'
        CHECK (state_by IN ('operator', 'rule', 'trial')),
    ADD COLUMN state_evidence text NOT NULL DEFAULT '[]', -- JSON: ids of attempts, the newest last
    ADD COLUMN counted_from timestamptz NOT NULL DEFAULT 'epoch', -- its failures count from here on
    ADD COLUMN hold_full_since timestamptz, -- what comes in now is skipped
    ADD COLUMN skip_through bigint; -- deliveries up to this seq are skipped, then it is reactivated
UPDATE subscriptions SET state_by = 'rule' WHERE state_reason IS NOT NULL;

-- What failed since the last success; written by whoever records the attempts.
ALTER TABLE subscription_runtime
    ADD COLUMN streak_from timestamptz, -- subscriptions.counted_from that it belongs to
    ADD COLUMN failing_since timestamptz,
    ADD COLUMN failed_at timestamptz,
    ADD COLUMN exhausted integer,
    ADD COLUMN evidence text, -- JSON: ids of attempts, the newest last
    ADD COLUMN tried_at timestamptz; -- the last trial while deactivated

-- Written in the transaction of each change of a state, never changed.
CREATE TABLE subscription_history (
    subscription_id uuid        NOT NULL,
    version         bigint      NOT NULL, -- the directory's version that the change drew
    changed_at      timestamptz NOT NULL,
    from_state      text, -- absent where it was made
    to_state        text        NOT NULL,
    reason          text,
    changed_by      text        NOT NULL,
    evidence        text        NOT NULL,
    PRIMARY KEY (subscription_id, version)
);
