#!/usr/bin/env python3
"""Measures the invisible mark with the program's own detector (web/verify/detector.rs, compiled for this machine).

    scripts/mark_bench.py unmarked FOLDER... [--pictures 100000] [--json FILE]   how often chance makes a score
    scripts/mark_bench.py attacks FOLDER... [--clips N] [--json FILE]            what the mark survives

Needs python3 with numpy and opencv, and ffmpeg. The folders hold clips without a mark.
`unmarked` needs no ffmpeg; `effigy bench mark` measures the same without python.
"""
import argparse, ctypes, json, math, os, subprocess, sys, tempfile

import cv2
import numpy as np

HERE = os.path.dirname(os.path.abspath(__file__))
SIDE = 512


class Detector:
    def __init__(self, folder):
        lib = os.path.join(folder, "detector.so")
        source = os.path.join(HERE, "../web/verify/detector.rs")
        subprocess.run(["rustc", "--edition", "2024", "-O", "-C", "target-cpu=native", "--crate-type", "cdylib", "-o", lib, source], check=True)
        self.lib = ctypes.CDLL(lib)
        self.lib.effigy_new.restype = ctypes.c_void_p
        self.lib.effigy_look.restype = ctypes.POINTER(ctypes.c_double)
        self.lib.effigy_look.argtypes = self.lib.effigy_clear.argtypes = [ctypes.c_void_p]
        self.lib.effigy_add.argtypes = [ctypes.c_void_p, ctypes.c_void_p] + [ctypes.c_size_t] * 3
        self.lib.effigy_mark.argtypes = [ctypes.c_void_p, ctypes.c_size_t, ctypes.c_uint32]
        self.state = self.lib.effigy_new()

    def look(self, pictures):
        """Score, threshold and run of several pictures taken together (grey or BGR)."""
        self.lib.effigy_clear(self.state)
        for picture in pictures:
            if picture.ndim == 3:
                picture = cv2.cvtColor(picture, cv2.COLOR_BGR2GRAY)
            picture = np.ascontiguousarray(picture)
            self.lib.effigy_add(self.state, picture.ctypes.data, picture.shape[1], picture.shape[0], 1)
        answer = self.lib.effigy_look(self.state)
        return answer[0], answer[1], int(answer[3])

    def mark(self, picture, run):
        rgba = cv2.cvtColor(picture, cv2.COLOR_BGR2RGBA)
        self.lib.effigy_mark(rgba.ctypes.data, rgba.shape[0], run)
        return cv2.cvtColor(rgba, cv2.COLOR_RGBA2BGR)


def clips(folders):
    names = sorted(os.path.join(f, n) for f in folders for n in os.listdir(f) if n.endswith((".mp4", ".mkv", ".webm")))
    return names or sys.exit("expected folders with clips, found none in them")


def frames(name):
    video = cv2.VideoCapture(name)
    while True:
        there, frame = video.read()
        if not there:
            return
        yield frame


def change(grey, rng):
    """Cuts, scales, turns, mirrors and brightens by chance."""
    height, width = grey.shape
    share, lines = rng.uniform(0.6, 1), int(rng.uniform(220, 540))
    scale = height * share / lines
    to = (max(int(width * share / scale), 1), lines)
    angle = rng.uniform(-0.1, 0.1) if rng.random() < 0.5 else 0.0
    flip = -1 if rng.random() < 0.5 else 1
    middle = [s * share / 2 + rng.random() * s * (1 - share) for s in (width, height)]
    c, s = math.cos(angle) * scale, math.sin(angle) * scale
    m = np.array([[c * flip, -s, 0], [s * flip, c, 0]])
    m[:, 2] = np.array(middle) - m[:, :2] @ np.array(to) / 2
    out = cv2.warpAffine(grey, m, to, flags=cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP, borderMode=cv2.BORDER_REPLICATE)
    table = np.clip((np.arange(256) / 255) ** rng.uniform(0.8, 1.25) * rng.uniform(0.8, 1.2) * 255, 0, 255)
    return cv2.LUT(out, table.astype(np.uint8))


