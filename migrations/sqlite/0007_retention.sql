-- What went wrong last with a receiver. Postgres has the same in
-- migrations/postgres/0007_retention.sql, where the reasons stand.
ALTER TABLE subscription_runtime ADD COLUMN failed_at INTEGER;
ALTER TABLE subscription_runtime ADD COLUMN failed_status INTEGER;
ALTER TABLE subscription_runtime ADD COLUMN failed_kind TEXT;
ALTER TABLE subscription_runtime ADD COLUMN failed_delivery BLOB;
ALTER TABLE subscription_runtime ADD COLUMN failed_attempt BLOB;
