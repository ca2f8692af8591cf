#!/usr/bin/env bash
# Runs the chaos suite (tests/chaos) in its long form: all shapes of the relay at once, each with
# Postgres and Redis servers of its own.
#
# SEED     decides the schedule, the load and what receivers answer (default 1)
# MINUTES  how long faults go on; what then is left is drained and checked (default 5)
# ROUNDS   instead: every fault so many times
# FAULT    only these, parted by commas (kill-relay, stop-postgres, ...; a wrong name prints all);
#          or soak: no fault, but the relay's memory over MINUTES (default 10)
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."
. scripts/toolchain.sh
. scripts/backends.sh

stop_tests() {
    # What is stopped hears nothing else before this.
    kill -CONT -- "-$tests" 2>/dev/null || true
    kill -TERM -- "-$tests" 2>/dev/null || true
    wait "$tests" 2>/dev/null || true
}

need_toolchain
need_backends
if [ "${FAULT:-}" = soak ]; then
    arguments=(--ignored soak)
    FAULT=
else
    arguments=(--skip soak)
    if [ -z "${ROUNDS:-}" ]; then MINUTES=${MINUTES:-5}; fi
fi
export CHAOS_SEED=${SEED:-} CHAOS_MINUTES=${MINUTES:-} CHAOS_ROUNDS=${ROUNDS:-} CHAOS_FAULT=${FAULT:-}
set -m
cargo test --locked --features faults --test chaos -- --test-threads=4 "${arguments[@]}" </dev/null &
tests=$!
set +m
trap 'stop_tests; exit 130' INT
trap 'stop_tests; exit 143' TERM
wait "$tests"
