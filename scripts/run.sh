#!/usr/bin/env bash
# Builds the dashboard and the relay and runs it for development, or its demo:
# run.sh [demo] [arguments of the command]
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."
. scripts/toolchain.sh
. scripts/dashboard.sh

command=(serve --dev)
if [ "${1:-}" = demo ]; then
    command=(demo)
    shift
fi
need_toolchain
build_dashboard_if_possible
echo "building (the first time takes a few minutes) ..."
cargo build --locked --bin posthaste
# Not by way of `cargo run`: signals must reach the relay itself, so that it stops gracefully.
exec "${CARGO_TARGET_DIR:-target}/debug/posthaste" "${command[@]}" "$@"
