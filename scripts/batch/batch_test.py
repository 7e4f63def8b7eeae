#!/usr/bin/env python3
"""Renders a batch on two Dask workers, kills one of them in the middle, and compares with what one process renders.

    batch_test.py EFFIGY FOLDER [CLIPS]

Needs dask and distributed. EFFIGY is the program; FOLDER is made anew.
"""

import glob
import hashlib
import json
import os
import pathlib
import shutil
import signal
import subprocess
import sys
import threading
import time

from dask.distributed import Client, LocalCluster, as_completed

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
from dask_render import render

HERE = pathlib.Path(__file__).resolve().parents[2] / "models/demo"


def write_jobs(path, folder, n_clips):
    with open(path, "w") as file:
        for i in range(n_clips):
            job = {
                "photo": str(HERE / f"portrait_{'abc'[i % 3]}.png"),
                "consent": "synthetic",
                "clip": str(HERE / "driver.mp4"),
                "output": f"{folder}/{i:02}.mp4",
                "backend": "warp" if i % 4 else "cpu",
                "duration": 0.2 + 0.1 * (i % 5),
            }
            file.write(json.dumps(job) + "\n")


def hashes(folder):
    return {path.name: hashlib.sha256(path.read_bytes()).hexdigest() for path in sorted(folder.iterdir())}


def main():
    program, folder = pathlib.Path(sys.argv[1]).resolve(), pathlib.Path(sys.argv[2]).resolve()
    n_clips = int(sys.argv[3]) if len(sys.argv) > 3 else 60
    os.environ["PATH"] = f"{program.parent}:{os.environ['PATH']}"
    # Workers look up what they are to do by its name.
    os.environ["PYTHONPATH"] = os.path.dirname(os.path.abspath(__file__))
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    os.chdir(folder)
    write_jobs("whole.jsonl", "whole", n_clips)
    write_jobs("jobs.jsonl", "parts", n_clips)

    begin = time.time()
    say = lambda text: print(f"{time.time() - begin:6.1f} s  {text}", flush=True)
    say(f"one process, {n_clips} clips")
    subprocess.run(["effigy", "render", "whole.jsonl"], check=True, stderr=subprocess.DEVNULL)
    say("one process is done")

    cluster = LocalCluster(n_workers=2, threads_per_worker=1, processes=True, dashboard_address=None)
    client = Client(cluster)
    pids = {name: info["pid"] for name, info in client.run(lambda: {"pid": os.getpid()}).items()}
    say(f"Dask with two workers, processes {sorted(pids.values())}")
    n_parts = 8
    parts = [client.submit(render, "jobs.jsonl", part, n_parts, pure=False, retries=3) for part in range(n_parts)]

    def kill():
        # When a third of the clips is there, a worker goes, and with it what it renders.
        while len(list(folder.glob("parts/[0-9]*.mp4"))) < n_clips // 3:
            time.sleep(0.05)
        victim = min(pids.values())
        below = subprocess.run(["pgrep", "-P", str(victim)], capture_output=True, text=True).stdout.split()
        os.kill(victim, signal.SIGKILL)
        for pid in map(int, below):
            os.kill(pid, signal.SIGKILL)
        say(f"killed worker {victim} and its effigy {', '.join(below) or '(none)'}; half done then: "
            f"{', '.join(p.name for p in folder.glob('parts/.*')) or 'nothing'}")

    killer = threading.Thread(target=kill)
    killer.start()
    for future in as_completed(parts):
        say("part %d: %s" % future.result())
    killer.join()
    subprocess.run(["effigy", "merge", *sorted(glob.glob("jobs.results-*")), "-o", "results.jsonl"], check=True)
    client.close()
    cluster.close()

    whole, made = hashes(folder / "whole"), hashes(folder / "parts")
    results = [json.loads(line) for line in open("results.jsonl")]
    say(f"{len(made)} clips of {len(whole)}, {sum(made[n] == whole[n] for n in whole if n in made)} the same byte for byte, "
        f"{len(results)} results, {sum(r['error'] is not None for r in results)} errors")
    assert made == whole and [r["line"] for r in results] == list(range(1, n_clips + 1))
    assert all(r["sha256"] == made[pathlib.Path(r["output"]).name] for r in results)


if __name__ == "__main__":
    main()
