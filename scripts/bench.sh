#!/usr/bin/env bash
# Builds the release and measures it, on Postgres and Redis servers of this run's own.
# EVENTS and SENDERS set how much is sent, and by how many.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."
. scripts/toolchain.sh
. scripts/backends.sh

finish() {
    local code=$?
    trap - EXIT INT TERM
    stop_backends
    exit "$code"
}

need_toolchain
# Only servers of our own are measured: the CPU time of others cannot be told apart.
unset TEST_DATABASE_URL TEST_REDIS_URL
need_backends
cargo build --locked --release --bench flood
trap finish EXIT
trap 'exit 130' INT
trap 'exit 143' TERM
start_backends
export BENCH_POSTGRES_PID=$postgres_pid BENCH_REDIS_PID=$redis_pid
cargo bench --locked --bench flood </dev/null
