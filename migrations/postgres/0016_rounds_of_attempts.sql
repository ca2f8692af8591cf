-- Which round an attempt was of. Those of before are not known. SQLite has the same in
-- migrations/sqlite/0016_rounds_of_attempts.sql.

ALTER TABLE attempts ADD COLUMN round integer;
