"""Picture files as people have them: every kind opens upright and in the right colours."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from odd_pictures import CORPUS, RGB, RGBA, SMOOTH, UPRIGHT, encoded
from PIL import ExifTags, Image

from nst.images import read_image


def read_bytes(tmp_path: Path, data: bytes, name: str = "picture.bin", **options: object) -> Image.Image:
    path = tmp_path / name
    path.write_bytes(data)
    return read_image(path, **options)


@pytest.mark.filterwarnings("ignore:Corrupt EXIF")
@pytest.mark.parametrize("name", CORPUS)
def test_every_kind_of_file_gives_its_pixels(name: str, tmp_path: Path) -> None:
    data, expected, tolerance = CORPUS[name]
    image = read_bytes(tmp_path, data())
    assert image.mode == ("RGB" if expected.shape[2] == 3 else "RGBA")
    assert image.info == {}
    pixels = np.asarray(image).astype(int)
    assert pixels.shape == expected.shape
    assert np.abs(pixels - expected.astype(int)).max() <= tolerance


@pytest.mark.parametrize("orientation", UPRIGHT)
@pytest.mark.parametrize("name", ["PNG", "TIFF", "WEBP", "JPEG"])
def test_exif_orientation_is_applied(name: str, orientation: int, tmp_path: Path) -> None:
    exif = Image.Exif()
    exif[ExifTags.Base.Orientation] = orientation
    options = {"lossless": True} if name == "WEBP" else {"subsampling": 0} if name == "JPEG" else {}
    image = read_bytes(tmp_path, encoded(Image.fromarray(SMOOTH), name, exif=exif, **options))
    expected = UPRIGHT[orientation](SMOOTH).astype(int)
    assert image.size == expected.shape[1::-1]
    assert np.abs(np.asarray(image) - expected).max() <= (8 if name == "JPEG" else 0)
    assert image.getexif() == {}


def test_transparency_is_turned_with_the_picture(tmp_path: Path) -> None:
    exif = Image.Exif()
    exif[ExifTags.Base.Orientation] = 6
    image = read_bytes(tmp_path, encoded(Image.fromarray(RGBA), "PNG", exif=exif))
    assert np.array_equal(np.asarray(image), np.rot90(RGBA, -1))


def test_content_decides_not_the_suffix(tmp_path: Path) -> None:
    image = read_bytes(tmp_path, encoded(Image.fromarray(RGB), "PNG"), "really_a_png.jpg")
    assert np.array_equal(np.asarray(image), RGB)
