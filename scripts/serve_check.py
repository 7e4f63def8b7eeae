#!/usr/bin/env python3
"""Serves what `effigy export --layout mlserver --example` wrote by a real MLServer and asks for pictures, one by one and many at once.

    serve_check.py DIR NAME

Needs mlserver, onnxruntime, tritonclient[grpc], numpy.
"""

import concurrent.futures
import pathlib
import socket
import subprocess
import sys
import tempfile
import time

import numpy as np
import tritonclient.grpc as client

from export_check import psnr_db, safetensors


def free_port():
    with socket.socket() as socket_:
        socket_.bind(("127.0.0.1", 0))
        return socket_.getsockname()[1]


def main():
    folder, name = pathlib.Path(sys.argv[1]), sys.argv[2]
    inputs = safetensors(folder / "example.safetensors")
    expected = inputs.pop("picture")
    ports = {key: free_port() for key in ["http_port", "grpc_port", "metrics_port"]}
    settings = ", ".join(f'"{key}": {port}' for key, port in ports.items())
    (folder / name / "settings.json").write_text(f'{{ {settings}, "host": "127.0.0.1", "parallel_workers": 0 }}\n')
    log = tempfile.TemporaryFile("w+")
    command = [pathlib.Path(sys.executable).with_name("mlserver"), "start", "."]
    server = subprocess.Popen(command, cwd=folder / name, stdout=log, stderr=log)
    try:
        caller = client.InferenceServerClient(f"127.0.0.1:{ports['grpc_port']}")
        deadline = time.time() + 120
        while True:
            try:
                if caller.is_model_ready(name):
                    break
            except client.InferenceServerException:
                pass
            assert server.poll() is None and time.time() < deadline, log.seek(0) or log.read()
            time.sleep(0.2)
        described = caller.get_model_metadata(name)
        assert {port.name for port in described.inputs} == set(inputs), described

        def picture(i):
            values = []
            for key, value in inputs.items():
                row = np.ascontiguousarray(value[i : i + 1])
                values.append(client.InferInput(key, list(row.shape), "UINT8" if row.dtype == np.uint8 else "FP32"))
                values[-1].set_data_from_numpy(row)
            return caller.infer(name, values).as_numpy("picture")

        begin = time.perf_counter()
        one_by_one = [picture(i % 2) for i in range(8)]
        alone = (time.perf_counter() - begin) / 8
        begin = time.perf_counter()
        with concurrent.futures.ThreadPoolExecutor(8) as pool:
            at_once = list(pool.map(picture, [i % 2 for i in range(8)]))
        together = (time.perf_counter() - begin) / 8
        worst = min(psnr_db(made[0], expected[i % 2]) for made_all in (one_by_one, at_once) for i, made in enumerate(made_all))
        print(f"MLServer over gRPC: 16 pictures, at least {worst:.1f} dB close to the program's; "
              f"{alone * 1e3:.0f} ms each one by one, {together * 1e3:.0f} ms each of eight at once")
        assert worst > 41.5, worst
    finally:
        server.terminate()
        server.wait(30)


if __name__ == "__main__":
    main()
