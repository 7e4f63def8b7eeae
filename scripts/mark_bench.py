#!/usr/bin/env python3
"""Measures the invisible mark with the program's own detector (web/verify/detector.rs, compiled for this machine).

    scripts/mark_bench.py unmarked FOLDER... --part 1/10 --out u1.json   scores of pictures without a mark
    scripts/mark_bench.py seconds FOLDER... --part 1/10 --out s1.json    the same of whole seconds of clips
    scripts/mark_bench.py tiles --pictures 3000 --out t.json             the same of textures that repeat
    scripts/mark_bench.py tail u1.json u2.json ... [--out FILE]          the tail of such scores, and the threshold
    scripts/mark_bench.py attacks FOLDER... --part 1/4 --out a1.json     what the mark survives; --seconds 2 of each clip
    scripts/mark_bench.py table a1.json a2.json ... [--out FILE]         the table of that
    scripts/mark_bench.py roc tail.json table.json --out roc.svg         found against false alarms, from the outcomes of both
    scripts/mark_bench.py pictures PHOTO --out mark.webp                 a wall and a face, marked and not, and the difference

Needs python3 with numpy and opencv; `attacks` needs ffmpeg. The folders hold clips and pictures without a mark.
Work is cut into parts that can run one after the other; their files are put together by `tail` and `table`.
"""
import argparse, json, tempfile

import cv2

import mark_attacks, mark_pictures, mark_roc, mark_tail, mark_unmarked
from mark_detector import Detector, clips


def part_of(text):
    at, of = map(int, text.split("/"))
    if not 1 <= at <= of:
        raise argparse.ArgumentTypeError("expected such as 1/10")
    return at - 1, of


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("what", choices=["unmarked", "seconds", "tiles", "tail", "attacks", "table", "roc", "pictures"])
    parser.add_argument("names", nargs="*", help="folders, or files of scores")
    parser.add_argument("--part", type=part_of, default=(0, 1))
    parser.add_argument("--pictures", type=int, default=3000)
    parser.add_argument("--seconds", type=int, default=1, help="seconds of each clip")
    parser.add_argument("--only", default="", help="only attacks whose name matches this (a regular expression)")
    parser.add_argument("--out")
    given = parser.parse_args()
    cv2.setNumThreads(1)
    with tempfile.TemporaryDirectory() as folder:
        detector, (part, parts) = Detector(folder), given.part
        threshold = detector.look([])[1]
        if given.what == "unmarked":
            answer = mark_unmarked.scores(detector, given.names, part, parts)
        elif given.what == "seconds":
            answer = mark_unmarked.seconds(detector, given.names, part, parts)
        elif given.what == "tiles":
            answer = mark_unmarked.tiled(detector, given.pictures, part)
        elif given.what == "attacks":
            named = list(enumerate(clips(given.names)))[part::parts]
            answer = mark_attacks.measure(detector, named, folder, given.seconds, given.only)
        elif given.what == "pictures":
            cv2.imwrite(given.out, mark_pictures.sheet(detector, given.names[0]), [cv2.IMWRITE_WEBP_QUALITY, 101])
            return
        elif given.what == "roc":
            tail, table = (json.load(open(name)) for name in given.names)
            answer = mark_roc.svg(tail, table)
        else:
            read = [json.load(open(name)) for name in given.names]
            if given.what == "table":
                answer = mark_attacks.join(read)
                print(mark_attacks.text(answer, threshold))
            else:
                by_file = {}
                for name, scores in (item for one in read for item in one.items()):
                    by_file.setdefault(name, []).extend(scores)
                answer = mark_tail.summary(by_file, threshold)
                print(json.dumps({k: v for k, v in answer.items() if k != "histogram"}, indent=1))
    if given.out:
        with open(given.out, "w") as file:
            file.write(answer if isinstance(answer, str) else json.dumps(answer))


if __name__ == "__main__":
    main()
