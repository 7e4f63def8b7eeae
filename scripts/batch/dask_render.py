"""Renders a file of jobs on a Dask cluster: dask_render.py JOBS.jsonl [SCHEDULER]; without a scheduler, on this machine.

All machines see the same folder. A part whose worker is lost runs again elsewhere and renders what is missing.
"""

import glob
import subprocess
import sys

from dask.distributed import Client, as_completed


def render(jobs, part, n_parts):
    command = ["effigy", "render", jobs, "--shard", f"{part}/{n_parts}", "--jobs", "1"]
    done = subprocess.run(command, stderr=subprocess.PIPE, text=True)
    lines = done.stderr.strip().splitlines()
    last = lines[-1] if lines else "no clips"
    # Some clips failed, and their lines in the results say why: that is no failure of the part. Anything else is, such as
    # results that cannot be written.
    if done.returncode != 0 and not (done.returncode == 1 and " clips failed; " in last):
        raise RuntimeError(done.stderr)
    return part, last


if __name__ == "__main__":
    jobs, scheduler = sys.argv[1], sys.argv[2] if len(sys.argv) > 2 else None
    client = Client(scheduler) if scheduler else Client(n_workers=2, threads_per_worker=1)
    n_parts = 4 * len(client.scheduler_info()["workers"])
    parts = [client.submit(render, jobs, part, n_parts, pure=False, retries=3) for part in range(n_parts)]
    for future in as_completed(parts):
        print("part %d: %s" % future.result(), flush=True)
    stem = jobs.removesuffix(".jsonl")
    results = sorted(glob.glob(f"{stem}.results-*-of-{n_parts}.jsonl"))
    subprocess.run(["effigy", "merge", *results, "-o", f"{stem}.results.jsonl"], check=True)
