#!/bin/sh
# Runs the kit that `scripts/cuda_kit.sh pack` made: run.sh RESULTS. Each step is bounded, and its result is written as it
# comes; a step that fails does not keep the next from running. Five minutes at most.
set -u
kit=$(cd "$(dirname "$0")" && pwd)
results=${1:?"expected a folder for the results: run.sh RESULTS"}
mkdir -p "$results" || exit 1
frames=${EFFIGY_KIT_FRAMES:-500}
failed=0

# step NAME SECONDS COMMAND...: what it prints goes to NAME.txt, how it ended to summary.txt.
step() {
  name=$1 bound_secs=$2
  shift 2
  begun=$(date +%s)
  timeout "$bound_secs" "$@" > "$results/$name.txt" 2>&1
  code=$?
  took=$(($(date +%s) - begun))
  case $code in
    0) said=passed ;;
    124 | 143) said="stopped after its $bound_secs s" failed=1 ;;
    *) said="failed with code $code" failed=1 ;;
  esac
  echo "$name: $said ($took s)" | tee -a "$results/summary.txt"
}

: > "$results/summary.txt"
{
  echo "commit $(cat "$kit/commit")"
  date -u
  uname -a
  if command -v nvidia-smi > /dev/null; then
    nvidia-smi --query-gpu=name,driver_version,clocks.max.sm,clocks.max.memory,power.limit,temperature.gpu --format=csv
  else
    echo "no nvidia-smi"
  fi
} > "$results/machine.txt" 2>&1

EFFIGY_DEVICES=cuda
export EFFIGY_DEVICES
cd "$kit" || exit 1
step kernels "${EFFIGY_KIT_BOUND_SECS:-60}" ./kernels --test-threads 1

# Power and clocks while the networks run, ten times a second.
watcher=
if command -v nvidia-smi > /dev/null; then
  nvidia-smi --query-gpu=power.draw,clocks.sm,utilization.gpu --format=csv,noheader -lms 100 > "$results/power.csv" 2>&1 &
  watcher=$!
fi
step bench "${EFFIGY_KIT_BOUND_SECS:-60}" ./card "$frames"
[ -z "$watcher" ] || kill "$watcher" 2> /dev/null

if command -v python3 > /dev/null && python3 -c 'import torch' > /dev/null 2>&1; then
  step peer 180 python3 peer.py --frames "$frames"
else
  echo "peer: left out, no PyTorch here" | tee -a "$results/summary.txt"
fi
exit $failed
