"""The program's own embedder and detector of the invisible mark (web/verify/detector.rs), compiled for this machine."""
import ctypes, os, subprocess

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
        """A copy of a square BGR picture with the mark of `run`."""
        rgba = cv2.cvtColor(picture, cv2.COLOR_BGR2RGBA)
        self.lib.effigy_mark(rgba.ctypes.data, rgba.shape[0], run)
        return cv2.cvtColor(rgba, cv2.COLOR_RGBA2BGR)


def files(folders, endings):
    names = (os.path.join(at, n) for f in folders for at, _, found in os.walk(f) for n in found)
    return sorted(n for n in names if n.lower().endswith(endings))


def clips(folders):
    return files(folders, (".mp4", ".mkv", ".webm"))


def stills(folders):
    return files(folders, (".jpg", ".jpeg", ".png", ".webp"))
