#!/usr/bin/env python3
"""Lets effigy ask real servers for its pictures, over networks that are slow, lossy and gone, and looks at what it shows.

    remote_check.py EFFIGY [--secs N] [--out DIR] [--kserve PYTHON] [--idle]

EFFIGY is a program with the feature `remote`. Needs mlserver, onnxruntime, grpcio, and openssl; with --kserve, a Python that has
kserve and onnxruntime: that server knows the binary tensor extension. scripts/remote_test.sh installs the first and runs this.
"""

import argparse
import asyncio
import json
import os
import pathlib
import random
import shutil
import signal
import socket
import ssl
import subprocess
import sys
import tempfile
import threading
import time
import urllib.request
from concurrent import futures

import grpc

HERE = pathlib.Path(__file__).resolve().parent


def free_port():
    with socket.socket() as socket_:
        socket_.bind(("127.0.0.1", 0))
        return socket_.getsockname()[1]


class Server:
    """A real server in a process of its own, at ports that stay when it is started again."""

    def __init__(self, command, folder, ports, log):
        self.command, self.folder, self.ports, self.log = command, folder, ports, log
        self.start()

    def start(self):
        with open(self.log, "a") as log:
            self.process = subprocess.Popen(self.command, cwd=self.folder, stdout=log, stderr=log)
        until = time.time() + 120
        while True:
            try:
                url = f"http://127.0.0.1:{self.ports['http']}/v2/models/effigy/ready"
                if urllib.request.urlopen(url, timeout=2).status == 200:
                    return
            except OSError:
                pass
            assert self.process.poll() is None and time.time() < until, self.log.read_text()[-3000:]
            time.sleep(0.2)

    def kill(self):
        self.process.send_signal(signal.SIGKILL)
        self.process.wait()


def mlserver(folder, log):
    ports = {"http": free_port(), "grpc": free_port()}
    # An identity of 12 MB comes in one message; gRPC's own bound is 4.
    settings = {"grpc_max_message_length": 64 << 20, "http_port": ports["http"], "grpc_port": ports["grpc"], "metrics_port": free_port()}
    settings |= {"host": "127.0.0.1", "parallel_workers": 0}
    (folder / "settings.json").write_text(json.dumps(settings))
    return Server([pathlib.Path(sys.executable).with_name("mlserver"), "start", "."], folder, ports, log)


class Network:
    """A network between effigy and a server, in this process: delay, a rate, stalls as TCP has them after a loss, silence."""

    def __init__(self, port, tls=None, token=None):
        self.target, self.port, self.tls, self.token = port, free_port(), tls, token
        self.delay_s = self.stall_share = 0.0
        self.rate = float("inf")
        self.is_silent = False
        self.n_bytes = [0, 0]
        is_open = threading.Event()
        threading.Thread(target=lambda: asyncio.run(self._serve(is_open)), daemon=True).start()
        is_open.wait()

    async def _serve(self, is_open):
        server = await asyncio.start_server(self._connect, "127.0.0.1", self.port, ssl=self.tls, limit=1 << 20)
        is_open.set()
        async with server:
            await server.serve_forever()

    async def _connect(self, reader, writer):
        try:
            far_reader, far_writer = await asyncio.open_connection("127.0.0.1", self.target)
        except OSError:
            writer.close()
            return
        await asyncio.gather(
            self._carry(reader, far_writer, 0), self._carry(far_reader, writer, 1), return_exceptions=True
        )

    async def _carry(self, reader, writer, way):
        """Reads at once and delivers when it is due: what is on its way does not wait for what is before it to arrive."""
        queue, free_at = asyncio.Queue(), 0.0

        async def deliver():
            while (item := await queue.get()) is not None:
                due, data = item
                await asyncio.sleep(max(0.0, due - time.monotonic()))
                while self.is_silent:
                    await asyncio.sleep(0.01)
                writer.write(data)
                await writer.drain()
            writer.close()

        delivering = asyncio.create_task(deliver())
        is_first = way == 0
        try:
            while data := await reader.read(1 << 16):
                if is_first and self.token and f"authorization: Bearer {self.token}\r\n".encode() not in data:
                    break
                is_first = False
                self.n_bytes[way] += len(data)
                now = time.monotonic()
                free_at = max(free_at, now) + len(data) / self.rate
                if random.random() < self.stall_share:
                    free_at += 0.2
                queue.put_nowait((free_at + self.delay_s, data))
        finally:
            queue.put_nowait(None)
            await delivering


