#!/usr/bin/env python3
"""Makes expression_space.safetensors: the modes of faces' motion, and the expression network distilled.

usage: expression_space.py face_blendshapes.onnx OUT.safetensors DATASET...
DATASET is what `effigy prepare` wrote. Needs numpy, onnx, onnxruntime.

Modes are the principal components of displacements from a clip's median shape, in head space, over filmed and rendered
people. The distilled network (two hidden layers of tanh and a linear path, on 146 points without pose) learns what the
expression network says of 60,000 faces: those of the data, and their shapes with other people's displacements.
"""
import glob
import json
import os
import struct
import sys
import time

import numpy as np
import onnx
import onnxruntime as ort

RIGID = [33, 133, 362, 263, 168, 6, 197, 195, 127, 356, 234, 454, 10, 151, 109, 338]
RIGID_RADIUS = 0.6639
POINTS = [
    0, 1, 4, 5, 6, 7, 8, 10, 13, 14, 17, 21, 33, 37, 39, 40, 46, 52, 53, 54, 55, 58, 61, 63, 65, 66, 67, 70, 78, 80,
    81, 82, 84, 87, 88, 91, 93, 95, 103, 105, 107, 109, 127, 132, 133, 136, 144, 145, 146, 148, 149, 150, 152, 153,
    154, 155, 157, 158, 159, 160, 161, 162, 163, 168, 172, 173, 176, 178, 181, 185, 191, 195, 197, 234, 246, 249, 251,
    263, 267, 269, 270, 276, 282, 283, 284, 285, 288, 291, 293, 295, 296, 297, 300, 308, 310, 311, 312, 314, 317, 318,
    321, 323, 324, 332, 334, 336, 338, 356, 361, 362, 365, 373, 374, 375, 377, 378, 379, 380, 381, 382, 384, 385, 386,
    387, 388, 389, 390, 397, 398, 400, 402, 405, 409, 415, 454, 466, 468, 469, 470, 471, 472, 473, 474, 475, 476, 477,
]
N_FACES, N_HELD_BACK, N_MODES, N_AUGMENT_MODES, N_COMPONENTS, N_HIDDEN = 60_000, 4_000, 40, 48, 100, 96
N_STEPS, BATCH = 12_000, 512


def clips(dataset):
    """Points in head space of each clip, (frames, 478, 3) in face widths, and whether it is a photo."""
    for path in sorted(glob.glob(f'{dataset}/**/clip.json', recursive=True)):
        with open(path) as file:
            info = json.load(file)
        frames = os.path.join(os.path.dirname(path), 'frames.jsonl')
        if not os.path.exists(frames):
            continue
        with open(frames) as file:
            records = [json.loads(line) for line in file]
        if not records:
            continue
        points = np.array([r['landmarks_px'] for r in records], np.float32).reshape(-1, 478, 3)
        camera_from_head = np.array([r['camera_from_head'] for r in records]).reshape(-1, 3, 3).transpose(0, 2, 1)
        rotation = camera_from_head @ np.diag([1.0, -1.0, -1.0])
        offsets = points - points[:, RIGID].mean(1, keepdims=True)
        width = np.sqrt((offsets[:, RIGID] ** 2).sum(2).mean(1)) / RIGID_RADIUS
        yield np.einsum('nij,npi->npj', rotation, offsets).astype(np.float32) / width[:, None, None].astype(np.float32), info['kind'] == 'portrait'


def logits_of(path):
    """A function from (146, 2) points to the network's 52 logits."""
    model = onnx.load(path)
    sigmoid = next(node for node in model.graph.node if node.op_type == 'Sigmoid')
    model.graph.output.append(onnx.helper.make_tensor_value_info(sigmoid.input[0], 1, None))
    options = ort.SessionOptions()
    options.intra_op_num_threads = 1
    session = ort.InferenceSession(model.SerializeToString(), options, providers=['CPUExecutionProvider'])
    name, out = session.get_inputs()[0].name, session.get_outputs()[-1].name
    return lambda points: session.run([out], {name: points[None].astype(np.float32)})[0].ravel()


def turned(rng, points):
    """Points turned by some degrees: a pose is never exactly right."""
    yaw, pitch = rng.normal(size=2) * np.radians(3)
    about_y = np.array([[np.cos(yaw), 0, np.sin(yaw)], [0, 1, 0], [-np.sin(yaw), 0, np.cos(yaw)]])
    about_x = np.array([[1, 0, 0], [0, np.cos(pitch), -np.sin(pitch)], [0, np.sin(pitch), np.cos(pitch)]])
    return points @ (about_y @ about_x).T


