#!/usr/bin/env python3
"""Checks what `effigy export --format onnx --example` wrote, with tools that are not effigy's.

    export_check.py DIR...

ONNX's own checker, ONNX Runtime on example.safetensors (both pictures as one batch, and each alone), and for a Triton
repository its config.pbtxt against Triton's own message. Needs onnx, onnxruntime, numpy; for config.pbtxt protobuf and
tritonclient[grpc].
"""

import json
import pathlib
import struct
import sys
import time

import numpy as np
import onnx
import onnxruntime


def safetensors(path):
    data = path.read_bytes()
    (n,) = struct.unpack("<Q", data[:8])
    kinds = {"F32": np.float32, "U8": np.uint8}
    header = json.loads(data[8 : 8 + n])
    return {
        name: np.frombuffer(data[8 + n :][slice(*about["data_offsets"])], kinds[about["dtype"]]).reshape(about["shape"])
        for name, about in header.items()
        if name != "__metadata__"
    }


def psnr_db(a, b):
    """As effigy counts: where either shows something, colour by its alpha."""
    a, b = a.astype(np.float64), b.astype(np.float64)
    seen = (a[..., 3] > 0) | (b[..., 3] > 0)
    shown = lambda p: np.concatenate([p[..., :3] * p[..., 3:] / 255, p[..., 3:]], -1)[seen]
    squares = np.mean((shown(a) - shown(b)) ** 2)
    return float("inf") if squares == 0 else 10 * np.log10(255**2 / squares)


def check_config(path):
    from google.protobuf import text_format
    from tritonclient.grpc import model_config_pb2

    config = text_format.Parse(path.read_text(), model_config_pb2.ModelConfig())
    model = onnx.load(path.parent / "1/model.onnx", load_external_data=False)
    kinds = {onnx.TensorProto.FLOAT: "TYPE_FP32", onnx.TensorProto.UINT8: "TYPE_UINT8"}
    for ours, theirs in [(config.input, model.graph.input), (config.output, model.graph.output)]:
        ports = [(port.name, model_config_pb2.DataType.Name(port.data_type), list(port.dims)) for port in ours]
        tensors = [(value.name, value.type.tensor_type) for value in theirs]
        dims = lambda tensor: [extent.dim_value for extent in tensor.shape.dim[1:]]
        assert ports == [(name, kinds[tensor.elem_type], dims(tensor)) for name, tensor in tensors], ports
    batching = config.dynamic_batching
    print(f"  {path.name}: batches up to {config.max_batch_size}, window {batching.max_queue_delay_microseconds} us, "
          f"{len(config.instance_group)} instance group, CUDA graphs {config.optimization.cuda.graphs}")


def main():
    for folder in map(pathlib.Path, sys.argv[1:]):
        for config in folder.glob("*/config.pbtxt"):
            print(folder)
            check_config(config)
        for path in sorted(folder.rglob("model.onnx")):
            model = onnx.load(path)
            onnx.checker.check_model(model, full_check=True)
            domains = sorted({node.domain or "ai.onnx" for node in model.graph.node})
            print(f"{path}: checked, {len(model.graph.node)} nodes of {', '.join(domains)}, {path.stat().st_size / 1e6:.1f} MB")
            example = folder / "example.safetensors"
            if not example.exists():
                continue
            inputs = safetensors(example)
            expected = inputs.pop("picture")
            session = onnxruntime.InferenceSession(path, providers=["CPUExecutionProvider"])
            run = lambda rows: session.run(["picture"], {name: value[rows] for name, value in inputs.items()})[0]
            both = run(slice(None))
            alone = [run(slice(i, i + 1)) for i in range(len(expected))]
            worst = min(psnr_db(made, right) for made, right in zip([*both, *(one[0] for one in alone)], [*expected, *expected]))
            begin = time.perf_counter()
            for _ in range(10):
                run(slice(0, 1))
            each_ms = (time.perf_counter() - begin) * 100
            print(f"  ONNX Runtime {onnxruntime.__version__}: {worst:.1f} dB close to the program's pictures, {each_ms:.0f} ms a picture here")
            assert worst > 41.5, worst


if __name__ == "__main__":
    main()