def guarded_grpc(target, token, key, certificate):
    """A gateway over TLS that lets in only who has the token; passes on what it does not look into."""
    channel = grpc.insecure_channel(
        f"127.0.0.1:{target}",
        options=[("grpc.max_receive_message_length", -1), ("grpc.max_send_message_length", -1)],
    )

    class Gateway(grpc.GenericRpcHandler):
        def service(self, details):
            def pass_on(request, context):
                if dict(context.invocation_metadata()).get("authorization") != f"Bearer {token}":
                    context.abort(grpc.StatusCode.UNAUTHENTICATED, "who are you")
                try:
                    return channel.unary_unary(details.method)(request, timeout=10)
                except grpc.RpcError as error:
                    context.abort(error.code(), error.details())

            return grpc.unary_unary_rpc_method_handler(pass_on)

    server = grpc.server(futures.ThreadPoolExecutor(4), options=[("grpc.max_receive_message_length", -1)])
    server.add_generic_rpc_handlers([Gateway()])
    port = server.add_secure_port("127.0.0.1:0", grpc.ssl_server_credentials([(key.read_bytes(), certificate.read_bytes())]))
    server.start()
    return server, port


def certificates(folder):
    """A certificate for localhost, its key, and who vouches for it."""

    def openssl(*arguments):
        subprocess.run(["openssl", *arguments], cwd=folder, check=True, capture_output=True)

    openssl("req", "-x509", "-newkey", "rsa:2048", "-nodes", "-keyout", "ca.key", "-out", "ca.pem", "-days", "2", "-subj", "/CN=test")
    openssl("req", "-newkey", "rsa:2048", "-nodes", "-keyout", "own.key", "-out", "own.csr", "-subj", "/CN=localhost")
    (folder / "names").write_text("subjectAltName=DNS:localhost\nbasicConstraints=CA:FALSE\n")
    openssl("x509", "-req", "-in", "own.csr", "-CA", "ca.pem", "-CAkey", "ca.key", "-CAcreateserial", "-days", "2",
            "-extfile", "names", "-out", "own.pem")
    return folder / "own.key", folder / "own.pem", folder / "ca.pem"


