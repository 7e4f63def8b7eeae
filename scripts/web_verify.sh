#!/bin/sh
# Builds the verifier for browsers: web/verify/index.html, one file that needs no server.
set -eu
cd "$(dirname "$0")/../web/verify"
rustup target add wasm32-unknown-unknown
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
rustc --edition 2024 -O -C panic=abort -C strip=symbols --target wasm32-unknown-unknown --crate-type cdylib \
    -C target-feature=+simd128 -o "$work/detector.wasm" detector.rs
base64 -w 0 "$work/detector.wasm" >"$work/base64"
# What it was built from, so that a test can tell when it is old.
sources=$(cat detector.rs page.html $(sed -n 's/^#\[path = "\(.*\)"\]$/\1/p' detector.rs) | sha256sum | cut -d ' ' -f 1)
awk -v "file=$work/base64" -v "sources=$sources" \
    '/@DETECTOR@/ { getline code < file; sub(/@DETECTOR@/, code) } { sub(/@SOURCES@/, sources); print }' \
    page.html >"$work/index.html"
mv "$work/index.html" index.html
echo "web/verify/index.html: $(wc -c <index.html) bytes"
