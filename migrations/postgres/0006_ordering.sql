-- Ordering: the rules that deliveries stand in line by. SQLite has the same in migrations/sqlite/0006_ordering.sql,
-- the reasons are in docs/adr/0007-ordering.md.

ALTER TABLE subscriptions
    ADD COLUMN ordering         text        NOT NULL DEFAULT 'none'
        CHECK (ordering IN ('none', 'key', 'all')),
    ADD COLUMN ordering_failure text        NOT NULL DEFAULT 'block'
        CHECK (ordering_failure IN ('block', 'skip')),
    ADD COLUMN ordering_since   timestamptz NOT NULL DEFAULT 'epoch'; -- names this rule of order

-- The rule of order that all that was pending before it stands in line for.
ALTER TABLE subscription_runtime ADD COLUMN lined_up timestamptz;
