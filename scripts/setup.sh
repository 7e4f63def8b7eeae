#!/usr/bin/env bash
# Installs what effigy needs and this machine lacks. Safe to run again; asks for nothing when nothing is missing.
#   scripts/setup.sh           what building and running need
#   scripts/setup.sh --tests   and what the tests need
set -euo pipefail

say() { printf '== %s\n' "$*"; }
fail() { printf 'setup: %s\n' "$*" >&2; exit 1; }

# Building: a C++ compiler, pkg-config and clang (bindings of OpenCV, FFmpeg and the camera interface), OpenCV, FFmpeg,
# libjpeg-turbo, ALSA.
# Running: the window's X11 libraries, the loader of graphics drivers, the reader of HEIC and AVIF photos.
packages=(ca-certificates g++ pkg-config clang libopencv-dev libturbojpeg0-dev libavcodec-dev libavformat-dev
  libavutil-dev libswscale-dev libasound2-dev libvulkan1 libx11-6 libxcursor1 libheif1)
# What some releases lack: newer ones pack libheif's decoders one by one, and Ubuntu has no Chromium.
optional=(libheif-plugin-libde265 libheif-plugin-dav1d)
# Testing: a display without a screen, a Vulkan driver without a card, a browser and what drives it; PipeWire with a
# consumer of other makers; a virtual machine and what builds v4l2loopback for its kernel; Python for a server that makes pictures.
if [ "${1:-}" = --tests ]; then
  packages+=(xvfb mesa-vulkan-drivers python3-venv python3-pip)
  optional+=(chromium)
  # Node from elsewhere brings npm along, and Debian's would be in its way.
  command -v node > /dev/null || packages+=(nodejs)
  command -v npm > /dev/null || packages+=(npm)
  packages+=(libpipewire-0.3-dev pipewire pipewire-alsa wireplumber dbus gstreamer1.0-pipewire gstreamer1.0-tools)
  if [ "$(uname -m)" = x86_64 ]; then
    packages+=(qemu-system-x86 busybox-static cpio kmod v4l-utils gcc-12 make)
  fi
fi

here=$(dirname "$0")
runtime_version=$("$here/onnxruntime.sh" --version)
runtime_dir="${XDG_DATA_HOME:-$HOME/.local/share}/effigy/lib"
runtime="$runtime_dir/libonnxruntime.so.$runtime_version"

has_runtime() {
  for place in "${EFFIGY_ONNXRUNTIME:-}" "${ORT_DYLIB_PATH:-}" "$runtime"; do
    if [ -n "$place" ] && [ -e "$place" ]; then return 0; fi
  done
  return 1
}

is_missing() { [ "$(dpkg-query -W -f '${db:Status-Status}' "$1" 2> /dev/null || true)" != installed ]; }
# Adds what of the optional is missing and known to apt by its lists.
add_optional() {
  for package in "${optional[@]}"; do
    if is_missing "$package" && [ -n "$(apt-cache madison "$package" 2> /dev/null)" ]; then missing+=("$package"); fi
  done
}

[ "$(uname -s)" = Linux ] || fail "this script knows Linux only; on $(uname -s) install OpenCV 4, FFmpeg 5.1 or newer, clang, pkg-config and ONNX Runtime $runtime_version, point EFFIGY_ONNXRUNTIME at its library, then: cargo run --release -- demo"
command -v cargo > /dev/null || fail "cargo is missing; install Rust first: https://rustup.rs"

if command -v dpkg-query > /dev/null && command -v apt-get > /dev/null; then
  # Beside tests, pip is only the way to the runtime.
  [ "${1:-}" = --tests ] || has_runtime || packages+=(python3-pip)
  missing=()
  for package in "${packages[@]}"; do
    if is_missing "$package"; then missing+=("$package"); fi
  done
  n_needed=${#missing[@]}
  add_optional
  if [ ${#missing[@]} -eq 0 ]; then
    say "Debian packages: all there"
  else
    say "Debian packages: installing ${missing[*]}"
    as_root=()
    if [ "$(id -u)" -ne 0 ]; then
      command -v sudo > /dev/null || fail "these need root, and there is no sudo; as root: apt-get install ${missing[*]}"
      as_root=(sudo)
    fi
    "${as_root[@]}" apt-get update -q
    # A fresh system has its lists only now.
    missing=("${missing[@]:0:n_needed}")
    add_optional
    "${as_root[@]}" env DEBIAN_FRONTEND=noninteractive apt-get install -y -q --no-install-recommends "${missing[@]}"
  fi
else
  say "no apt-get here: install these by your own package manager, under its names for them, if they are missing:"
  say "  ${packages[*]} ${optional[*]}"
  for tool in c++ pkg-config clang; do command -v $tool > /dev/null || fail "$tool is missing"; done
  pkg-config --exists opencv4 || fail "OpenCV 4 with its development files is missing (pkg-config finds no opencv4)"
  for library in libavcodec libavformat libavutil libswscale; do
    pkg-config --exists $library || fail "FFmpeg 5.1 or newer with its development files is missing (pkg-config finds no $library)"
  done
fi

if has_runtime; then
  say "ONNX Runtime: there"
else
  say "ONNX Runtime $runtime_version: fetching its library to $runtime_dir"
  "$here/onnxruntime.sh" "$runtime_dir"
fi
