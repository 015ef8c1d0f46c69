"""What each loss config does to one picture: prints the table of docs/losses.md, writes docs/pictures/losses.jpg.

    python docs/compare_losses.py [steps] [side]

The picture itself is optimised (nst.optimize), from the content, with the same number of steps for every loss.
"""

from __future__ import annotations

import sys
from pathlib import Path

import torch
from omegaconf import OmegaConf
from PIL import Image, ImageDraw, ImageOps

from nst.image_optimization import optimize
from nst.metrics import PairMetrics

ROOT = Path(__file__).parent.parent
SAMPLES = ROOT / "data" / "samples"
CONTENT, STYLE = SAMPLES / "content" / "chelsea.jpg", SAMPLES / "style" / "ukiyo_e"
LOSSES = [
    "default", "gatys", "adain", "balanced", "sliced_wasserstein", "histogram", "cmd", "laplacian", "spectrum", "flat_variance",
]  # fmt: skip
FIGURES = ["content", "style", "gram", "sliced_wasserstein", "color_histogram", "ssim", "cfsd"]


def square(path: Path, side: int) -> Image.Image:
    return ImageOps.fit(Image.open(path).convert("RGB"), (side, side), Image.Resampling.LANCZOS)


def loss_options(name: str) -> dict[str, object]:
    config = OmegaConf.load(ROOT / "configs" / "loss" / f"{name}.yaml")
    for base in config.pop("defaults", []):
        config = OmegaConf.merge(OmegaConf.load(ROOT / "configs" / "loss" / f"{base}.yaml"), config)
    return OmegaConf.to_container(config)  # type: ignore[return-value]


def main(steps: int = 40, side: int = 96) -> None:
    content, style = square(CONTENT, side), square(sorted(STYLE.glob("*.jpg"))[0], side)
    results = {"content copied": content, "style copied": style}
    for name in LOSSES:
        torch.manual_seed(0)
        results[name] = optimize(content, style, steps=steps, loss=loss_options(name), precision="float32")
    metrics = PairMetrics()
    of_content, of_style = metrics.features(content), metrics.features(style)
    lines = ["| loss | " + " | ".join(FIGURES) + " |", "|---" * (len(FIGURES) + 1) + "|"]
    for name, picture in results.items():
        figures = metrics.compare(metrics.features(picture), of_content, of_style)
        lines.append(f"| {name} | " + " | ".join(f"{figures[key]:.3f}" for key in FIGURES) + " |")
    print("\n".join(lines))
    columns, shown = 4, 2 * side
    sheet = Image.new("RGB", (columns * shown, -(-len(results) // columns) * (shown + 18)), "white")
    draw = ImageDraw.Draw(sheet)
    for index, (name, picture) in enumerate(results.items()):
        left, top = index % columns * shown, index // columns * (shown + 18)
        draw.text((left + 4, top + 2), name, fill="black")
        sheet.paste(picture.resize((shown, shown), Image.Resampling.LANCZOS), (left, top + 18))
    sheet.save(ROOT / "docs" / "pictures" / "losses.jpg", quality=88)


if __name__ == "__main__":
    main(*map(int, sys.argv[1:]))
