"""Chinese ink painting: wet washes and dry brushes of black on absorbent paper, much of it left empty, a red seal."""

from __future__ import annotations

import numpy as np
from PIL import Image

from painting.canvas import Canvas, Painting, smooth
from painting.scroll import Points, Scroll, path


def _pine(scroll: Scroll, x: float, foot: float, tall: float, ink: float) -> None:
    """A small pine: a leaning trunk and flat tiers of needles."""
    rng = scroll.canvas.rng
    lean = rng.normal(0, tall * 0.12)
    trunk = path((x, foot), (x - lean * 0.4, foot - tall * 0.5), (x + lean, foot - tall), count=14)
    scroll.brush(trunk, np.linspace(tall * 0.07 + 1, 1.2, 14), ink, dry=0.35)
    for tier in np.linspace(0.36, 1.0, 7):
        px, py = trunk[min(int(tier * 13), 13)]
        side = rng.choice([-1, 1])
        reach = tall * (0.40 - 0.22 * tier) * rng.uniform(0.8, 1.3)
        tip = px + side * reach * 1.1, py - reach * 0.12
        scroll.brush(path((px, py + reach * 0.2), tip, count=8), tall * 0.016 + 0.9, ink * 0.9, dry=0.2)
        for share in np.linspace(-0.25, 1.1, int(4 + reach * 0.22)):
            qx, qy = px + (tip[0] - px) * share, py + (tip[1] - py) * share + rng.normal(0, tall * 0.014)
            for turn in np.linspace(-2.6, -0.55, 5):
                long = (2.5 + tall * 0.065) * rng.uniform(0.7, 1.2)
                needle = np.array([(qx, qy), (qx + long * np.cos(turn), qy + 0.8 * long * np.sin(turn))])
                scroll.brush(needle, 0.9 + tall * 0.006, ink * rng.uniform(0.45, 0.95), dry=0.1)


