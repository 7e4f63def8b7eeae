#!/usr/bin/env python3
"""Times the same network through PyTorch: what `cargo bench --bench card` is compared with.

    scripts/cuda_peer.py [--frames 500] [--device cuda] [--heights 256,512,720,1080]

The layers are those of `crates/network/tests/assets/plan_*.txt`, with upsampling convolutions in the same folded form (four
phases: a transposed convolution of 4x4), in 16 bits, channels last; random weights, since time does not depend on them. The
drawn face lines are inputs here, and the photo is sampled bilinearly, not by cubic taps: both make this peer faster.
Prints a JSON object a line, as the bench does: eager, and compiled by `torch.compile` into CUDA graphs.
"""

import argparse
import json
import time

import torch
from torch import nn
from torch.nn import functional as F

WIDTHS = {
    "small": {"motion": [24, 40, 64], "decoder": [96, 48, 32], "n_blocks": 1},
    "large": {"motion": [48, 80, 128], "decoder": [256, 128, 64], "n_blocks": 2},
}
SIDES = [32, 64, 128]


def conv(n_in, n_out, kernel=3, stride=1):
    return nn.Conv2d(n_in, n_out, kernel, stride, kernel // 2)


def up(n_in, n_out):
    return nn.ConvTranspose2d(n_in, n_out, 4, 2, 1)


class Network(nn.Module):
    def __init__(self, size, height_px):
        super().__init__()
        widths = WIDTHS[size]
        a, b, c = widths["motion"]
        self.motion = nn.ModuleDict({
            "in": conv(24, a), "down32": conv(a, b, 3, 2), "down16": conv(b, c, 3, 2), "deep": conv(c, c),
            "up32": up(c, b), "up64": up(b, a), "out": conv(a, 7),
        })
        a, b, c = widths["decoder"]
        self.enter = conv(a + 10, a)
        self.blocks = nn.ModuleList([nn.ModuleList([conv(a, a), conv(a, a)]) for _ in range(widths["n_blocks"])])
        self.up64, self.conv64 = up(a, b), conv(b + 10, b)
        self.up128, self.conv128 = up(b, c), conv(c + 10, c)
        self.gates, self.out = conv(c, 2, 1), up(c, 5)
        self.height_px = height_px

    def forward(self, features, photo, candidates, lines, deformations, flows, full_flow):
        def leaky(x):
            return F.leaky_relu(x, 0.2)

        m = self.motion
        full = leaky(m["in"](torch.cat([*candidates, lines[1]], 1)))
        down = leaky(m["down32"](full))
        deep = leaky(m["down16"](down))
        deep = leaky(m["deep"](deep) + deep)
        x = leaky(m["up32"](deep) + down)
        x = leaky(m["up64"](x) + full)
        answer = m["out"](x)
        mix = answer[:, :4].softmax(1)

        def warped(source, side):
            weights = F.interpolate(mix, size=(side, side), mode="bilinear")
            flow = (weights[:, :, None] * F.interpolate(flows, size=(2, side, side))).sum(1)
            return F.grid_sample(source, flow.permute(0, 2, 3, 1), padding_mode="border", align_corners=False)

        at32, at64, at128 = (warped(features[i], side) for i, side in enumerate(SIDES))
        x = leaky(self.enter(torch.cat([at32, lines[0], deformations[0]], 1)))
        for first, second in self.blocks:
            x = leaky(second(leaky(first(x))) + x)
        x = leaky(self.up64(x) + at64)
        x = leaky(self.conv64(torch.cat([x, lines[1], deformations[1]], 1)))
        x = leaky(self.up128(x) + at128)
        x = leaky(self.conv128(torch.cat([x, lines[2], deformations[2]], 1)))
        gates = self.gates(x).sigmoid()
        decoded = self.out(x).sigmoid()
        side = (self.height_px, self.height_px)
        shown = F.grid_sample(photo, full_flow, padding_mode="border", align_corners=False)
        decoded = F.interpolate(decoded, size=side, mode="bilinear")
        gate = F.interpolate(gates, size=side, mode="bilinear")
        trust = decoded[:, 4:] * gate[:, :1]
        picture = decoded[:, :4] * trust + shown * (1 - trust)
        return (picture * 255 + 0.5).clamp(0, 255).to(torch.uint8)


def inputs(size, height_px, device, dtype):
    widths = WIDTHS[size]["decoder"]

    def random(*shape):
        value = torch.rand(shape, device=device, dtype=dtype)
        return value.to(memory_format=torch.channels_last) if len(shape) == 4 else value

    photo_px = 5 * height_px // 4
    return {
        "features": [random(1, widths[i], side, side) for i, side in enumerate(SIDES)],
        "photo": random(1, 4, photo_px, photo_px),
        "candidates": [random(1, 4, 64, 64) for _ in range(4)],
        "lines": [random(1, 8, side, side) for side in SIDES],
        "deformations": [random(1, 2, side, side) for side in SIDES],
        "flows": random(1, 4, 2, 64, 64),
        "full_flow": torch.rand(1, height_px, height_px, 2, device=device, dtype=dtype) * 2 - 1,
    }


def timed(run, n_frames, device):
    for _ in range(min(50, n_frames)):
        run()
    card_ms, call_ms = [], []
    for _ in range(n_frames):
        begun = time.perf_counter()
        if device == "cuda":
            start, end = (torch.cuda.Event(enable_timing=True) for _ in range(2))
            start.record()
            run().cpu()
            end.record()
            end.synchronize()
            card_ms.append(start.elapsed_time(end))
        else:
            run()
        call_ms.append((time.perf_counter() - begun) * 1e3)

    def at(values, part):
        return sorted(values)[int((len(values) - 1) * part)] if values else None

    return {"card_ms": [at(card_ms, 0.5), at(card_ms, 0.99)], "call_ms": [at(call_ms, 0.5), at(call_ms, 0.99)]}


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--frames", type=int, default=500)
    parser.add_argument("--device", default="cuda", choices=["cuda", "cpu"])
    parser.add_argument("--heights", default="256,512,720,1080")
    options = parser.parse_args()
    if options.device == "cuda" and not torch.cuda.is_available():
        parser.error("PyTorch sees no CUDA card; try --device cpu")
    dtype = torch.float16 if options.device == "cuda" else torch.float32
    card = torch.cuda.get_device_name() if options.device == "cuda" else "cpu"
    for size in WIDTHS:
        for height_px in map(int, options.heights.split(",")):
            network = Network(size, height_px).to(options.device, dtype).to(memory_format=torch.channels_last).eval()
            given = inputs(size, height_px, options.device, dtype)
            ways = {"eager": network}
            if options.device == "cuda":
                ways["compiled"] = torch.compile(network, mode="reduce-overhead")
            with torch.inference_mode():
                for how, run in ways.items():
                    found = timed(lambda: run(**given), options.frames, options.device)
                    line = {"peer": "PyTorch " + torch.__version__, "card": card, "network": size, "height_px": height_px}
                    print("json:" + json.dumps(line | {"how": how, "n": options.frames} | found), flush=True)


if __name__ == "__main__":
    main()
