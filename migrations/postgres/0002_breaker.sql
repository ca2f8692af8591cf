-- The circuit breaker: its rules with the subscription, what it has learnt with the rest of what
-- the relay learns about a receiver. SQLite has the same in migrations/sqlite/0002_breaker.sql.

ALTER TABLE subscriptions ADD COLUMN breaker text; -- JSON, as callers write it

ALTER TABLE subscription_runtime
    ALTER COLUMN hold_until DROP NOT NULL, -- a breaker may have something to say before any receiver
    ADD COLUMN breaker_state text CHECK (breaker_state IN ('closed', 'open', 'half_open')),
    ADD COLUMN breaker_until timestamptz, -- the end of the cool-down
    ADD COLUMN breaker_opened integer; -- times in a row, without a recovery between
