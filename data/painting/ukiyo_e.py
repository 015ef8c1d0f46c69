"""Ukiyo-e: flat colours printed from wood with key-block contours, graded skies and the grain of plank and paper."""

from __future__ import annotations

import numpy as np
from PIL import Image

from painting.canvas import Canvas, Painting, gradient, smooth
from painting.press import KEY_BLOCK, Points, Print, curve
from painting.waves import breaking_wave


def great_wave(size: int) -> Image.Image:
    """A wave about to break over two boats, a snow peak far off between the crests."""
    canvas = Canvas(size, seed=1831, ground="#e9dcb9")
    press = Print(canvas)
    x, y = canvas.x, canvas.y
    sky = gradient(y, [(0, "#8a8f94"), (60, "#b9b3a0"), (190, "#e8d5ae"), (330, "#f0dfba")])
    press.block(np.ones_like(x), sky)
    press.block(
        smooth(0.1, 0.5, canvas.noise(60, 2, stretch=5)) * smooth(60, 120, y) * smooth(280, 200, y), "#f3e8cd", 0.7
    )
    peak = np.concatenate(
        [curve((330, 372), (400, 330), (446, 288), (462, 281)), curve((470, 282), (478, 284), (520, 322), (610, 372))]
    )
    press.block(peak, gradient(y, [(281, "#2f5288"), (372, "#7f9cb4")]), contour=2)
    snow = np.array(
        [
            (446, 288),
            (462, 280),
            (474, 283),
            (500, 305),
            (494, 322),
            (484, 308),
            (476, 330),
            (466, 309),
            (456, 327),
            (449, 306),
            (436, 317),
            (428, 304),
        ]
    )
    press.block(snow, "#f7f2e4", contour=1.5)
    sea = np.concatenate(
        [curve((0, 400), (150, 380), (300, 372), (420, 366), (520, 372), (640, 352)), [(640, 520), (0, 520)]]
    )
    press.block(sea, gradient(y, [(360, "#7fa6b8"), (430, "#2f629c"), (512, "#16315f")]), contour=2)
    hollow = curve(
        (420, 560), (330, 452), (258, 400), (216, 330), (216, 250), (262, 192), (322, 178), (356, 206), count=200
    )
    back = curve((-150, 560), (-60, 420), (20, 240), (80, 140), (160, 76), (240, 66), (312, 110), (356, 206), count=200)
    left, low = 292, 420  # a long boat slides down the trough
    hull = [curve((left, low - 20), (left + 70, low + 8), (left + 150, low + 2), (left + 216, low - 32))]
    hull.append(curve((left + 216, low - 38), (left + 150, low - 10), (left + 70, low - 6), (left, low - 20)))
    press.block(np.concatenate(hull), "#d8b676", contour=2)
    for seat in range(7):
        place = np.array([(left + 52.0 + 18 * seat, low - 9.0)])
        for lift, radius, color in ((0, 8.5, KEY_BLOCK), (0, 6.8, "#3f6f9a"), (8, 5.0, KEY_BLOCK), (8, 3.8, "#ecd2a4")):
            press.discs(place - (0, lift), np.array([radius]), color)
    breaking_wave(press, back, hollow, 15)
    front = curve((300, 560), (360, 470), (430, 408), (510, 392), (566, 428)) + (24, 8)  # a nearer, smaller wave
    inner = curve((640, 560), (560, 520), (514, 484), (524, 440), (566, 428)) + (24, 8)
    breaking_wave(press, front, inner, 9)
    swell = curve((-10, 506), (90, 476), (220, 494), (330, 478), (470, 500), (560, 470), (650, 462))
    for step, color in enumerate(("#e3e8dc", "#2a5c9a", "#17315f", "#5f93bb")):
        press.block(np.concatenate([swell + (0, 9 * step), [(650, 530), (-10, 530)]]), color, contour=1.8)
    return press.finish()


