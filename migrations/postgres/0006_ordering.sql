-- Ordering: who stands in which line. SQLite has the same in migrations/sqlite/0006_ordering.sql,
-- the reasons are in docs/adr/0007-ordering.md.

ALTER TABLE subscriptions
    ADD COLUMN ordering         text        NOT NULL DEFAULT 'none'
        CHECK (ordering IN ('none', 'key', 'all')),
    ADD COLUMN ordering_failure text        NOT NULL DEFAULT 'block'
        CHECK (ordering_failure IN ('block', 'skip')),
    ADD COLUMN ordering_since   timestamptz NOT NULL DEFAULT 'epoch'; -- names this rule of order

-- The rule of order that all that was pending before it stands in line for.
ALTER TABLE subscription_runtime ADD COLUMN lined_up timestamptz;

ALTER TABLE deliveries
    -- NULL where the subscription has no order; '' for what goes free; otherwise the line's name.
    -- What is made without saying goes free.
    ADD COLUMN line   text COLLATE "C" DEFAULT '',
    -- The rule of order under which this one, final, keeps its line from going on.
    ADD COLUMN blocks timestamptz;

-- None of these has an entry for a delivery without order.
CREATE INDEX deliveries_in_line ON deliveries (subscription_id, line, seq)
    WHERE state = 'pending' AND line > '';
CREATE INDEX deliveries_free ON deliveries (subscription_id, due_at, seq)
    WHERE state = 'pending' AND (line = '' OR (line IS NULL AND round > 1));
CREATE INDEX deliveries_blocking ON deliveries (subscription_id, line, seq)
    WHERE blocks IS NOT NULL AND finished_at IS NOT NULL;
