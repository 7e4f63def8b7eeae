#!/usr/bin/env bash
# The control page in a real browser: builds the program, then drives it with Debian's Chromium. Safe to run again.
#   scripts/page_test.sh [BINARY]      screenshots go to target/page
# EFFIGY_PAGE_TESTS=first_use runs that one of the two only.
set -euo pipefail
cd "$(dirname "$0")/.."
if [ -z "${CHROMIUM:-}" ] && ! command -v chromium > /dev/null && ! grep -qx 'ID=debian' /etc/os-release 2> /dev/null; then
  echo "== the control page in a browser: SKIPPED, there is no chromium, and this system may have no package of it; CHROMIUM=PROGRAM names one"
  exit 0
fi
binary=${1:-}
if [ -z "$binary" ]; then
  cargo build --locked
  binary=target/debug/effigy
fi
for tool in node npm "${CHROMIUM:-chromium}"; do
  command -v "$tool" > /dev/null || { echo "page_test: $tool is missing; scripts/setup.sh --tests installs it" >&2; exit 1; }
done
# Outside the repository, and only when the pinned versions have changed.
modules="${XDG_CACHE_HOME:-$HOME/.cache}/effigy/page-$(cat tests/page/package.json tests/page/package-lock.json | sha256sum | cut -c1-16)"
if [ ! -e "$modules/node_modules/playwright-core/package.json" ]; then
  mkdir -p "$modules"
  cp tests/page/package.json tests/page/package-lock.json "$modules/"
  npm ci --prefix "$modules" --ignore-scripts --no-audit --no-fund
fi
for test in ${EFFIGY_PAGE_TESTS:-page first_use}; do
  EFFIGY_PAGE_MODULES="$modules" CHROMIUM="$(command -v "${CHROMIUM:-chromium}")" \
    timeout 600 node "tests/page/$test.mjs" "$(realpath "$binary")" "$PWD/models/demo" "$PWD/target/page"
done
