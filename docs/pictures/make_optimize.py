"""What image optimisation starts from and where it gets: prints the figures of docs/optimize.md, writes optimize.jpg.

python docs/pictures/make_optimize.py [side]
"""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from pathlib import Path
from typing import Any
from unittest.mock import patch

import torch
from PIL import Image, ImageDraw, ImageOps

from nst.image_optimization import Progress, optimize
from nst.metrics import PairMetrics
from nst.stylizer import Stylizer

ROOT = Path(__file__).parent.parent.parent
SAMPLES = ROOT / "data" / "samples"
PIXEL_RATE = 0.06  # after 20 steps as after 200 it was better than 0.03
PAIRS = [("astronaut", "impressionism/cypress_night"), ("chelsea", "ukiyo_e/great_wave")]
RUNS: dict[str, dict[str, Any]] = {
    "stylizer, 20 steps": {"init": "stylizer", "steps": 20},
    "stylizer, 60 steps": {"init": "stylizer", "steps": 60},
    "stylizer, 60 steps of L-BFGS": {"init": "stylizer", "steps": 60, "optimizer": "lbfgs"},
    "content, 60 steps": {"init": "content", "steps": 60},
    "content, 100 steps": {"init": "content", "steps": 100},
    "content, 200 steps": {"init": "content", "steps": 200},
    "content, 200 steps of L-BFGS": {"init": "content", "steps": 200, "optimizer": "lbfgs"},
    "content, 200 steps on pixels alone": {"init": "content", "steps": 200, "learning_rate": PIXEL_RATE},
    "noise, 300 steps": {"init": "noise", "steps": 300},
}
SHOWN = ("stylizer, 60 steps", "content, 200 steps", "noise, 300 steps")


def square(name: str, kind: str, side: int) -> Image.Image:
    picture = Image.open(SAMPLES / kind / f"{name}.jpg").convert("RGB")
    return ImageOps.fit(picture, (side, side), Image.Resampling.LANCZOS)


@contextmanager
def pixels_alone() -> Iterator[None]:
    """Adam on the pixels and nothing else, its last picture the result: no coarser sizes, no mean of the last pictures."""
    with patch("nst.picture_pyramid.SMALLEST_LEVEL", 10**6), patch("nst.optimization_run.AVERAGED", 10**6):
        yield


def run(content: Image.Image, style: Image.Image, **options: Any) -> tuple[Image.Image, float]:
    """The picture, and its loss."""
    picture = optimize(content, style, device="cpu", **options)
    losses: list[float] = []

    def note(progress: Progress) -> None:
        losses.append(progress.losses.total.item())

    optimize(content, style, device="cpu", init=picture, steps=1, on_step=note)
    return picture, losses[0]


def main(side: int = 256) -> None:
    torch.set_num_threads(1)
    metrics, tiles = PairMetrics(), {}
    for index, names in enumerate(PAIRS):
        content, style = square(names[0], "content", side), square(names[1], "style", side)
        target = metrics.features(style)

        def gram(picture: Image.Image) -> float:
            return metrics.compare(metrics.features(picture), metrics.features(content), target)["gram"]  # noqa: B023

        noise = Image.fromarray(((0.5 + 0.1 * torch.randn(side, side, 3)).clamp(0, 1) * 255).round().byte().numpy())
        feed_forward = Stylizer.from_pretrained("vgg19", device="cpu")(content, style)
        shown = {"content": content, "style": style, "stylizer alone": feed_forward}
        print(names, {name: round(gram(one), 4) for name, one in (shown | {"noise": noise}).items()}, flush=True)
        for name, options in RUNS.items():
            if index == 0 or name != "noise, 300 steps":
                with pixels_alone() if "alone" in name else nullcontext():
                    picture, loss = run(content, style, **options)
                print(f"{name}: loss {loss:.3f}, Gram distance {gram(picture):.4f}", flush=True)
                if name in SHOWN:
                    shown[name] = picture
        if index == 0:
            tiles = shown
    sheet = Image.new("RGB", (3 * side, 2 * (side + 18)), "white")
    draw = ImageDraw.Draw(sheet)
    for index, (name, picture) in enumerate(tiles.items()):
        left, top = index % 3 * side, index // 3 * (side + 18)
        draw.text((left + 4, top + 3), name, fill="black")
        sheet.paste(picture, (left, top + 18))
    sheet.save(Path(__file__).parent / "optimize.jpg", quality=88)


if __name__ == "__main__":
    main(*map(int, sys.argv[1:]))