class Run:
    """One run of effigy: what it said and when, and every picture that it showed."""

    def __init__(self, effigy, folder, name, backend, secs, events=(), env=None):
        self.name, self.out, self.said = name, folder / name, []
        command = [effigy, "bench", "run", "--scenario", "steady", "--secs", str(secs), "--warm-up", "2",
                   "--backend", backend, "--out", self.out]
        process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True,
                                   env=os.environ | (env or {}))
        reader = threading.Thread(target=self._read, args=(process.stderr,))
        reader.start()
        self.events = []
        # The clock of events starts when the server has the pictures.
        is_met = self.wait_for("makes the pictures:", 60, process)
        begin = time.monotonic()
        for at, what, act in events if is_met else ():
            time.sleep(max(0.0, begin + at - time.monotonic()))
            self.events.append((time.monotonic(), what))
            act()
        self.code = process.wait()
        reader.join()
        self.begin = begin
        recorded = self.out / "bench.json"
        self.run = json.loads(recorded.read_text())["runs"][0] if self.code == 0 else None

    def _read(self, lines):
        for line in lines:
            self.said.append((time.monotonic(), line.strip()))

    def wait_for(self, words, secs, process):
        until = time.monotonic() + secs
        while time.monotonic() < until and process.poll() is None:
            if any(words in line for _, line in list(self.said)):
                return True
            time.sleep(0.005)
        return False

    def after(self, what, words):
        """Milliseconds from an event to the first line after it with these words; none if either did not come."""
        at = next((at for at, name in self.events if name == what), float("inf"))
        return next(((said - at) * 1e3 for said, line in self.said if said >= at and words in line), None)

    def away(self):
        """The share of pictures that the server made, and the median of its network's share and of the age."""
        network = self.run["frames"].get("network_ms", [])
        made = sorted(ms for ms in network if ms >= 0)
        share = len(made) / max(1, len(self.run["frames"]["at_ms"]))
        return share, made[len(made) // 2] if made else None, self.run["age_ms"]["p50"], self.run["age_ms"]["p99"]

    def longest_pause(self):
        """The longest time between two pictures that were not both made there: what a change costs."""
        frames = self.run["frames"]
        network = frames.get("network_ms") or [-1] * len(frames["at_ms"])
        pairs = zip(zip(frames["at_ms"], network), zip(frames["at_ms"][1:], network[1:]))
        return max((b[0] - a[0] for a, b in pairs if a[1] < 0 or b[1] < 0), default=0.0)

    def stretches(self):
        """Each stretch of pictures made at one place: begin and end in milliseconds, where, the ages."""
        frames, stretches = self.run["frames"], []
        network = frames.get("network_ms") or [-1] * len(frames["at_ms"])
        for at, age, ms in zip(frames["at_ms"], frames["age_ms"], network):
            where = "server" if ms >= 0 else "here"
            if not stretches or stretches[-1][2] != where:
                stretches.append([at, at, where, []])
            stretches[-1][1] = at
            stretches[-1][3].append(age)
        return stretches

    def story(self):
        """A line for each stretch: from, to, where, how many, the median age."""
        return [f"{a / 1e3:7.2f} to {b / 1e3:6.2f} s  {where:<6} {len(ages):4} pictures, age p50 {sorted(ages)[len(ages) // 2]:5.1f} ms"
                for a, b, where, ages in self.stretches()]


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("effigy", type=lambda path: pathlib.Path(path).resolve())
    parser.add_argument("--secs", type=float, default=6)
    parser.add_argument("--out", type=pathlib.Path)
    parser.add_argument("--kserve", type=pathlib.Path)
    parser.add_argument("--idle", action="store_true", help="the machine has nothing else to do: the server must make its share of the pictures")
    args = parser.parse_args()
    work = pathlib.Path(tempfile.mkdtemp(prefix="effigy-remote-"))
    servers = []
    try:
        check(args, work, servers)
        if args.out:
            for run in work.glob("runs/*/bench.json"):
                args.out.mkdir(parents=True, exist_ok=True)
                shutil.copy(run, args.out / f"{run.parent.name}.json")
    finally:
        for server in servers:
            server.kill()
        shutil.rmtree(work, ignore_errors=True)


def check(args, work, servers):
    runs = work / "runs"

    def export(*options):
        subprocess.run([args.effigy, "export", "--format", "onnx", *options, "--for-remote"], check=True, cwd=work)

    def play(name, backend, secs=args.secs, events=(), env=None):
        run = Run(args.effigy, runs, name, backend, secs, events, env)
        print(f"== {name}: {backend}")
        for at, line in run.said:
            if "remote" in line or "://" in line:
                print(f"  {at - run.begin:7.3f} s  {line}")
        if run.run:
            share, network, p50, p99 = run.away()
            there = "none" if network is None else f"{network:.1f} ms"
            print(f"  the server made {share * 100:.0f} % of {run.run['shown']} pictures; network {there}; age p50 {p50:.1f} ms, p99 {p99:.1f}")
        sys.stdout.flush()
        return run

    # Where program and server share two busy cores, an answer comes too late while the program still prepares who takes over, and
    # the server counts as lost for five to ten seconds: a run without what was looked for is repeated with so many seconds before
    # it. With --idle it is there at once.
    def until(holds, attempt):
        """Repeats a run until what was looked for came about: five runs without are a fault, with --idle the first is."""
        for late_s in [0] if args.idle else [0, 12, 12, 12, 12]:
            run = attempt(late_s)
            assert run.code == 0, run.said
            if holds(run, late_s):
                return run
        raise AssertionError(run.said)

    def served(name, backend, share_if_idle, env=None):
        return until(
            lambda run, _: run.away()[0] > (share_if_idle if args.idle else 0),
            lambda late_s: play(name, backend, secs=args.secs + late_s, env=env),
        )

    export("-o", "ml", "--layout", "mlserver", "--device", "cpu", "--window-ms", "0")
    server = mlserver(work / "ml" / "effigy", work / "mlserver.log")
    servers.append(server)
    rpc, http = server.ports["grpc"], server.ports["http"]

    for name, backend in [("grpc", f"remote:grpc://127.0.0.1:{rpc}"), ("http", f"remote:http://127.0.0.1:{http}")]:
        served(name, backend, 0.5)

    # Another weight, another model, another place: said at once, and nothing is run.
    run = play("no-model", f"remote:grpc://127.0.0.1:{rpc}/other")
    assert run.code != 0 and any("other" in line for _, line in run.said), run.said
    run = play("nobody", f"remote:grpc://127.0.0.1:{free_port()}", secs=2)
    assert run.code == 0 and run.away()[0] == 0 and run.run["shown"] > 2, run.said

    # TLS and a token, and without either.
    key, certificate, authority = certificates(work)
    gateway, port = guarded_grpc(rpc, "open-sesame", key, certificate)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate, key)
    https = Network(http, tls=context, token="open-sesame")
    trusted = {"EFFIGY_REMOTE_CA": str(authority), "EFFIGY_REMOTE_TOKEN": "open-sesame"}
    for name, backend in [("grpcs", f"remote:grpcs://localhost:{port}"), ("https", f"remote:https://localhost:{https.port}")]:
        served(name, backend, 0.3, env=trusted)
    run = play("wrong-token", f"remote:grpcs://localhost:{port}", env=trusted | {"EFFIGY_REMOTE_TOKEN": "open"})
    assert run.code != 0 and any("EFFIGY_REMOTE_TOKEN" in line for _, line in run.said), run.said
    run = play("not-trusted", f"remote:grpcs://localhost:{port}", secs=2, env={"EFFIGY_REMOTE_TOKEN": "open-sesame"})
    assert run.code == 0 and run.away()[0] == 0 and any("certificate" in line for _, line in run.said), run.said
    gateway.stop(None)

    # A slow and lossy network, and one that falls silent.
    network = Network(rpc)
    network.delay_s, network.stall_share = 0.015, 0.002
    served("far", f"remote:grpc://127.0.0.1:{network.port}", 0.3)
    network = Network(rpc)
    network.rate = 12.5e6
    served("100-mbit", f"remote:grpc://127.0.0.1:{network.port}", 0.3)

    def falls_silent(late_s):
        network = Network(rpc)
        events = [
            (3.0 + late_s, "silent", lambda: setattr(network, "is_silent", True)),
            (6.0 + late_s, "back", lambda: setattr(network, "is_silent", False)),
        ]
        return play("silent", f"remote:grpc://127.0.0.1:{network.port}", secs=12 + 2 * late_s, events=events)

    run = until(
        lambda run, _: None not in (run.after("silent", "no picture from"), run.after("back", "again after")), falls_silent
    )
    print("\n".join("  " + line for line in run.story()))
    print(f"  longest pause at a change {run.longest_pause():.0f} ms; said {run.after('silent', 'no picture from'):.0f} ms after silence, "
          f"back {run.after('back', 'again after'):.0f} ms after the network")

    # The server killed, and started again.
    def is_killed(late_s):
        events = [
            (4.0 + late_s, "killed", server.kill),
            (7.0 + late_s, "started", lambda: threading.Thread(target=server.start).start()),
        ]
        return play("killed", f"remote:grpc://127.0.0.1:{rpc}", secs=24 + 2 * late_s, events=events)

    def was_taken_over_and_back(run, late_s):
        makers = [maker for _, _, maker, _ in run.stretches()]
        if late_s and makers[:1] == ["here"]:
            makers.pop(0)
        heard = None not in (run.after("killed", "no picture from"), run.after("started", "again after"))
        return heard and makers[:1] == makers[-1:] == ["server"] and "here" in makers

    run = until(was_taken_over_and_back, is_killed)
    print("\n".join("  " + line for line in run.story()))
    said, back = run.after("killed", "no picture from"), run.after("started", "again after")
    print(f"  said {said:.0f} ms after the kill; back {back:.0f} ms after the start; longest pause at a change {run.longest_pause():.0f} ms")

    if args.kserve:
        export("-o", "plain")
        ports = {"http": free_port(), "grpc": free_port()}
        command = [args.kserve, HERE / "serve_kserve.py", work / "plain" / "model.onnx", str(ports["http"]), str(ports["grpc"])]
        kserve = Server(command, work, ports, work / "kserve.log")
        servers.append(kserve)
        for name, backend in [("kserve-grpc", f"remote:grpc://127.0.0.1:{ports['grpc']}"),
                              ("kserve-http", f"remote:http://127.0.0.1:{ports['http']}")]:
            run = play(name, backend)
            assert run.code == 0 and run.away()[0] > (0.3 if args.idle else 0), run.said
    print("all as it should be")


if __name__ == "__main__":
    main()
