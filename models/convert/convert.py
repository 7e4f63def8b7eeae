#!/usr/bin/env python3
"""Makes the files of models/ from Google's TensorFlow Lite files, without TensorFlow.

    convert.py face_landmarker.task selfie_segmentation.tflite OUT_DIR [--check DIR]

Needs `pip install numpy==2.4.6 onnx==1.23.2 tflite==2.18.0`; README.md beside says where the inputs come from.
With --check the results are run against those in DIR (needs `pip install onnxruntime`).

TensorFlow Lite keeps pictures as (batch, height, width, channels), ONNX convolutions want (batch, channels,
height, width). Each value here knows its layout and is transposed only where an operator asks for the other.
"""
import struct
import sys
import zipfile
from pathlib import Path

import numpy as np
import onnx
import tflite
from onnx import TensorProto, helper, numpy_helper

FACE_MODELS = ["face_detector", "face_landmarks_detector", "face_blendshapes"]
DTYPES = {0: np.float32, 1: np.float16, 2: np.int32, 4: np.int64}
OPCODES = {code: name for name, code in vars(tflite.BuiltinOperator).items() if isinstance(code, int)}
# The axes of one layout in the order of the other.
TO_CHANNELS_FIRST, TO_CHANNELS_LAST = (0, 3, 1, 2), (0, 2, 3, 1)
SAME, RELU, RELU6 = 0, 1, 3


def options(op, table):
    """The operator's options, as the flatbuffers class `table`."""
    raw, out = op.BuiltinOptions(), table()
    if raw is None:
        return None
    out.Init(raw.Bytes, raw.Pos)
    return out


