#!/usr/bin/env python3
"""Makes rehearsal.safetensors: expressions that a portrait tries when it is enrolled.

usage: rehearsal.py expression_space.safetensors OUT.safetensors DATASET...
DATASET is what `effigy prepare` wrote. Needs numpy and safetensors.

Each expression is how far a face goes along the modes of expression_space.safetensors. Of all filmed and rendered frames,
as displacements from their clip's median shape, those are taken that lie nearest to the centres of 64 clusters of the 52
strengths; the frames in which nothing moves are left out.
"""
import sys

import numpy as np
from safetensors.numpy import load_file, save_file

from expression_space import POINTS, clips

N_EXPRESSIONS, N_ROUNDS = 64, 30


def strengths(space, points):
    """The 52 strengths of (n, 478, 3) points in head space, as `src/drive/expression/space.rs` reads them."""
    flat = points[:, POINTS, :2]
    flat = flat - flat.mean(1, keepdims=True)
    flat = flat / np.sqrt((flat ** 2).sum(2)).mean(1)[:, None, None]
    flat = flat.reshape(len(flat), -1)
    first = np.tanh(flat @ space['in.weight'].T + space['in.bias'])
    second = np.tanh(first @ space['hidden.weight'].T + space['hidden.bias'])
    return 1 / (1 + np.exp(-(second @ space['out.weight'].T + flat @ space['skip.weight'].T + space['out.bias'])))


def main():
    space_file, out, *datasets = sys.argv[1:]
    space = {name: value.astype(np.float32) for name, value in load_file(space_file).items()}
    modes = space['modes']
    weights, changes = [], []
    for dataset in datasets:
        for points, is_photo in clips(dataset):
            if is_photo or len(points) < 8:
                continue
            rest = np.median(points, 0)
            moved = (points - rest).reshape(len(points), -1)
            far = np.abs(moved).max(1)
            moved = moved[(far < 0.6)]
            along = moved @ modes.T / (modes ** 2).sum(1)
            along = np.clip(along, -4, 4)
            face = rest + (along @ modes).reshape(-1, 478, 3)
            weights.append(along)
            changes.append((strengths(space, face) - strengths(space, rest[None]))[:, 1:])
    weights, changes = np.concatenate(weights), np.concatenate(changes)
    moving = np.linalg.norm(changes, axis=1) > 0.15
    weights, changes = weights[moving], changes[moving]
    rng = np.random.default_rng(0)
    pick = rng.permutation(len(changes))[:20_000]
    weights, changes = weights[pick], changes[pick]
    # Begins with the one that is farthest from all taken before, so that rare expressions have a cluster.
    taken = [int(np.linalg.norm(changes, axis=1).argmax())]
    distance = np.linalg.norm(changes - changes[taken[0]], axis=1)
    while len(taken) < N_EXPRESSIONS:
        taken.append(int(distance.argmax()))
        distance = np.minimum(distance, np.linalg.norm(changes - changes[taken[-1]], axis=1))
    centres = changes[taken]
    for _ in range(N_ROUNDS):
        nearest = ((changes[:, None] - centres[None]) ** 2).sum(2).argmin(1)
        centres = np.array([changes[nearest == k].mean(0) if (nearest == k).any() else centres[k] for k in range(N_EXPRESSIONS)])
    chosen = ((changes[:, None] - centres[None]) ** 2).sum(2).argmin(0)
    save_file({'expressions': weights[chosen].astype(np.float16)}, out)
    spread = changes[chosen].std(0)
    print(f'{len(changes)} faces that move; of {N_EXPRESSIONS} taken, strengths spread by {spread.mean():.3f} in the mean, {(spread > 0.05).sum()} of 51 by more than 0.05')
    print(np.round(spread, 2))


if __name__ == '__main__':
    main()
