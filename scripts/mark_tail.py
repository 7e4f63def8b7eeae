"""The tail of unmarked pictures' scores: a generalised Pareto distribution, with intervals by resampling files."""
import math

import numpy as np

# Part of the pictures that is the tail.
SHARE = 0.01
WANTED = 1e-6


def fit(excess, weight):
    """Shape and scale by maximum likelihood; shapes below 0 have an end that nobody can know, so 0 is the least."""
    mean = float(np.average(excess, weights=weight))
    # Grimshaw's reduction to one unknown, theta = shape / scale; theta -> 0 is the exponential.
    thetas = np.concatenate([[0.0], np.geomspace(1e-3, 20, 160)]) / mean
    best = (-math.log(mean) - 1, 0.0, mean)
    for theta in thetas[1:]:
        shape = float(np.average(np.log1p(theta * excess), weights=weight))
        scale = shape / theta
        likelihood = -math.log(scale) - shape - 1
        if likelihood > best[0]:
            best = (likelihood, shape, scale)
    return best[1], best[2]


def free_fit(excess):
    """Shape and scale with any shape above -0.5, to say what the data alone would choose."""
    mean, most = float(excess.mean()), float(excess.max())
    best = (-math.inf, 0.0, mean)
    for theta in np.concatenate([-np.geomspace(1e-3, 0.999, 400) / most, np.geomspace(1e-3, 20, 200) / mean]):
        shape = float(np.log1p(theta * excess).mean())
        scale = shape / theta
        likelihood = -math.log(scale) - shape - 1
        if shape > -0.5 and likelihood > best[0]:
            best = (likelihood, shape, scale)
    return best[1], best[2]


def beyond(score, start, shape, scale):
    """How often the fitted tail reaches a score."""
    over = (score - start) / scale
    return SHARE * (math.exp(-over) if shape < 1e-9 else (1 + shape * over) ** (-1 / shape))


def threshold(start, shape, scale):
    """The score that one in a million reaches."""
    ratio = SHARE / WANTED
    return start + (scale * math.log(ratio) if shape < 1e-9 else scale / shape * (ratio**shape - 1))


def tail_of(scores, counts):
    """Start, shape, scale of the tail of scores that count several times each; falling order."""
    upto = int(np.searchsorted(np.cumsum(counts), SHARE * counts.sum()))
    start, there = scores[upto], counts[:upto] > 0
    return float(start), *fit(scores[:upto][there] - start + 1e-9, counts[:upto][there])


def summary(by_file, own, n_resamples=1000):
    """What `by_file`, scores of each file, say of the threshold."""
    files = list(by_file.values())
    of_file = np.repeat(np.arange(len(files)), [len(f) for f in files])
    scores = np.concatenate([np.array(f) for f in files])
    order = np.argsort(-scores, kind="stable")
    scores, of_file = scores[order], of_file[order]
    sizes = np.array([len(f) for f in files])
    ones = np.ones(len(scores))
    start, shape, scale = tail_of(scores, ones)
    excess = scores[scores > start] - start
    rng, again = np.random.default_rng(1), []
    for _ in range(n_resamples):
        drawn = np.bincount(rng.integers(0, len(files), len(files)), minlength=len(files)).astype(float)
        # Only the top tenth can be in the tail; the rest counts by its number.
        top = len(scores) // 10
        counts = np.append(drawn[of_file[:top]], drawn @ sizes - drawn[of_file[:top]].sum())
        again.append(tail_of(np.append(scores[:top], scores[top - 1]), counts))
    between = lambda f: [float(q) for q in np.quantile([f(*a) for a in again], [0.025, 0.975])]
    at = lambda share: float(scores[min(int(share * len(scores)), len(scores) - 1)])
    bins, n_in = np.unique(np.floor(scores * 10) / 10, return_counts=True)
    own_rate = lambda *a: beyond(own, *a)
    return {
        "pictures": len(scores),
        "files": len(files),
        "scores": {"top half": at(0.5), "top 1e-1": at(0.1), "top 1e-2": at(1e-2), "top 1e-3": at(1e-3), "top 1e-4": at(1e-4), "highest": at(0)},
        "tail": {"share": SHARE, "from": start, "shape": shape, "scale": scale, "free_shape": free_fit(excess)[0], "free_shape_scale": free_fit(excess)[1]},
        "threshold_for_1e-6": threshold(start, shape, scale),
        "interval_95": between(threshold),
        "program_threshold": own,
        "false_alarms_there": own_rate(start, shape, scale),
        "false_alarms_interval_95": between(own_rate),
        "pictures_beyond": int((scores >= own).sum()),
        "histogram": {f"{a:.1f}": int(b) for a, b in zip(bins, n_in)},
    }
