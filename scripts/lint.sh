#!/usr/bin/env bash
# Everything that can be said about the code without running it.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."
. scripts/toolchain.sh
. scripts/dashboard.sh
. scripts/tools.sh

need_toolchain
echo "== scripts"
for script in scripts/*.sh .ci/run; do
    bash -n "$script"
done
echo "== format"
cargo fmt --all --check
echo "== clippy"
cargo clippy --locked --all-targets -- -D warnings
cargo clippy --locked --all-targets --features faults -- -D warnings
cargo clippy --locked -p posthaste-bench -- -D warnings
echo "== dashboard"
need_node
install_dashboard
(cd dashboard && npm run --silent check && npm run --silent lint)
echo "== browser tests"
install_browser_tests
(cd tests/browser && npm run --silent check && npm run --silent lint)
echo "== licences"
if command -v cargo-deny >/dev/null 2>&1; then
    cargo deny --locked check licenses bans sources
else
    echo "not checked: cargo install --locked cargo-deny"
fi