def mountains_in_mist(size: int) -> Image.Image:
    """Peaks rise out of drifting mist, one behind the other; pines, a boat on empty water."""
    canvas = Canvas(size, seed=1072, ground="#f1e8d3", width=512, height=640)
    scroll, rng, x, y = Scroll(canvas), canvas.rng, canvas.x, canvas.y
    ranges = (  # peaks (x, top, half width), where the mist begins, how dark
        (((90, 150, 70), (190, 96, 62), (420, 170, 80), (500, 130, 60)), 250, 0.28),
        (((300, 60, 58), (236, 130, 66), (380, 176, 60), (20, 230, 80)), 370, 0.62),
        (((120, 236, 62), (60, 300, 66), (184, 330, 52)), 480, 1.05),
        (((460, 336, 74), (520, 300, 60), (390, 420, 60)), 560, 1.25),
    )
    for peaks, mist, dark in ranges:
        column = np.linspace(0, canvas.width, 1025)
        ridge = np.full_like(column, 900.0)
        for place, top, half in peaks:
            away = np.abs(column - place) / half
            ridge = np.minimum(ridge, top + 96 * away**1.5 + 60 * np.maximum(away - 0.75, 0) ** 1.3 * 3)
        for frequency, swing in ((0.11, 5.0), (0.27, 3.0), (0.7, 1.6)):
            ridge += swing * np.sin(column * frequency + rng.uniform(0, 6) + 2 * np.sin(column * frequency * 0.37))
        below = y - np.interp(x, column, ridge).astype(np.float32)
        fade = smooth(mist, mist - 190, y + 24 * canvas.noise(70, 2))
        body = smooth(0, 3, below) * fade
        folds = smooth(-0.6, 1.3, canvas.noise(34, 3, stretch=0.35) + 0.5 * np.sin(x / 11 + canvas.noise(60)))
        scroll.ink *= 1 - 0.8 * smooth(0, 3, below) * smooth(mist + 60, mist - 60, y)
        scroll.wash(body * (0.18 + 0.5 * folds + 0.4 * np.exp(-below.clip(0) / 16)), dark * 0.85)
        for _ in range(int(210 * dark)):  # axe-cut strokes give the rock its grain
            px = rng.uniform(0, canvas.width)
            start = np.interp(px, column, ridge) + rng.exponential(48)
            if start > mist - 50:
                continue
            slope = (np.interp(px + 6, column, ridge) - np.interp(px - 6, column, ridge)) / 12
            lean, long = np.clip(0.32 / (slope + np.sign(slope) * 0.3 + 1e-3), -0.8, 0.8), rng.uniform(14, 44)
            cut = path(
                (px, start),
                (px + lean * long * 0.4 + rng.normal(0, 2), start + long * 0.5),
                (px + lean * long, start + long),
                count=10,
            )
            shade = dark * rng.uniform(0.4, 1.15) * float(np.clip((mist - start) / 120, 0, 1))
            scroll.brush(cut, np.linspace(rng.uniform(3, 7), 1.5, 10), shade, dry=0.8)
        outline = np.stack([column, ridge], 1)[::8]
        for first in range(0, len(outline) - 12, 10):
            piece = outline[first : first + 13]
            if piece[:, 1].max() < mist - 70:
                scroll.brush(piece, rng.uniform(2, 4.2), dark * rng.uniform(0.5, 0.95), dry=0.55)
        for _ in range(int(22 * dark**2)):
            px = rng.uniform(0, canvas.width)
            foot = np.interp(px, column, ridge) + 3
            if foot < mist - 100:
                _pine(scroll, px, foot, rng.uniform(12, 20) + 15 * dark, min(dark, 1.15))
    for place, row, long in ((150, 520, 120), (60, 566, 200), (300, 600, 150), (420, 628, 130), (190, 632, 80)):
        bank = path((place - long / 2, row), (place, row - 6), (place + long / 2, row + 2))
        scroll.brush(bank, np.linspace(9, 3, 40), 0.42, dry=0.8)
    for px, tall in ((26, 84), (58, 118), (92, 92), (128, 66)):
        _pine(scroll, px, 566 + rng.normal(0, 4), tall, 1.25)
    scroll.brush(
        path((256, 566), (282, 575), (318, 574), (346, 562), count=24), np.linspace(3, 5, 24), 1.4, dry=0.2
    )  # boat
    scroll.brush(path((284, 568), (300, 554), (318, 567), count=16), 4.5, 0.9, dry=0.35)
    scroll.brush(path((330, 566), (333, 548), count=8), 5, 1.3, dry=0.1)
    scroll.brush(path((323, 546), (333, 540), (343, 546), count=8), 3, 1.4, dry=0.1)
    scroll.brush(path((338, 552), (372, 590), count=10), 1.3, 1.0, dry=0.1)
    for row in (582, 590, 598):
        scroll.brush(path((262 + row % 7, row), (340 + row % 11, row + 1)), 1.6, 0.3, dry=0.9)
    for number in range(5):
        px, py = 380 + 17 * number, 96 - 6 * number + 8 * (number % 2)
        scroll.brush(path((px - 7, py - 3), (px, py + 1), (px + 7, py - 4), count=8), 1.6, 1.0, dry=0.1)
    scroll.seal(470, 598)
    return scroll.finish()


