#!/usr/bin/env bash
# Runs the program against PipeWire in a session of its own: no hardware, nothing of the user's session is touched.
set -euo pipefail
cd "$(dirname "$0")/.."
say() { printf '== %s\n' "$*"; }
fail() { printf 'pipewire_test: %s\n' "$*" >&2; exit 1; }

if [ "$(uname -sm)" != "Linux x86_64" ]; then
  say "PipeWire: SKIPPED, this is $(uname -sm) and the test is for Linux x86_64"
  exit 0
fi
for tool in dbus-run-session pipewire wireplumber wpctl pw-dump pw-cat pw-cli pw-link gst-launch-1.0; do
  command -v "$tool" > /dev/null || fail "$tool is missing; scripts/setup.sh --tests installs what is needed"
done

test_program=${EFFIGY_DEVICES_TEST:-$(scripts/test_program.sh devices)}

begin=$(date +%s)
session=$(mktemp -d)
trap 'rm -rf "$session"' EXIT
mkdir -m 700 "$session/run"
# ONNX Runtime is still found by the user's own home.
settings=(XDG_RUNTIME_DIR="$session/run" PIPEWIRE_RUNTIME_DIR="$session/run" XDG_CONFIG_HOME="$session/config"
  XDG_STATE_HOME="$session/state" EFFIGY_PIPEWIRE=1)
env "${settings[@]}" dbus-run-session -- timeout -k 10 480 "$test_program" pipewire:: --ignored --nocapture --test-threads=1 2>&1 | tee "$session/log"
# A test that was not run must not look like one that passed.
grep -q "^test result: ok. 4 passed" "$session/log" || fail "another number of tests ran than expected"
say "PipeWire: passed in $(($(date +%s) - begin)) s"
