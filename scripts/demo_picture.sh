#!/usr/bin/env bash
# Makes the README's moving picture: the demo's driver on the left, beside it the three portraits that it drives.
#   scripts/demo_picture.sh [FILE.webp]      models/demo/demo.webp unless said otherwise
# Needs FFmpeg's own program with WebP, which effigy does not: apt-get install ffmpeg
# EFFIGY=PROGRAM uses that program instead of building one.
set -euo pipefail
cd "$(dirname "$0")/.."
to=${1:-models/demo/demo.webp}
fail() { printf 'demo_picture: %s\n' "$*" >&2; exit 1; }
command -v ffmpeg > /dev/null || fail "ffmpeg is missing; it makes the WebP: apt-get install ffmpeg"
case "$to" in *.webp) ;; *) fail "$to: a name that ends in .webp is expected" ;; esac

program=${EFFIGY:-}
if [ -z "$program" ]; then
  cargo build --release --locked
  program=target/release/effigy
fi
# Smaller than 1.5 MB: a page's first screen must not be waited for.
begin_secs=0.6 length_secs=8 rate_hz=12 cell_px=220 quality=80 limit_bytes=1500000

work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
# The key that signs these, and what the program remembers, are not the user's.
export XDG_CONFIG_HOME="$work/config" XDG_STATE_HOME="$work/state"
clips=(-i models/demo/driver.mp4)
cells="[0]scale=$cell_px:$cell_px:flags=area,pad=$((cell_px + 6)):$cell_px:color=white[c0]" row="[c0]" n=1
for letter in a b c; do
  "$program" enroll "models/demo/portrait_$letter.png" -o "$work/$letter.effigy" --consent synthetic
  "$program" run --no-settings --identity "$work/$letter.effigy" --source models/demo/driver.mp4 --every-frame \
    --sink "file:$work/$letter.mp4"
  clips+=(-i "$work/$letter.mp4")
  cells+=";[$n]scale=$cell_px:$cell_px:flags=area[c$n]" row+="[c$n]" n=$((n + 1))
done
cells+=";${row}hstack=$n,trim=$begin_secs:$(awk "BEGIN { print $begin_secs + $length_secs }"),setpts=PTS-STARTPTS,fps=$rate_hz[out]"
ffmpeg -v error -y "${clips[@]}" -filter_complex "$cells" -map '[out]' \
  -c:v libwebp_anim -quality $quality -compression_level 4 -loop 0 "$work/demo.webp"
n_bytes=$(wc -c < "$work/demo.webp")
[ "$n_bytes" -le $limit_bytes ] || fail "the picture has $n_bytes bytes, at most $limit_bytes are wanted; lower quality= in this script"
mv "$work/demo.webp" "$to"
printf '== %s: %d bytes\n' "$to" "$n_bytes"
