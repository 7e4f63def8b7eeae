#!/usr/bin/env bash
# Installs what the tests need, then checks format, lints and documentation and runs every test. Safe to run again.
set -euo pipefail
cd "$(dirname "$0")/.."
scripts/setup.sh --tests
phase() { printf '== %s (after %d:%02d)\n' "$1" $((SECONDS / 60)) $((SECONDS % 60)); }
# From a clean checkout everything is compiled once: what would make a second build faster only makes this one slower.
export CARGO_INCREMENTAL=${CARGO_INCREMENTAL:-0}
features=train,pipewire,cuda-emulation

phase "format"
cargo fmt --check

# Lints of one set of features keep one processor busy. This needs nothing that is built here, and goes beside them.
gates=
if [ "$(uname -sm)" = "Linux x86_64" ]; then
  mkdir -p target
  scripts/cuda_gates.py > target/cuda-gates.log 2>&1 &
  gates=$!
  trap 'kill "$gates" 2> /dev/null || true' EXIT
fi

phase "lints, over combinations of features"
# Each two features are seen in all four states: both off in the first set, both on in the last ones, one without the other
# in the sets of one. No `cfg` names three, so that nothing is left for a larger combination to show.
# Left out: train-tch, which needs LibTorch.
if grep -rnE 'cfg.*(feature *= *"[^"]*".*){3}' src build.rs; then
  echo "a cfg of three features: lint a set in which it is on and one for each feature in which it is off" >&2
  exit 1
fi
for set in "" webcam window heif cuda cuda-ptx wgpu pipewire train train-wgpu default,pipewire,cuda-ptx,train-wgpu; do
  cargo clippy -q --locked --no-default-features --features "$set" --lib --bins -- -D warnings
done
# With tests and benches, and the features that these are run with.
cargo clippy -q --locked --features "$features" --all-targets -- -D warnings

if [ -n "$gates" ]; then
  phase "CUDA kernels, compiled for cards"
  code=0
  wait "$gates" || code=$?
  trap - EXIT
  cat target/cuda-gates.log
  [ "$code" = 0 ] || exit "$code"
fi
phase "dependencies"
scripts/audit.sh
phase "tests"
cargo test --locked --features "$features"
phase "the control page in a browser"
# The tests have just built it.
scripts/page_test.sh target/debug/effigy
phase "virtual cameras on real drivers"
scripts/pipewire_test.sh
scripts/vm_test.sh
if [ "$(uname -sm)" = "Linux x86_64" ]; then
  phase "CUDA kernels on the processor, against their twins"
  EFFIGY_DEVICES=cuda cargo test --locked --features "$features" --test kernels
fi
phase "documentation"
RUSTDOCFLAGS="-D warnings" cargo doc -q --locked --no-deps --features train,pipewire
phase "all passed"