def bamboo(size: int) -> Image.Image:
    """Stalks of bamboo in the wind, the near ones black, the far ones grey."""
    canvas = Canvas(size, seed=1050, ground="#f1e8d3", width=512, height=640)
    scroll, rng = Scroll(canvas), canvas.rng
    scroll.wash(smooth(0.4, 1.6, canvas.noise(130, 3) + 0.6) * smooth(120, 500, canvas.y), 0.16)

    def leaf(x: float, y: float, angle: float, long: float, ink: float) -> None:
        bend = rng.normal(0, 0.16)
        reach = np.linspace(0, long, 18)
        turn = angle + bend * np.linspace(0, 1, 18) ** 2
        blade = np.stack([x + reach * np.cos(turn), y + reach * np.sin(turn)], 1)
        share = np.linspace(0, 1, 18)
        scroll.brush(blade, long * 0.15 * np.sin(np.pi * share**0.62) ** 0.9 + 0.7, ink, dry=rng.uniform(0.12, 0.5))

    def stalk(foot: float, top: float, width: float, ink: float, sprays: int) -> None:
        row, x, joint = 660.0, foot, 0
        lean = (top - foot) / 700
        while row > -40:
            long = 92 + 26 * np.sin(joint * 0.9) + rng.normal(0, 5)
            end_x, end_y = x + lean * long, row - long
            share = np.linspace(0, 1, 30)
            waist = width * (1 + 0.16 * np.abs(2 * share - 1) ** 5)
            scroll.brush(path((x, row - 4), (end_x, end_y + 4), count=30), waist, ink * 0.8, dry=rng.uniform(0.45, 0.7))
            scroll.brush(
                path((x - width * 0.42, row - 5), (end_x - width * 0.42, end_y + 5), count=12),
                width * 0.2,
                ink * 0.45,
                dry=0.4,
            )
            hook = path(
                (x - width * 0.66, row - 5),
                (x - width * 0.2, row + 1),
                (x + width * 0.2, row + 1),
                (x + width * 0.66, row - 5),
                count=14,
            )
            scroll.brush(hook, width * 0.2 + 0.8, ink * 1.2, dry=0.15)
            if joint % 2 or sprays > 2:
                for _ in range(sprays if joint > 1 else 1):
                    side = rng.choice([-1, 1])
                    twig_end = x + side * rng.uniform(40, 100), row - rng.uniform(20, 80)
                    twig = path((x, row), ((x + twig_end[0]) / 2, row - 26), twig_end, count=16)
                    scroll.brush(twig, np.linspace(2.6, 1.2, 16), ink, dry=0.3)
                    for place in (9, 12, 15):
                        fan = rng.uniform(0.5, 1.1)
                        for _ in range(rng.integers(2, 5)):
                            angle = np.pi / 2 - side * fan + rng.normal(0, 0.38)
                            long, tone = rng.uniform(50, 104) * (0.6 + width / 60), ink * rng.uniform(0.75, 1.25)
                            leaf(twig[place, 0], twig[place, 1], angle, long, tone)
            row, x, joint = end_y, end_x, joint + 1

    stalk(404, 470, 11, 0.32, 2)
    stalk(70, 24, 14, 0.42, 2)
    stalk(150, 262, 25, 1.25, 3)
    stalk(300, 258, 14, 0.95, 1)
    for offset in range(60):  # ground: dry grass strokes
        px = rng.uniform(0, 512)
        scroll.brush(
            path((px, 642), (px + rng.normal(0, 12), 642 - rng.uniform(6, 30 + offset % 9)), count=8),
            2.2,
            rng.uniform(0.4, 1.1),
            dry=0.6,
        )
    scroll.seal(456, 560, 30)
    scroll.seal(456, 596, 22)
    return scroll.finish()


