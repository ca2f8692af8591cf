#!/usr/bin/env bash
# Builds the dashboard and the relay and runs the browser tests alone: browser.sh [arguments to
# playwright test], such as `--project=embedded sign-in` or `--headed`. Postgres and Redis are
# servers of this run's own.
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

need_toolchain
need_backends
need_node
need_browser
build_dashboard
# As `cargo test` builds it, so that neither has to build it anew after the other.
cargo build --locked --features faults --bin posthaste
trap finish EXIT
trap 'exit 130' INT
trap 'exit 143' TERM
start_backends
run_browser_tests "${CARGO_TARGET_DIR:-target}/debug/posthaste" "$@"
