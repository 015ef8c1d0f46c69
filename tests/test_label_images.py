"""Label images: flat colours are regions, whatever file format and borders made of them."""

from __future__ import annotations

import io
from pathlib import Path

import numpy as np
import pytest
from PIL import Image, ImageDraw

from nst import UserError
from nst.label_images import read_label_image, same_colours

RED, BLUE, GREEN = (250, 10, 10), (20, 30, 240), (0, 160, 40)


def drawing(
    circle: tuple[int, int, int] = RED, ground: tuple[int, int, int] = BLUE, smooth: bool = False
) -> Image.Image:
    scale = 4 if smooth else 1
    picture = Image.new("RGB", (120 * scale, 90 * scale), ground)
    ImageDraw.Draw(picture).ellipse([20 * scale, 20 * scale, 70 * scale, 70 * scale], fill=circle)
    return picture.resize((120, 90), Image.Resampling.BOX)


def test_each_flat_colour_is_a_region_the_largest_first() -> None:
    found = read_label_image(drawing(), "labels")
    assert found.colours.tolist() == [list(BLUE), list(RED)]
    expected = (np.asarray(drawing())[:, :, 0] > 128).astype(int)
    assert np.array_equal(found.labels.numpy(), expected)


def test_soft_borders_and_jpeg_make_no_regions() -> None:
    sharp = read_label_image(drawing(), "labels").labels.numpy()
    file = io.BytesIO()
    drawing(smooth=True).save(file, "JPEG", quality=80)
    found = read_label_image(Image.open(file), "labels")
    assert len(found.colours) == 2
    assert (found.labels.numpy() != sharp).mean() < 0.02  # the border only


def test_class_indices_are_colours_as_well() -> None:
    """However near to each other, where the picture is exact: the index of a class is what most label maps hold."""
    indices = np.repeat([0, 1, 2], 30)[:, None].repeat(40, axis=1).astype(np.uint8)
    found = read_label_image(indices, "labels")
    assert sorted(found.colours[:, 0].tolist()) == [0, 1, 2]
    assert np.array_equal(found.colours[:, 0][found.labels].numpy(), indices)
    assert same_colours(found, read_label_image(indices[30:], "style")) == [
        None if colour == 0 else [1, 2].index(colour) for colour in found.colours[:, 0].tolist()
    ]


def test_colours_are_matched_by_nearness_and_may_be_missing() -> None:
    content = read_label_image(drawing(RED, GREEN), "content")
    style = read_label_image(drawing((255, 0, 0), BLUE), "style")
    assert same_colours(content, style) == [None, 1]  # green is missing; red, the rarer, is there


def test_a_photograph_is_refused_with_what_to_do() -> None:
    photograph = Path(__file__).parent.parent / "data" / "samples" / "content" / "coffee.jpg"
    with pytest.raises(UserError, match=r"the content's label image is not painted in flat colours.*one colour"):
        read_label_image(photograph, "the content's label image")
