"""The receiver's operating characteristic: how often the mark is found against how often chance alone makes the score."""
import math

import numpy as np

from mark_tail import beyond

SHOWN = (
    "none",
    "H.264 500 kbit/s",
    "VP8 300 kbit/s, call settings",
    "80 %, gamma 1.2, H.264 500 kbit/s",
    "50 %, turned 3 degrees, JPEG 50",
    "mean of the second taken off",
)
COLOURS = ("#333333", "#0072b2", "#d55e00", "#009e73", "#cc79a7", "#b8860b")
# Powers of ten of false alarms, and the plot in pixels.
FROM, TO = -9, -1
LEFT, TOP, WIDTH, HEIGHT = 60, 20, 560, 320


def alarms(tail):
    """False alarms a picture by score: counted where a hundred pictures or more reach it, fitted beyond."""
    counts = sorted(((float(at), n) for at, n in tail["histogram"].items()), reverse=True)
    fit, total, found, at_or_above = tail["tail"], tail["pictures"], {}, 0
    for start, n in counts:
        at_or_above += n
        found[start] = at_or_above / total
    return lambda score: found.get(round(math.floor(score * 10) / 10, 1), 1.0) if score < fit["from"] else beyond(score, fit["from"], fit["shape"], fit["scale"])


def svg(tail, table):
    """Solid: one picture; dashed: one second. Left of the dotted line is the program's threshold's side."""
    rate = alarms(tail)
    scores = np.arange(4.0, 9.0, 0.05)
    x_of = lambda p: LEFT + (math.log10(max(p, 10.0**FROM)) - FROM) / (TO - FROM) * WIDTH
    y_of = lambda share: TOP + (1 - share) * HEIGHT
    lines = [
        f'<svg xmlns="http://www.w3.org/2000/svg" width="{LEFT + WIDTH + 20}" height="{TOP + HEIGHT + 60 + 18 * len(SHOWN)}" font-family="sans-serif" font-size="12">',
        '<rect width="100%" height="100%" fill="white"/>',
    ]
    for power in range(FROM, TO + 1):
        x = x_of(10.0**power)
        lines += [f'<path d="M{x:.1f} {TOP}V{TOP + HEIGHT}" stroke="#ddd"/>', f'<text x="{x:.1f}" y="{TOP + HEIGHT + 16}" text-anchor="middle">1e{power}</text>']
    for share in (0, 0.25, 0.5, 0.75, 1):
        y = y_of(share)
        lines += [f'<path d="M{LEFT} {y:.1f}H{LEFT + WIDTH}" stroke="#ddd"/>', f'<text x="{LEFT - 6}" y="{y + 4:.1f}" text-anchor="end">{share:.0%}</text>']
    own = x_of(rate(tail["program_threshold"]))
    lines += [f'<path d="M{own:.1f} {TOP}V{TOP + HEIGHT}" stroke="black" stroke-dasharray="2 3"/>']
    lines += [f'<text x="{LEFT + WIDTH / 2}" y="{TOP + HEIGHT + 34}" text-anchor="middle">false alarms a look (counted down to one in a hundred, fitted tail below)</text>']
    for i, (what, colour) in enumerate((w, c) for w, c in zip(SHOWN, COLOURS) if w in table):
        for kind, dash in (("picture", ""), ("second", ' stroke-dasharray="6 4"')):
            found = np.array(table[what][kind])
            points = [(x_of(rate(s)), y_of(float((found >= s).mean()))) for s in scores if 10.0**FROM <= rate(s) <= 10.0**TO]
            path = " ".join(f"{x:.1f},{y:.1f}" for x, y in points)
            lines.append(f'<polyline points="{path}" fill="none" stroke="{colour}" stroke-width="1.6"{dash}/>')
        y = TOP + HEIGHT + 54 + 18 * i
        lines += [f'<path d="M{LEFT} {y - 4}h24" stroke="{colour}" stroke-width="3"/>', f'<text x="{LEFT + 32}" y="{y}">{what}</text>']
    lines.append(f'<text x="{LEFT + WIDTH}" y="{TOP + HEIGHT + 54}" text-anchor="end">solid: one picture; dashed: one second; dotted: threshold</text>')
    return "\n".join(lines + ["</svg>"]) + "\n"
