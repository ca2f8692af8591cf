-- Ordering. Postgres has the same in migrations/postgres/0006_ordering.sql, where the reasons
-- stand.

ALTER TABLE subscriptions ADD COLUMN ordering TEXT NOT NULL DEFAULT 'none'
    CHECK (ordering IN ('none', 'key', 'all'));
ALTER TABLE subscriptions ADD COLUMN ordering_failure TEXT NOT NULL DEFAULT 'block'
    CHECK (ordering_failure IN ('block', 'skip'));
ALTER TABLE subscriptions ADD COLUMN ordering_since INTEGER NOT NULL DEFAULT 0;

ALTER TABLE subscription_runtime ADD COLUMN lined_up INTEGER;

ALTER TABLE deliveries ADD COLUMN line TEXT DEFAULT '';
ALTER TABLE deliveries ADD COLUMN blocks INTEGER;

CREATE INDEX deliveries_in_line ON deliveries (subscription_id, line, seq)
    WHERE state = 'pending' AND line > '';
CREATE INDEX deliveries_free ON deliveries (subscription_id, due_at, seq)
    WHERE state = 'pending' AND (line = '' OR (line IS NULL AND round > 1));
CREATE INDEX deliveries_blocking ON deliveries (subscription_id, line, seq)
    WHERE blocks IS NOT NULL AND finished_at IS NOT NULL;
