#!/usr/bin/env python3
"""Draws the teeth that a photo with shut lips does not show: models/teeth.png, from ICT-FaceKit's mean head.
usage: teeth.py ict_facekit.npz models/teeth.png
The upper half of the picture holds the upper row, seen from the front, the lower half the lower one. Each is 192 x 64
pixels of 1/256 of the face's width (outer eye corner to outer eye corner). The upper row's edge is 8 pixels above the bottom of
its half, the lower row's edge 8 pixels below the top of its half. Alpha is where teeth and gums are."""
import sys

import numpy as np
from PIL import Image

WIDE, HIGH, MARGIN, PER_FACE, FINE = 192, 64, 8, 256.0, 4
ROOTS = -4.9  # below this height, roots stick out of the head model's gums
TOOTH, GUM = np.array([0.80, 0.74, 0.65]), np.array([0.55, 0.25, 0.25])  # linear light


def draw(vertices, normals, quads, colours, x0, y0, step):
    """The nearest surface of each cell: colour and whether there is one."""
    wide, high = WIDE * FINE, HIGH * FINE
    depth = np.full((high, wide), -np.inf)
    picture, cover = np.zeros((high, wide, 3)), np.zeros((high, wide))
    for quad, colour in zip(quads, colours):
        for corners in ([0, 1, 2], [0, 2, 3]):
            p = vertices[[quad[c] for c in corners]]
            if min(quad[c] for c in corners) < 0:
                continue
            at = np.stack([(p[:, 0] - x0) / step, (y0 - p[:, 1]) / step], 1)
            if np.cross(p[1] - p[0], p[2] - p[0])[2] <= 0.0:
                continue
            n = normals[[quad[c] for c in corners]]
            low = np.clip(np.floor(at.min(0)).astype(int), 0, [wide, high])
            top = np.clip(np.ceil(at.max(0)).astype(int) + 1, 0, [wide, high])
            if (low >= top).any():
                continue
            xs, ys = np.meshgrid(np.arange(low[0], top[0]) + 0.5, np.arange(low[1], top[1]) + 0.5)
            (ax, ay), (bx, by), (cx, cy) = at
            area = (bx - ax) * (cy - ay) - (by - ay) * (cx - ax)
            if abs(area) < 1e-12:
                continue
            u = ((xs - ax) * (cy - ay) - (ys - ay) * (cx - ax)) / area
            v = ((bx - ax) * (ys - ay) - (by - ay) * (xs - ax)) / area
            z = p[0, 2] + u * (p[1, 2] - p[0, 2]) + v * (p[2, 2] - p[0, 2])
            rows, columns = ys.astype(int), xs.astype(int)
            seen = (u >= 0) & (v >= 0) & (u + v <= 1) & (z > depth[rows, columns])
            rows, columns = rows[seen], columns[seen]
            depth[rows, columns] = z[seen]
            # Light from the front and a little above; edges that turn away, between two teeth above all, are darker.
            normal = n[0] + u[seen, None] * (n[1] - n[0]) + v[seen, None] * (n[2] - n[0])
            normal /= np.maximum(np.linalg.norm(normal, axis=1, keepdims=True), 1e-9)
            light = 0.2 + 0.8 * np.maximum(0.0, normal @ np.array([0.0, 0.2, 0.98])) ** 1.7
            picture[rows, columns] = colour * light[:, None]
            cover[rows, columns] = 1.0
    return picture, cover


def main():
    source, target = sys.argv[1:]
    head = np.load(source)
    vertices, names = head["neutral"].astype(float), [str(name) for name in head["mat_names"]]
    face_width = np.linalg.norm(vertices[1507] - vertices[3721])
    step = face_width / PER_FACE / FINE
    is_tooth, is_gum = (head["mat"] == names.index(name) for name in ("M_Teeth", "M_GumsTongue"))
    quads = head["faces"]
    normals = np.zeros_like(vertices)
    for quad in quads[is_tooth | is_gum]:
        a, b, c = vertices[quad[:3]]
        for corner in quad[quad >= 0]:
            normals[corner] += np.cross(b - a, c - a)
    # Each tooth is a piece of its own, and belongs to the row where its middle is.
    parent = np.arange(len(vertices))

    def root(i):
        while parent[i] != i:
            parent[i] = parent[parent[i]]
            i = parent[i]
        return i

    for quad in quads[is_tooth]:
        corners = quad[quad >= 0]
        for a, b in zip(corners, corners[1:]):
            parent[root(a)] = root(b)
    teeth = {}
    for quad in quads[is_tooth]:
        teeth.setdefault(root(quad[0]), []).append(quad)
    # The head bites: the upper row's gums end above this height, the lower row's below that one; the tongue is between.
    gums = {True: -3.0, False: -3.7}
    halves, edges = [], []
    for upper in (True, False):
        chosen = [
            (quad, TOOTH)
            for piece in teeth.values()
            if (vertices[np.unique(piece)][:, 1].mean() > -3.3) == upper
            for quad in piece
            if vertices[quad[quad >= 0]][:, 1].min() > ROOTS
        ]
        row = vertices[np.unique([i for quad, _ in chosen for i in quad if i >= 0])]
        front = row[np.abs(row[:, 0]) < 0.8]
        middles = vertices[quads[is_gum]].mean(1)[:, 1]
        chosen += [(q, GUM) for q, y in zip(quads[is_gum], middles) if (y > gums[True] if upper else y < gums[False])]
        edge = front[:, 1].min() if upper else front[:, 1].max()
        edges.append((edge, front[:, 2].max()))
        y0 = edge + (HIGH - MARGIN if upper else MARGIN) * step * FINE
        x0 = -WIDE / 2 * step * FINE
        picture, cover = draw(vertices, normals, [q for q, _ in chosen], [c for _, c in chosen], x0, y0, step)
        small = lambda a: a.reshape(HIGH, FINE, WIDE, FINE, -1).mean((1, 3))
        picture, cover = small(picture), small(cover[..., None])
        colour = np.where(cover > 0, picture / np.maximum(cover, 1e-6), GUM)
        colour = np.where(colour <= 0.0031308, 12.92 * colour, 1.055 * np.clip(colour, 0, 1) ** (1 / 2.4) - 0.055)
        halves.append(np.concatenate([colour, cover], 2))
    Image.fromarray((np.concatenate(halves) * 255 + 0.5).clip(0, 255).astype(np.uint8)).save(target, optimize=True)
    nose = vertices[1147]
    (upper_y, upper_z), (_, lower_z) = edges
    print("from the bridge of the nose to its foot:", (vertices[978][1] - nose[1]) / face_width)
    print("from there down to the upper teeth's edge, and back to their front:", (nose[1] - upper_y) / face_width,
          (nose[2] - upper_z) / face_width)
    print("from there back to the lower teeth's:", (upper_z - lower_z) / face_width)


if __name__ == "__main__":
    main()
