"""Draws masks.jpg: samples painted as a whole and region by region, by the bundled model.

A row: content, its regions, style, its regions (matched ones in one colour), painted as a whole, painted by regions.

python docs/pictures/make_masks.py [MODEL]
"""

import sys
from pathlib import Path

import torch
import torch.nn.functional as F
from make_gallery import SAMPLES, SIDE, square
from torch import Tensor

from nst import Stylizer
from nst.contact_sheet import contact_sheet
from nst.images import to_image, write_image
from nst.region_matching import match_regions, region_looks
from nst.segmentation import segment

PAIRS = [
    ("rocket", "ukiyo_e/moon_bridge"),
    ("coffee", "pointillism/river_bank"),
    ("chelsea", "ukiyo_e/great_wave"),
]
COLOURS = torch.tensor([[0.85, 0.25, 0.2], [0.2, 0.5, 0.85], [0.3, 0.7, 0.3], [0.95, 0.8, 0.25]])


def painted(labels: Tensor) -> Tensor:
    """``(3, SIDE, SIDE)`` label image of ``(h, w)`` labels."""
    picture = COLOURS[labels].permute(2, 0, 1)[None]
    return F.interpolate(picture, size=(SIDE, SIDE), mode="nearest")[0]


def main() -> None:
    stylizer = Stylizer.from_checkpoint(sys.argv[1] if len(sys.argv) > 1 else "vgg19")
    rows = []
    for content_name, style_name in PAIRS:
        content, style = (
            square(SAMPLES / "content" / f"{content_name}.jpg"),
            square(SAMPLES / "style" / f"{style_name}.jpg"),
        )
        content_regions, style_regions = segment(content), segment(style)
        chosen = match_regions(region_looks(content, content_regions), region_looks(style, style_regions))
        labels = [painted(torch.tensor(chosen)[content_regions.labels]), painted(style_regions.labels)]
        by_region = stylizer(content, style, mask=[to_image(label) for label in labels])
        rows.append([content[0], labels[0], style[0], labels[1], stylizer(content, style)[0], by_region[0]])
    print(write_image(contact_sheet(rows, SIDE), Path(__file__).parent / "masks.jpg", quality=85))


if __name__ == "__main__":
    main()
