#!/usr/bin/env bash
# Builds the dashboard and the relay and takes pictures of every page into dashboard/screenshots:
# of `posthaste demo` with something of everything in it, and of an empty relay.
#
# README=1  the two pictures of the README are made anew too (docs/images)
# LINK=...  of a demo that runs already: the link that it prints. The longer it runs, the more its charts show
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."
. scripts/toolchain.sh
. scripts/tools.sh
. scripts/dashboard.sh

need_toolchain
need_node
need_browser
build_dashboard
cargo build --locked --features faults --bin posthaste
export README=${README:-} LINK=${LINK:-}
run_browser_tests "${CARGO_TARGET_DIR:-target}/debug/posthaste" --config=pictures/pictures.config.ts "$@"
echo "they are in dashboard/screenshots"
