#!/usr/bin/env python3
"""Compiles all CUDA kernels for real cards, without a card, and checks what came out.

    scripts/cuda_gates.py            for sm_75, 86, 89, 90: no spills, registers and shared memory within bounds,
                                     tensor-core instructions by exact count
    scripts/cuda_gates.py --table    and prints the numbers of each kernel

NVIDIA's compilers (NVRTC, ptxas, nvdisasm) come from PyPI into target/cuda-tools, for development only: nothing of them
is shipped. Where there is a clang it compiles the kernels too, as the feature `cuda-ptx` does at build time.
"""

import ctypes
import os
import re
import shutil
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
TOOLS = ROOT / "target" / "cuda-tools"
OUT = ROOT / "target" / "cuda-gates"
# One release of each, so that registers and counts are the same everywhere.
WHEELS = ["nvidia-cuda-nvrtc-cu12==12.9.86", "nvidia-cuda-nvcc-cu12==12.9.86", "nvidia-cuda-nvdisasm==13.5.37"]
START = time.time()
CARDS = [75, 86, 89, 90]
# In the order of `SOURCES` in crates/network/src/cuda/compile.rs.
SOURCES = ["cuda/device.h", "cuda/gemm.h", "cuda/sample.h"]
SOURCES += ["conv2d.cu", "upconv2d.cu", "warp.cu", "motion.cu", "raster.cu", "finish.cu"]

# Entry: (registers at most, bytes of shared memory at most, products a warp makes for one chunk of 16 channels).
# Of 64 K registers, 128 threads of 192 each leave 2 blocks on a multiprocessor, of 168 leave 3, of 128 leave 4, of 96
# leave 5: no fewer than shared memory (100 KB on consumer cards) leaves.
ENTRIES = {
    "conv2d_k3_s1_n16": (96, 24 << 10, 9 * 2 * 2),
    "conv2d_k3_s1_n32": (128, 32 << 10, 9 * 2 * 4),
    "conv2d_k3_s1_n64": (192, 48 << 10, 9 * 2 * 8),
    "conv2d_k3_s2_n16": (96, 30 << 10, 9 * 1 * 2),
    "conv2d_k3_s2_n32": (128, 40 << 10, 9 * 1 * 4),
    "conv2d_k1_s1_n16": (64, 12 << 10, 1 * 2 * 2),
    "conv2d_k1_s1_n32": (96, 12 << 10, 1 * 2 * 4),
    "conv2d_k1_s2_n32": (64, 20 << 10, 1 * 1 * 4),
    "conv2d_simple": (64, 0, 0),
    "upconv2d_n16": (96, 16 << 10, 4 * 2 * 2),
    "upconv2d_n32": (128, 20 << 10, 4 * 2 * 4),
    "upconv2d_n64": (168, 28 << 10, 4 * 2 * 8),
    "upconv2d_simple": (64, 0, 0),
    "warp": (64, 4 << 10, 0),
    "motion": (40, 0, 0),
    "raster": (40, 4 << 10, 0),
    "finish": (128, 0, 0),
}


def say(text):
    print(f"== {text}", flush=True)


def install():
    """Brings the compilers into target/cuda-tools unless they are there."""
    stamp = TOOLS / "installed"
    if stamp.exists() and stamp.read_text() == " ".join(WHEELS):
        return
    say(f"fetching {', '.join(WHEELS)} into {TOOLS.relative_to(ROOT)}")
    shutil.rmtree(TOOLS, ignore_errors=True)
    pip = [sys.executable, "-m", "pip", "install", "-q", "--disable-pip-version-check", "--no-deps", "--target", TOOLS]
    subprocess.run([*pip, "--root-user-action=ignore", *WHEELS], check=True)
    stamp.write_text(" ".join(WHEELS))


def tool(name):
    found = sorted(path for path in TOOLS.rglob(name) if path.is_file())
    if not found:
        sys.exit(f"cuda_gates: no {name} in {TOOLS}; remove that folder and run again")
    return found[0]


class Nvrtc:
    """The compiler that effigy itself uses at first start."""

    def __init__(self):
        for path in sorted(TOOLS.rglob("libnvrtc-builtins.so.*")):
            ctypes.CDLL(str(path))
        self.lib = ctypes.CDLL(str(tool("libnvrtc.so.12")))

    def ptx(self, card):
        lib, program, size = self.lib, ctypes.c_void_p(), ctypes.c_size_t()
        lines = "".join((ROOT / "kernels" / name).read_text() for name in SOURCES).splitlines(keepends=True)
        source = "".join(line for line in lines if not line.startswith(("#include", "#pragma once")))
        lib.nvrtcCreateProgram(ctypes.byref(program), source.encode(), b"effigy.cu", 0, None, None)
        options = [f"--gpu-architecture=compute_{card}", "--std=c++17"]
        failed = lib.nvrtcCompileProgram(program, len(options), (ctypes.c_char_p * 2)(*[o.encode() for o in options]))
        lib.nvrtcGetProgramLogSize(program, ctypes.byref(size))
        log = ctypes.create_string_buffer(size.value)
        lib.nvrtcGetProgramLog(program, log)
        if failed or log.value.strip():
            sys.exit(f"cuda_gates: NVRTC for sm_{card}:\n{log.value.decode()}")
        lib.nvrtcGetPTXSize(program, ctypes.byref(size))
        ptx = ctypes.create_string_buffer(size.value)
        lib.nvrtcGetPTX(program, ptx)
        lib.nvrtcDestroyProgram(ctypes.byref(program))
        return ptx.value