def main():
    network, out, *datasets = sys.argv[1:]
    read, rng = logits_of(network), np.random.default_rng(0)
    faces, bases, displacements = [], [], []
    for dataset in datasets:
        for points, is_photo in clips(dataset):
            faces.append(points)
            median = np.median(points, 0)
            bases.append(median)
            if not is_photo:
                displacements.extend(points - median)
    faces, bases, displacements = np.concatenate(faces), np.array(bases), np.array(displacements, np.float32)
    displacements = displacements[np.abs(displacements).max((1, 2)) < 0.6]
    flat = displacements.reshape(len(displacements), -1)
    _, deviations, directions = np.linalg.svd(flat, full_matrices=False)
    modes = (directions[:N_AUGMENT_MODES] * (deviations[:N_AUGMENT_MODES, None] / np.sqrt(len(flat)))).astype(np.float32)
    print(f'{len(bases)} shapes, {len(displacements)} displacements; {N_MODES} modes hold {(deviations[:N_MODES] ** 2).sum() / (deviations ** 2).sum():.4f} of the variance')

    inputs, answers = np.zeros((N_FACES, 2 * len(POINTS)), np.float32), np.zeros((N_FACES, 52), np.float32)
    pick = lambda array: array[rng.integers(len(array))]
    for i in range(N_FACES):
        if rng.random() < 0.12:
            face = pick(faces)
        else:
            face = pick(bases)
            if rng.random() < 0.2:
                share = rng.random()
                face = face * (1 - share) + pick(bases) * share
            face = face + pick(displacements) * rng.uniform(0.3, 1.5)
            if rng.random() < 0.5:
                face = face + pick(displacements) * rng.uniform(0, 1)
            if rng.random() < 0.5:
                face = face + (rng.normal(size=N_AUGMENT_MODES) * rng.uniform(0, 0.8) @ modes).reshape(478, 3)
        flat_points = turned(rng, face)[POINTS][:, :2]
        flat_points = flat_points - flat_points.mean(0)
        flat_points = flat_points / np.sqrt((flat_points ** 2).sum(1)).mean()
        inputs[i], answers[i] = flat_points.ravel(), np.clip(read(flat_points * 100), -9, 6)

    # Inputs are whitened by their principal components, the faint ones less.
    mean = inputs.mean(0)
    _, deviations, directions = np.linalg.svd((inputs - mean)[:20_000], full_matrices=False)
    deviation = deviations[:N_COMPONENTS] / np.sqrt(20_000)
    whiten = (directions[:N_COMPONENTS] / deviation[:, None] * np.minimum(1, (deviation / deviation[0]) ** 0.5 * 8)[:, None]).astype(np.float32)
    seen = (inputs - mean) @ whiten.T
    train, held = slice(0, N_FACES - N_HELD_BACK), slice(N_FACES - N_HELD_BACK, None)
    rng = np.random.default_rng(1)
    weights = {
        'in': rng.normal(size=(N_COMPONENTS, N_HIDDEN)) * 0.7 / np.sqrt(N_COMPONENTS), 'in_bias': rng.normal(size=N_HIDDEN) * 0.3,
        'hidden': rng.normal(size=(N_HIDDEN, N_HIDDEN)) / np.sqrt(N_HIDDEN), 'hidden_bias': np.zeros(N_HIDDEN),
        'out': rng.normal(size=(N_HIDDEN, 52)) * 0.3 / np.sqrt(N_HIDDEN), 'skip': np.zeros((N_COMPONENTS, 52)), 'out_bias': answers[train].mean(0),
    }
    weights = {name: value.astype(np.float32) for name, value in weights.items()}
    first, second = ({name: np.zeros_like(value) for name, value in weights.items()} for _ in range(2))
    sigmoid = lambda logit: 1 / (1 + np.exp(-logit))

    def forward(x):
        a = np.tanh(x @ weights['in'] + weights['in_bias'])
        b = np.tanh(a @ weights['hidden'] + weights['hidden_bias'])
        return a, b, b @ weights['out'] + x @ weights['skip'] + weights['out_bias']

    began = time.time()
    for step in range(N_STEPS):
        batch = rng.integers(0, N_FACES - N_HELD_BACK, BATCH)
        x, y = seen[batch], answers[batch]
        a, b, o = forward(x)
        # Squared differences of strengths, and a little of logits, where strengths are flat.
        p = sigmoid(o)
        g = (((p - sigmoid(y)) * p * (1 - p) * 40 + 0.02 * (o - y)) / BATCH).astype(np.float32)
        db = (g @ weights['out'].T) * (1 - b * b)
        da = (db @ weights['hidden'].T) * (1 - a * a)
        gradients = {'out': b.T @ g, 'skip': x.T @ g, 'out_bias': g.sum(0), 'hidden': a.T @ db, 'hidden_bias': db.sum(0), 'in': x.T @ da, 'in_bias': da.sum(0)}
        rate = 1.5e-3 * (1 + np.cos(np.pi * step / N_STEPS)) + 1e-5
        for name, gradient in gradients.items():
            first[name] = 0.9 * first[name] + 0.1 * gradient
            second[name] = 0.999 * second[name] + 0.001 * gradient ** 2
            weights[name] -= (rate * (first[name] / (1 - 0.9 ** (step + 1))) / (np.sqrt(second[name] / (1 - 0.999 ** (step + 1))) + 1e-8)).astype(np.float32)
        if step % 2000 == 0 or step == N_STEPS - 1:
            error = sigmoid(forward(seen[held])[2]) - sigmoid(answers[held])
            print(f'step {step}, {time.time() - began:.0f} s: {np.abs(error).mean():.4f} from the network on faces held back', flush=True)

    in_weight, skip_weight = weights['in'].T @ whiten, weights['skip'].T @ whiten
    tensors = {
        'in.weight': in_weight, 'in.bias': weights['in_bias'] - in_weight @ mean,
        'hidden.weight': weights['hidden'].T, 'hidden.bias': weights['hidden_bias'],
        'out.weight': weights['out'].T, 'skip.weight': skip_weight, 'out.bias': weights['out_bias'] - skip_weight @ mean,
        'modes': modes[:N_MODES],
    }
    header, blob = {}, b''
    for name, value in tensors.items():
        kind = (np.float32, 'F32') if name.endswith('bias') else (np.float16, 'F16')
        raw = value.astype(kind[0]).tobytes()
        header[name] = {'dtype': kind[1], 'shape': list(value.shape), 'data_offsets': [len(blob), len(blob) + len(raw)]}
        blob += raw
    text = json.dumps(header).encode()
    text += b' ' * (-len(text) % 8)
    with open(out, 'wb') as file:
        file.write(struct.pack('<Q', len(text)) + text + blob)


if __name__ == '__main__':
    main()
