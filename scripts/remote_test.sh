#!/usr/bin/env bash
# Installs a real server of the open inference protocol and lets effigy ask it for pictures: remote_check.py.
#   scripts/remote_test.sh EFFIGY      a program with the feature `remote`
set -euo pipefail
cd "$(dirname "$0")/.."
effigy=$(realpath "$1")
venv=target/remote-venv
if [ ! -x "$venv/bin/mlserver" ]; then
  python3 -m venv "$venv"
  "$venv/bin/pip" install -q --disable-pip-version-check mlserver==1.7.1 onnxruntime
fi
"$venv/bin/python" scripts/remote_check.py "$effigy"
