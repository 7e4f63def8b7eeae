#!/usr/bin/env python3
"""An evening in real time: the program itself for hours, while everything around it goes and comes.

  dbus-run-session -- scripts/soak.py target/release/effigy [--hours 2] [--out target/soak]

PipeWire in a session of its own, the test pattern as the driver, a PipeWire camera, the control page, OSC. Meanwhile, in two
hours: PipeWire is killed and started 50 times, the camera is changed 100 times, the page is loaded 500 times, the identity is
switched 1,000 times, and 24 recordings are made. Memory, threads, open files and the age of the picture are noted; each minute
a picture is taken from the page and `effigy verify` must find the run's mark in it: the driver's own picture has none.
Leaves a table (soak.txt) and curves (soak.svg), and ends with 1 where the end is not as the beginning.
"""
import argparse, base64, http.client, json, os, pathlib, random, re, signal, socket, struct, subprocess, sys, tempfile, threading, time, urllib.request

ROOT = pathlib.Path(__file__).resolve().parent.parent
PER_HOUR = {"pipewire": 25, "source": 50, "page": 250, "identity": 500, "recording": 12, "verify": 60}
SAMPLE_SECS = 5.0
# What is compared: the first and the last of so many equal parts, after the first tenth, in which everything warms up.
N_PARTS = 8


def osc(address, value):
    """One message, with a whole number or a text."""
    def padded(data):
        return data + b"\0" * (4 - len(data) % 4)
    if isinstance(value, int):
        return padded(address.encode()) + padded(b",i") + struct.pack(">i", value)
    return padded(address.encode()) + padded(b",s") + padded(value.encode())


class Page:
    """The page's socket: what the program tells a browser."""

    def __init__(self, host, token):
        name, port = host.split(":")
        self.stream = socket.create_connection((name, int(port)), 10)
        key = base64.b64encode(random.randbytes(16)).decode()
        self.stream.sendall((f"GET /socket HTTP/1.1\r\nHost: {host}\r\nAuthorization: Bearer {token}\r\nConnection: Upgrade\r\n"
                             f"Upgrade: websocket\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Key: {key}\r\n\r\n").encode())
        self.buffer = b""
        head = self.until(b"\r\n\r\n")
        if b" 101 " not in head.split(b"\r\n")[0]:
            raise OSError(head.split(b"\r\n")[0].decode())

    def until(self, mark):
        while mark not in self.buffer:
            self.fill()
        head, self.buffer = self.buffer.split(mark, 1)
        return head

    def fill(self):
        data = self.stream.recv(65536)
        if not data:
            raise OSError("the program has closed the page's socket")
        self.buffer += data

    def take(self, n):
        while len(self.buffer) < n:
            self.fill()
        data, self.buffer = self.buffer[:n], self.buffer[n:]
        return data

    def messages(self):
        """What comes as JSON, for ever."""
        while True:
            kind, length = self.take(2)
            length &= 127
            if length == 126:
                (length,) = struct.unpack(">H", self.take(2))
            elif length == 127:
                (length,) = struct.unpack(">Q", self.take(8))
            data = self.take(length)
            if kind & 15 == 1:
                yield json.loads(data)

    def close(self):
        self.stream.close()


