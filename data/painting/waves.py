"""Breaking waves for the woodblock press: stripes that run from back to hollow, and claws of foam."""

from __future__ import annotations

import numpy as np

from painting.press import KEY_BLOCK, Points, Print, curve

DARK, DEEP, CLEAR, LIGHT = "#1a3768", "#24508c", "#5f93bb", "#dfe6dc"
MIDDLE = "#2f62a0"
BLUES = (DARK, MIDDLE, LIGHT, DEEP, DARK, CLEAR, LIGHT, DEEP, DARK, LIGHT, MIDDLE)


def foam_along(press: Print, crest: Points, size: float) -> None:
    """Claws of foam along a crest: scallops with contours, white inside, and drops thrown ahead of them."""
    rng = press.canvas.rng
    direction = np.gradient(crest, axis=0)
    normal = np.stack([direction[:, 1], -direction[:, 0]], 1) / (np.hypot(*direction.T)[:, None] + 1e-9)
    for layer, (away, scale) in enumerate(((0.9, 1.0), (0.3, 0.85), (-0.35, 0.7))):
        index = np.arange(rng.integers(3), len(crest), 3)
        growth = 0.35 + 0.65 * index / len(crest)
        centers = (
            crest[index] + normal[index] * (away * size * growth)[:, None] + rng.normal(0, size * 0.16, (len(index), 2))
        )
        radii = size * scale * growth * rng.uniform(0.45, 1.0, len(index))
        press.discs(centers, radii + 1.5, KEY_BLOCK)
        press.discs(centers, radii, "#f4efdc" if layer else "#dfe8e0")
        press.discs(centers + radii[:, None] * 0.25, radii * 0.5, ("#c2d8da", "#dbe6df", "#f7f2e2")[layer])
    for place in range(len(crest) // 3, len(crest), 5):  # hooks that claw forwards
        tip = crest[place] + normal[place] * size * rng.uniform(1.6, 2.2) + (0, size * 0.9)
        hook = curve(tuple(crest[place]), tuple(crest[place] + normal[place] * size * 1.5), tuple(tip), count=24)
        press.line(hook, size * 0.62, KEY_BLOCK)
        press.line(hook[1:-2], size * 0.36, "#f4efdc")
    count = int(6 * size)
    base = crest[rng.integers(len(crest) // 3, len(crest), count)]
    spray = base + np.abs(rng.normal(0, size * 2.2, (count, 1))) * rng.uniform((-0.4, -1.2), (1.4, 0.5), (count, 2))
    press.discs(spray, rng.uniform(0.8, 2.8, count), "#f6f1df")


def breaking_wave(press: Print, back: Points, hollow: Points, foam: float) -> None:
    """A breaking wave between its back and its hollow, striped in BLUES from one curve to the other."""
    press.block(np.concatenate([back, hollow[::-1]]), "#22497f", contour=2.6)
    edges = np.linspace(0, 1, len(BLUES) + 1) ** 0.9
    for color, start, end in zip(BLUES, edges[:-1], edges[1:], strict=True):
        first, second = back * (1 - start) + hollow * start, back * (1 - end) + hollow * end
        press.block(np.concatenate([first, second[::-1]]), color)
        press.line(second, 1.9)
    foam_along(press, back[len(back) // 3 :], foam)
