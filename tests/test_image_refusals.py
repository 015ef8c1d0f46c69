"""What read_image refuses, in one line that names the file: nothing else ever leaves it, whatever the bytes."""

from __future__ import annotations

import io
import os
import struct
import threading
import zlib
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from nst.errors import UserError
from nst.images import read_image


def encoded(image: Image.Image, name: str, **options: object) -> bytes:
    buffer = io.BytesIO()
    image.save(buffer, name, **options)
    return buffer.getvalue()


def refused(path: Path, **options: object) -> str:
    with pytest.raises(UserError) as caught:
        read_image(path, **options)
    message = str(caught.value)
    assert message.startswith(f"cannot read {path}: ")
    assert "\n" not in message
    return message


NOISE = np.random.default_rng(0).integers(0, 256, (64, 64, 3), dtype=np.uint8)
PALETTED = Image.fromarray(NOISE[:9, :11]).quantize(16)
FRAMES = [Image.fromarray(np.full((6, 8, 3), value, np.uint8)) for value in (10, 100, 200)]


@pytest.mark.parametrize("name", ["GIF", "WEBP", "PNG", "TIFF"])
def test_animations_and_pages_are_refused_unless_the_first_is_asked_for(name: str, tmp_path: Path) -> None:
    options = {"lossless": True} if name == "WEBP" else {}
    path = tmp_path / "frames"
    path.write_bytes(encoded(FRAMES[0], name, save_all=True, append_images=FRAMES[1:], **options))
    message = refused(path)
    assert "animated or has several pages (3 frames)" in message
    assert "first_frame=True" in message
    image = read_image(path, first_frame=True)
    assert image.size == (8, 6)
    assert set(np.asarray(image).ravel().tolist()) == {10}


def test_what_is_no_file_is_refused(tmp_path: Path) -> None:
    assert "no such file" in refused(tmp_path / "missing.png")
    assert "it is a folder" in refused(tmp_path)
    assert "a device or pipe" in refused(Path(os.devnull))
    (tmp_path / "file").write_text("x")
    assert "Not a directory" in refused(tmp_path / "file" / "below.png")
    assert "null byte" in refused(Path("a\0b.png"))
    assert "too long" in refused(tmp_path / ("n" * 300))


@pytest.mark.skipif(not hasattr(os, "geteuid") or os.geteuid() == 0, reason="root may read every file")
def test_a_file_without_permission_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "locked.png"
    path.write_bytes(encoded(FRAMES[0], "PNG"))
    path.chmod(0)
    assert "Permission denied" in refused(path)


def test_files_that_hold_no_picture_are_refused(tmp_path: Path) -> None:
    path = tmp_path / "photo.jpg"
    path.write_bytes(b"")
    assert "empty (0 bytes)" in refused(path)
    path.write_text("<!DOCTYPE html><title>404</title>")
    assert "no picture of a known format (it begins with b'<!DOCTYPE html>" in refused(path)
    path.write_bytes(b"%!PS-Adobe-3.0 EPSF-3.0\n")  # which Pillow would hand to Ghostscript
    assert "no picture of a known format" in refused(path)


@pytest.mark.parametrize("name", ["JPEG", "PNG", "WEBP", "TIFF", "BMP", "GIF"])
@pytest.mark.parametrize("share", [0.1, 0.6, 0.95])
def test_a_file_cut_off_is_refused(name: str, share: float, tmp_path: Path) -> None:
    noise = Image.fromarray(NOISE)
    data = encoded(noise, name)
    path = tmp_path / "cut"
    path.write_bytes(data[: int(len(data) * share)])
    assert "damaged or cut off" in refused(path)


def test_the_pixel_limit_holds_and_can_be_raised_for_one_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 100)
    small, warned, large = (tmp_path / f"{width}.png" for width in (10, 15, 40))
    for path, width in ((small, 10), (warned, 15), (large, 40)):
        path.write_bytes(encoded(Image.new("RGB", (width, 10)), "PNG"))
    assert read_image(small).size == (10, 10)
    assert "15 x 10 = 150 pixels are over the limit of 100; set max_pixels=150" in refused(warned)
    assert "max_pixels=400" in refused(large)  # Pillow itself raises for this one, and only warns of the other
    assert "max_pixels=400" in refused(large, max_pixels=399)
    assert read_image(large, max_pixels=400).size == (40, 10)
    assert "limit of 99" in refused(small, max_pixels=99)
    assert Image.MAX_IMAGE_PIXELS == 100
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", None)
    assert read_image(large).size == (40, 10)