class Soak:
    def __init__(self, binary, hours, out):
        self.binary, self.secs, self.out = str(pathlib.Path(binary).resolve()), hours * 3600, out
        self.lab = pathlib.Path(tempfile.mkdtemp(prefix="effigy-soak-"))
        (self.lab / "run").mkdir(mode=0o700)
        self.env = dict(os.environ, XDG_RUNTIME_DIR=str(self.lab / "run"), PIPEWIRE_RUNTIME_DIR=str(self.lab / "run"),
                        XDG_CONFIG_HOME=str(self.lab / "config"), XDG_STATE_HOME=str(self.lab / "state"))
        for name in ("DISPLAY", "WAYLAND_DISPLAY"):
            self.env.pop(name, None)
        self.daemons, self.ages, self.samples = [], [], []
        self.done = dict.fromkeys(PER_HOUR, 0)
        self.failures, self.is_over, self.program = [], False, None

    def start_pipewire(self):
        with open(self.lab / "daemons.log", "ab") as log:
            for name in ("pipewire", "wireplumber"):
                self.daemons.append(subprocess.Popen([name], env=self.env, stdout=log, stderr=log))
                time.sleep(0.5)

    def end_pipewire(self):
        for daemon in reversed(self.daemons):
            daemon.kill()
            daemon.wait()
        self.daemons = []

    def end_all(self):
        """Nothing is left running, however it ended."""
        self.is_over = True
        if self.program and self.program.poll() is None:
            self.program.kill()
            self.program.wait()
        self.end_pipewire()

    def start(self):
        self.start_pipewire()
        names = []
        for which in "abc":
            names.append(f"{which}.effigy")
            subprocess.run([self.binary, "enroll", ROOT / f"models/demo/portrait_{which}.png", "-o", names[-1], "--consent",
                            "synthetic", "--framing", "keep"], cwd=self.lab, env=self.env, check=True, capture_output=True)
        self.log = open(self.lab / "effigy.log", "wb")
        line = ["run", "--no-settings", "--identity", ",".join(names), "--source", "pattern", "--sink", "pipewire", "--sink", "http",
                "--osc", "0", "--record-to", "clips", "--report", "report.json"]
        self.program = subprocess.Popen([self.binary, *line], cwd=self.lab, env=self.env, stdout=self.log, stderr=self.log)
        page = self.said(r"control page: http://(\S+)/\?token=(\w+)")
        self.host, self.token = page.groups()
        name, port = self.said(r"OSC: listening at (\S+):(\d+)").groups()
        self.steer, self.udp = (name, int(port)), socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self.run_id = self.said(r"they are of run (\w+)")[1]

    def said(self, pattern, patience_secs=120):
        end = time.monotonic() + patience_secs
        while time.monotonic() < end:
            found = re.search(pattern, (self.lab / "effigy.log").read_text(errors="replace"))
            if found:
                return found
            if self.program.poll() is not None:
                break
            time.sleep(0.2)
        sys.exit(f"not said: {pattern}\n" + (self.lab / "effigy.log").read_text(errors="replace"))

    def get(self, path):
        request = urllib.request.Request(f"http://{self.host}{path}", headers={"Authorization": f"Bearer {self.token}"})
        with urllib.request.urlopen(request, timeout=20) as answer:
            return answer.read()

    def ask(self, address, value):
        self.udp.sendto(osc(address, value), self.steer)

    def listen(self):
        """Notes the age of the picture, as a page is told it, until the end."""
        while not self.is_over:
            try:
                page = Page(self.host, self.token)
                for message in page.messages():
                    if message["type"] == "figures" and message["age_ms"] > 0:
                        self.ages.append((time.monotonic() - self.begin, message["age_ms"]))
                    if self.is_over:
                        break
                page.close()
            except (OSError, ValueError, KeyError, struct.error) as error:
                if not self.is_over:
                    self.failures.append(f"the page's socket: {error!r}")
                    time.sleep(1)

    def sample(self):
        status = pathlib.Path(f"/proc/{self.program.pid}/status").read_text()
        field = lambda name: int(re.search(rf"^{name}:\s+(\d+)", status, re.M)[1])
        n_files = len(os.listdir(f"/proc/{self.program.pid}/fd"))
        self.samples.append((time.monotonic() - self.begin, field("VmRSS") / 1024, field("Threads"), n_files))

    def do(self, what):
        n = self.done[what]
        if what == "pipewire":
            self.end_pipewire()
            time.sleep(0.3)
            self.start_pipewire()
        elif what == "source":
            self.ask("/effigy/source", "pattern")
        elif what == "identity":
            self.ask("/effigy/identity", n % 3 + 1)
        elif what == "page":
            for path in ("/", "/app.js", "/style.css", "/words.tsv", "/thumbnail/0"):
                self.get(path)
            Page(self.host, self.token).close()
        elif what == "recording":
            self.ask("/effigy/record", 1)
            threading.Timer(4, self.ask, ("/effigy/record", 0)).start()
        elif what == "verify":
            picture = self.lab / "frame.png"
            picture.write_bytes(self.get("/frame.png"))
            found = subprocess.run([self.binary, "verify", picture], env=self.env, capture_output=True, text=True)
            if found.returncode != 0 or self.run_id not in found.stdout:
                raise OSError(f"a picture without the mark of this run left: {found.stdout}")
        self.done[what] += 1

    def run(self):
        self.start()
        self.begin = time.monotonic()
        listener = threading.Thread(target=self.listen, daemon=True)
        listener.start()
        # Each kind in its own rhythm, none at the same moment as another for long.
        due = {what: 3600 / n * (0.5 + 0.07 * i) for i, (what, n) in enumerate(PER_HOUR.items())}
        next_sample = 0.0
        while (now := time.monotonic() - self.begin) < self.secs:
            if self.program.poll() is not None:
                self.failures.append(f"the program ended with {self.program.returncode}")
                break
            if now >= next_sample:
                self.sample()
                next_sample += SAMPLE_SECS
            for what, at in due.items():
                if now >= at:
                    due[what] += 3600 / PER_HOUR[what]
                    try:
                        self.do(what)
                    except (OSError, http.client.HTTPException) as error:
                        self.failures.append(f"{what}: {error!r}")
            time.sleep(0.05)
        self.is_over = True
        self.program.send_signal(signal.SIGTERM)
        code = self.program.wait(60)
        self.end_pipewire()
        if code != 130:
            self.failures.append(f"the program ended with {code}")
        clips = list((self.lab / "clips").glob("*.mp4")) if (self.lab / "clips").exists() else []
        if len(clips) < self.done["recording"]:
            self.failures.append(f"{len(clips)} recordings of {self.done['recording']}")
        return self.report(json.loads((self.lab / "report.json").read_text()), len(clips))

    def report(self, record, n_clips):
        percentile = lambda values, share: sorted(values)[min(len(values) - 1, int(share * len(values)))] if values else float("nan")
        warm = self.secs / 10
        parts = []
        for i in range(N_PARTS):
            low, high = (warm + (self.secs - warm) * share / N_PARTS for share in (i, i + 1))
            ages = [age for at, age in self.ages if low <= at < high]
            rows = [sample for sample in self.samples if low <= sample[0] < high]
            parts.append((low, high, percentile(ages, 0.5), percentile(ages, 0.99), *(percentile([row[k] for row in rows], 0.5) for k in (1, 2, 3))))
        lines = [f"{'minutes':>12} {'age p50':>8} {'p99 ms':>8} {'MiB':>8} {'threads':>8} {'files':>6}"]
        lines += [f"{low / 60:5.1f}-{high / 60:5.1f}  {p50:8.1f} {p99:8.1f} {mib:8.1f} {threads:8.0f} {files:6.0f}" for low, high, p50, p99, mib, threads, files in parts]
        first, last = parts[0], parts[-1]
        growth = last[4] / first[4] - 1
        frames = record["frames"]
        lines += ["Ages are medians of a second, five times a second. " + ", ".join(f"{what} {n}" for what, n in self.done.items()),
                  f"{frames['captured']} frames, {n_clips} recordings; memory {growth:+.1%}, age p99 {last[3] / first[3] - 1:+.1%}, "
                  f"threads {last[5] - first[5]:+.0f}, files {last[6] - first[6]:+.0f}"]
        faults = list(self.failures)
        if abs(growth) > 0.05 and last[4] > first[4]:
            faults.append("memory grows")
        if last[5] > first[5] or last[6] > first[6] + 2:
            faults.append("threads or files are left behind")
        if not last[3] <= 1.25 * first[3]:
            faults.append("pictures are older at the end, or their age is not known")
        if len(self.ages) < 2 * self.secs:
            faults.append(f"the page told the age {len(self.ages)} times only")
        lines += ["failed: " + fault for fault in faults] or ["nothing was lost"]
        text = "\n".join(lines) + "\n"
        self.out.mkdir(parents=True, exist_ok=True)
        (self.out / "soak.txt").write_text(text)
        (self.out / "soak.svg").write_text(self.curves())
        print(text, end="")
        return 1 if faults else 0

    def curves(self):
        """Age and memory over the time, as a picture."""
        width, height, left = 900, 220, 60
        def panel(top, name, points, colour):
            most = max((y for _, y in points), default=1) * 1.1
            step = max(1, len(points) // 1800)
            path = " ".join(f"{left + (width - left) * x / self.secs:.1f},{top + height - 30 - (height - 50) * y / most:.1f}" for x, y in points[::step])
            return (f'<text x="4" y="{top + 16}">{name}</text><text x="4" y="{top + 34}">{most:.0f}</text><text x="4" y="{top + height - 30}">0</text>'
                    f'<path d="M{left} {top + height - 30}H{width}" stroke="#999"/><polyline points="{path}" fill="none" stroke="{colour}"/>')
        memory = [(at, mib) for at, mib, _, _ in self.samples]
        return (f'<svg xmlns="http://www.w3.org/2000/svg" width="{width}" height="{2 * height}" font-family="sans-serif" font-size="12">'
                f'<rect width="100%" height="100%" fill="#fff"/>{panel(0, "age, ms", self.ages, "#1d5fd0")}{panel(height, "memory, MiB", memory, "#0b7a47")}'
                f'<text x="{left}" y="{2 * height - 10}">{self.secs / 60:.0f} minutes</text></svg>\n')


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("binary")
    parser.add_argument("--hours", type=float, default=2.0)
    parser.add_argument("--out", type=pathlib.Path, default=ROOT / "target/soak")
    args = parser.parse_args()
    soak = Soak(args.binary, args.hours, args.out)
    try:
        return soak.run()
    finally:
        soak.end_all()


if __name__ == "__main__":
    sys.exit(main())
