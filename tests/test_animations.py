"""Animated GIF and WebP as films."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from films import lively_stylizer, panned, write_film
from PIL import Image

from nst import StyleCode, Stylizer, UserError
from nst.animations import animation_frames, indexed, is_animated
from nst.images import read_image
from nst.video_batch import is_film

DURATIONS = [40, 40, 200, 40, 120]  # milliseconds


@pytest.fixture
def stylizer(tiny_config: dict[str, Any]) -> Stylizer:
    return lively_stylizer(tiny_config)


@pytest.fixture
def code(stylizer: Stylizer) -> StyleCode:
    return stylizer.encode_style(torch.rand(1, 3, 32, 32))


@pytest.fixture(params=[".gif", ".webp"])
def animation(request: pytest.FixtureRequest, tmp_path: Path) -> Path:
    """Five frames of unequal durations, written by Pillow."""
    first, *others = [Image.fromarray(frame) for frame in panned(5)]
    path = tmp_path / f"animation{request.param}"
    first.save(path, save_all=True, append_images=others, duration=DURATIONS, loop=0)
    return path


def durations(path: Path) -> list[int]:
    return [duration for _, duration in animation_frames(path)]


@pytest.mark.parametrize("suffix", [".gif", ".webp"])
def test_an_animation_keeps_its_frames_size_and_durations(
    stylizer: Stylizer, code: StyleCode, animation: Path, suffix: str
) -> None:
    painted = stylizer.stylize_video(animation, code, animation.with_name(f"painted{suffix}"))
    assert durations(painted) == durations(animation) == DURATIONS
    with Image.open(painted) as image:
        assert image.size == (64, 48) and image.info["loop"] == 0


def test_pictures_come_through(
    stylizer: Stylizer, code: StyleCode, animation: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("nst.steady.render", lambda network, picture, *rest: picture)  # paints nothing
    for suffix in (".gif", ".webp"):
        painted = stylizer.stylize_video(animation, code, animation.with_name(f"same{suffix}"), steady="off")
        for (before, _), (after, _) in zip(animation_frames(animation), animation_frames(painted), strict=True):
            assert np.abs(before.astype(float) - after).mean() < 6  # 256 colours; WebP's compression


def test_a_film_becomes_an_animation_and_back(stylizer: Stylizer, code: StyleCode, tmp_path: Path) -> None:
    film = write_film(tmp_path / "film.mp4", panned(6, 63, 47), sound="aac")
    gif = stylizer.stylize_video(film, code, tmp_path / "painted.gif")
    assert durations(gif) == [40] * 6
    back = stylizer.stylize_video(gif, code, tmp_path / "back.mp4")
    assert durations(stylizer.stylize_video(back, code, tmp_path / "again.webp")) == [40] * 6


def test_a_gif_of_a_fast_film_leaves_frames_out_and_lasts_as_long(
    stylizer: Stylizer, code: StyleCode, tmp_path: Path
) -> None:
    film = write_film(tmp_path / "film.mp4", panned(20), rate=100)
    found = durations(stylizer.stylize_video(film, code, tmp_path / "painted.gif"))
    assert min(found) >= 20 and sum(found) == 200


def test_transparent_frames_are_put_on_white(tmp_path: Path) -> None:
    shape = Image.new("RGBA", (20, 20), (0, 0, 0, 0))
    shape.paste((255, 0, 0, 255), (5, 5, 15, 15))
    other = Image.new("RGBA", (20, 20), (0, 0, 255, 255))
    shape.save(tmp_path / "a.webp", save_all=True, append_images=[other], duration=50, lossless=True)
    (first, _), (second, _) = animation_frames(tmp_path / "a.webp")
    assert first[0, 0].tolist() == [255, 255, 255] and first[10, 10].tolist() == [255, 0, 0]
    assert second[0, 0].tolist() == [0, 0, 255]


def test_few_colours_are_kept_exactly() -> None:
    pixels = np.random.default_rng(0).integers(0, 2, (16, 16, 3), dtype=np.uint8) * 255
    indices, palette = indexed(pixels)
    assert np.array_equal(palette[indices][..., 1:], pixels) and (palette[:, 0] == 255).all()


def test_what_is_a_film(animation: Path, tmp_path: Path) -> None:
    still = tmp_path / "still.gif"
    Image.new("RGB", (8, 8)).save(still)
    assert is_animated(animation) and not is_animated(still) and not is_animated(tmp_path / "missing.gif")
    assert is_film(str(animation), None, first_frame=False)
    assert is_film(str(animation), "painted.mp4", first_frame=False)
    assert not is_film(str(animation), "painted.png", first_frame=False)  # refused as a picture
    assert not is_film(str(animation), None, first_frame=True)
    assert not is_film(str(still), None, first_frame=False)
    assert is_film("missing.mp4", None, first_frame=False)


def test_a_damaged_animation_is_one_line(animation: Path) -> None:
    whole = animation.read_bytes()
    for length in range(0, len(whole), 7):
        animation.write_bytes(whole[:length])
        is_animated(animation)  # or not: reading it says what is wrong
        try:
            assert len(list(animation_frames(animation))) < 5  # cut off between two frames
        except UserError as error:
            assert "cannot read" in str(error)


def test_a_cut_off_animation_is_left_to_those_who_read_pictures(animation: Path) -> None:
    animation.write_bytes(animation.read_bytes()[:45])
    assert not is_animated(animation)
    with pytest.raises(UserError, match=r"cannot read .*(damaged|no picture)"):
        read_image(animation)


def test_an_animation_that_would_fill_the_memory_is_refused(animation: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 64 * 48 // 3)
    assert not is_animated(animation)
    with pytest.raises(UserError, match="cannot read .*decompression bomb"):
        list(animation_frames(animation))
    with pytest.raises(UserError, match="limit"):
        read_image(animation)
