#!/usr/bin/env bash
# Installs what the tests need, then checks format, lints and documentation and runs every test. Safe to run again.
set -euo pipefail
cd "$(dirname "$0")/.."
scripts/setup.sh --tests

echo "== format"
cargo fmt --check
echo "== lints, over all combinations of features"
features=(webcam window cuda wgpu train)
for ((set = 0; set < 1 << ${#features[@]}; set++)); do
  chosen=()
  for i in "${!features[@]}"; do if ((set >> i & 1)); then chosen+=("${features[i]}"); fi; done
  list=$(IFS=,; echo "${chosen[*]}")
  # The tests are the same for all: checked once, with everything in.
  targets=$([ ${#chosen[@]} -eq ${#features[@]} ] && echo --all-targets || echo "--lib --bins")
  # shellcheck disable=SC2086
  cargo clippy -q --locked --no-default-features --features "$list" $targets -- -D warnings
done
cargo clippy -q --locked --features train,pipewire,cuda-emulation --all-targets -- -D warnings
cargo clippy -q --locked --no-default-features --features pipewire --lib --bins -- -D warnings
cargo clippy -q --locked --no-default-features --features heif --lib --bins -- -D warnings
cargo clippy -q --locked --features cuda-ptx --lib --bins -- -D warnings
cargo clippy -q --locked --no-default-features --features train-wgpu --lib --bins -- -D warnings
scripts/audit.sh
echo "== tests"
cargo test --locked --features train,pipewire,cuda-emulation
echo "== the control page in a browser"
# The tests have just built it.
scripts/page_test.sh target/debug/effigy
echo "== virtual cameras on real drivers"
scripts/pipewire_test.sh
scripts/vm_test.sh
if [ "$(uname -sm)" = "Linux x86_64" ]; then
  echo "== CUDA kernels on the processor, against their twins"
  EFFIGY_DEVICES=cuda cargo test --locked --features train,pipewire,cuda-emulation --test kernels
  echo "== CUDA kernels, compiled for cards"
  scripts/cuda_gates.py
fi
echo "== documentation"
RUSTDOCFLAGS="-D warnings" cargo doc -q --locked --no-deps --features train,pipewire
