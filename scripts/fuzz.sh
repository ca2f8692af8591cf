#!/usr/bin/env bash
# Holds the API against its description for longer than `make test` does (tests/api/fuzz.rs), on
# Postgres and Redis servers of its own.
#
# SEED      decides what is drawn (default: another one each time, which is printed)
# EXAMPLES  requests drawn for each operation, and walks through several (default 200)
# ONLY      operations whose name ("POST /api/v1/events") this expression finds
# PROFILE   embedded or distributed (default: one after the other)
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

export FUZZ_SEED=${SEED:-$RANDOM} FUZZ_EXAMPLES=${EXAMPLES:-200}
if [ -n "${ONLY:-}" ]; then export FUZZ_ONLY=$ONLY; fi
echo "SEED=$FUZZ_SEED EXAMPLES=$FUZZ_EXAMPLES"
exec scripts/test.sh --test api "fuzz::${PROFILE:-}" -- --test-threads=1 --nocapture
