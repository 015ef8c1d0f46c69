"""The sample pictures: what is shipped, within which limits, and that the paintings are what their program draws."""

from __future__ import annotations

from pathlib import Path
from types import ModuleType

import numpy as np
import pytest
from PIL import Image

DATA = Path(__file__).parents[1] / "data"
PHOTOGRAPHS = sorted((DATA / "samples" / "content").iterdir())
PAINTINGS = sorted((DATA / "samples" / "style").glob("*/*"))
MOVEMENTS = ["abstract", "chinese_ink", "cubism", "impressionism", "pointillism", "ukiyo_e"]


@pytest.fixture
def program(monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    """``data/draw_samples.py``, imported as its own folder sees it."""
    monkeypatch.syspath_prepend(str(DATA))
    import draw_samples

    return draw_samples


def pixels(picture: Image.Image) -> np.ndarray:
    return np.asarray(picture.convert("RGB"), np.float64) / 255


def test_there_are_photographs_and_three_paintings_of_every_movement() -> None:
    assert len(PHOTOGRAPHS) >= 3
    folders = sorted((DATA / "samples" / "style").iterdir())
    assert [folder.name for folder in folders] == MOVEMENTS
    assert all(len(list(folder.glob("*.jpg"))) >= 3 for folder in folders)


@pytest.mark.parametrize("path", PHOTOGRAPHS + PAINTINGS, ids=lambda path: path.stem)
def test_every_picture_opens_as_colour_within_the_size_limits(path: Path) -> None:
    with Image.open(path) as picture:
        picture.load()
        assert (picture.format, picture.mode) == ("JPEG", "RGB")
        assert min(picture.size) >= 300 and max(picture.size) <= 640
    assert path.stat().st_size <= 150_000


def test_the_folder_stays_small() -> None:
    assert sum(path.stat().st_size for path in PHOTOGRAPHS + PAINTINGS) < 4_000_000


@pytest.mark.parametrize("path", PHOTOGRAPHS, ids=lambda path: path.stem)
def test_every_photograph_is_credited(path: Path) -> None:
    rows = [line for line in (DATA / "README.md").read_text("utf-8").splitlines() if f"`{path.name}`" in line]
    assert len(rows) == 1
    assert "CC0" in rows[0] or "public domain" in rows[0]


@pytest.mark.parametrize("path", PAINTINGS, ids=lambda path: path.stem)
def test_a_painting_has_the_contrast_and_the_brushwork_of_a_style_source(path: Path) -> None:
    """A flat or smooth picture would teach a style nothing: tones must spread, and neighbours of 4 pixels differ."""
    with Image.open(path) as picture:
        tones = pixels(picture).mean(axis=-1)
    assert tones.std() > 0.08
    assert np.abs(tones[:, 4:] - tones[:, :-4]).mean() > 0.02


def test_the_program_draws_exactly_the_paintings_shipped(program: ModuleType) -> None:
    drawn = {f"{movement}/{title}.jpg" for movement, titles in program.MOVEMENTS.items() for title in titles}
    assert drawn == {path.relative_to(DATA / "samples" / "style").as_posix() for path in PAINTINGS}


@pytest.mark.parametrize(("movement", "title"), [("impressionism", "sunset_on_water"), ("ukiyo_e", "great_wave")])
def test_drawing_again_gives_the_same_pixels(program: ModuleType, movement: str, title: str) -> None:
    paint = program.MOVEMENTS[movement][title]
    first, second = paint(64), paint(64)
    assert first.size == (80, 64)
    assert np.array_equal(np.asarray(first), np.asarray(second))


@pytest.mark.parametrize(("movement", "title"), [("abstract", "rhythm"), ("ukiyo_e", "moon_bridge")])
def test_a_small_drawing_is_the_shipped_painting_seen_from_afar(program: ModuleType, movement: str, title: str) -> None:
    """Strokes are placed in shares of the picture, so this also tells when a shipped file is older than its program."""
    small = program.MOVEMENTS[movement][title](64)
    with Image.open(DATA / "samples" / "style" / movement / f"{title}.jpg") as shipped:
        afar = shipped.resize(small.size, Image.Resampling.BOX)
    assert np.corrcoef(pixels(small).ravel(), pixels(afar).ravel())[0, 1] > 0.9


def test_a_drawn_file_keeps_within_its_limit(program: ModuleType) -> None:
    noise = Image.fromarray(np.random.default_rng(0).integers(0, 256, (200, 200, 3), np.uint8))
    loose, tight = program.jpeg(noise), program.jpeg(noise, largest=len(program.jpeg(noise)) * 3 // 4)
    assert len(tight) <= len(loose) * 3 // 4


@pytest.mark.slow
@pytest.mark.parametrize("path", PAINTINGS, ids=lambda path: path.stem)
def test_every_shipped_painting_is_redrawn_to_the_pixel_but_for_jpeg(program: ModuleType, path: Path) -> None:
    """Mean squared error against the fresh drawing below that of 26 dB, which JPEG of such texture stays within."""
    with Image.open(path) as shipped:
        error = ((pixels(shipped) - pixels(program.MOVEMENTS[path.parent.name][path.stem](512))) ** 2).mean()
    assert error < 10**-2.6
