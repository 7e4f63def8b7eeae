"""What the mark looks like: an even wall with a slope of light, and skin; unmarked, marked, and the difference times 20."""
import cv2
import numpy as np

from mark_attacks import square
from mark_detector import SIDE

SHOWN, TIMES = 256, 20


def wall():
    slope = np.linspace(-12, 12, SIDE)[None, :, None] + np.linspace(6, -6, SIDE)[:, None, None]
    return np.clip(np.array([150, 165, 175]) + slope, 0, 255).round().astype(np.uint8)


def sheet(detector, name):
    """One picture: wall above, the middle of the photo `name` below, which should be a face."""
    rows = []
    for plain in (wall(), square(cv2.imread(name))):
        marked = detector.mark(plain, 0x1234)
        difference = np.clip(128 + TIMES * (marked.astype(np.int16) - plain), 0, 255).astype(np.uint8)
        at = (SIDE - SHOWN) // 2
        rows.append(np.hstack([p[at : at + SHOWN, at : at + SHOWN] for p in (plain, marked, difference)]))
    return np.vstack(rows)
