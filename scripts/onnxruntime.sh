#!/usr/bin/env bash
# Fetches ONNX Runtime's library, of the one version that this program is tested with, and its licences into a folder.
#   scripts/onnxruntime.sh FOLDER          does nothing when it is there
#   scripts/onnxruntime.sh --version       prints the version
set -euo pipefail

fail() { printf 'onnxruntime: %s\n' "$*" >&2; exit 1; }

version=1.31.1
folder=${1:?a folder is expected}
if [ "$folder" = --version ]; then echo "$version"; exit; fi

case "$(uname -sm)" in
  "Linux x86_64") platform=manylinux_2_28_x86_64 hash=fc44112fbe06d7d689c57e11d3862031f64711007e4ee020f8eed5185fd2c1d3 ;;
  "Linux aarch64") platform=manylinux_2_28_aarch64 hash=8aa3b76b28c778a2b1dd660d34161adb1d508c9ccd04ff9dc80e26eca5df8467 ;;
  *) fail "no ready-made ONNX Runtime for $(uname -sm); build version $version and set EFFIGY_ONNXRUNTIME to its libonnxruntime.so" ;;
esac
library="$folder/libonnxruntime.so.$version"
if [ -e "$library" ] && [ -e "$folder/onnxruntime/LICENSE" ]; then exit; fi

python3 -m pip --version > /dev/null 2>&1 || fail "pip is missing (python3 -m pip); it is the way to ONNX Runtime. Or set EFFIGY_ONNXRUNTIME to a libonnxruntime.so of version $version"
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
python3 -m pip download -q --disable-pip-version-check --no-deps --only-binary=:all: --python-version 3.11 \
  --platform "$platform" -d "$work" "onnxruntime==$version"
python3 -m zipfile -e "$work"/onnxruntime-*.whl "$work/wheel"
fetched="$work/wheel/onnxruntime/capi/libonnxruntime.so.$version"
found=$(sha256sum "$fetched" | cut -d' ' -f1)
[ "$found" = "$hash" ] || fail "the ONNX Runtime library is not the one expected: SHA-256 $hash expected, $found found"
mkdir -p "$folder/onnxruntime"
install -m 644 "$work/wheel/onnxruntime/LICENSE" "$work/wheel/onnxruntime/ThirdPartyNotices.txt" "$folder/onnxruntime/"
# Moved whole, so that an interrupted run leaves no half of a library.
install -m 644 "$fetched" "$library.part"
mv "$library.part" "$library"
