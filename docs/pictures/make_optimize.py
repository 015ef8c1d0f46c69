"""What image optimisation starts from and where it gets: prints the figures of docs/optimize.md, writes optimize.jpg.

python docs/pictures/make_optimize.py [side]
"""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import torch
from PIL import Image, ImageDraw, ImageOps

from nst.image_optimization import Progress, optimize
from nst.metrics import PairMetrics
from nst.stylizer import Stylizer

ROOT = Path(__file__).parent.parent.parent
SAMPLES = ROOT / "data" / "samples"
PAIRS = [("astronaut", "impressionism/cypress_night"), ("chelsea", "ukiyo_e/great_wave")]
RUNS: dict[str, dict[str, Any]] = {
    "stylizer, 60 steps": {"init": "stylizer", "steps": 60},
    "content, 200 steps": {"init": "content", "steps": 200},
    "noise, 300 steps": {"init": "noise", "steps": 300},
}


def square(name: str, kind: str, side: int) -> Image.Image:
    picture = Image.open(SAMPLES / kind / f"{name}.jpg").convert("RGB")
    return ImageOps.fit(picture, (side, side), Image.Resampling.LANCZOS)


def run(content: Image.Image, style: Image.Image, **options: Any) -> tuple[Image.Image, list[float]]:
    """The picture, and the loss at the start of every step."""
    losses: list[float] = []

    def note(progress: Progress) -> None:
        losses.append(progress.losses.total.item())

    return optimize(content, style, device="cpu", on_step=note, **options), losses


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
                shown[name], losses = run(content, style, **options)
                fell = ", ".join(
                    f"{losses[step - 1]:.3f} at {step}"
                    for step in (1, 20, 40, 60, 120, 200, 300)
                    if step <= len(losses)
                )
                print(f"{name}: loss {fell}; Gram distance {gram(shown[name]):.4f}", flush=True)
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
