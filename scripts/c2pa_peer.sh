#!/bin/sh
# Signed recordings and stills before readers that are not ours: see tests/c2pa_peer/check.py.
#   scripts/c2pa_peer.sh [PROGRAM]     otherwise target/debug/effigy, which is built
# Needs python3 with venv, node with npm, openssl; fetches the readers from PyPI and npm into target/.
set -eu
cd "$(dirname "$0")/.."
peers=$PWD/target/c2pa-peer
mkdir -p "$peers"
if [ ! -x "$peers/venv/bin/python" ] || ! "$peers/venv/bin/python" -c 'import c2pa, cbor2, encypher_c2pa' 2> /dev/null; then
  python3 -m venv "$peers/venv"
  "$peers/venv/bin/pip" install --quiet c2pa-python==0.38.1 encypher-c2pa==1.7.1 cbor2==6.3.0
fi
if [ ! -d "$peers/node_modules/@trustnxt/c2pa-ts" ]; then
  (cd "$peers" && npm install --silent --no-save --ignore-scripts @trustnxt/c2pa-ts@0.9.4)
fi
cp tests/c2pa_peer/read.mjs "$peers/read.mjs"
program=${1:-}
if [ -z "$program" ]; then
  cargo build --locked
  program=target/debug/effigy
fi
program=$(realpath "$program")
lab=$(mktemp -d)
trap 'rm -rf "$lab"' EXIT
root=$PWD
cd "$lab"
mkdir -p data/effigy
# What the program runs on is found from the real home.
ln -s "${XDG_DATA_HOME:-$HOME/.local/share}/effigy/lib" data/effigy/lib
export XDG_CONFIG_HOME="$lab/config" XDG_DATA_HOME="$lab/data" XDG_STATE_HOME="$lab/state" XDG_CACHE_HOME="$lab/cache"
mkdir signed
"$program" keys make --name 'Ann Example' > /dev/null
"$program" enroll "$root/models/demo/portrait_a.png" -o a.effigy --consent synthetic --for tests --no-rehearsal 2> /dev/null
"$program" run --identity a.effigy --purpose tests --source "$root/models/demo/driver.mp4" --backend warp --every-frame \
  --duration 3 --sink file:signed/a.mp4 --sink file:signed/a.mov --sink file:signed/a.avi --sink file:signed/a.mkv 2> run.log || {
  cat run.log
  exit 1
}
"$program" run --identity a.effigy --purpose tests --source "$root/models/demo/driver.mp4" --backend warp --every-frame \
  --duration 0.04 --sink file:signed/still_%d.png 2> /dev/null
"$program" keys certificate > certificates.pem
"$peers/venv/bin/python" "$root/tests/c2pa_peer/check.py" "$lab" "$peers"
