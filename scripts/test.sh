#!/usr/bin/env bash
# Installs what the tests need, then checks format, lints and documentation and runs every test. Safe to run again.
# While lints go on, what the tests say is in target/tests.log.
set -euo pipefail
cd "$(dirname "$0")/.."
scripts/setup.sh --tests
phase() { printf '== %s (after %d:%02d)\n' "$1" $((SECONDS / 60)) $((SECONDS % 60)); }
# From a clean checkout everything is compiled once: what would make a second build faster only makes this one slower.
export CARGO_INCREMENTAL=${CARGO_INCREMENTAL:-0}
features=train,pipewire,remote
# The CUDA kernels on the processor need instructions that x86-64 alone has.
if [ "$(uname -sm)" = "Linux x86_64" ]; then features+=,cuda-emulation; fi
mkdir -p target

# Jobs beside this script's own work, each in a process group of its own: when one thing failed, nothing is left running.
set -m
gates='' tests=''
stop() {
  for job in $gates $tests; do kill -- "-$job" 2> /dev/null || true; done
}
trap stop EXIT

phase "format"
cargo fmt --check

# Needs nothing that is built here.
if [ "$(uname -sm)" = "Linux x86_64" ]; then
  scripts/cuda_gates.py > target/cuda-gates.log 2>&1 &
  gates=$!
fi

phase "building the tests"
cargo test --locked --workspace --features "$features" --no-run
# By their paths, since Cargo would wait for the lints that compile beside them.
EFFIGY_DEVICES_TEST=$(scripts/test_program.sh devices)
export EFFIGY_DEVICES_TEST
if [ "$(uname -sm)" = "Linux x86_64" ]; then
  kernels_test=$(scripts/test_program.sh kernels)
  # Where Cargo would look for libraries: the stand-ins of the CUDA driver.
  stand_ins=$(dirname "$(ls -t "$(dirname "$kernels_test")"/../build/effigy-network-*/out/libcuda.so | head -n 1)")
fi

run_tests() {
  phase "tests"
  cargo test --locked --workspace --features "$features"
  phase "the control page in a browser"
  # The tests have just built it.
  scripts/page_test.sh target/debug/effigy
  phase "virtual cameras on real drivers"
  scripts/pipewire_test.sh
  scripts/vm_test.sh
  phase "a real server of the open inference protocol"
  scripts/remote_test.sh target/debug/effigy
  if [ "$(uname -sm)" = "Linux x86_64" ]; then
    phase "CUDA kernels on the processor, against their twins"
    (cd crates/network && LD_LIBRARY_PATH=$stand_ins EFFIGY_DEVICES=cuda "$kernels_test")
  fi
}
phase "tests begin; lints beside them"
# Lints of one set of features keep one processor busy, and tests wait now and then: together they keep two busy. The tests
# go first: some of them run the program live.
: > target/tests.log
run_tests < /dev/null >> target/tests.log 2>&1 &
tests=$!
# Cargo lets one at a time compile. It looks whether the tests are built still; then the lints can begin.
until grep -q '^ *Running ' target/tests.log || ! kill -0 "$tests" 2> /dev/null; do sleep 1; done

phase "lints, over combinations of features"
# Each two features that one crate's code asks for are seen in all four states: both off, both on, one without the other
# (tests/features.rs checks it). No `cfg` names three, so that nothing is left for a larger combination to show.
# Left out: train-tch, which needs LibTorch. A set with train-wgpu lints training with its feature, another without.
if grep -rnE 'cfg.*(feature *= *"[^"]*".*){3}' src crates --include='*.rs'; then
  echo "a cfg of three features: lint a set in which it is on and one for each feature in which it is off" >&2
  exit 1
fi
for set in \
  "" \
  c2pa,cuda-ptx,obs,pipewire,webcam,window \
  c2pa,cuda-ptx,microphone,obs,remote,wgpu \
  heif,microphone,obs,pipewire,train,wgpu \
  heif,remote,train-wgpu,wgpu,window \
  obs,remote,webcam; do
  nice -n 19 cargo clippy -q --locked --no-default-features --features "$set" --lib --bins -- -D warnings
done
# The network and training by themselves: without OpenCV, which only the program needs.
nice -n 19 cargo clippy -q --locked -p effigy-training -p effigy-network --lib -- -D warnings
# With tests and benches, and the features that these are run with.
nice -n 19 cargo clippy -q --locked --workspace --features "$features" --all-targets -- -D warnings
phase "documentation"
RUSTDOCFLAGS="-D warnings" nice -n 19 cargo doc -q --locked --workspace --no-deps --features train,pipewire,remote
phase "dependencies"
scripts/audit.sh
if [ -n "$gates" ]; then
  phase "CUDA kernels, compiled for cards"
  code=0
  wait "$gates" || code=$?
  gates=
  cat target/cuda-gates.log
  [ "$code" = 0 ] || exit "$code"
fi

phase "what the tests say"
tail -n +1 -f --pid="$tests" target/tests.log
code=0
wait "$tests" || code=$?
tests=
[ "$code" = 0 ] || exit "$code"
phase "all passed"
