#!/usr/bin/env bash
# Makes the moving picture of the first use: `effigy` alone, and its page in Chromium from the photo to the address for OBS.
#   scripts/first_use_film.sh [FILE.webp]      docs/first-use.webp unless said otherwise
# Needs FFmpeg's own program with WebP, which effigy does not: apt-get install ffmpeg
# EFFIGY=PROGRAM uses that program instead of building one.
set -euo pipefail
cd "$(dirname "$0")/.."
to=${1:-docs/first-use.webp}
fail() { printf 'first_use_film: %s\n' "$*" >&2; exit 1; }
command -v ffmpeg > /dev/null || fail "ffmpeg is missing; it makes the WebP: apt-get install ffmpeg"
case "$to" in *.webp) ;; *) fail "$to: a name that ends in .webp is expected" ;; esac

program=${EFFIGY:-}
if [ -z "$program" ]; then
  cargo build --release --locked
  program=target/release/effigy
fi
width_px=760 rate_hz=5 quality=55 limit_bytes=1500000

work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
EFFIGY_PAGE_TESTS=first_use EFFIGY_PAGE_FILM="$work" scripts/page_test.sh "$program"
ffmpeg -v error -y -f concat -i "$work/film.txt" -vf "fps=$rate_hz,scale=$width_px:-2:flags=area" \
  -c:v libwebp_anim -quality $quality -compression_level 4 -loop 0 "$work/film.webp"
n_bytes=$(wc -c < "$work/film.webp")
[ "$n_bytes" -le $limit_bytes ] || fail "the picture has $n_bytes bytes, at most $limit_bytes are wanted; lower quality= in this script"
mv "$work/film.webp" "$to"
printf '== %s: %d bytes\n' "$to" "$n_bytes"