def red_mountain(size: int) -> Image.Image:
    """A volcano red in the dawn, forest at its foot, rows of small clouds in a deep sky."""
    canvas = Canvas(size, seed=1830, ground="#e9dcb9")
    press = Print(canvas)
    x, y, rng = canvas.x, canvas.y, canvas.rng
    press.block(np.ones_like(x), gradient(y, [(0, "#17386f"), (60, "#2f6199"), (170, "#6fa3bc"), (330, "#c9d8c4")]))
    for row in range(11):  # mackerel sky: long flat clouds, scalloped above
        low = 44 + row * 27 + rng.normal(0, 4)
        for _ in range(3):
            start, span = rng.uniform(-80, 560), rng.uniform(70, 250)
            puffs = np.linspace(start, start + span, int(span / 9))
            round_off = np.sin(np.pi * np.linspace(0.03, 0.97, len(puffs))) ** 0.7
            centers = np.stack([puffs, low - rng.uniform(0, 3, len(puffs))], 1)
            press.discs(centers, 6.6 * round_off * rng.uniform(0.6, 1.1, len(puffs)) + 2.2, "#3f74a4")
            press.discs(centers + (0, 0.5), 6.0 * round_off * rng.uniform(0.6, 1.1, len(puffs)) + 1.0, "#f2ead4")
    left = curve((-20, 470), (120, 420), (240, 330), (330, 210), (386, 128))
    right = curve((424, 124), (470, 196), (540, 290), (660, 382))
    mountain = np.concatenate(
        [left, curve((386, 128), (398, 118), (410, 124), (424, 124), count=20), right, [(660, 520), (-20, 520)]]
    )
    red = gradient(
        y + 0.12 * (x - 400),
        [(110, "#3a1f2a"), (160, "#6f2a26"), (240, "#b5432a"), (340, "#cf6a3c"), (430, "#8f7a44"), (512, "#3f5a3a")],
    )
    press.block(mountain, red, contour=2.8)

    def cleft(across: float, start: float, end: float) -> Points:
        """A line down the slope: ``across`` 0 at the left outline and 1 at the right, heights as shares."""
        row = 126 + 330 * np.linspace(start, end, 24)
        sides = np.interp(row, left[::-1, 1], left[::-1, 0]), np.interp(row, right[:, 1], right[:, 0])
        return np.stack([sides[0] + (sides[1] - sides[0]) * across + 1.8 * np.sin(row / 9 + 20 * across), row], 1)

    for _ in range(130):  # gullies run down from the rim
        start, color = rng.uniform(0.02, 0.6), ("#5a1f20", "#8f3222", "#e08a54")[rng.integers(3)]
        press.line(cleft(rng.uniform(0.03, 0.97), start, start + rng.uniform(0.08, 0.3)), rng.uniform(1.2, 3.4), color)
    for across in np.linspace(0.04, 0.96, 21):  # snow left in the upper clefts
        press.line(cleft(across, -0.01, rng.uniform(0.13, 0.34)), rng.uniform(2.5, 5.5), "#f6f0e0")
    edge = 436 - 46 * np.sin(np.linspace(-0.5, 3.3, 200)) + 5 * np.sin(np.linspace(0, 60, 200))
    forest = np.stack([np.linspace(-10, 650, 200), edge], 1)
    press.block(
        np.concatenate([forest, [(650, 520), (-10, 520)]]),
        gradient(y, [(380, "#6a7f42"), (450, "#2f5a44"), (512, "#17333a")]),
    )
    for row in np.linspace(-14, 110, 26):
        place = rng.uniform(-10, 650, 62)
        ground = np.maximum(np.interp(place, *forest.T), np.interp(place, *left.T) + 16) + row + rng.normal(0, 2.5, 62)
        trees = np.stack([place, ground], 1)
        height = 2.4 + max(row, 0) * 0.045
        press.discs(trees + (0.7, 1), np.full(62, height), "#142c33")
        press.discs(trees, np.full(62, height * 0.75), ("#56793f", "#3f6a44", "#86954a")[rng.integers(3)])
    return press.finish()


