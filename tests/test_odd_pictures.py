"""Whatever file is given to a Stylizer: a picture of its size, upright, or one line."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from odd_pictures import CORPUS, SMOOTH, UPRIGHT, encoded
from PIL import ExifTags, Image

from nst import StyleCode, Stylizer, UserError

STYLE = Path(__file__).parent.parent / "data" / "samples" / "style" / "ukiyo_e" / "great_wave.jpg"
NOISE = Image.fromarray(np.random.default_rng(0).integers(0, 256, (24, 32, 3), dtype=np.uint8))
FRAMES = [NOISE.point(lambda value, share=share: value * share // 3) for share in (1, 2, 3)]  # type: ignore[misc]
MAGIC = [b"", b"\xff\xd8\xff", b"\x89PNG\r\n\x1a\n", b"RIFF\x20\0\0\0WEBPVP8 ", b"II*\0", b"BM", b"GIF89a"]
WHOLE = {name: encoded(NOISE, name) for name in ("JPEG", "PNG", "WEBP", "TIFF", "BMP", "GIF")}


@pytest.fixture(scope="module")
def fast() -> Stylizer:
    return Stylizer.from_pretrained("fast", device="cpu")


@pytest.fixture(scope="module")
def wave(fast: Stylizer) -> StyleCode:
    return fast.encode_style(STYLE, style_size=64)


@pytest.fixture(scope="module")
def scratch(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("odd") / "picture"


def write(path: Path, data: bytes) -> Path:
    path.write_bytes(data)
    return path


def error(result: Image.Image, pixels: np.ndarray) -> float:
    """Mean squared distance of the colours."""
    return float(((np.asarray(result)[..., :3].astype(float) - pixels[..., :3]) ** 2).mean())


@pytest.mark.filterwarnings("ignore:Corrupt EXIF")
@pytest.mark.parametrize("name", CORPUS)
def test_every_kind_of_file_is_painted_at_its_size_with_its_transparency(
    name: str, fast: Stylizer, wave: StyleCode, scratch: Path
) -> None:
    data, pixels, tolerance = CORPUS[name]
    path = write(scratch, data())
    height, width = pixels.shape[:2]
    if min(height, width) < 2:
        with pytest.raises(UserError, match=f"content picture is {width}×{height}"):
            fast(path, wave)
        return
    result = fast(path, wave)
    assert result.size == (width, height)
    assert result.mode == ("RGB" if pixels.shape[2] == 3 else "RGBA")
    if result.mode == "RGBA":
        assert np.abs(np.asarray(result)[..., 3].astype(int) - pixels[..., 3]).max() <= tolerance


@pytest.mark.parametrize("orientation", UPRIGHT)
@pytest.mark.parametrize("name", ["PNG", "TIFF", "WEBP", "JPEG"])
def test_a_picture_is_painted_upright(
    name: str, orientation: int, fast: Stylizer, wave: StyleCode, scratch: Path
) -> None:
    exif = Image.Exif()
    exif[ExifTags.Base.Orientation] = orientation
    result = fast(write(scratch, encoded(Image.fromarray(SMOOTH), name, exif=exif)), wave, alpha=0.0)
    upright = UPRIGHT[orientation](SMOOTH)
    turned = [turn(SMOOTH) for turn in UPRIGHT.values()]
    assert result.size == upright.shape[1::-1]
    others = [other for other in turned if other.shape == upright.shape and not np.array_equal(other, upright)]
    assert len(others) == 3 and all(error(result, upright) < 0.2 * error(result, other) for other in others)


@pytest.mark.parametrize(
    ("name", "data", "message"),
    [
        ("empty.jpg", b"", "empty"),
        ("page.png", b"<!DOCTYPE html>", "no picture of a known format"),
        ("animated.gif", encoded(FRAMES[0], "GIF", save_all=True, append_images=FRAMES[1:]), "3 frames"),
        ("animated.webp", encoded(FRAMES[0], "WEBP", save_all=True, append_images=FRAMES[1:]), "3 frames"),
        ("pages.tif", encoded(FRAMES[0], "TIFF", save_all=True, append_images=FRAMES[1:]), "3 frames"),
        ("huge.png", encoded(Image.new("1", (9500, 9500)), "PNG"), "max_pixels=90250000"),
        *((f"cut.{name}", data[: len(data) // 2], "damaged or cut off") for name, data in WHOLE.items()),
    ],
)
def test_what_cannot_be_painted_is_refused_in_one_line(
    name: str, data: bytes, message: str, fast: Stylizer, wave: StyleCode, tmp_path: Path
) -> None:
    with pytest.raises(UserError, match=message) as caught:
        fast(write(tmp_path / name, data), wave)
    assert "\n" not in str(caught.value) and name in str(caught.value)


def test_a_wrong_suffix_does_not_matter(fast: Stylizer, wave: StyleCode, tmp_path: Path) -> None:
    right, wrong = write(tmp_path / "a.png", WHOLE["PNG"]), write(tmp_path / "a.jpg", WHOLE["PNG"])
    assert np.array_equal(fast(right, wave), fast(wrong, wave))


def test_odd_files_are_styles_too(fast: Stylizer, scratch: Path) -> None:
    for name in ("JPEG CMYK, inverted as Adobe's", "JPEG L"):
        assert fast(NOISE, write(scratch, CORPUS[name][0]())).size == NOISE.size
    with pytest.raises(UserError, match="style picture is 3×5000"):
        fast(NOISE, write(scratch, CORPUS["3 x 5000"][0]()))


def paints_or_refuses(stylizer: Stylizer, style: StyleCode, path: Path) -> None:
    try:
        result = stylizer(path, style, max_pixels=4_000)
    except UserError as refusal:
        assert "\n" not in str(refusal)
    else:
        with Image.open(path) as picture:
            assert sorted(result.size) == sorted(picture.size)  # upright or turned


@pytest.mark.filterwarnings("ignore")
@settings(max_examples=200, deadline=None)
@given(magic=st.sampled_from(MAGIC), tail=st.binary(max_size=300))
def test_random_bytes_are_painted_or_refused(
    fast: Stylizer, wave: StyleCode, scratch: Path, magic: bytes, tail: bytes
) -> None:
    paints_or_refuses(fast, wave, write(scratch, magic + tail))


@pytest.mark.filterwarnings("ignore")
@settings(max_examples=100, deadline=None)
@given(
    name=st.sampled_from(sorted(WHOLE)),
    changes=st.lists(st.tuples(st.floats(0, 0.999), st.binary(max_size=4)), min_size=1, max_size=4),
)
def test_damaged_files_are_painted_or_refused(
    fast: Stylizer, wave: StyleCode, scratch: Path, name: str, changes: list[tuple[float, bytes]]
) -> None:
    data = bytearray(WHOLE[name])
    for place, new in changes:
        start = int(place * len(data))
        data[start : start + len(new)] = new
    paints_or_refuses(fast, wave, write(scratch, bytes(data)))
