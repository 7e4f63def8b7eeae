#!/usr/bin/env bash
# Builds one test program as scripts/test.sh does, unless it is built, and prints its path.
#   scripts/test_program.sh devices
set -euo pipefail
cd "$(dirname "$0")/.."
name=${1:?which test program?}
features=train,pipewire,remote
if [ "$(uname -sm)" = "Linux x86_64" ]; then features+=,cuda-emulation; fi
build=(cargo test --locked --workspace --features "$features" --test "$name" --no-run)
program=$("${build[@]}" --message-format=json 2> /dev/null \
  | sed -n 's/.*"executable":"\([^"]*\/'"$name"'-[^"]*\)".*/\1/p' | tail -n 1 || true)
# What the compiler has to say.
[ -n "$program" ] || { "${build[@]}" >&2; echo "test_program: the test $name does not build" >&2; exit 1; }
printf '%s\n' "$program"
