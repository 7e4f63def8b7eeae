#!/usr/bin/env python3
"""Measures whether the invisible mark is found in a capture of the screen that shows effigy's window.

    scripts/mark_screen.py target/release/effigy PORTRAITS CLIPS --secs 3 --out screen.json

Each portrait is driven by each clip in a window on a screen of its own (Xvfb), 1280x720, which FFmpeg captures 25 times a
second: as it is, and as a meeting's screen share codes it. Needs Xvfb, ffmpeg with x11grab, python3 with numpy and opencv.
The outcome is what `scripts/mark_bench.py table` reads.
"""
import argparse, json, os, subprocess, tempfile, time

import cv2
import numpy as np

from mark_attacks import ALONE, N_PICTURES, codec, text
from mark_detector import Detector, clips, stills

SIZE = (1280, 720)


def captured(display, secs):
    """Pictures of the screen, (720, 1280, 3)."""
    grab = ["ffmpeg", "-hide_banner", "-loglevel", "error", "-f", "x11grab", "-draw_mouse", "0", "-framerate", "25"]
    grab += ["-video_size", "%dx%d" % SIZE, "-i", display, "-t", str(secs), "-f", "rawvideo", "-pix_fmt", "bgr24", "-"]
    raw = subprocess.run(grab, capture_output=True, check=True, timeout=secs + 60).stdout
    return list(np.frombuffer(raw, np.uint8).reshape(-1, SIZE[1], SIZE[0], 3))


def note(table, what, pictures, clip, detector):
    row = table.setdefault(what, {"second": [], "picture": [], "clip": [], "run_of_second": 0, "run_of_picture": 0})
    alone = [detector.look([pictures[at]]) for at in ALONE if at < len(pictures)]
    score, _, run = detector.look(pictures)
    row["second"].append(round(score, 2))
    row["picture"] += [round(s, 2) for s, _, _ in alone]
    row["clip"].append(clip)
    # What the run is, only the mark says; read from a picture, it should be the second's.
    row["run_of_second"] += run > 0
    row["run_of_picture"] += sum(r == run and r > 0 for _, _, r in alone)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("effigy")
    parser.add_argument("portraits")
    parser.add_argument("clips")
    parser.add_argument("--secs", type=int, default=3)
    parser.add_argument("--start-secs", type=float, default=4, help="until the window shows pictures")
    parser.add_argument("--display", default=":97")
    parser.add_argument("--out")
    given = parser.parse_args()
    table, x264 = {}, "-c:v libx264 -preset veryfast -b:v "
    with tempfile.TemporaryDirectory() as folder:
        detector = Detector(folder)
        home = {**os.environ, "XDG_CONFIG_HOME": folder, "XDG_STATE_HOME": folder, "DISPLAY": given.display}
        screen = subprocess.Popen(["Xvfb", given.display, "-screen", "0", "%dx%dx24" % SIZE, "-nolisten", "tcp"], stderr=subprocess.DEVNULL)
        try:
            for i, portrait in enumerate(stills([given.portraits])):
                identity = os.path.join(folder, f"{i}.effigy")
                subprocess.run([given.effigy, "enroll", portrait, "-o", identity, "--consent", "synthetic"], env=home, check=True, capture_output=True)
                for j, clip in enumerate(clips([given.clips])):
                    line = [given.effigy, "run", "--no-settings", "--identity", identity, "--source", clip, "--loop", "--sink", "window"]
                    run = subprocess.Popen(line, env=home, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
                    try:
                        time.sleep(given.start_secs)
                        if run.poll() is not None:
                            raise SystemExit(f"mark_screen: effigy ended early: {' '.join(line)}")
                        pictures = captured(given.display, given.secs)
                    finally:
                        run.terminate()
                        run.wait(timeout=30)
                    if given.out and i + j == 0:
                        cv2.imwrite(given.out + ".png", pictures[-1])
                    for at in range(0, len(pictures) - N_PICTURES + 1, N_PICTURES):
                        second = pictures[at : at + N_PICTURES]
                        # A portrait beside a clip counts as a clip does: seconds of one are alike.
                        note(table, "window on a screen, captured", second, 10 * i + j, detector)
                        for rate in ("1M", "500k"):
                            coded = codec(second, x264 + rate, "mp4", folder)
                            note(table, f"captured, H.264 {rate.replace('M', ' Mbit/s').replace('k', ' kbit/s')}", coded, 10 * i + j, detector)
        finally:
            screen.terminate()
            screen.wait(timeout=30)
        print(text(table, detector.look([])[1]))
    if given.out:
        with open(given.out, "w") as file:
            json.dump(table, file)


if __name__ == "__main__":
    main()