def same_padding(size, kernel, stride, dilation=1):
    """What TensorFlow's SAME adds before and after an axis."""
    total = max((-(-size // stride) - 1) * stride + (kernel - 1) * dilation + 1 - size, 0)
    return total // 2, total - total // 2


class Converter:
    """One model. `self.values[i]` is tensor i's ONNX name by layout: {"last": name, "first": name}."""

    def __init__(self, data):
        self.model = tflite.Model.GetRootAsModel(data, 0)
        self.graph = self.model.Subgraphs(0)
        self.nodes, self.weights, self.values, self.constants = [], [], {}, {}
        for i in range(self.graph.TensorsLength()):
            tensor = self.graph.Tensors(i)
            buffer = self.model.Buffers(tensor.Buffer())
            if buffer.DataLength():
                raw = np.frombuffer(buffer.DataAsNumpy().tobytes(), DTYPES[tensor.Type()])
                self.constants[i] = raw.reshape(self.shape(i))

    def shape(self, i):
        tensor = self.graph.Tensors(i)
        return [int(n) for n in tensor.ShapeAsNumpy()] if tensor.ShapeLength() else []

    def node(self, kind, inputs, output=None, **attributes):
        output = output or f"v{len(self.nodes)}"
        self.nodes.append(helper.make_node(kind, inputs, [output], **attributes))
        return output

    def weight(self, array):
        """Stores a constant; as float16 where that loses nothing (the runtime folds the cast at load)."""
        array = np.ascontiguousarray(array)
        name = f"w{len(self.weights)}"
        half = array.astype(np.float16) if array.dtype == np.float32 and array.size > 64 else None
        if half is None or not np.array_equal(half.astype(np.float32), array):
            self.weights.append(numpy_helper.from_array(array, name))
            return name
        self.weights.append(numpy_helper.from_array(half, name))
        return self.node("Cast", [name], to=TensorProto.FLOAT)

    def get(self, i, layout):
        """The name of tensor i in a layout; what is not a picture has only "last"."""
        if len(self.shape(i)) != 4:
            layout = "last"
        names = self.values.setdefault(i, {})
        if layout not in names:
            if i in self.constants:
                array = self.constants[i].astype(np.float32)
                names[layout] = self.weight(array.transpose(TO_CHANNELS_FIRST) if layout == "first" else array)
            else:
                (other,) = names.values()
                order = TO_CHANNELS_FIRST if layout == "first" else TO_CHANNELS_LAST
                names[layout] = self.node("Transpose", [other], perm=order)
        return names[layout]

    def put(self, i, name, layout="last", activation=0):
        if activation == RELU:
            name = self.node("Relu", [name])
        elif activation == RELU6:
            name = self.node("Clip", [name, self.weight(np.float32(0)), self.weight(np.float32(6))])
        elif activation:
            raise NotImplementedError(f"activation {activation}")
        self.values[i] = {layout if len(self.shape(i)) == 4 else "last": name}

    def layout_of(self, i):
        """The layout that tensor i already has."""
        return next(iter(self.values.get(i, {"last": None})))

    def operand(self, i, rank, layout):
        """Tensor i for an operator that broadcasts over `rank` axes in a layout."""
        if i not in self.constants or rank != 4 or layout == "last":
            return self.get(i, layout)
        array = self.constants[i].astype(np.float32)
        array = array.reshape((1,) * (4 - array.ndim) + array.shape)
        return self.weight(array.transpose(TO_CHANNELS_FIRST))

    def convert(self, name):
        inputs = [self.graph.Inputs(k) for k in range(self.graph.InputsLength())]
        outputs = [self.graph.Outputs(k) for k in range(self.graph.OutputsLength())]
        label = lambda i: self.graph.Tensors(i).Name().decode()
        info = lambda i: helper.make_tensor_value_info(label(i), TensorProto.FLOAT, self.shape(i))
        for i in inputs:
            self.values[i] = {"last": label(i)}
        for k in range(self.graph.OperatorsLength()):
            self.operator(self.graph.Operators(k))
        for i in outputs:
            self.node("Identity", [self.get(i, "last")], label(i))
        graph = helper.make_graph(self.nodes, name, [info(i) for i in inputs], [info(i) for i in outputs], self.weights)
        model = helper.make_model(
            graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8, producer_name="effigy models/convert")
        onnx.checker.check_model(model, full_check=True)
        return model

    def operator(self, op):
        code = self.model.OperatorCodes(op.OpcodeIndex())
        kind = OPCODES[max(code.BuiltinCode(), code.DeprecatedBuiltinCode())]
        if kind == "CUSTOM":
            kind = code.CustomCode().decode().upper()
        inputs, (out, *_) = [int(i) for i in op.InputsAsNumpy()], [int(i) for i in op.OutputsAsNumpy()]
        method = getattr(self, "op_" + kind.lower(), None)
        if method is None:
            raise NotImplementedError(f"operator {kind}")
        method(op, inputs, out)

    # One method for each operator: (operator, its input tensors, its output tensor).

    def op_dequantize(self, op, inputs, out):
        self.constants[out] = self.constants[inputs[0]].astype(np.float32)

    def convolution(self, inputs, out, o, weights, groups, dilation):
        _, height, width, _ = self.shape(inputs[0])
        kernel, stride = list(weights.shape[2:]), (o.StrideH(), o.StrideW())
        pads = [0, 0, 0, 0]
        if o.Padding() == SAME:
            pads[0], pads[2] = same_padding(height, kernel[0], stride[0], dilation[0])
            pads[1], pads[3] = same_padding(width, kernel[1], stride[1], dilation[1])
        operands = [self.get(inputs[0], "first"), self.weight(weights)]
        if len(inputs) > 2 and inputs[2] >= 0:
            operands.append(self.get(inputs[2], "last"))
        name = self.node("Conv", operands, group=groups, strides=stride, dilations=dilation, pads=pads,
                         kernel_shape=kernel)
        self.put(out, name, "first", o.FusedActivationFunction())

    def op_conv_2d(self, op, inputs, out):
        o = options(op, tflite.Conv2DOptions)
        weights = self.constants[inputs[1]].astype(np.float32).transpose(0, 3, 1, 2)
        self.convolution(inputs, out, o, weights, 1, (o.DilationHFactor(), o.DilationWFactor()))

    def op_depthwise_conv_2d(self, op, inputs, out):
        o = options(op, tflite.DepthwiseConv2DOptions)
        weights = self.constants[inputs[1]].astype(np.float32).transpose(3, 0, 1, 2)
        groups = self.shape(inputs[0])[3]
        self.convolution(inputs, out, o, weights, groups, (o.DilationHFactor(), o.DilationWFactor()))

    def op_convolution2dtransposebias(self, op, inputs, out):
        _, stride_w, stride_h = struct.unpack("<iii", bytes(op.CustomOptionsAsNumpy()[:12]))
        weights = self.constants[inputs[1]].astype(np.float32).transpose(3, 0, 1, 2)
        kernel = list(weights.shape[2:])
        sizes = zip(self.shape(inputs[0])[1:3], self.shape(out)[1:3], kernel, (stride_h, stride_w))
        total = [max((n - 1) * stride + k - m, 0) for n, m, k, stride in sizes]
        pads = [t // 2 for t in total] + [t - t // 2 for t in total]
        operands = [self.get(inputs[0], "first"), self.weight(weights), self.get(inputs[2], "last")]
        name = self.node("ConvTranspose", operands, strides=[stride_h, stride_w], kernel_shape=kernel, pads=pads)
        self.put(out, name, "first")

    def op_prelu(self, op, inputs, out):
        # slope·x + (1 − slope)·relu(x), as 1×1 depthwise convolutions: ONNX Runtime keeps its blocked layout
        # through them and is three to four times faster than with PRelu.
        slope = self.constants[inputs[1]].astype(np.float32).reshape(-1, 1, 1, 1)
        x = self.get(inputs[0], "first")
        scaled = lambda v, w: self.node("Conv", [v, self.weight(w)], group=len(slope), kernel_shape=[1, 1])
        self.put(out, self.node("Add", [scaled(self.node("Relu", [x]), 1 - slope), scaled(x, slope)]), "first")

    def pool(self, kind, op, inputs, out):
        o = options(op, tflite.Pool2DOptions)
        _, height, width, _ = self.shape(inputs[0])
        kernel, stride, pads = (o.FilterHeight(), o.FilterWidth()), (o.StrideH(), o.StrideW()), [0, 0, 0, 0]
        if o.Padding() == SAME:
            pads[0], pads[2] = same_padding(height, kernel[0], stride[0])
            pads[1], pads[3] = same_padding(width, kernel[1], stride[1])
        name = self.node(kind, [self.get(inputs[0], "first")], kernel_shape=kernel, strides=stride, pads=pads)
        self.put(out, name, "first", o.FusedActivationFunction())

    def op_max_pool_2d(self, *args):
        self.pool("MaxPool", *args)

    def op_average_pool_2d(self, *args):
        self.pool("AveragePool", *args)

    def elementwise(self, kind, inputs, out, activation=0):
        layout = "first" if any(self.layout_of(i) == "first" for i in inputs) else "last"
        rank = len(self.shape(out))
        name = self.node(kind, [self.operand(i, rank, layout) for i in inputs])
        self.put(out, name, layout, activation)

    def op_add(self, op, inputs, out):
        o = options(op, tflite.AddOptions)
        self.elementwise("Add", inputs, out, o.FusedActivationFunction() if o else 0)

    def op_sub(self, op, inputs, out):
        o = options(op, tflite.SubOptions)
        self.elementwise("Sub", inputs, out, o.FusedActivationFunction() if o else 0)

    def op_mul(self, op, inputs, out):
        o = options(op, tflite.MulOptions)
        self.elementwise("Mul", inputs, out, o.FusedActivationFunction() if o else 0)

    def op_div(self, op, inputs, out):
        o = options(op, tflite.DivOptions)
        self.elementwise("Div", inputs, out, o.FusedActivationFunction() if o else 0)

    def op_squared_difference(self, op, inputs, out):
        self.elementwise("Sub", inputs, out)
        ((layout, name),) = self.values[out].items()
        self.put(out, self.node("Mul", [name, name]), layout)

    def op_relu(self, op, inputs, out):
        self.elementwise("Relu", inputs, out)

    def op_logistic(self, op, inputs, out):
        self.elementwise("Sigmoid", inputs, out)

    def op_hard_swish(self, op, inputs, out):
        self.elementwise("HardSwish", inputs, out)

    def op_sqrt(self, op, inputs, out):
        self.elementwise("Sqrt", inputs, out)

    def op_neg(self, op, inputs, out):
        self.elementwise("Neg", inputs, out)

    def op_rsqrt(self, op, inputs, out):
        self.elementwise("Sqrt", inputs, out)
        ((layout, name),) = self.values[out].items()
        self.put(out, self.node("Reciprocal", [name]), layout)

    def op_pad(self, op, inputs, out):
        pads = self.constants[inputs[1]].astype(np.int64)[list(TO_CHANNELS_FIRST)]
        self.put(out, self.node("Pad", [self.get(inputs[0], "first"), self.weight(pads.T.reshape(-1))]), "first")

    def op_reshape(self, op, inputs, out):
        shape = self.weight(np.array(self.shape(out), np.int64))
        self.put(out, self.node("Reshape", [self.get(inputs[0], "last"), shape]))

    def op_concatenation(self, op, inputs, out):
        axis = options(op, tflite.ConcatenationOptions).Axis() % len(self.shape(out))
        self.put(out, self.node("Concat", [self.get(i, "last") for i in inputs], axis=axis))

    def reduced_axes(self, op, inputs):
        axes = [int(a) % len(self.shape(inputs[0])) for a in self.constants[inputs[1]].reshape(-1)]
        return axes, int(options(op, tflite.ReducerOptions).KeepDims())

    def op_mean(self, op, inputs, out):
        axes, keep = self.reduced_axes(op, inputs)
        self.put(out, self.node("ReduceMean", [self.get(inputs[0], "last")], axes=axes, keepdims=keep))

    def op_sum(self, op, inputs, out):
        axes, keep = self.reduced_axes(op, inputs)
        operands = [self.get(inputs[0], "last"), self.weight(np.array(axes, np.int64))]
        self.put(out, self.node("ReduceSum", operands, keepdims=keep))

    def op_transpose(self, op, inputs, out):
        order = [int(a) for a in self.constants[inputs[1]]]
        self.put(out, self.node("Transpose", [self.get(inputs[0], "last")], perm=order))

    def op_resize_bilinear(self, op, inputs, out):
        o = options(op, tflite.ResizeBilinearOptions)
        mode = "align_corners" if o.AlignCorners() else "half_pixel" if o.HalfPixelCenters() else "asymmetric"
        n, height, width, channels = self.shape(out)
        size = self.weight(np.array([n, channels, height, width], np.int64))
        name = self.node("Resize", [self.get(inputs[0], "first"), "", "", size], mode="linear",
                         coordinate_transformation_mode=mode)
        self.put(out, name, "first")

    def op_strided_slice(self, op, inputs, out):
        o = options(op, tflite.StridedSliceOptions)
        assert not o.EllipsisMask() and not o.NewAxisMask()
        shape = self.shape(inputs[0])
        begin, end, stride = (self.constants[i].astype(np.int64).copy() for i in inputs[1:])
        for axis, size in enumerate(shape):
            if o.BeginMask() >> axis & 1:
                begin[axis] = 0
            if o.ShrinkAxisMask() >> axis & 1:
                end[axis] = begin[axis] + 1
            elif o.EndMask() >> axis & 1:
                end[axis] = size
        axes = np.arange(len(shape), dtype=np.int64)
        operands = [self.get(inputs[0], "last")] + [self.weight(a) for a in (begin, end, axes, stride)]
        shape = self.weight(np.array(self.shape(out), np.int64))
        self.put(out, self.node("Reshape", [self.node("Slice", operands), shape]))


def fields(data):
    """The fields of a protobuf message: (number, value) with bytes or an integer."""
    at = 0

    def varint():
        nonlocal at
        value = shift = 0
        while True:
            byte = data[at]
            at += 1
            value |= (byte & 127) << shift
            shift += 7
            if byte < 128:
                return value

    while at < len(data):
        key = varint()
        size = {0: None, 1: 8, 2: -1, 5: 4}[key & 7]
        if size is None:
            yield key >> 3, varint()
            continue
        size = varint() if size < 0 else size
        yield key >> 3, data[at:at + size]
        at += size


def canonical_mesh(metadata):
    """The mesh in geometry_pipeline_metadata: points as 3 f32, then triangles as 3 u16, little-endian."""
    mesh = next(value for number, value in fields(metadata) if number == 1)
    floats = b"".join(value for number, value in fields(mesh) if number == 3)
    points = np.frombuffer(floats, "<f4").reshape(-1, 5)[:, :3]  # x, y, z, texture u, v
    triangles = []
    for number, value in fields(mesh):
        if number == 4:
            triangles += [value] if isinstance(value, int) else unpacked(value)
    triangles = np.array(triangles, "<u2").reshape(-1, 3)
    assert points.shape == (468, 3) and triangles.shape == (898, 3), (points.shape, triangles.shape)
    return points.astype("<f4").tobytes() + triangles.tobytes()


def unpacked(data):
    """The integers of a packed field."""
    values, value, shift = [], 0, 0
    for byte in data:
        value |= (byte & 127) << shift
        shift += 7
        if byte < 128:
            values.append(value)
            value = shift = 0
    return values


def check(ours, theirs):
    """Prints the largest difference between two models' outputs over random inputs."""
    import onnxruntime

    a, b = (onnxruntime.InferenceSession(path) for path in (ours, theirs))
    (value,) = a.get_inputs()
    random = np.random.default_rng(0)
    # Points are in pixels, samples are not.
    x = random.random(value.shape, np.float32) * (256 if len(value.shape) == 3 else 1)
    results = (session.run(None, {session.get_inputs()[0].name: x}) for session in (a, b))
    for output, u, v in zip(a.get_outputs(), *results):
        print(f"  {output.name}: differs by {np.abs(u - v).max():.2g} at most, values up to {np.abs(v).max():.3g}")


def main(task, selfie, out, reference=None):
    out = Path(out)
    sources = {}
    with zipfile.ZipFile(task) as archive:
        for name in FACE_MODELS:
            sources[name] = archive.read(name + ".tflite")
        mesh = canonical_mesh(archive.read("geometry_pipeline_metadata_landmarks.binarypb"))
    (out / "canonical_mesh.bin").write_bytes(mesh)
    sources["selfie_segmentation"] = Path(selfie).read_bytes()
    for name, data in sources.items():
        path = out / f"{name}.onnx"
        onnx.save(Converter(data).convert(name), path)
        print(path, path.stat().st_size, "bytes")
        if reference:
            check(path, Path(reference) / path.name)


if __name__ == "__main__":
    arguments = [a for a in sys.argv[1:] if a != "--check"]
    if len(arguments) != 3 + ("--check" in sys.argv):
        sys.exit(__doc__)
    main(*arguments)
