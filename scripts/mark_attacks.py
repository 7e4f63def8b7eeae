"""What marked pictures go through on their way, and whether the mark is found behind it."""
import dataclasses, math, os, re, subprocess

import cv2
import numpy as np

import mark_removal
from mark_detector import SIDE

# Pictures of each second, and those of them that are looked at by themselves.
N_PICTURES = 25
ALONE = (4, 12, 20)


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


def overlaid(pictures):
    """What a streamer's program lays over pictures: a moving, busy inset on a quarter, a half transparent bar with text."""
    for i, picture in enumerate(pictures):
        out = picture.copy()
        inset = cv2.resize(picture, (SIDE // 2, SIDE // 2), interpolation=cv2.INTER_AREA)
        out[: SIDE // 2, SIDE // 2 :] = np.roll(inset[:, ::-1], 7 * i, axis=1)
        bar = out[SIDE - 60 : SIDE - 10]
        bar[:] = bar // 2 + np.array((40, 20, 60), np.uint8)
        cv2.putText(out, f"LIVE {i:04d}", (12 + 2 * i, SIDE - 24), cv2.FONT_HERSHEY_DUPLEX, 1, (255, 255, 255), 2)
        yield out


def framed(picture):
    out = np.full((720, 1280, 3), 28, np.uint8)
    out[:, 280:1000] = cv2.resize(picture, (720, 720), interpolation=cv2.INTER_CUBIC)
    return out


def jpeg(picture, quality):
    return cv2.imdecode(cv2.imencode(".jpg", picture, [1, quality])[1], 1)


@dataclasses.dataclass
class Second:
    """Pictures that follow each other, without and with a mark."""

    plain: list
    marked: list
    run: int
    detector: object


def attacks(folder):
    """What changes a second's marked pictures, by name."""
    each = lambda f: lambda second: [f(p) for p in second.marked]
    curve = lambda f: np.clip(f(np.arange(256.0)), 0, 255).astype(np.uint8)
    lut = lambda f: each(lambda p: cv2.LUT(p, curve(f)))
    gamma = lambda power: lambda v: 255 * (v / 255) ** power
    x264, x265 = "-c:v libx264 -preset veryfast -b:v ", "-c:v libx265 -preset veryfast -x265-params log-level=error -b:v "
    call = " -deadline realtime -cpu-used 8 -b:v "
    coded = lambda arguments, kind, before=list: lambda second: codec(before(second.marked), arguments, kind, folder)
    half = lambda p: cv2.resize(p, None, fx=0.5, fy=0.5, interpolation=cv2.INTER_AREA)
    return {
        "none": each(lambda p: p),
        "MJPEG quality 50": each(lambda p: jpeg(p, 50)),
        "H.264 1 Mbit/s": coded(x264 + "1M", "mp4"),
        "H.264 500 kbit/s": coded(x264 + "500k", "mp4"),
        "H.265 300 kbit/s": coded(x265 + "300k", "mp4"),
        "VP8 500 kbit/s, call settings": coded("-c:v libvpx" + call + "500k", "webm"),
        "VP8 300 kbit/s, call settings": coded("-c:v libvpx" + call + "300k", "webm"),
        "VP9 500 kbit/s, call settings": coded("-c:v libvpx-vp9" + call + "500k", "webm"),
        "VP9 300 kbit/s, call settings": coded("-c:v libvpx-vp9" + call + "300k", "webm"),
        "80 %, gamma 1.2, H.264 500 kbit/s": coded(x264 + "500k", "mp4", lambda all: [cv2.LUT(p[50:462, 50:462], curve(gamma(1.2))) for p in all]),
        "in 1280x720, H.264 1 Mbit/s": coded(x264 + "1M", "mp4", lambda all: [framed(p) for p in all]),
        "scaled to 50 %": each(half),
        "scaled to 200 %": each(lambda p: cv2.resize(p, None, fx=2, fy=2, interpolation=cv2.INTER_CUBIC)),
        "cut to 80 %": each(lambda p: p[51:461, 51:461]),
        "turned by 5 degrees": each(lambda p: turned(p, 5)),
        "brightness + 20 %": lut(lambda v: v * 1.2), "brightness - 20 %": lut(lambda v: v * 0.8),
        "gamma 1.2": lut(gamma(1.2)), "gamma 0.8": lut(gamma(0.8)),
        "saturation + 20 %": each(lambda p: saturated(p, 1.2)), "saturation - 20 %": each(lambda p: saturated(p, 0.8)),
        "overlay on a quarter": each(covered),
        "moving overlay on a quarter, bar, H.264 1 Mbit/s": coded(x264 + "1M", "mp4", lambda all: list(overlaid(all))),
        "mirrored": each(lambda p: p[:, ::-1]),
        "50 %, turned 3 degrees, JPEG 50": each(lambda p: jpeg(turned(half(p), 3), 50)),
        **mark_removal.attacks(),
    }


def interval(k, n):
    """Wilson's 95 % interval."""
    z, p = 1.96, k / n
    mid, half = p + z * z / (2 * n), z * math.sqrt(p * (1 - p) / n + z * z / (4 * n * n))
    return [(mid - half) / (1 + z * z / n), (mid + half) / (1 + z * z / n)]


def seconds_of(name, n):
    """Seconds of a clip, 25 pictures each, evenly over its length; the number of each. At most `n`."""
    video, pictures = cv2.VideoCapture(name), []
    while True:
        there, frame = video.read()
        if not there:
            break
        pictures.append(frame)
    whole = max(len(pictures) // N_PICTURES, 1)
    for at in sorted({int(i * whole / n) for i in range(n)}):
        found = pictures[at * N_PICTURES : (at + 1) * N_PICTURES]
        if found:
            yield found


def measure(detector, named, scratch, n_seconds, only):
    """Scores behind every attack, of pictures alone and of seconds, and whether the run was read; by attack.

    `named` are clips with their numbers. Attacks whose name does not match `only` are left out."""
    table = {}
    chosen = {what: attack for what, attack in attacks(scratch).items() if re.search(only, what)}
    for clip, name in named:
        for at, found in enumerate(seconds_of(name, n_seconds)):
            run = 1 + (clip * 131 + at * 17) % 0xFFFF
            plain = [square(f) for f in found]
            second = Second(plain, [detector.mark(p, run) for p in plain], run, detector)
            for what, attack in chosen.items():
                seen = attack(second)
                alone = [detector.look([seen[at]]) for at in ALONE if at < len(seen)]
                score, _, told = detector.look(seen)
                row = table.setdefault(what, {"second": [], "picture": [], "clip": [], "run_of_second": 0, "run_of_picture": 0})
                row["second"].append(round(score, 2))
                row["picture"] += [round(s, 2) for s, _, _ in alone]
                row["clip"].append(clip)
                row["run_of_second"] += told == run
                row["run_of_picture"] += sum(r == run for _, _, r in alone)
    return table


def join(tables):
    """One table of several."""
    whole = {}
    for table in tables:
        for what, row in table.items():
            into = whole.setdefault(what, {key: type(value)() for key, value in row.items()})
            for key, value in row.items():
                into[key] += value
    return whole


def text(table, threshold):
    """The table as docs/trust.md shows it."""
    lines = [
        "| attack | one picture | seconds | 95 % interval | clips, all seconds found | run read, picture and second | least score | median |",
        "|---|---|---|---|---|---|---|---|",
    ]
    for what, row in table.items():
        pictures, seconds = np.array(row["picture"]), np.array(row["second"])
        one, n = float((pictures >= threshold).mean()), int((seconds >= threshold).sum())
        low, high = interval(n, len(seconds))
        clips, lost = set(row["clip"]), {c for c, s in zip(row["clip"], seconds) if s < threshold}
        runs = f"{row['run_of_picture'] / max(len(pictures), 1):.0%}, {row['run_of_second'] / len(seconds):.0%}"
        lines.append(
            f"| {what} | {one:.1%} | {n} of {len(seconds)} | {low:.1%} to {high:.1%} | {len(clips) - len(lost)} of {len(clips)} | {runs} | {seconds.min():.1f} | {np.median(seconds):.1f} |"
        )
    return "\n".join(lines)
