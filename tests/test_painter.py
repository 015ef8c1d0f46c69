"""What the page paints is what a Stylizer paints, and what is known of a style is not computed again."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image

from nst import Stylizer, UserError
from nst.networks import build
from nst.painter import BRUSHES, Order, Painter, brushed_masks, elsewhere


@pytest.fixture
def models(tiny_config: dict[str, Any]) -> dict[str, Stylizer]:
    found = {}
    for seed, name in enumerate(("fast", "other")):
        torch.manual_seed(seed)
        found[name] = Stylizer(build(tiny_config), precision="float32")
    return found


@pytest.fixture
def painter(models: dict[str, Stylizer]) -> Painter:
    return Painter(models)


@pytest.fixture
def pictures(write_pictures: Callable[..., list[Path]]) -> list[str]:
    """A photograph and three paintings."""
    return [str(path) for path in write_pictures("photo.png", "one.png", "two.png", "three.png")]


@pytest.fixture
def encoded(models: dict[str, Stylizer], monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The models that encoded a style, in turn."""
    calls: list[str] = []
    for name, stylizer in models.items():

        def counted(*values: Any, _encode: Any = stylizer.network.encode_style, _name: str = name) -> Any:
            calls.append(_name)
            return _encode(*values)

        monkeypatch.setattr(stylizer.network, "encode_style", counted)
    return calls


def strokes(**parts: tuple[int, int, int]) -> np.ndarray:
    """A layer of 32 × 40 pixels: for each brush, columns from, to, and the opacity there."""
    layer = np.zeros((32, 40, 4), dtype=np.uint8)
    for color, (start, end, opacity) in parts.items():
        layer[:, start:end] = (*BRUSHES[color], opacity)
    return layer


def same(first: Image.Image, second: Image.Image) -> bool:
    return first.mode == second.mode and np.array_equal(np.asarray(first), np.asarray(second))


@pytest.mark.parametrize("preserve_color", ["none", "luminance", "histogram"])
def test_a_painting_is_the_stylizer_s(
    preserve_color: str, painter: Painter, models: dict[str, Stylizer], pictures: list[str]
) -> None:
    photo, one, two, _ = pictures
    order = Order(photo, (one, None, two), (0.6, 1.0, 0.2), "other", 0.7, 20, preserve_color)
    expected = models["other"](photo, [one, two], 0.7, weights=[0.6, 0.2], style_size=20, preserve_color=preserve_color)
    painting = painter.paint(order)
    assert same(painting.picture, expected)
    assert same(painting.photograph, Image.open(photo))
    assert 0 < painter.seconds["other"] <= painting.seconds


def test_the_brush_says_where_a_style_goes(painter: Painter, models: dict[str, Stylizer], pictures: list[str]) -> None:
    photo, one, _, three = pictures
    layer = strokes(red=(0, 10, 255), yellow=(10, 30, 102))
    red, yellow = np.zeros((2, 32, 40), dtype=np.float32)
    red[:, :10], yellow[:, 10:30] = 1, 0.4
    order = Order(photo, (one, None, three), brush=layer)
    expected = models["fast"](photo, [one, three], masks=[red, yellow])
    assert same(painter.paint(order).picture, expected)

    mix = models["fast"].encode_style([one, three], [0.9, 0.3])
    order = Order(photo, (one, None, three), (0.9, 1.0, 0.3), brush=layer, mix_elsewhere=True)
    expected = models["fast"](photo, [one, three, mix], masks=[red, yellow, 1 - red - yellow])
    assert np.abs(np.asarray(painter.paint(order).picture, int) - np.asarray(expected)).max() <= 1


def test_strokes_belong_to_the_brush_of_the_nearest_colour() -> None:
    layer = strokes(red=(0, 10, 255), blue=(10, 20, 51))
    layer[:, :10, :3] += 9  # what the browser's blending does to colours at edges
    red, blue, yellow = brushed_masks(layer)
    assert (red[:, :10] == 1).all() and (red[:, 10:] == 0).all()
    np.testing.assert_allclose(blue[:, 10:20], 0.2)
    assert not yellow.any()
    rest = elsewhere([red, blue, yellow])
    assert (rest[:, :10] == 0).all() and (rest[:, 20:] == 1).all()
    np.testing.assert_allclose(rest[:, 10:20], 0.8)


