-- The circuit breaker. Postgres has the same in migrations/postgres/0002_breaker.sql, where the
-- reasons stand.

ALTER TABLE subscriptions ADD COLUMN breaker TEXT;

-- SQLite cannot take a NOT NULL back.
CREATE TABLE subscription_runtime_2 (
    subscription_id BLOB NOT NULL PRIMARY KEY,
    hold_until      INTEGER,
    breaker_state   TEXT CHECK (breaker_state IN ('closed', 'open', 'half_open')),
    breaker_until   INTEGER,
    breaker_opened  INTEGER
);
INSERT INTO subscription_runtime_2 (subscription_id, hold_until)
SELECT subscription_id, hold_until FROM subscription_runtime;
DROP TABLE subscription_runtime;
ALTER TABLE subscription_runtime_2 RENAME TO subscription_runtime;
