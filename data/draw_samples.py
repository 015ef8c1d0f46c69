"""Draw the sample paintings: three or four in the manner of each of six movements, by numpy and Pillow alone.

Every picture is a function of its size, with a random seed of its own, that lays thousands of textured strokes on a
canvas (see the modules of ``data/painting``): the same size gives the same pixels. ``python data/draw_samples.py``
draws them all anew into ``data/samples/style/<movement>/<title>.jpg``, in a minute or two on one core; ``--only
MOVEMENT`` draws one movement, ``--output DIR`` draws elsewhere.
"""

from __future__ import annotations

import argparse
import io
from pathlib import Path

from painting import abstract, chinese_ink, cubism, impressionism, pointillism, post_impressionism, ukiyo_e
from painting.canvas import Painting
from PIL import Image

MOVEMENTS: dict[str, dict[str, Painting]] = {
    "impressionism": impressionism.PAINTINGS | post_impressionism.PAINTINGS,
    "pointillism": pointillism.PAINTINGS,
    "cubism": cubism.PAINTINGS,
    "ukiyo_e": ukiyo_e.PAINTINGS,
    "chinese_ink": chinese_ink.PAINTINGS,
    "abstract": abstract.PAINTINGS,
}
SIZE = 512  # pixels of the shorter side
LARGEST_FILE = 150_000  # bytes


def jpeg(picture: Image.Image, largest: int = LARGEST_FILE) -> bytes:
    """Encode at quality 92, or the highest quality below it that keeps the file within ``largest`` bytes."""
    for quality in range(92, 79, -1):
        buffer = io.BytesIO()
        picture.save(buffer, "JPEG", quality=quality, optimize=True)
        if buffer.tell() <= largest:
            break
    return buffer.getvalue()


def draw(output: Path, movements: list[str], size: int = SIZE) -> list[Path]:
    """Draw every painting of the movements into ``output/<movement>/<title>.jpg``; returns the files written."""
    written = []
    for movement in movements:
        folder = output / movement
        folder.mkdir(parents=True, exist_ok=True)
        for title, paint in MOVEMENTS[movement].items():
            written.append(folder / f"{title}.jpg")
            written[-1].write_bytes(jpeg(paint(size)))
            print(f"{written[-1]}  {written[-1].stat().st_size // 1024} KiB")
    return written


def main() -> None:
    """Read the command line and draw."""
    parser = argparse.ArgumentParser(description="Draw the sample paintings.")
    default = Path(__file__).parent / "samples" / "style"
    parser.add_argument("--output", type=Path, default=default, help="folder for <movement>/<title>.jpg")
    parser.add_argument("--only", choices=sorted(MOVEMENTS), help="draw this movement only")
    arguments = parser.parse_args()
    draw(arguments.output, [arguments.only] if arguments.only else list(MOVEMENTS))


if __name__ == "__main__":
    main()