def test_a_bomb_is_refused_before_it_is_decoded(tmp_path: Path) -> None:
    header = b"IHDR" + struct.pack(">IIBBBBB", 60000, 60000, 8, 2, 0, 0, 0)
    chunk = struct.pack(">I", 13) + header + struct.pack(">I", zlib.crc32(header))
    path = tmp_path / "bomb.png"
    path.write_bytes(b"\x89PNG\r\n\x1a\n" + chunk + encoded(FRAMES[0], "PNG")[33:])
    assert "60000 x 60000 = 3600000000 pixels are over the limit" in refused(path)


def test_threads_read_with_limits_of_their_own(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 100)
    path = tmp_path / "picture.png"
    path.write_bytes(encoded(Image.new("RGB", (40, 10)), "PNG"))
    outcomes: dict[str, set[str]] = {"raised": set(), "default": set()}

    def read(kind: str, limit: int | None) -> None:
        for _ in range(50):
            try:
                read_image(path, max_pixels=limit)
                outcomes[kind].add("read")
            except UserError:
                outcomes[kind].add("refused")

    threads = [threading.Thread(target=read, args=args) for args in (("raised", 400), ("default", None))]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert outcomes == {"raised": {"read"}, "default": {"refused"}}


VALID = {
    "JPEG": encoded(Image.fromarray(NOISE[:24, :32]), "JPEG", exif=Image.Exif(), icc_profile=b"x" * 40),
    "PNG": encoded(PALETTED, "PNG", transparency=2, icc_profile=b"x" * 40),
    "WEBP": encoded(Image.fromarray(NOISE[:24, :32]).convert("RGBA"), "WEBP"),
    "TIFF": encoded(Image.fromarray(NOISE[:24, :32]), "TIFF", compression="tiff_lzw"),
    "BMP": encoded(PALETTED, "BMP"),
    "GIF": encoded(PALETTED, "GIF", transparency=2),
}
MAGIC = [b"", b"\xff\xd8\xff", b"\x89PNG\r\n\x1a\n", b"RIFF\x20\0\0\0WEBPVP8 ", b"II*\0", b"MM\0*", b"BM", b"GIF89a"]


@pytest.fixture(scope="module")
def scratch(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("fuzz") / "picture"


def reads_or_refuses(path: Path, data: bytes) -> None:
    path.write_bytes(data)
    try:
        image = read_image(path, max_pixels=100_000)
    except UserError as error:
        assert str(error).startswith(f"cannot read {path}: ")
    else:
        assert image.mode in ("RGB", "RGBA")
        assert np.asarray(image).shape == (image.height, image.width, len(image.mode))


@pytest.mark.filterwarnings("ignore")
@settings(max_examples=300, deadline=None)
@given(magic=st.sampled_from(MAGIC), tail=st.binary(max_size=300))
def test_random_bytes_are_read_or_refused(scratch: Path, magic: bytes, tail: bytes) -> None:
    reads_or_refuses(scratch, magic + tail)


@pytest.mark.filterwarnings("ignore")
@settings(max_examples=500, deadline=None)
@given(
    name=st.sampled_from(sorted(VALID)),
    changes=st.lists(st.tuples(st.floats(0, 0.999), st.binary(max_size=4)), min_size=1, max_size=6),
    kept=st.one_of(st.just(1.0), st.floats(0.01, 1)),
)
def test_corrupted_files_are_read_or_refused(
    scratch: Path, name: str, changes: list[tuple[float, bytes]], kept: float
) -> None:
    data = bytearray(VALID[name])
    for place, new in changes:
        start = int(place * len(data))
        data[start : start + len(new)] = new
    reads_or_refuses(scratch, bytes(data[: max(1, int(kept * len(data)))]))
