#!/usr/bin/env bash
# Installs what is missing, builds effigy in release, and runs its demo. Safe to run again.
#   scripts/demo.sh [options of `effigy demo`]
set -euo pipefail
cd "$(dirname "$0")/.."
scripts/setup.sh
echo "== building effigy in release (a few minutes the first time)"
cargo build --release --locked
echo "== running the demo"
exec cargo run --release --locked --quiet -- demo "$@"
