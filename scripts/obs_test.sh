#!/bin/sh
# Scenes against OBS itself, in a display of its own and a home of its own: on this machine only.
# Needs obs-studio, xvfb, python3 with venv; fetches obsws-python from PyPI into target/.
set -eu
cd "$(dirname "$0")/.."
for tool in obs xvfb-run; do
  command -v "$tool" > /dev/null || { echo "obs_test: $tool is missing: apt-get install obs-studio xvfb" >&2; exit 1; }
done
[ -x target/obs/bin/python ] || python3 -m venv target/obs
target/obs/bin/python -c 'import obsws_python' 2>/dev/null || target/obs/bin/pip install --quiet obsws-python==1.8.0
[ -n "${EFFIGY:-}" ] || cargo build --locked --features obs
exec timeout 300 target/obs/bin/python tests/obs_peer.py "${EFFIGY:-target/debug/effigy}"
