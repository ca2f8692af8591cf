#!/usr/bin/env bash
# Builds the release and measures it, on Postgres and Redis servers of this run's own.
# SCENARIO names what to run (several parted by commas; "list" prints what there is); the other
# variables are named there and in docs/performance.md. PROFILE=quick builds without LTO.
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
profile=${PROFILE:-release}
build=(cargo build --locked --profile "$profile" -p posthaste -p posthaste-bench --bins)
suite=${CARGO_TARGET_DIR:-target}/$profile/posthaste-bench
if [ "${SCENARIO:-}" = micro ]; then
    exec cargo bench --locked -p posthaste-bench --bench micro </dev/null
fi
if [ "${SCENARIO:-}" = list ]; then
    "${build[@]}"
    exec "$suite"
fi
# Only servers of our own are measured: the CPU time of others cannot be told apart.
unset TEST_DATABASE_URL TEST_REDIS_URL
need_backends
"${build[@]}"
trap finish EXIT
trap 'exit 130' INT
trap 'exit 143' TERM
start_backends
export BENCH_DATABASE_URL=$TEST_DATABASE_URL BENCH_REDIS_URL=$TEST_REDIS_URL
export BENCH_POSTGRES_PID=$postgres_pid BENCH_REDIS_PID=$redis_pid
BENCH_COMMIT=$(git describe --always --dirty 2>/dev/null || echo unknown)
BENCH_LOAD=$(cut -d ' ' -f 1 /proc/loadavg)
BENCH_COMMAND="make bench"
for name in SCENARIO PROFILE PROFILES RUNS SENDERS EVENTS ROWS RATE SECONDS_EACH PAIRS MINUTES; do
    if [ -n "${!name:-}" ]; then BENCH_COMMAND+=" $name=${!name}"; fi
done
export BENCH_COMMIT BENCH_LOAD BENCH_COMMAND
"$suite" </dev/null