def moon_bridge(size: int) -> Image.Image:
    """Autumn moon over an arched bridge, geese passing, pampas grass in the wind."""
    canvas = Canvas(size, seed=1857, ground="#e9dcb9")
    press = Print(canvas)
    x, y, rng = canvas.x, canvas.y, canvas.rng
    press.block(np.ones_like(x), gradient(y, [(0, "#10244f"), (120, "#27548c"), (260, "#7fa9b8"), (330, "#d9d3b4")]))
    moon = smooth(77, 75.5, np.hypot(x - 452, y - 132))
    press.block(moon, gradient(y, [(56, "#fbf3d4"), (208, "#f0d694")]))
    for row, left, right in ((96.0, 250.0, 470.0), (166, 410, 640), (186, 300, 520)):  # bars of mist across the moon
        bar = np.concatenate(
            [
                curve((left, row), (left + 40, row - 6), (right - 60, row - 3), (right, row + 1)),
                curve((right, row + 1), (right - 50, row + 8), (left + 60, row + 7), (left, row)),
            ]
        )
        press.block(bar, "#4f7fa4", 0.55)
    ridge = curve((-10, 286), (70, 262), (150, 276), (240, 240), (330, 272), (430, 284), (540, 258), (650, 280))
    press.block(
        np.concatenate([ridge, [(650, 345), (-10, 345)]]),
        gradient(y, [(240, "#33587f"), (335, "#b3bfae")]),
        contour=1.6,
    )
    press.block(smooth(330, 334, y), gradient(y, [(330, "#c4cdb4"), (390, "#4f88aa"), (512, "#143264")]))
    glint = smooth(0.55, 0.8, np.sin(y / 3.4 + canvas.noise(60, stretch=3)) + 0.3 * canvas.noise(20, stretch=4))
    press.block(glint * np.exp(-(((x - 452) / (40 + (y - 330) * 0.35)) ** 2)) * (y > 336), "#f4e6b8")
    for _ in range(70):
        left, row = rng.uniform(-20, 640), 340 + 170 * rng.random() ** 0.8
        span = 20 + (row - 330) * 0.4
        press.line(
            curve(
                (left, row), (left + span * 0.3, row - 2.5), (left + span * 0.7, row + 2), (left + span, row), count=30
            ),
            1.5,
            "#1d4278",
        )
    deck = curve((-20, 398), (110, 336), (250, 298), (360, 302), (470, 342), (580, 402), (640, 440))
    for place in np.linspace(12, 560, 9):
        top = np.interp(place, deck[:, 0], deck[:, 1])
        for offset in (-9, 9):
            post = np.array(
                [
                    (place + offset - 4, top),
                    (place + offset + 4, top),
                    (place + offset + 5, 500 - abs(place - 300) * 0.06),
                    (place + offset - 5, 500 - abs(place - 300) * 0.06),
                ]
            )
            press.block(post, gradient(x - place - offset, [(-5, "#b98a54"), (5, "#5f3d2c")]), contour=1.6)
        press.block(
            np.array([(place - 18, top + 44), (place + 18, top + 44), (place + 18, top + 51), (place - 18, top + 51)]),
            "#7a5236",
            contour=1.4,
        )
    press.block(np.concatenate([deck, (deck + (0, 19))[::-1]]), "#c8965a", contour=2.4)
    press.block(np.concatenate([deck + (0, 12), (deck + (0, 19))[::-1]]), "#7a4a30")
    for place, tall, coat in (
        (196, 40, "#b5432a"),
        (226, 37, "#2f5a7a"),
        (372, 38, "#4f6a44"),
        (424, 36, "#8a3f5a"),
    ):  # travellers
        foot = np.interp(place, deck[:, 0], deck[:, 1]) + 2
        robe = np.array(
            [
                (place - 4, foot - tall * 0.78),
                (place + 4, foot - tall * 0.78),
                (place + 9, foot - tall * 0.3),
                (place + 6, foot),
                (place - 7, foot),
                (place - 8, foot - tall * 0.3),
            ]
        )
        press.block(robe, coat, contour=1.5)
        press.block(
            np.array([(place - 14, foot - tall * 0.74), (place, foot - tall * 1.02), (place + 14, foot - tall * 0.74)]),
            "#e6c98a",
            contour=1.5,
        )
    for lift in (-26, -15):
        press.line(deck + (0, lift), 4.2, KEY_BLOCK, taper=False)
        press.line(deck + (0, lift), 2.2, "#c25a34", taper=False)
    for place in np.linspace(-4, 620, 22):
        top = np.interp(place, deck[:, 0], deck[:, 1])
        press.block(
            np.array(
                [(place - 2.6, top - 30), (place + 2.6, top - 30), (place + 2.6, top + 3), (place - 2.6, top + 3)]
            ),
            "#c25a34",
            contour=1.3,
        )
    for number in range(9):  # a skein of geese
        px, py = 70 + 36 * number, 176 - 12 * number + 9 * (number % 2)
        wing = 14 - 0.7 * number
        for side in (-1, 1):
            press.line(
                curve(
                    (px, py),
                    (px + side * wing * 0.5, py - wing * 0.55),
                    (px + side * wing * 1.3, py - wing * 0.2),
                    count=24,
                ),
                4.2,
                "#0f1c38",
            )
        press.line(curve((px - 4, py - 1), (px + 3, py + 1), (px + wing, py + 3), count=20), 4.0, "#0f1c38")
    for _ in range(46):  # pampas grass in front
        root, lean, stalk = rng.uniform(-10, 190), rng.uniform(20, 120), rng.uniform(70, 190)
        stem = curve((root, 520), (root + lean * 0.25, 520 - stalk * 0.6), (root + lean, 520 - stalk), count=40)
        press.line(stem, 3.0, ("#4f6a3a", "#7f8a4a", "#2f4a3a")[rng.integers(3)])
        if rng.random() < 0.5:
            for spread in np.linspace(-0.5, 0.9, 7):
                tip = stem[-1] + 34 * np.array([np.cos(spread - 0.5), np.sin(spread - 0.5) + 0.35])
                press.line(
                    curve(tuple(stem[-4]), tuple((stem[-1] + tip) / 2 - (0, 5)), tuple(tip), count=16),
                    3.2,
                    ("#f1e6c8", "#d9bf8a")[rng.integers(2)],
                )
    return press.finish()


PAINTINGS: dict[str, Painting] = {"great_wave": great_wave, "red_mountain": red_mountain, "moon_bridge": moon_bridge}
