#!/usr/bin/env bash
# Makes docs/posthaste.postman_collection.json and dashboard/openapi.json anew from the API's description.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."
. scripts/toolchain.sh

need_toolchain
collection=docs/posthaste.postman_collection.json
cargo run --locked --quiet -- openapi --postman >"$collection.new"
mv "$collection.new" "$collection"
document=dashboard/openapi.json
cargo run --locked --quiet -- openapi >"$document.new"
mv "$document.new" "$document"
