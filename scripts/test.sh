#!/usr/bin/env bash
# Runs every test. Postgres and Redis are servers of this run's own, on free ports of the
# loopback interface, in a temporary directory, gone afterwards. TEST_DATABASE_URL and
# TEST_REDIS_URL name others to use instead. What is missing is installed, or fails the run:
# a test that is skipped proves nothing.
#
# Tests find: TEST_DATABASE_URL (a superuser), TEST_REDIS_URL, POSTHASTE_TEST_PG_BIN (directory
# of initdb, postgres and pg_ctl) and POSTHASTE_TEST_REDIS_SERVER (for servers of their own), and
# POSTHASTE_TEST_TOOLS (Python and JavaScript libraries, scripts/tools.sh).
# POSTHASTE_TEST_DASHBOARD says that the binary must hold the dashboard.
#
# Without arguments the browser tests (tests/browser) come last, with the binary that cargo built.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."
. scripts/toolchain.sh
. scripts/backends.sh
. scripts/tools.sh
. scripts/dashboard.sh

finish() {
    local code=$?
    trap - EXIT INT TERM
    stop_backends
    exit "$code"
}

stop_tests() {
    # What the chaos suite has stopped hears nothing else before this.
    kill -CONT -- "-$tests" 2>/dev/null || true
    kill -TERM -- "-$tests" 2>/dev/null || true
    wait "$tests" 2>/dev/null || true
}

need_toolchain
need_backends
need_programs
need_tools
need_node
if [ $# -eq 0 ]; then need_browser; fi
build_dashboard
echo "== dashboard"
(cd dashboard && npm run --silent lint && npm test --silent)
export POSTHASTE_TEST_DASHBOARD=1
trap finish EXIT
trap 'exit 130' INT
trap 'exit 143' TERM
start_backends
# A process group of its own, waited for: so a signal is acted upon at once and reaches cargo
# and whatever it runs.
set -m
cargo test --locked --features faults "$@" </dev/null &
tests=$!
set +m
trap 'stop_tests; exit 130' INT
trap 'stop_tests; exit 143' TERM
wait "$tests"
if [ $# -eq 0 ]; then
    echo "== browser"
    run_browser_tests "${CARGO_TARGET_DIR:-target}/debug/posthaste"
fi
