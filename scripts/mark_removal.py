"""Attacks by somebody who wants the mark gone: averaging, smoothing, painting anew, taking the known pattern off."""
import cv2
import numpy as np

# A patch of 16 x 16 is painted anew from so many of its 256 principal components.
PATCH, STEP, KEPT = 16, 8, 24
RUNS = (101, 20202, 3333, 44444, 55555)


def whole(pictures):
    return [np.clip(p, 0, 255).round().astype(np.uint8) for p in pictures]


def averaged_off(second, factor):
    """Takes off what all pictures have in common of what is faint: the mark stands still, the person moves."""
    fine = [p.astype(np.float32) - cv2.GaussianBlur(p.astype(np.float32), (0, 0), 10) for p in second.marked]
    common = np.mean([f.clip(-4, 4) for f in fine], axis=0) * factor
    return whole(p - common for p in second.marked)


def moving_mean(second, n):
    """Each picture becomes the mean of `n` that follow each other."""
    pictures = second.marked
    return whole(np.mean(pictures[i : i + n], axis=0) for i in range(len(pictures) - n + 1))


def of_several_runs(second):
    """The mean of the same pictures as five runs make them."""
    return whole(np.mean([second.detector.mark(p, run) for run in RUNS], axis=0) for p in second.plain[:5])


def pattern_off(second, factor):
    """Takes the pattern off by one who has this program and read the run: marks again, and goes as far the other way."""
    again = (second.detector.mark(p, second.run).astype(np.float32) - p for p in second.marked)
    return whole(p - factor * pattern for p, pattern in zip(second.marked, again))


def patches_of(grey):
    places = [(y, x) for y in range(0, grey.shape[0] - PATCH + 1, STEP) for x in range(0, grey.shape[1] - PATCH + 1, STEP)]
    return places, np.array([grey[y : y + PATCH, x : x + PATCH].ravel() for y, x in places])


def painted_anew(second, n):
    """A linear autoencoder of patches, learned from the same clip without a mark, which no attacker has."""
    learned = np.concatenate([patches_of(cv2.cvtColor(p, cv2.COLOR_BGR2GRAY).astype(np.float32))[1] for p in second.plain[::8]])
    mean = learned.mean(axis=0)
    directions = np.linalg.eigh(np.cov((learned - mean).T))[1][:, -KEPT:]
    for picture in second.marked[:n]:
        colours = cv2.cvtColor(picture, cv2.COLOR_BGR2YCrCb)
        places, patches = patches_of(colours[..., 0].astype(np.float32))
        again = (patches - mean) @ directions @ directions.T + mean
        total, weight = np.zeros(picture.shape[:2]), np.zeros(picture.shape[:2])
        for (y, x), patch in zip(places, again):
            total[y : y + PATCH, x : x + PATCH] += patch.reshape(PATCH, PATCH)
            weight[y : y + PATCH, x : x + PATCH] += 1
        colours[..., 0] = whole([total / weight])[0]
        yield cv2.cvtColor(colours, cv2.COLOR_YCrCb2BGR)


def without_grain(picture):
    """Non-local means of the brightness, which is all that the detector looks at."""
    colours = cv2.cvtColor(picture, cv2.COLOR_BGR2YCrCb)
    colours[..., 0] = cv2.fastNlMeansDenoising(colours[..., 0], None, 5, 5, 11)
    return cv2.cvtColor(colours, cv2.COLOR_YCrCb2BGR)


def coded(picture, kind, quality):
    option = cv2.IMWRITE_JPEG_QUALITY if kind == ".jpg" else cv2.IMWRITE_WEBP_QUALITY
    return cv2.imdecode(cv2.imencode(kind, picture, [option, quality])[1], 1)


def cascade(picture):
    """What a picture goes through that is passed on from service to service."""
    side = picture.shape[0]
    small = cv2.resize(coded(picture, ".jpg", 40), None, fx=0.75, fy=0.75, interpolation=cv2.INTER_AREA)
    back = cv2.resize(coded(small, ".webp", 30), (side, side), interpolation=cv2.INTER_CUBIC)
    return coded(back, ".jpg", 40)


def small_and_sharpened(picture, factor):
    side = picture.shape[0]
    small = cv2.resize(picture, None, fx=factor, fy=factor, interpolation=cv2.INTER_AREA)
    back = cv2.resize(small, (side, side), interpolation=cv2.INTER_LANCZOS4)
    return cv2.addWeighted(back, 1.8, cv2.GaussianBlur(back, (0, 0), 2), -0.8, 0)


def attacks():
    each = lambda f: lambda second: [f(p) for p in second.marked]
    few = lambda f: lambda second: [f(p) for p in second.marked[:5]]
    return {
        "mean of 5 pictures that follow": lambda s: moving_mean(s, 5),
        "mean over 5 runs (5 pictures)": of_several_runs,
        "mean of the second taken off": lambda s: averaged_off(s, 1),
        "twice that": lambda s: averaged_off(s, 2),
        "JPEG 40, 75 %, WebP 30, JPEG 40": each(cascade),
        "50 %, back, sharpened": each(lambda p: small_and_sharpened(p, 0.5)),
        "25 %, back, sharpened": each(lambda p: small_and_sharpened(p, 0.25)),
        "blur, sigma 2 px": each(lambda p: cv2.GaussianBlur(p, (0, 0), 2)),
        "blur, sigma 4 px": each(lambda p: cv2.GaussianBlur(p, (0, 0), 4)),
        "median of 5 px": each(lambda p: cv2.medianBlur(p, 5)),
        "bilateral, 9 px": each(lambda p: cv2.bilateralFilter(p, 9, 40, 9)),
        "non-local means (5 pictures)": few(without_grain),
        "linear autoencoder of patches (5 pictures)": lambda s: list(painted_anew(s, 5)),
        "known pattern taken off": lambda s: pattern_off(s, 1),
        "known pattern taken off at half strength": lambda s: pattern_off(s, 0.5),
    }
