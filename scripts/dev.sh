#!/usr/bin/env bash
# Runs the relay for development, and vite in front of it: what is changed in dashboard/src shows at
# once. One is signed in with the admin key; SIGN_IN=1 leaves that to the sign-in page.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."
. scripts/toolchain.sh
. scripts/dashboard.sh

stop_relay() {
    kill -TERM "$relay" 2>/dev/null || true
    wait "$relay" 2>/dev/null || true
}

need_toolchain
need_node
install_dashboard
cargo build --locked --bin posthaste
export POSTHASTE_LISTEN=${POSTHASTE_LISTEN:-127.0.0.1:8080}
program=${CARGO_TARGET_DIR:-target}/debug/posthaste
"$program" serve --dev "$@" &
relay=$!
trap stop_relay EXIT
trap 'exit 130' INT
trap 'exit 143' TERM
for _ in $(seq 100); do
    if "$program" health >/dev/null 2>&1; then break; fi
    if ! kill -0 "$relay" 2>/dev/null; then exit 1; fi
    sleep 0.1
done
export POSTHASTE_DEV_URL=http://$POSTHASTE_LISTEN
if [ -z "${SIGN_IN:-}" ]; then
    POSTHASTE_DEV_KEY=${POSTHASTE_ADMIN_KEY:-$(cat "${POSTHASTE_DATA_DIR:-data}/admin.key")}
    export POSTHASTE_DEV_KEY
fi
cd dashboard
npm run --silent dev
