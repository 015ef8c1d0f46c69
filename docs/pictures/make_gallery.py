"""Draws gallery.jpg, or gallery_MODEL.jpg: the sample photographs (left) in the manner of some sample paintings (top).

python docs/pictures/make_gallery.py [MODEL]
"""

import sys
from pathlib import Path

import torch
import torch.nn.functional as F
from torch import Tensor

from nst import Stylizer
from nst.contact_sheet import contact_sheet
from nst.images import read_image, split_alpha, to_tensor, write_image

HERE = Path(__file__).parent
SAMPLES = HERE.parent.parent / "data" / "samples"
CONTENTS = ["astronaut", "chelsea", "coffee", "rocket"]
STYLES = [
    "impressionism/cypress_night",
    "ukiyo_e/great_wave",
    "cubism/guitar",
    "pointillism/orchard",
    "chinese_ink/mountains_in_mist",
    "abstract/rhythm",
]
SIDE = 256


def square(path: Path, side: int = 512) -> Tensor:
    """``(1, 3, side, side)``: the centre of a picture."""
    picture = to_tensor(split_alpha(read_image(path))[0])[None]
    length = min(picture.shape[2:])
    top, left = (picture.shape[2] - length) // 2, (picture.shape[3] - length) // 2
    crop = picture[:, :, top : top + length, left : left + length]
    return F.interpolate(crop, size=(side, side), mode="bicubic", antialias=True).clamp(0, 1)


def main() -> None:
    model = sys.argv[1] if len(sys.argv) > 1 else "vgg19"
    stylizer = Stylizer.from_checkpoint(model)
    styles = [square(SAMPLES / "style" / f"{name}.jpg") for name in STYLES]
    codes = [stylizer.encode_style(style) for style in styles]
    rows = [[torch.ones(3, SIDE, SIDE), *(style[0] for style in styles)]]
    for name in CONTENTS:
        content = square(SAMPLES / "content" / f"{name}.jpg")
        rows.append([content[0], *(stylizer(content, code)[0] for code in codes)])
    name = "gallery.jpg" if model == "vgg19" else f"gallery_{Path(model).stem}.jpg"
    print(write_image(contact_sheet(rows, SIDE), HERE / name, quality=85))


if __name__ == "__main__":
    main()
