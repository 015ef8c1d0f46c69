"""nst.optimize beside the package pastiche: seconds a step and the loss they reach, for docs/optimize.md.

    python docs/compare_optimization.py [steps] [side]

Both minimise pastiche's own default objective from the same content with the same VGG-19, and take their steps in turn in
one process, so that whatever else the machine does slows both. The loss of both pictures, as 8-bit files, is computed by
pastiche.
"""

from __future__ import annotations

import statistics
import sys
import tempfile
import time
from pathlib import Path
from typing import Any, NamedTuple

import torch
from pastiche.pastiche import PasticheArtist, save_image
from PIL import Image, ImageOps

from nst.image_optimization import Progress, optimize

SAMPLES = Path(__file__).parent.parent / "data" / "samples"
CONTENT = SAMPLES / "content" / "astronaut.jpg"
STYLE = SAMPLES / "style" / "impressionism" / "cypress_night.jpg"

# pastiche's default objective in our terms: 0.01 times the mean squared difference at relu4_2, and 10 / N² times that of
# Gram matrices over positions; our `mean` halves the one and quarters the other (Gatys et al. 2016, equations 1 and 4).
WIDTHS = {"relu1_1": 64, "relu2_1": 128, "relu3_1": 256, "relu4_1": 512, "relu5_1": 512}
LOSS: dict[str, Any] = {
    "reduction": "mean",
    "content": {"weight": 0.02, "layers": {"relu4_2": 1.0}},
    "style": {"weight": 1.0, "layers": {layer: 40 / width**2 for layer, width in WIDTHS.items()}},
}


class Comparison(NamedTuple):
    """Medians of processor seconds a step, losses by pastiche's function, and the pictures."""

    seconds: float
    seconds_pastiche: float
    loss: float
    loss_pastiche: float
    loss_start: float
    picture: Image.Image
    picture_pastiche: Image.Image


def compare(steps: int, side: int, **options: Any) -> Comparison:
    """Take ``steps`` steps with both at ``side`` × ``side`` pixels; ``options`` go to :func:`nst.optimize`."""
    with tempfile.TemporaryDirectory() as folder:
        paths = {name: str(Path(folder, f"{name}.png")) for name in ("content", "style", "ours", "theirs")}
        for name, path in (("content", CONTENT), ("style", STYLE)):
            square = ImageOps.fit(Image.open(path).convert("RGB"), (side, side), Image.Resampling.LANCZOS)
            square.save(paths[name])
        artist = PasticheArtist(paths["content"], [paths["style"]], device="cpu")
        start, ours, theirs = artist.loss, [], []
        before = time.process_time()

        def on_step(progress: Progress) -> None:
            nonlocal before
            ours.append(time.process_time() - before)
            before = time.process_time()
            artist.draw()
            theirs.append(time.process_time() - before)
            before = time.process_time()

        picture = optimize(
            Image.open(paths["content"]), Image.open(paths["style"]),
            steps=steps, loss=LOSS, device="cpu", on_step=on_step, **options,
        )  # fmt: skip
        picture.save(paths["ours"])
        save_image(artist.pastiche, paths["theirs"])
        losses = [loss_of(paths, name) for name in ("ours", "theirs")]
        painted = Image.open(paths["theirs"]).convert("RGB")
    # The first step of each includes what is done once: targets, and memory that later steps use again.
    return Comparison(statistics.median(ours[1:]), statistics.median(theirs[1:]), *losses, start, picture, painted)


def loss_of(paths: dict[str, str], name: str) -> float:
    """pastiche's loss of a picture."""
    return PasticheArtist(paths["content"], [paths["style"]], init=paths[name], device="cpu").loss


def main(steps: int = 100, side: int = 384) -> None:
    torch.set_num_threads(1)
    found = compare(steps, side)
    print(
        f"{found.seconds / found.seconds_pastiche:.2f} of pastiche's time a step "
        f"({found.seconds:.2f} s and {found.seconds_pastiche:.2f} s); loss {found.loss_start:.4g} at the start, "
        f"{found.loss:.4g} after {steps} steps, pastiche's {found.loss_pastiche:.4g}"
    )


if __name__ == "__main__":
    main(*map(int, sys.argv[1:]))