def clang_ptx(card):
    # Debian's clang 14 knows no card after sm_86; what it writes for sm_80 runs on all later ones.
    arch = "sm_75" if card == 75 else "sm_80"
    to = OUT / f"clang.{arch}.ptx"
    if not to.exists() or to.stat().st_mtime < START:
        flags = ["-x", "cuda", "--cuda-device-only", f"--cuda-gpu-arch={arch}", "-nocudainc", "-nocudalib", "-S", "-O3"]
        # ldmatrix and mma need a version of PTX that clang 14 does not choose by itself for sm_75.
        flags += ["-Xclang", "-target-feature", "-Xclang", "+ptx70", "-std=c++17"]
        subprocess.run(["clang++", *flags, "-I", "kernels", "kernels/cuda/all.cu", "-o", to], check=True)
    return to.read_bytes()


def assemble(name, ptx, card):
    """SASS and ptxas' own account of registers, spills and shared memory."""
    path = OUT / f"{name}.sm_{card}.ptx"
    path.write_bytes(ptx)
    cubin = path.with_suffix(".cubin")
    done = subprocess.run([tool("ptxas"), "-v", f"-arch=sm_{card}", path, "-o", cubin], capture_output=True, text=True)
    if done.returncode:
        sys.exit(f"cuda_gates: ptxas, {name} for sm_{card}:\n{done.stderr[:2000]}")
    sass = subprocess.run([tool("nvdisasm"), "-c", cubin], check=True, capture_output=True, text=True).stdout
    return done.stderr, sass


def account(log, sass):
    """For each entry: registers, bytes of shared memory, bytes spilled or on the stack, HMMA instructions."""
    found = {}
    pattern = r"Compiling entry function '(\w+)'.*?\n(.*?)(?=Compiling entry|\Z)"
    for name, text in re.findall(pattern, log, re.DOTALL):
        number = lambda what: sum(int(n) for n in re.findall(rf"(\d+) {what}", text))
        spilled = number("bytes stack frame") + number("bytes spill stores") + number("bytes spill loads")
        found[name] = [number("registers"), number("bytes smem"), spilled, 0]
    for name, code in re.findall(r"\.text\.(\w+):(.*?)(?=\.section|\Z)", sass, re.DOTALL):
        if name in found:
            found[name][3] = len(re.findall(r"\bHMMA\.", code))
    return found


def check(who, card, found):
    faults = []
    for name, (registers, shared, spilled, hmma) in sorted(found.items()):
        limit_registers, limit_shared, products = ENTRIES[name]
        # Before sm_80 one product of depth 16 is two of depth 8.
        expected = products * (2 if card == 75 else 1)
        if "--table" in sys.argv:
            numbers = f"{registers:4} registers {shared:6} B shared {spilled} spilled {hmma:4} HMMA"
            print(f"{who:6} sm_{card} {name:18} {numbers}")
        for what, value, limit in [("registers", registers, limit_registers), ("shared bytes", shared, limit_shared)]:
            if value > limit:
                faults.append(f"{who}, sm_{card}, {name}: {value} {what}, at most {limit} expected")
        if spilled:
            faults.append(f"{who}, sm_{card}, {name}: {spilled} bytes spilled or on the stack, none expected")
        if hmma != expected:
            faults.append(f"{who}, sm_{card}, {name}: {hmma} HMMA instructions, {expected} expected")
    return faults


def main():
    os.chdir(ROOT)
    install()
    OUT.mkdir(parents=True, exist_ok=True)
    nvrtc = Nvrtc()
    compilers = [("nvrtc", nvrtc.ptx)]
    if shutil.which("clang++"):
        compilers.append(("clang", clang_ptx))
    else:
        say("clang++ is not there: checking NVRTC only")
    faults = []
    for who, compile_ptx in compilers:
        ptx = {card: compile_ptx(card) for card in CARDS}
        with ThreadPoolExecutor(2) as pool:
            built = pool.map(lambda card: account(*assemble(who, ptx[card], card)), CARDS)
            for card, found in zip(CARDS, built):
                if found.keys() != ENTRIES.keys():
                    faults.append(f"{who}, sm_{card}: entries differ: {sorted(found.keys() ^ ENTRIES.keys())}")
                else:
                    faults += check(who, card, found)
        say(f"{who}: {len(ENTRIES)} entries for {', '.join(f'sm_{card}' for card in CARDS)}")
    if faults:
        sys.exit("\n".join(["cuda_gates:", *faults]))
    say("no spills, registers and shared memory within bounds, tensor-core instructions as counted")


main()