def fit(falling, n=None):
    n = max(len(falling) // 100, 1)
    start = falling[n]
    return start, max(float(np.mean(falling[:n]) - start), 1e-6)


def unmarked(detector, folders, n_wanted, save):
    rng, scores, n, own = np.random.default_rng(1), {}, 0, 0.0
    names = clips(folders)
    while n < n_wanted:
        for name in names:
            for frame in frames(name):
                grey = cv2.cvtColor(frame, cv2.COLOR_BGR2GRAY)
                for _ in range(3):
                    score, own, _ = detector.look([change(grey, rng)])
                    scores.setdefault(name, []).append(score)
                    n += 1
                if n >= n_wanted:
                    break
            if n >= n_wanted:
                break
            save(summary(scores, own, rng, 50))
    return summary(scores, own, rng, 1000)


def summary(scores, own, rng, n_resamples):
    files = [np.array(s) for s in scores.values()]
    falling = np.sort(np.concatenate(files))[::-1]
    start, mean = fit(falling)
    ask = lambda start, mean: (start + mean * math.log(0.01 / 1e-6), 0.01 * math.exp((start - own) / mean))
    again = []
    for _ in range(n_resamples):
        picked = [files[i] for i in rng.integers(0, len(files), len(files))]
        again.append(ask(*fit(np.sort(np.concatenate(picked))[::-1])))
    between = lambda i: [float(q) for q in np.quantile([a[i] for a in again], [0.025, 0.975])]
    at = lambda share: float(falling[min(int(share * len(falling)), len(falling) - 1)])
    hist = np.unique(np.floor(falling * 10) / 10, return_counts=True)
    return {
        "pictures": len(falling), "files": len(files),
        "scores": {"top half": at(0.5), "top 1e-1": at(0.1), "top 1e-2": at(1e-2), "top 1e-3": at(1e-3), "top 1e-4": at(1e-4), "highest": at(0)},
        "tail": {"from": float(start), "mean_excess": mean},
        "threshold_for_1e-6": ask(start, mean)[0], "interval_95": between(0),
        "program_threshold": own, "false_alarms_there": ask(start, mean)[1], "false_alarms_interval_95": between(1),
        "pictures_beyond": int((falling >= own).sum()),
        "histogram": {f"{a:.1f}": int(b) for a, b in zip(*hist)},
    }


def square(frame):
    side = min(frame.shape[:2])
    y, x = (frame.shape[0] - side) // 2, (frame.shape[1] - side) // 2
    how = cv2.INTER_AREA if side > SIDE else cv2.INTER_CUBIC
    return cv2.resize(frame[y : y + side, x : x + side], (SIDE, SIDE), interpolation=how)


def codec(pictures, arguments, kind, folder):
    height, width = pictures[0].shape[:2]
    name = os.path.join(folder, "coded." + kind)
    start = ["ffmpeg", "-hide_banner", "-loglevel", "error", "-y"]
    raw = ["-f", "rawvideo", "-pix_fmt", "bgr24"]
    pipe = start + raw + ["-s", f"{width}x{height}", "-r", "25", "-i", "-"] + arguments.split() + ["-pix_fmt", "yuv420p", name]
    subprocess.run(pipe, input=b"".join(p.tobytes() for p in pictures), check=True)
    back = subprocess.run(start + ["-i", name] + raw + ["-"], capture_output=True, check=True).stdout
    return list(np.frombuffer(back, np.uint8).reshape(-1, height, width, 3))


def turned(picture, degrees):
    h, w = picture.shape[:2]
    return cv2.warpAffine(picture, cv2.getRotationMatrix2D((w / 2, h / 2), degrees, 1), (w, h))


def saturated(picture, factor):
    hsv = cv2.cvtColor(picture, cv2.COLOR_BGR2HSV).astype(np.float32)
    hsv[..., 1] = np.clip(hsv[..., 1] * factor, 0, 255)
    return cv2.cvtColor(hsv.astype(np.uint8), cv2.COLOR_HSV2BGR)


def covered(picture):
    out = picture.copy()
    out[SIDE // 2 :, : SIDE // 2] = (60, 40, 30)
    cv2.putText(out, "LIVE", (30, 420), cv2.FONT_HERSHEY_DUPLEX, 2, (255, 255, 255), 3)
    return out


def framed(picture):
    out = np.full((720, 1280, 3), 28, np.uint8)
    out[:, 280:1000] = cv2.resize(picture, (720, 720), interpolation=cv2.INTER_CUBIC)
    return out


def jpeg(picture, quality):
    return cv2.imdecode(cv2.imencode(".jpg", picture, [1, quality])[1], 1)


def attacks(folder):
    each = lambda f: lambda pictures: [f(p) for p in pictures]
    lut = lambda f: each(lambda p: cv2.LUT(p, np.clip(f(np.arange(256.0)), 0, 255).astype(np.uint8)))
    x264 = "-c:v libx264 -preset veryfast -b:v "
    coded = lambda arguments, kind: lambda pictures: codec(pictures, arguments, kind, folder)
    return {
        "none": each(lambda p: p),
        "MJPEG quality 50": each(lambda p: jpeg(p, 50)),
        "H.264 1 Mbit/s": coded(x264 + "1M", "mp4"),
        "H.264 500 kbit/s": coded(x264 + "500k", "mp4"),
        "VP8 500 kbit/s, call settings": coded("-c:v libvpx -deadline realtime -cpu-used 8 -b:v 500k", "webm"),
        "VP9 500 kbit/s, call settings": coded("-c:v libvpx-vp9 -deadline realtime -cpu-used 8 -b:v 500k", "webm"),
        "in 1280x720, H.264 1 Mbit/s": lambda p: codec([framed(x) for x in p], x264 + "1M", "mp4", folder),
        "scaled to 50 %": each(lambda p: cv2.resize(p, None, fx=0.5, fy=0.5, interpolation=cv2.INTER_AREA)),
        "scaled to 200 %": each(lambda p: cv2.resize(p, None, fx=2, fy=2, interpolation=cv2.INTER_CUBIC)),
        "cut to 80 %": each(lambda p: p[51:461, 51:461]),
        "turned by 5 degrees": each(lambda p: turned(p, 5)),
        "brightness + 20 %": lut(lambda v: v * 1.2), "brightness - 20 %": lut(lambda v: v * 0.8),
        "gamma 1.2": lut(lambda v: 255 * (v / 255) ** 1.2), "gamma 0.8": lut(lambda v: 255 * (v / 255) ** 0.8),
        "saturation + 20 %": each(lambda p: saturated(p, 1.2)), "saturation - 20 %": each(lambda p: saturated(p, 0.8)),
        "overlay on a quarter": each(covered),
        "mirrored": each(lambda p: p[:, ::-1]),
        "50 %, turned 3 degrees, JPEG 50": each(lambda p: jpeg(turned(cv2.resize(p, None, fx=0.5, fy=0.5, interpolation=cv2.INTER_AREA), 3), 50)),
        "blur, sigma 2 px": each(lambda p: cv2.GaussianBlur(p, (0, 0), 2)),
        "median of 5 px": each(lambda p: cv2.medianBlur(p, 5)),
        "non-local means (regeneration)": each(lambda p: cv2.fastNlMeansDenoisingColored(p, None, 5, 5, 5, 11)),
    }


def interval(k, n):
    """Wilson's 95 % interval."""
    z, p = 1.96, k / n
    mid, half = p + z * z / (2 * n), z * math.sqrt(p * (1 - p) / n + z * z / (4 * n * n))
    return [(mid - half) / (1 + z * z / n), (mid + half) / (1 + z * z / n)]


def measure(detector, folders, n_clips, save, folder):
    table, names = {}, clips(folders)
    step = max(len(names) // n_clips, 1)
    for i, name in enumerate(names[::step][:n_clips]):
        plain = [square(f) for _, f in zip(range(25), frames(name))]
        run = 0x1000 + i
        marked = [detector.mark(f, run) for f in plain]
        for what, attack in attacks(folder).items():
            slow = "means" in what
            seen = attack(marked[:3] if slow else marked)
            one, own, one_run = detector.look(seen[len(seen) // 2 :][:1])
            second, own, second_run = detector.look(seen)
            row = table.setdefault(what, {"scores": [], "picture_scores": [], "picture": 0, "second": 0, "run": 0, "of": 0})
            row["scores"].append(round(second, 2))
            row["picture_scores"].append(round(one, 2))
            row["picture"] += one >= own
            row["second"] += second >= own
            row["run"] += second_run == run
            row["of"] += 1
        for row in table.values():
            row["second_interval_95"] = interval(row["second"], row["of"])
            row["median"], row["least"] = float(np.median(row["scores"])), min(row["scores"])
        save(table)
    print(f"{'attack':<34} {'one picture':>12} {'one second':>11} {'95 %':>14} {'run read':>9} {'least':>6} {'median':>7}")
    for what, row in table.items():
        low, high = row["second_interval_95"]
        print(f"{what:<34} {row['picture']:>5} of {row['of']:<4} {row['second']:>4} of {row['of']:<4} {low:.2f} to {high:.2f} {row['run']:>9} {row['least']:>6.1f} {row['median']:>7.1f}")
    return table


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("what", choices=["unmarked", "attacks"])
    parser.add_argument("folders", nargs="+")
    parser.add_argument("--pictures", type=int, default=100_000)
    parser.add_argument("--clips", type=int, default=40)
    parser.add_argument("--json")
    given = parser.parse_args()

    def save(answer):
        if given.json:
            with open(given.json, "w") as file:
                json.dump(answer, file, indent=1)

    cv2.setNumThreads(1)
    with tempfile.TemporaryDirectory() as folder:
        detector = Detector(folder)
        if given.what == "unmarked":
            answer = unmarked(detector, given.folders, given.pictures, save)
            print(json.dumps({k: v for k, v in answer.items() if k != "histogram"}, indent=1))
        else:
            answer = measure(detector, given.folders, given.clips, save, folder)
        save(answer)


if __name__ == "__main__":
    main()
