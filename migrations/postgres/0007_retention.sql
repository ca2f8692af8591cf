-- What went wrong last with a receiver, for people who look. SQLite has the same in
-- migrations/sqlite/0007_retention.sql.
ALTER TABLE subscription_runtime
    ADD COLUMN error_at timestamptz, -- when that attempt began; the rest is its own
    ADD COLUMN error_status smallint,
    ADD COLUMN error_kind text,
    ADD COLUMN error_delivery uuid,
    ADD COLUMN error_attempt uuid;
