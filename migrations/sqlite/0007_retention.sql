-- What went wrong last with a receiver. Postgres has the same in
-- migrations/postgres/0007_retention.sql, where the reasons stand.
ALTER TABLE subscription_runtime ADD COLUMN error_at INTEGER;
ALTER TABLE subscription_runtime ADD COLUMN error_status INTEGER;
ALTER TABLE subscription_runtime ADD COLUMN error_kind TEXT;
ALTER TABLE subscription_runtime ADD COLUMN error_delivery BLOB;
ALTER TABLE subscription_runtime ADD COLUMN error_attempt BLOB;