def test_an_untouched_canvas_is_no_mask(painter: Painter, models: dict[str, Stylizer], pictures: list[str]) -> None:
    photo, one, *_ = pictures
    assert same(painter.paint(Order(photo, (one, None, None), brush=strokes())).picture, models["fast"](photo, one))


def test_a_style_is_encoded_once_whatever_its_file_is_called(
    painter: Painter, pictures: list[str], encoded: list[str], tmp_path: Path
) -> None:
    photo, one, two, _ = pictures
    copy = shutil.copy(one, tmp_path / "copy.png")
    for alpha in (1.0, 0.5, 0.0):
        painter.paint(Order(photo, (one, None, None), alpha=alpha))
        painter.paint(Order(photo, (str(copy), None, None), alpha=alpha))
    assert encoded == ["fast"]
    painter.paint(Order(photo, (one, two, None)))
    assert encoded == ["fast"] * 2  # the second alone is new
    painter.paint(Order(photo, (one, None, None), style_size=24))
    painter.paint(Order(photo, (one, None, None), model="other"))
    assert encoded == ["fast"] * 3 + ["other"]


def test_a_recoloured_style_is_encoded_once_a_photograph(
    painter: Painter, pictures: list[str], encoded: list[str]
) -> None:
    photo, one, two, _ = pictures
    for alpha in (1.0, 0.5):
        painter.paint(Order(photo, (one, None, None), alpha=alpha, preserve_color="histogram"))
    assert len(encoded) == 1
    painter.paint(Order(two, (one, None, None), preserve_color="histogram"))
    assert len(encoded) == 2


def test_a_file_that_changed_under_its_name_is_another_picture(
    painter: Painter, pictures: list[str], encoded: list[str]
) -> None:
    photo, one, two, _ = pictures
    before = painter.paint(Order(photo, (one, None, None))).picture
    shutil.copy(two, one)
    assert not same(painter.paint(Order(photo, (one, None, None))).picture, before)
    assert len(encoded) == 2


def test_photographs_are_scaled_down_and_keep_their_transparency(
    models: dict[str, Stylizer], pictures: list[str], tmp_path: Path
) -> None:
    half = Image.effect_noise((100, 50), 80).convert("RGBA")
    half.putalpha(Image.linear_gradient("L").resize((100, 50)))
    half.save(tmp_path / "half.png")
    painting = Painter(models, max_size=60).paint(Order(str(tmp_path / "half.png"), (pictures[1], None, None)))
    assert painting.picture.size == painting.photograph.size == (60, 30)
    assert painting.picture.mode == "RGBA"
    assert np.array_equal(painting.picture.getchannel("A"), painting.photograph.getchannel("A"))


def test_mistakes_are_one_line_without_a_folder_of_the_server(
    models: dict[str, Stylizer], pictures: list[str], tmp_path: Path
) -> None:
    photo, one, *_ = pictures
    (tmp_path / "notes.jpg").write_text("this is no picture")
    notes = str(tmp_path / "notes.jpg")
    painter = Painter(models, max_pixels=40 * 32)
    Image.new("RGB", (41, 32)).save(tmp_path / "large.png")
    orders = {
        "there is no photograph": Order(None, (one, None, None)),
        "there is no style": Order(photo, (None, None, None)),
        "cannot read notes.jpg: no picture of a known format": Order(notes, (one, None, None)),
        "cannot read notes.jpg: no picture": Order(photo, (None, notes, None)),
        "cannot read large.png: 41 x 32 = 1312 pixels are over the limit": Order(
            photo, (str(tmp_path / "large.png"),) * 3
        ),
        "the weight of every style is 0": Order(photo, (one, None, None), (0, 1, 1)),
        "the blue brush was used, but style 2 has no picture": Order(
            photo, (one, None, None), brush=strokes(red=(0, 9, 255), blue=(9, 20, 255))
        ),
    }
    for message, order in orders.items():
        with pytest.raises(UserError) as caught:
            painter.paint(order)
        assert str(caught.value).startswith(message)
        assert str(tmp_path) not in str(caught.value) and "\n" not in str(caught.value)
    assert painter.paint(Order(photo, (one, None, None))).picture.size == (40, 32)  # and goes on


def test_a_picture_that_was_deleted_meanwhile_is_asked_for_again(painter: Painter, pictures: list[str]) -> None:
    Path(pictures[0]).unlink()
    with pytest.raises(UserError, match=f"^{Path(pictures[0]).name} is no longer here"):
        painter.paint(Order(pictures[0], [pictures[1], None, None]))
