-- Ordering. Postgres has the same in migrations/postgres/0006_ordering.sql, where the reasons
-- stand.

ALTER TABLE subscriptions ADD COLUMN ordering TEXT NOT NULL DEFAULT 'none'
    CHECK (ordering IN ('none', 'key', 'all'));
ALTER TABLE subscriptions ADD COLUMN ordering_failure TEXT NOT NULL DEFAULT 'block'
    CHECK (ordering_failure IN ('block', 'skip'));
ALTER TABLE subscriptions ADD COLUMN ordering_since INTEGER NOT NULL DEFAULT 0;

ALTER TABLE subscription_runtime ADD COLUMN lined_up INTEGER;
