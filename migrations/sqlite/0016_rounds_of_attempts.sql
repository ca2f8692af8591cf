-- Which round an attempt was of. Those of before are not known. Postgres has the same in
-- migrations/postgres/0016_rounds_of_attempts.sql.

ALTER TABLE attempts ADD COLUMN round INTEGER;