def plum_blossom(size: int) -> Image.Image:
    """An old plum bough, dry and angular, breaks into red blossom before a pale moon."""
    canvas = Canvas(size, seed=1349, ground="#f1e8d3")
    scroll, rng, x, y = Scroll(canvas), canvas.rng, canvas.x, canvas.y
    away = np.hypot(x - 436, y - 168)
    scroll.wash(smooth(106, 112, away) * np.exp(-(away - 106).clip(0) / 80), 0.36)
    boughs: list[tuple[Points, float, float]] = [
        (
            path(
                (-20, 500), (70, 430), (120, 340), (210, 318), (262, 236), (356, 214), (410, 150), (520, 118), count=90
            ),
            46,
            9,
        ),
        (path((110, 352), (96, 260), (140, 196), (128, 120), (170, 52), count=50), 22, 4),
        (path((214, 318), (300, 356), (352, 344), (440, 392), (540, 384), count=60), 24, 4),
        (path((262, 238), (262, 170), (316, 112), (308, 50), count=40), 14, 2.5),
        (path((356, 214), (430, 240), (500, 226), (580, 262), count=44), 13, 2.5),
        (path((440, 392), (482, 446), (560, 470), count=30), 10, 2),
        (path((128, 122), (76, 80), (60, 30), count=30), 8, 2),
        (path((492, 126), (548, 118), (580, 120), (618, 84), count=38), 10, 2),
    ]
    for line, thick, thin in boughs:
        rough = line + rng.normal(0, 0.02 * thick, line.shape)
        widths = np.linspace(thick, thin, len(line)) * (1 + 0.16 * np.sin(np.linspace(0, 26, len(line))))
        for first in range(0, len(line) - 8, 14):  # a bough is pushed out in short, broken strokes
            part = slice(first, first + 18)
            scroll.brush(rough[part], widths[part], rng.uniform(0.75, 1.2), dry=rng.uniform(0.62, 0.9))
            normal = widths[part].mean() * 0.42
            scroll.brush(rough[part] + (0, normal), widths[part] * 0.28, 1.3, dry=0.5)
        for _ in range(int(thick)):
            px, py = line[rng.integers(len(line))]
            drift = rng.normal(0, thick * 0.3, 2)
            scroll.dot(px + drift[0], py + drift[1], rng.uniform(2.5, 6), rng.uniform(0.9, 1.5), rng.uniform(0, 1.5))
    twigs: list[tuple[float, float]] = []
    for line, thick, _ in boughs:
        for _ in range(5 if thick > 12 else 3):
            px, py = line[rng.integers(len(line) // 4, len(line))]
            angle, long = rng.uniform(-2.8, -0.3), rng.uniform(30, 84)
            tip = px + long * np.cos(angle), py + long * np.sin(angle)
            twig = path((px, py), ((px + tip[0]) / 2 + rng.normal(0, 5), (py + tip[1]) / 2), tip, count=18)
            scroll.brush(twig, np.linspace(3.6, 1.3, 18), 1.15, dry=0.4)
            twigs += [tuple(twig[place]) for place in (7, 11, 14, 17)]
        twigs += [tuple(line[place]) for place in rng.integers(len(line) // 4, len(line), 4)]
    for px, py in twigs:
        if rng.random() < 0.25:
            continue
        px, py = px + rng.normal(0, 5), py + rng.normal(0, 5)
        bloom, turn, squash = rng.uniform(7, 12.5), rng.uniform(0, 6.3), rng.uniform(0.65, 1)
        scroll.ink *= 1 - 0.85 * smooth(
            bloom * 1.2, bloom * 0.9, np.hypot(x - px, (y - py) / squash)
        )  # petals stay clear
        for petal in range(5 if bloom > 8.2 else 2):
            angle = turn + petal * 2 * np.pi / 5
            qx, qy = px + bloom * 0.68 * np.cos(angle), py + bloom * 0.68 * np.sin(angle) * squash
            scroll.dot(qx, qy, bloom * 0.86, rng.uniform(0.5, 1.25), angle, red=True)
        for spoke in np.linspace(0, 6.28, 9)[:-1]:
            if bloom > 8.2:
                end = px + bloom * 0.55 * np.cos(spoke), py + bloom * 0.55 * np.sin(spoke) * squash
                scroll.brush(np.array([(px, py), end]), 0.9, 1.2, dry=0)
                scroll.brush(np.array([end, (end[0] + 0.8, end[1])]), 1.9, 1.4, dry=0)
    for _ in range(9):  # fallen petals
        px, py = rng.uniform(180, 620), rng.uniform(400, 500)
        scroll.dot(px, py, rng.uniform(5, 8), 0.8, rng.uniform(-0.6, 0.6), red=True)
    scroll.seal(352, 446, 30)
    scroll.seal(352, 481, 20)
    return scroll.finish()


PAINTINGS: dict[str, Painting] = {
    "mountains_in_mist": mountains_in_mist,
    "bamboo": bamboo,
    "plum_blossom": plum_blossom,
}
