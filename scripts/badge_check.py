#!/usr/bin/env python3
"""Measures how well the badge can be read in the program's own pictures after strong compression.

    python3 -m venv .venv && .venv/bin/pip install numpy pillow av
    .venv/bin/python scripts/badge_check.py target/release/effigy IDENTITY.effigy CLIP... [--out FILE] [--sheet FILE.png]

IDENTITY must be of oneself or synthetic: each run is made once with the badge and once without, and what differs is the
badge. The pictures that leave the program (PNG) go through x264 as calls use it (veryfast, zerolatency, 500 kbit/s, no
room for more in any second) and back. Contrast is that of WCAG 2: the mean luminance of the letters' inside against that of
the plate around them, in the worst and in the median picture. Asked for: 4.5.
"""

import argparse
import io
import subprocess
import sys
import tempfile
from pathlib import Path

import av
import numpy as np
from PIL import Image

LANGUAGES = ["en", "de", "es", "zh", "ja", "ru"]
PLACES = ["top-left", "top-right", "bottom-left", "bottom-right"]


def pictures(effigy, options, folder):
    run = [effigy, "run", "--no-settings", "--every-frame", "--backend", "warp", "--sink", f"file:{folder}/"]
    subprocess.run(run + options, check=True, capture_output=True)
    return [np.asarray(Image.open(path).convert("RGB")) for path in sorted(Path(folder).glob("*.png"))]


def coded(frames, kbits, rate):
    height, width = frames[0].shape[:2]
    file = io.BytesIO()
    with av.open(file, "w", format="matroska") as out:
        stream = out.add_stream("libx264", rate=rate, options={
            "preset": "veryfast", "tune": "zerolatency", "maxrate": f"{kbits}k", "bufsize": f"{kbits}k"})
        stream.width, stream.height, stream.pix_fmt, stream.bit_rate = width, height, "yuv420p", kbits * 1000
        for frame in frames:
            out.mux(stream.encode(av.VideoFrame.from_ndarray(frame, format="rgb24")))
        out.mux(stream.encode())
    size = len(file.getvalue()) * 8 / 1000 / (len(frames) / rate)
    file.seek(0)
    with av.open(file) as back:
        return [frame.to_ndarray(format="rgb24") for frame in back.decode(video=0)], size


def luminance(rgb):
    c = rgb.astype(np.float64) / 255
    linear = np.where(c <= 0.04045, c / 12.92, ((c + 0.055) / 1.055) ** 2.4)
    return linear @ [0.2126, 0.7152, 0.0722]


def eroded(mask):
    grown = np.pad(mask, 1)
    return grown[1:-1, 1:-1] & grown[:-2, 1:-1] & grown[2:, 1:-1] & grown[1:-1, :-2] & grown[1:-1, 2:]


def parts(badged, bare):
    """The badge's box, the inside of its letters, the plate around them."""
    differs = (badged != bare).any(axis=2)
    rows, columns = np.flatnonzero(differs.any(axis=1)), np.flatnonzero(differs.any(axis=0))
    box = slice(rows[0], rows[-1] + 1), slice(columns[0], columns[-1] + 1)
    light = luminance(badged[box])
    ink = eroded(light > 0.9)
    inset = light.shape[0] // 5
    plate = np.zeros_like(ink)
    plate[inset:-inset, inset:-inset] = light[inset:-inset, inset:-inset] < 0.25
    return box, ink, plate


def measure(effigy, options, kbits, rate):
    with tempfile.TemporaryDirectory() as with_, tempfile.TemporaryDirectory() as without:
        badged = pictures(effigy, options, with_)
        bare = pictures(effigy, options + ["--no-badge"], without)
    back, size = coded(badged, kbits, rate)
    ratios = []
    for frame, plain, seen in zip(badged, bare, back):
        box, ink, plate = parts(frame, plain)
        light = luminance(seen[box])
        ratios.append((light[ink].mean() + 0.05) / (light[plate].mean() + 0.05))
    return min(ratios), float(np.median(ratios)), size, back[int(np.argmin(ratios))], box


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("effigy")
    parser.add_argument("identity")
    parser.add_argument("clips", nargs="+")
    parser.add_argument("--kbits", type=int, default=500)
    parser.add_argument("--secs", type=float, default=2.0)
    parser.add_argument("--size", default="1280x720")
    parser.add_argument("--out")
    parser.add_argument("--sheet", help="the badges of the worst pictures, one below the other")
    given = parser.parse_args()
    effigy = str(Path(given.effigy).resolve())
    noise = np.random.default_rng(1).integers(0, 2, (360, 640, 1), dtype=np.uint8) * np.full(3, 255, np.uint8)
    with tempfile.NamedTemporaryFile(suffix=".png") as picture:
        Image.fromarray(noise).save(picture.name)
        base = ["--identity", given.identity, "--size", given.size, "--duration", str(given.secs)]
        cases = [(f"{Path(clip).stem}, its own ground", "en", "bottom-right", ["--source", clip]) for clip in given.clips]
        white = ["--source", given.clips[0], "--background", "#ffffff"]
        cases += [("white", language, PLACES[i % 4], white) for i, language in enumerate(LANGUAGES)]
        noisy = ["--source", given.clips[0], "--background", picture.name]
        cases += [("black and white noise", language, "bottom-right", noisy) for language in LANGUAGES]
        # The head fills the picture and moves behind the badge.
        near = ["--source", given.clips[0], "--framing", "fill", "--zoom", "3", "--background", "#ffff00"]
        cases += [("a moving head", language, place, near) for language, place in zip(LANGUAGES, PLACES + PLACES)]
        lines = [f"{'':38}{'word':6}{'corner':14}kbit/s   contrast: least, median"]
        strips, least = [], 1e9
        for name, language, place, options in cases:
            options = base + options + ["--badge-language", language, "--badge-place", place]
            worst, median, size, frame, box = measure(effigy, options, given.kbits, 30)
            least = min(least, worst)
            lines.append(f"{name:38}{language:6}{place:14}{size:6.0f}   {worst:5.1f}, {median:.1f}")
            print(lines[-1], flush=True)
            strip = frame[box[0], box[1]]
            strips.append(np.pad(strip[:80, :220], ((0, 80 - min(80, strip.shape[0])), (0, 220 - min(220, strip.shape[1])), (0, 0))))
    lines.append(f"least of all: {least:.1f}")
    text = "\n".join(lines) + "\n"
    print(text)
    if given.out:
        Path(given.out).write_text(text)
    if given.sheet:
        Image.fromarray(np.concatenate(strips)).save(given.sheet)
    return 0 if least >= 4.5 else 1


if __name__ == "__main__":
    sys.exit(main())
