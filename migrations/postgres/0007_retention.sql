-- What went wrong last with a receiver, for people who look. SQLite has the same in
-- migrations/sqlite/0007_retention.sql.
ALTER TABLE subscription_runtime
    ADD COLUMN failed_at timestamptz, -- when that attempt began; the rest is its own
    ADD COLUMN failed_status smallint,
    ADD COLUMN failed_kind text,
    ADD COLUMN failed_delivery uuid,
    ADD COLUMN failed_attempt uuid;
