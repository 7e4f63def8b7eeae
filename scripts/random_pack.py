#!/usr/bin/env python3
"""Writes a pack for `effigy run --model pack:DIR` whose networks have random weights.

    python3 -m venv .venv && .venv/bin/pip install numpy onnx
    .venv/bin/python scripts/random_pack.py first-order DIR       # First Order Motion Model, 256 pixels
    .venv/bin/python scripts/random_pack.py live-portrait DIR     # LivePortrait, 256 to 512 pixels

What such a pack shows is noise; how long it takes is true, since the layers and their widths are those of the papers
(Siarohin and others 2019; Guo and others 2024) with batch norms folded into the convolutions before them. Nothing of the
systems' own files or weights is needed or copied. docs/packs.md says how somebody who has the weights makes a pack of them.
"""

import argparse
import json
import pathlib

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

OPSET = 20
N_FIRST_ORDER, N_LIVE = 10, 21


class Graph:
    """A graph that grows; every method answers with the name of what it adds."""

    def __init__(self, seed):
        self.nodes, self.constants, self.inputs, self.outputs = [], [], [], []
        self.random = np.random.default_rng(seed)

    def input(self, name, *dims):
        self.inputs.append(helper.make_tensor_value_info(name, TensorProto.FLOAT, dims))
        return name

    def output(self, value, name, *dims):
        self.nodes.append(helper.make_node("Identity", [value], [name]))
        self.outputs.append(helper.make_tensor_value_info(name, TensorProto.FLOAT, dims))

    def constant(self, array):
        name = f"c{len(self.constants)}"
        self.constants.append(numpy_helper.from_array(np.ascontiguousarray(array), name))
        return name

    def floats(self, array):
        return self.constant(np.asarray(array, np.float32))

    def ints(self, *values):
        return self.constant(np.asarray(values, np.int64))

    def op(self, kind, *inputs, **attributes):
        name = f"v{len(self.nodes)}"
        self.nodes.append(helper.make_node(kind, list(inputs), [name], **attributes))
        return name

    def save(self, path):
        graph = helper.make_graph(self.nodes, path.stem, self.inputs, self.outputs, self.constants)
        model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", OPSET)], ir_version=9)
        onnx.checker.check_model(model)
        path.write_bytes(model.SerializeToString())

    # Layers.

    def weights(self, *dims):
        return self.floats(self.random.normal(0, (2 / np.prod(dims[1:])) ** 0.5, dims))

    def conv(self, x, c_in, c_out, k, stride=1, pad=None, groups=1, n_axes=2):
        pad = k // 2 if pad is None else pad
        weights = self.weights(c_out, c_in // groups, *[k] * n_axes)
        bias = self.floats(np.zeros(c_out))
        return self.op("Conv", x, weights, bias, strides=[stride] * n_axes, pads=[pad] * 2 * n_axes, group=groups)

    def block(self, x, c_in, c_out, k=3, n_axes=2):
        return self.op("Relu", self.conv(x, c_in, c_out, k, n_axes=n_axes))

    def down(self, x, c_in, c_out, n_axes=2):
        window = [2, 2] if n_axes == 2 else [1, 2, 2]
        return self.op("AveragePool", self.block(x, c_in, c_out, n_axes=n_axes), kernel_shape=window, strides=window)

    def up(self, x, c_in, c_out, n_axes=2):
        return self.block(self.twice(x, n_axes), c_in, c_out, n_axes=n_axes)

    def twice(self, x, n_axes=2):
        scales = self.floats([1, 1, 2, 2] if n_axes == 2 else [1, 1, 1, 2, 2])
        return self.op("Resize", x, "", scales, mode="nearest")

    def residual(self, x, c, n_axes=2):
        y = self.conv(self.op("Relu", x), c, c, 3, n_axes=n_axes)
        return self.op("Add", x, self.conv(self.op("Relu", y), c, c, 3, n_axes=n_axes))

    def hourglass(self, x, c_in, expansion, n_blocks=5, most=1024, n_axes=2):
        """An encoder and a decoder with all skips; answers with the features and how many channels they have."""
        width = lambda i: min(most, expansion << i)
        skips, c = [x], c_in
        for i in range(n_blocks):
            skips.append(self.down(skips[-1], c, width(i + 1), n_axes))
            c = width(i + 1)
        x = skips.pop()
        for i in reversed(range(n_blocks)):
            x = self.up(x, (1 if i == n_blocks - 1 else 2) * width(i + 1), width(i), n_axes)
            x = self.op("Concat", x, skips.pop(), axis=1)
        return x, expansion + c_in

    def quarter(self, picture):
        """A picture at a quarter of its size, blurred first."""
        at = np.exp(-((np.arange(13) - 6) ** 2) / (2 * 1.5**2))
        kernel = np.outer(at, at) / np.outer(at, at).sum()
        weights = self.floats(np.broadcast_to(kernel, (3, 1, 13, 13)))
        return self.op("Conv", picture, weights, strides=[4, 4], pads=[6] * 4, group=3)

    def reshape(self, x, *dims):
        return self.op("Reshape", x, self.ints(*dims))

    def scaled(self, x, factor):
        return self.op("Mul", x, self.floats(factor))

    def grid_sample(self, x, grid):
        return self.op("GridSample", x, grid, mode="linear", padding_mode="zeros", align_corners=0)


def grid(*dims):
    """Where each place of a grid is, the last axis first, from -1 to 1."""
    axes = np.meshgrid(*[np.linspace(-1, 1, n) for n in dims], indexing="ij")
    return np.stack(axes[::-1], -1).astype(np.float32)


def gaussians(g, points, n, places, n_axes):
    """exp(-|place - point|² / 0.02) for each point."""
    there = g.reshape(points, 1, n, *[1] * n_axes, n_axes)
    away = g.op("Sub", places, there)
    square = g.op("ReduceSum", g.op("Mul", away, away), g.ints(-1), keepdims=0)
    return g.op("Exp", g.scaled(square, -50.0))


def first_order(folder):
    n, s = N_FIRST_ORDER, 256
    g = Graph(1)
    x = g.quarter(g.input("picture", 1, 3, s, s))
    features, c = g.hourglass(x, 3, 32)
    side = 58
    heat = g.reshape(g.conv(features, c, n, 7, pad=0), 1, n, side * side)
    heat = g.op("Softmax", g.scaled(heat, 10.0), axis=2)
    places = g.floats(grid(side, side).reshape(1, side * side, 2))
    g.output(g.op("MatMul", heat, places), "points", 1, n, 2)
    jacobians = g.reshape(g.conv(features, c, 4 * n, 7, pad=0), 1, n, 4, side * side)
    jacobians = g.op("MatMul", jacobians, g.reshape(heat, 1, n, side * side, 1))
    # Near the identity, as those of a trained network are.
    jacobians = g.op("Add", g.scaled(g.reshape(jacobians, 1, n, 2, 2), 0.1), g.floats(np.eye(2)))
    g.output(jacobians, "jacobians", 1, n, 2, 2)
    g.save(folder / "motion.onnx")

    g = Graph(2)
    photo = g.input("photo", 1, 3, s, s)
    photo_points, photo_jacobians = g.input("photo_points", 1, n, 2), g.input("photo_jacobians", 1, n, 2, 2)
    points, jacobians = g.input("points", 1, n, 2), g.input("jacobians", 1, n, 2, 2)
    x = g.block(photo, 3, 64, 7)
    x = g.down(g.down(x, 64, 128), 128, 256)
    flow, seen = first_order_flow(g, g.quarter(photo), photo_points, photo_jacobians, points, jacobians)
    x = g.op("Mul", g.grid_sample(x, flow), seen)
    for _ in range(6):
        x = g.residual(x, 256)
    x = g.up(g.up(x, 256, 128), 128, 64)
    g.output(g.op("Sigmoid", g.conv(x, 64, 3, 7)), "picture", 1, 3, s, s)
    g.save(folder / "frame.onnx")
    return {
        "name": "first order, random", "layout": "first-order", "size_px": s, "n_points": n,
        "motion": {"file": "motion.onnx"}, "frame": {"file": "frame.onnx"},
    }


def first_order_flow(g, photo, photo_points, photo_jacobians, points, jacobians):
    n, side = N_FIRST_ORDER, 64
    places = g.floats(grid(side, side)[None, None])
    bumps = g.op("Sub", gaussians(g, points, n, places, 2), gaussians(g, photo_points, n, places, 2))
    bumps = g.op("Concat", g.floats(np.zeros((1, 1, side, side))), bumps, axis=1)
    # Near each point the photo's place is p + J J'⁻¹ (z - p').
    a, b, c, d = (g.op("Slice", g.reshape(jacobians, 1, n, 4), g.ints(i), g.ints(i + 1), g.ints(2)) for i in range(4))
    determinant = g.op("Sub", g.op("Mul", a, d), g.op("Mul", b, c))
    adjugate = g.op("Concat", d, g.op("Neg", b), g.op("Neg", c), a, axis=2)
    inverse = g.reshape(g.op("Div", adjugate, determinant), 1, n, 2, 2)
    turn = g.reshape(g.op("MatMul", photo_jacobians, inverse), 1, n, 1, 1, 2, 2)
    away = g.op("Sub", places, g.reshape(points, 1, n, 1, 1, 2))
    moved = g.reshape(g.op("MatMul", turn, g.reshape(away, 1, n, side, side, 2, 1)), 1, n, side, side, 2)
    moved = g.op("Add", moved, g.reshape(photo_points, 1, n, 1, 1, 2))
    moved = g.op("Concat", g.op("Expand", places, g.ints(1, 1, side, side, 2)), moved, axis=1)
    many = g.op("Expand", photo, g.ints(n + 1, 3, side, side))
    warped = g.grid_sample(many, g.reshape(moved, n + 1, side, side, 2))
    seen = g.op("Concat", g.reshape(bumps, n + 1, 1, side, side), warped, axis=1)
    features, c = g.hourglass(g.reshape(seen, 1, 4 * (n + 1), side, side), 4 * (n + 1), 64)
    mask = g.op("Softmax", g.conv(features, c, n + 1, 7), axis=1)
    flow = g.op("ReduceSum", g.op("Mul", moved, g.reshape(mask, 1, n + 1, side, side, 1)), g.ints(1), keepdims=0)
    return flow, g.op("Sigmoid", g.conv(features, c, 1, 7))


def live_portrait(folder):
    n, s = N_LIVE, 256
    g = Graph(3)
    features = convnext(g, g.input("picture", 1, 3, s, s))
    for name, width in [("pitch", 66), ("yaw", 66), ("roll", 66), ("translation", 3), ("scale", 1), ("displacements", 3 * n), ("points", 3 * n)]:
        answer = g.op("Gemm", features, g.scaled(g.weights(768, width), 0.05), g.floats(np.full(width, float(name == "scale"))))
        g.output(answer, name, 1, width)
    g.save(folder / "motion.onnx")

    g = Graph(4)
    x = g.block(g.input("picture", 1, 3, s, s), 3, 64)
    x = g.down(g.down(x, 64, 128), 128, 256)
    x = g.reshape(g.conv(x, 256, 512, 1), 1, 32, 16, 64, 64)
    for _ in range(6):
        x = g.residual(x, 32, n_axes=3)
    g.output(x, "features", 1, 32, 16, 64, 64)
    g.save(folder / "once.onnx")

    g = Graph(5)
    features = g.input("features", 1, 32, 16, 64, 64)
    photo_points, points = g.input("photo_points", 1, n, 3), g.input("points", 1, n, 3)
    x = spade_decoder(g, live_portrait_warp(g, features, photo_points, points))
    g.output(x, "picture", 1, 3, 2 * s, 2 * s)
    g.save(folder / "frame.onnx")
    return {
        "name": "live portrait, random", "layout": "live-portrait", "size_px": s, "n_points": n,
        "motion": {"file": "motion.onnx"}, "once": {"file": "once.onnx"}, "frame": {"file": "frame.onnx"},
    }


def layer_norm(g, x, c):
    """Over the last axis."""
    return g.op("LayerNormalization", x, g.floats(np.ones(c)), g.floats(np.zeros(c)), axis=-1)


def convnext(g, x):
    """ConvNeXt V2, tiny: features of the whole picture."""
    last = lambda x: g.op("Transpose", x, perm=[0, 2, 3, 1])
    first = lambda x: g.op("Transpose", x, perm=[0, 3, 1, 2])
    c_in = 3
    for stage, (depth, c) in enumerate(zip([3, 3, 9, 3], [96, 192, 384, 768])):
        if stage == 0:
            x = first(layer_norm(g, last(g.conv(x, c_in, c, 4, stride=4, pad=0)), c))
        else:
            x = g.conv(first(layer_norm(g, last(x), c_in)), c_in, c, 2, stride=2, pad=0)
        for _ in range(depth):
            y = layer_norm(g, last(g.conv(x, c, c, 7, groups=c)), c)
            y = g.op("Gelu", g.op("MatMul", y, g.weights(c, 4 * c)))
            size = g.op("Sqrt", g.op("ReduceSum", g.op("Mul", y, y), g.ints(1, 2)))
            share = g.op("Div", size, g.op("Add", g.op("ReduceMean", size, g.ints(-1)), g.floats(1e-6)))
            y = g.op("Add", y, g.scaled(g.op("Mul", y, share), 0.1))
            x = g.op("Add", x, first(g.scaled(g.op("MatMul", y, g.weights(4 * c, c)), 0.1)))
        c_in = c
    return layer_norm(g, g.reshape(g.op("GlobalAveragePool", x), 1, 768), 768)


def live_portrait_warp(g, features, photo_points, points):
    n, dims = N_LIVE, (16, 64, 64)
    places = g.floats(grid(*dims)[None, None])
    bumps = g.op("Sub", gaussians(g, points, n, places, 3), gaussians(g, photo_points, n, places, 3))
    bumps = g.op("Concat", g.floats(np.zeros((1, 1, *dims))), bumps, axis=1)
    away = g.op("Sub", places, g.reshape(points, 1, n, 1, 1, 1, 3))
    moved = g.op("Add", away, g.reshape(photo_points, 1, n, 1, 1, 1, 3))
    moved = g.op("Concat", places, moved, axis=1)
    few = g.block(features, 32, 4, 1, n_axes=3)
    warped = g.grid_sample(g.op("Expand", few, g.ints(n + 1, 4, *dims)), g.reshape(moved, n + 1, *dims, 3))
    seen = g.op("Concat", g.reshape(bumps, n + 1, 1, *dims), warped, axis=1)
    x, c = g.hourglass(g.reshape(seen, 1, 5 * (n + 1), *dims), 5 * (n + 1), 32, n_axes=3)
    mask = g.op("Softmax", g.conv(x, c, n + 1, 7, n_axes=3), axis=1)
    flow = g.op("ReduceSum", g.op("Mul", moved, g.reshape(mask, 1, n + 1, *dims, 1)), g.ints(1), keepdims=0)
    visible = g.op("Sigmoid", g.conv(g.reshape(x, 1, c * 16, 64, 64), c * 16, 1, 7))
    x = g.reshape(g.grid_sample(features, flow), 1, 512, 64, 64)
    return g.op("Mul", g.conv(g.block(x, 512, 256), 256, 256, 1), visible)


def spade_decoder(g, features):
    def spade(x, c, labels):
        unit = g.op("InstanceNormalization", x, g.floats(np.ones(c)), g.floats(np.zeros(c)))
        shared = g.block(labels, 256, 128)
        gain, shift = (g.scaled(g.conv(shared, 128, c, 3), 0.1) for _ in range(2))
        return g.op("Add", g.op("Add", unit, g.op("Mul", unit, gain)), shift)

    def block(x, c_in, c_out, labels):
        middle = min(c_in, c_out)
        y = g.conv(g.op("LeakyRelu", spade(x, c_in, labels), alpha=0.2), c_in, middle, 3)
        y = g.conv(g.op("LeakyRelu", spade(y, middle, labels), alpha=0.2), middle, c_out, 3)
        if c_in != c_out:
            x = g.conv(spade(x, c_in, labels), c_in, c_out, 1)
        return g.op("Add", x, y)

    labels = [features, g.twice(features), g.twice(g.twice(features))]
    x = g.conv(features, 256, 512, 3)
    for _ in range(6):
        x = block(x, 512, 512, labels[0])
    x = block(g.twice(x), 512, 256, labels[1])
    x = block(g.twice(x), 256, 64, labels[2])
    x = g.conv(g.op("LeakyRelu", x, alpha=0.2), 64, 12, 3)
    return g.op("Sigmoid", g.op("DepthToSpace", x, blocksize=2, mode="CRD"))


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("layout", choices=["first-order", "live-portrait"])
    parser.add_argument("folder", type=pathlib.Path)
    given = parser.parse_args()
    given.folder.mkdir(parents=True, exist_ok=True)
    manifest = {"first-order": first_order, "live-portrait": live_portrait}[given.layout](given.folder)
    manifest["licence"] = "random numbers, of nobody"
    (given.folder / "pack.json").write_text(json.dumps(manifest, indent=2) + "\n")


if __name__ == "__main__":
    main()
