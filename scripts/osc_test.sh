#!/bin/sh
# Steering and motion against python-osc, a peer that is not ours: on this machine's loopback only.
# Needs python3 with venv; fetches python-osc from PyPI into target/.
set -eu
cd "$(dirname "$0")/.."
[ -x target/osc/bin/python ] || python3 -m venv target/osc
target/osc/bin/python -c 'import pythonosc' 2>/dev/null || target/osc/bin/pip install --quiet python-osc==1.10.2
cargo build --locked
exec target/osc/bin/python tests/osc_peer.py "${EFFIGY:-target/debug/effigy}"
