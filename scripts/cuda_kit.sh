#!/usr/bin/env bash
# The network's tests and benches for a machine that has an NVIDIA card and its driver, and nothing else of ours: no Rust, no
# OpenCV, no ONNX Runtime, no package registry.
#   scripts/cuda_kit.sh pack       builds target/cuda-kit, to be carried there; `target/cuda-kit/run.sh RESULTS` does the rest
#   scripts/cuda_kit.sh rehearse   the same on this machine's processor, in a root with a C library and busybox only, with
#                                  stand-ins of driver and compiler; small counts, the same steps
set -euo pipefail
cd "$(dirname "$0")/.."
fail() { printf 'cuda_kit: %s\n' "$*" >&2; exit 1; }

MAX_BYTES=$((64 << 20))

# pack FOLDER FEATURE: the programs, and what they were made of.
pack() {
  local kit=$1 feature=$2
  rm -rf "$kit"
  mkdir -p "$kit"
  # What Cargo says of the programs that it made: a JSON object a line.
  local made
  made=$(cargo test --release --locked -p effigy-network --features "$feature" --test kernels --bench card --no-run \
    --message-format json-render-diagnostics)
  local name path
  for name in kernels card; do
    path=$(printf '%s\n' "$made" | sed -nE "s/.*\"name\":\"$name\".*\"executable\":\"([^\"]+)\".*/\1/p" | tail -n 1)
    [ -x "$path" ] || fail "Cargo made no program $name"
    cp "$path" "$kit/$name"
  done
  if [ "$feature" = cuda-emulation ]; then
    local stand_ins
    stand_ins=$(find target/release/build -path '*effigy-network*/out/libcuda.so' -printf '%T@ %h\n' | sort -n | tail -n 1 | cut -d ' ' -f 2)
    cp "$stand_ins"/lib*.so "$kit/"
  fi
  cp scripts/cuda_kit_run.sh "$kit/run.sh"
  cp scripts/cuda_peer.py "$kit/peer.py"
  git describe --always --dirty > "$kit/commit"
  local bytes
  bytes=$(du -sb "$kit" | cut -f 1)
  [ "$bytes" -le "$MAX_BYTES" ] || fail "the kit has $bytes bytes, and $MAX_BYTES can be carried"
  printf '== %s: %d KiB; the newest C library that it asks for: %s\n' "$kit" $((bytes / 1024)) \
    "$(cat "$kit/kernels" "$kit/card" | grep -aoE 'GLIBC_2\.[0-9]+' | sort -uV | tail -n 1)"
}

rehearse() {
  local root=target/cuda-kit-root
  pack target/cuda-kit-rehearsal cuda-emulation
  rm -rf "$root"
  mkdir -p "$root"/{bin,dev,kit,lib,lib64,tmp}
  : > "$root/dev/null"
  local busybox
  busybox=$(command -v busybox) || fail "busybox is missing; on Debian: apt install busybox-static"
  cp "$busybox" "$root/bin/busybox"
  # A program is a link to busybox.
  for name in sh cat cp cut date dirname grep head mkdir printf rm sed sleep sort tail tee timeout uname kill wc; do
    ln -s busybox "$root/bin/$name"
  done
  cp target/cuda-kit-rehearsal/* "$root/kit/"
  # The C library and the C++ compiler's run-time parts, as any Linux has them.
  local library
  for library in $(ldd "$root"/kit/kernels "$root"/kit/card "$root"/kit/lib*.so | grep -oE '^\s.*\(0x' | grep -oE '/[^ ]+' | sort -u); do
    case $library in *effigy*) continue ;; esac
    mkdir -p "$root/$(dirname "$library")"
    cp -L "$library" "$root/$library"
  done
  local as_root=()
  [ "$(id -u)" = 0 ] || as_root=(sudo)
  env -i PATH=/bin:/usr/sbin:/usr/bin "${as_root[@]}" chroot "$root" /bin/busybox env -i PATH=/bin \
    LD_LIBRARY_PATH=/kit HOME=/tmp EFFIGY_KIT_FRAMES=1 EFFIGY_KIT_BOUND_SECS=400 /kit/run.sh /results \
    || fail "the rehearsal failed; see $root/results"
  # No card, no PyTorch: both must be said, and the rest must have passed.
  grep -q '^kernels: passed' "$root/results/summary.txt" || fail "the kernels were not tested"
  grep -q '^bench: passed' "$root/results/summary.txt" || fail "the networks were not timed"
  grep -c '^json:' "$root/results/bench.txt" | grep -qx 16 || fail "not all networks were timed"
  grep -q '^peer: left out' "$root/results/summary.txt" || fail "the peer ran without PyTorch"
  printf '== rehearsed; results in %s\n' "$root/results"
}

case ${1:-} in
  pack) pack target/cuda-kit cuda-ptx ;;
  rehearse) rehearse ;;
  *) fail "expected \`pack\` or \`rehearse\`" ;;
esac
