//! The contract of the store, held against both implementations.
//!
//! Every case runs on SQLite in a directory of its own and on Postgres in a database of its
//! own, made from `TEST_DATABASE_URL` (a superuser's) and dropped at the end. `make test` sets
//! it; a missing Postgres fails the run.

#[macro_use]
mod bed;
mod sample;

mod accept;
mod accounts;
mod apart;
mod api_keys;
mod audit;
mod breaker;
mod catalogue;
mod directory;
mod erase;
mod hold;
mod jobs;
mod lists;
mod migrations;
mod nodes;
mod operational;
mod ordering;
mod postgres;
mod record;
mod recover;
mod retention;
mod search;
mod signing;
mod statistics;
mod tenants;
