#!/usr/bin/env bash
# Builds the dashboard and the relay, and runs it for development.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."
. scripts/toolchain.sh
. scripts/dashboard.sh

need_toolchain
build_dashboard_if_possible
echo "building (the first time takes a few minutes) ..."
cargo build --locked --bin posthaste
# Not by way of `cargo run`: signals must reach the relay itself, so that it stops gracefully.
exec "${CARGO_TARGET_DIR:-target}/debug/posthaste" serve --dev "$@"
