"""Scores of pictures without a mark, changed by chance as pictures are on their way through the world."""
import math

import cv2
import numpy as np

from mark_detector import clips, stills

# Changes of each frame of a clip and of each still, in each part.
PER_FRAME = 3
PER_STILL = 4
# Sides of stills, in pixels: larger ones are brought down first, smaller ones are left out.
MOST_PX, LEAST_PX = 1280, 128


def change(grey, rng):
    """Cuts, scales, turns, mirrors, brightens, blurs, adds noise and compresses, each by chance."""
    height, width = grey.shape
    share, lines = rng.uniform(0.5, 1), int(math.exp(rng.uniform(math.log(200), math.log(800))))
    scale = height * share / lines
    to = (min(max(int(width * share / scale), 1), 4 * lines), lines)
    if scale > 1 and rng.random() < 0.5:
        grey = cv2.resize(grey, None, fx=1 / scale, fy=1 / scale, interpolation=cv2.INTER_AREA)
        height, width, scale = *grey.shape, 1.0
    angle = rng.uniform(-0.1, 0.1) if rng.random() < 0.5 else 0.0
    flip = -1 if rng.random() < 0.5 else 1
    middle = [s * share / 2 + rng.random() * s * (1 - share) for s in (width, height)]
    c, s = math.cos(angle) * scale, math.sin(angle) * scale
    m = np.array([[c * flip, -s, 0], [s * flip, c, 0]])
    m[:, 2] = np.array(middle) - m[:, :2] @ np.array(to) / 2
    how = [cv2.INTER_NEAREST, cv2.INTER_LINEAR, cv2.INTER_CUBIC][rng.integers(3)]
    out = cv2.warpAffine(grey, m, to, flags=how | cv2.WARP_INVERSE_MAP, borderMode=cv2.BORDER_REPLICATE)
    table = np.clip((np.arange(256) / 255) ** rng.uniform(0.7, 1.4) * rng.uniform(0.7, 1.3) * 255, 0, 255)
    out = cv2.LUT(out, table.astype(np.uint8))
    if rng.random() < 0.2:
        out = cv2.GaussianBlur(out, (0, 0), rng.uniform(0.5, 2))
    if rng.random() < 0.3:
        noise = np.empty(out.shape, np.int16)
        cv2.randn(noise, 0, rng.uniform(1, 8))
        out = cv2.add(out.astype(np.int16), noise).clip(0, 255).astype(np.uint8)
    if rng.random() < 0.5:
        out = cv2.imdecode(cv2.imencode(".jpg", out, [1, int(rng.integers(30, 96))])[1], 0)
    return out


def frames(name, part, parts):
    """Every frame of a clip whose number belongs to this part, grey."""
    video, i = cv2.VideoCapture(name), 0
    while video.grab():
        if i % parts == part:
            yield cv2.cvtColor(video.retrieve()[1], cv2.COLOR_BGR2GRAY)
        i += 1


def still(name):
    picture = cv2.imread(name, cv2.IMREAD_GRAYSCALE)
    if picture is None or min(picture.shape) < LEAST_PX:
        return None
    factor = MOST_PX / max(picture.shape)
    return picture if factor >= 1 else cv2.resize(picture, None, fx=factor, fy=factor, interpolation=cv2.INTER_AREA)


def scores(detector, folders, part, parts):
    """Scores of single pictures by file, for one part of the frames."""
    rng, found = np.random.default_rng(part), {}
    cv2.setRNGSeed(part)
    for name in clips(folders):
        found[name] = [detector.look([change(f, rng)])[0] for f in frames(name, part, parts) for _ in range(PER_FRAME)]
    for name in stills(folders):
        grey = still(name)
        if grey is not None:
            found[name] = [detector.look([change(grey, rng)])[0] for _ in range(PER_STILL)]
    return {name: [round(s, 3) for s in of_file] for name, of_file in found.items() if of_file}


def seconds(detector, folders, part, parts):
    """Scores of 25 pictures that follow each other, taken together, all changed alike."""
    rng, found = np.random.default_rng(1000 + part), {}
    for name in clips(folders):
        run, i = [], 0
        for grey in frames(name, 0, 1):
            run.append(grey)
            if len(run) == 25:
                if i % parts == part:
                    seed = int(rng.integers(1 << 31))
                    alike = [change(g, np.random.default_rng(seed)) for g in run]
                    found.setdefault(name, []).append(round(detector.look(alike)[0], 3))
                run, i = [], i + 1
    return found


def tiled(detector, n, seed):
    """Scores of textures that repeat, drawn by chance: what a lattice of waves is most easily taken for."""
    rng, found = np.random.default_rng(seed), []
    for _ in range(n):
        side = int(rng.integers(40, 200))
        tile = np.zeros((side, side), np.float32)
        cv2.randn(tile, 0, 1)
        tile = cv2.GaussianBlur(np.tile(tile, (3, 3)), (0, 0), rng.uniform(0.5, side / 12))[side : 2 * side, side : 2 * side]
        tile = 128 + tile / tile.std() * rng.uniform(2, 40)
        times = int(rng.integers(3, 9))
        whole = np.tile(tile, (times, times)).clip(0, 255).astype(np.uint8)
        found.append(round(detector.look([change(whole, rng)])[0], 3))
    return {"tiles": found}
