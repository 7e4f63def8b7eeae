#!/usr/bin/env python3
"""Draws the badge's Chinese and Japanese characters as distances, for src/composite/badge/words.rs.

  python3 -m venv .venv && .venv/bin/pip install pillow scipy noto-cjk-sans-jp-bold
  .venv/bin/python scripts/badge_glyphs.py FONT.otf src/composite/badge/glyphs.pgm

FONT is Noto Sans CJK JP Bold (SIL Open Font License 1.1, https://github.com/notofonts/noto-cjk), which that package holds as
noto_cjk_sans_jp_bold/NotoSansCJKjp-Bold.otf. The licence is that of the font; what is drawn with it is free of it. Beside the
picture a file says where it comes from.

The picture is SIDE pixels wide, one character below the other. A pixel says how far it is from the character's edge: 128 on
it, more inside, 127 steps for SPREAD of the side.
"""

import hashlib
import sys
from pathlib import Path

import numpy as np
from PIL import Image, ImageDraw, ImageFont
from scipy.ndimage import distance_transform_edt

CHARACTERS = "合生成"
SIDE = 96
SPREAD = 0.125
# Drawn so many times larger, then measured.
OVER = 8


def character(font, text):
    side = SIDE * OVER
    picture = Image.new("L", (side, side))
    # The body of a character fills the square; its ink stands in the middle.
    left, top, right, bottom = font.getbbox(text)
    at = ((side - left - right) / 2, (side - top - bottom) / 2)
    ImageDraw.Draw(picture).text(at, text, font=font, fill=255)
    inside = np.asarray(picture) >= 128
    distance = distance_transform_edt(inside) - distance_transform_edt(~inside)
    distance = distance.reshape(SIDE, OVER, SIDE, OVER).mean(axis=(1, 3)) / OVER
    return np.clip(np.round(128 + distance / (SPREAD * SIDE) * 127), 1, 255).astype(np.uint8)


def main(font_path, out):
    font = ImageFont.truetype(font_path, int(SIDE * OVER * 0.92))
    pixels = np.concatenate([character(font, text) for text in CHARACTERS])
    Path(out).write_bytes(b"P5\n%d %d\n255\n" % (SIDE, pixels.shape[0]) + pixels.tobytes())
    sha256 = hashlib.sha256(Path(font_path).read_bytes()).hexdigest()
    Path(out).with_suffix(".txt").write_text(
        f"glyphs.pgm: the characters {CHARACTERS} as distances from their edges, drawn by scripts/badge_glyphs.py from\n"
        f"Noto Sans CJK JP Bold ({font.getname()[0]}, {font.getname()[1]}), copyright Adobe, SIL Open Font License 1.1.\n"
        f"SHA-256 of the font's file: {sha256}\n"
    )


if __name__ == "__main__":
    if len(sys.argv) != 3:
        sys.exit(__doc__)
    main(*sys.argv[1:])
