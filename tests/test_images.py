"""Finding, writing and reduced reading of picture files."""

from __future__ import annotations

import errno
import os
import stat
from collections.abc import Callable
from pathlib import Path
from typing import IO

import numpy as np
import pytest
from PIL import ExifTags, Image

from nst.errors import UserError
from nst.images import IMAGE_SUFFIXES, find_images, on_white, read_image, read_reduced, write_image

RNG = np.random.default_rng(1)
RGB = RNG.integers(0, 256, (6, 9, 3), dtype=np.uint8)
RGBA = np.dstack([RGB, (np.arange(54).reshape(6, 9) * 4).astype(np.uint8)])
EXACT = (".png", ".tif", ".tiff", ".bmp")


def smooth(height: int, width: int) -> np.ndarray:
    """A soft picture that survives lossy formats: (height, width, 3) uint8."""
    y, x = np.mgrid[0:height, 0:width]
    return np.dstack([40 + 150 * x / width, 40 + 150 * y / height, np.full((height, width), 120)]).astype(np.uint8)


def touch(folder: Path, *names: str) -> list[Path]:
    paths = [folder / name for name in names]
    for path in paths:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(b"x")
    return paths


def test_a_file_is_found_whatever_its_suffix(tmp_path: Path) -> None:
    (path,) = touch(tmp_path, "scan.dat")
    assert find_images(path) == [path]
    assert find_images(str(path)) == [path]


def test_a_folder_gives_its_pictures_sorted_and_nothing_else(tmp_path: Path) -> None:
    pictures = touch(tmp_path, "b.JPG", "a/z.png", "a/b/c/d.webp", "c.tiff")
    touch(tmp_path, "notes.txt", ".hidden.png", "._b.jpg", "jpg", "a/b.npy")
    (tmp_path / "folder.png").mkdir()
    assert find_images(tmp_path) == sorted(pictures)
    assert find_images(tmp_path, recursive=False) == sorted([pictures[0], pictures[3]])


def test_linked_folders_are_searched_once_even_in_a_ring(tmp_path: Path) -> None:
    touch(tmp_path, "elsewhere/monet/a.jpg", "styles/b.jpg")
    styles = tmp_path / "styles"
    (styles / "linked").symlink_to(tmp_path / "elsewhere")
    (tmp_path / "elsewhere" / "monet" / "ring").symlink_to(styles)
    assert find_images(styles) == [styles / "b.jpg", styles / "linked" / "monet" / "a.jpg"]


def test_a_glob_gives_the_pictures_it_matches(tmp_path: Path) -> None:
    a, b, deep = touch(tmp_path, "a1.jpg", "a2.png", "sub/a3.jpg")
    touch(tmp_path, "a4.txt", "b.jpg")
    assert find_images(f"{tmp_path}/a*") == [a, b]
    assert find_images(f"{tmp_path}/**/a?.jpg") == [a, deep]
    (odd,) = touch(tmp_path, "photo [1].jpg")
    assert find_images(str(odd)) == [odd]  # a name that stands is no pattern


@pytest.mark.parametrize(
    ("where", "message"),
    [
        ("missing", "no such file or folder: .*missing"),
        ("empty", "no picture in the folder .*empty"),
        ("texts", r"no picture in the folder .*texts \(1 other files\).*\.jpg"),
        ("texts/*", r"no picture matches .*texts/\* \(1 other files\)"),
        ("nowhere/*.jpg", "no picture matches"),
        ("n" * 300, "no such file or folder"),
    ],
)
def test_finding_nothing_is_a_user_error(where: str, message: str, tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    touch(tmp_path, "texts/a.txt")
    with pytest.raises(UserError, match=message):
        find_images(f"{tmp_path}/{where}")


@pytest.mark.parametrize("suffix", [*IMAGE_SUFFIXES, ".JPG", ".Png"])
def test_the_suffix_picks_the_format(suffix: str, tmp_path: Path) -> None:
    path = write_image(Image.fromarray(smooth(32, 32)), tmp_path / "new" / "folder" / f"picture{suffix}")
    assert path == tmp_path / "new" / "folder" / f"picture{suffix}"
    with Image.open(path) as opened:
        assert suffix.lower() in Image.registered_extensions()
        assert opened.format == Image.registered_extensions()[suffix.lower()]
    difference = np.abs(np.asarray(read_image(path)).astype(int) - smooth(32, 32))
    assert difference.max() <= (0 if suffix.lower() in EXACT else 12)


@pytest.mark.parametrize("suffix", [".png", ".tif"])
def test_transparency_is_kept_where_the_format_can(suffix: str, tmp_path: Path) -> None:
    path = write_image(Image.fromarray(RGBA), tmp_path / f"picture{suffix}")
    assert np.array_equal(np.asarray(read_image(path)), RGBA)


def test_webp_and_gif_keep_a_matte(tmp_path: Path) -> None:
    matte = np.zeros((16, 16), np.uint8)
    matte[4:12, 4:12] = 255
    picture = Image.fromarray(np.dstack([smooth(16, 16), matte]))
    for suffix in (".webp", ".gif"):
        read = np.asarray(read_image(write_image(picture, tmp_path / f"picture{suffix}")))
        assert np.array_equal(read[..., 3], matte)


@pytest.mark.parametrize("suffix", [".bmp", ".jpg"])
def test_transparency_goes_on_white_where_the_format_cannot(suffix: str, tmp_path: Path) -> None:
    rgba = np.dstack([smooth(32, 32), np.full((32, 32), 102, np.uint8)])  # 102 / 255 = two fifths
    read = read_image(write_image(Image.fromarray(rgba), tmp_path / f"picture{suffix}"))
    expected = 0.4 * smooth(32, 32) + 0.6 * 255
    assert read.mode == "RGB"
    assert np.abs(np.asarray(read) - expected).max() <= (1 if suffix == ".bmp" else 5)


def test_on_white_is_the_arithmetic_of_covering() -> None:
    alpha = RGBA[..., 3:].astype(float) / 255
    expected = RGBA[..., :3] * alpha + 255 * (1 - alpha)
    assert np.abs(np.asarray(on_white(Image.fromarray(RGBA))) - expected).max() <= 1
    opaque = Image.fromarray(RGB)
    assert on_white(opaque) is opaque


def test_no_metadata_is_carried_over_and_orientation_is_applied(tmp_path: Path) -> None:
    exif = Image.Exif()
    exif[ExifTags.Base.Orientation] = 6
    exif[ExifTags.Base.Artist] = "someone"
    Image.fromarray(RGB).save(tmp_path / "a.png", exif=exif)
    with Image.open(tmp_path / "a.png") as image:
        image.info["icc_profile"] = b"broken"
        path = write_image(image, tmp_path / "b.png")
    with Image.open(path) as written:
        assert np.array_equal(np.asarray(written), np.rot90(RGB, -1))
        assert not written.getexif()
        assert "icc_profile" not in written.info


def test_quality_decides_on_the_size_of_a_jpeg(tmp_path: Path) -> None:
    noise = Image.fromarray(RNG.integers(0, 256, (64, 64, 3), dtype=np.uint8))
    sizes = [write_image(noise, tmp_path / "a.jpg", quality=quality).stat().st_size for quality in (20, 60, 95)]
    assert sizes == sorted(sizes)
    assert sizes[2] > 2 * sizes[0]


@pytest.mark.parametrize(
    ("name", "quality", "message"),
    [
        ("a.xyz", 95, r"unknown suffix '\.xyz'; use one of \.bmp .*\.webp"),
        ("a", 95, "unknown suffix ''"),
        ("a.jpg", 0, "quality=0: give a whole number from 1 to 100"),
        ("a.jpg", 101, "quality=101"),
        ("folder.png", 95, "a folder of that name is in the way"),
        ("file/a.png", 95, "File exists|Not a directory"),
        ("n" * 300 + ".png", 95, "File name too long"),
        ("a\0b.png", 95, "null byte"),
    ],
)
def test_what_cannot_be_written_is_a_user_error(name: str, quality: int, message: str, tmp_path: Path) -> None:
    (tmp_path / "folder.png").mkdir()
    (tmp_path / "file").write_text("x")
    before = sorted(tmp_path.rglob("*"))
    with pytest.raises(UserError, match=message) as caught:
        write_image(Image.fromarray(RGB), tmp_path / name, quality=quality)
    assert f"cannot write {tmp_path / name}" in str(caught.value)
    assert sorted(tmp_path.rglob("*")) == before


@pytest.mark.parametrize("suffix", [".jpg", ".webp", ".gif"])
def test_a_picture_too_large_for_its_format_is_a_user_error(suffix: str, tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"70000 x 1 pixels do not go into .*try \.png"):
        write_image(Image.new("RGB", (70000, 1)), tmp_path / f"a{suffix}")
    assert list(tmp_path.iterdir()) == []


@pytest.mark.skipif(not hasattr(os, "geteuid") or os.geteuid() == 0, reason="root may write everywhere")
def test_a_folder_without_permission_is_a_user_error(tmp_path: Path) -> None:
    tmp_path.chmod(0o500)
    try:
        with pytest.raises(UserError, match="Permission denied"):
            write_image(Image.fromarray(RGB), tmp_path / "a.png")
        tmp_path.chmod(0)
        with pytest.raises(UserError, match="no permission to list the folder"):
            find_images(tmp_path)
    finally:
        tmp_path.chmod(0o700)


def full_disk(image: Image.Image, file: IO[bytes], *args: object, **options: object) -> None:
    file.write(b"half a picture")
    raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))


def interrupted(image: Image.Image, file: IO[bytes], *args: object, **options: object) -> None:
    file.write(b"half a picture")
    raise KeyboardInterrupt


@pytest.mark.parametrize(("save", "error"), [(full_disk, UserError), (interrupted, KeyboardInterrupt)])
def test_what_stood_there_survives_a_failed_write(
    save: Callable[..., None], error: type[BaseException], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = write_image(Image.fromarray(RGB), tmp_path / "a.png")
    before = path.read_bytes()
    monkeypatch.setattr(Image.Image, "save", save)
    with pytest.raises(error):
        write_image(Image.fromarray(255 - RGB), path)
    assert path.read_bytes() == before
    assert list(tmp_path.iterdir()) == [path]


def test_a_written_file_has_the_permissions_of_any_new_file(tmp_path: Path) -> None:
    (tmp_path / "plain").write_text("x")
    path = write_image(Image.fromarray(RGB), tmp_path / "a.png")
    assert stat.S_IMODE(path.stat().st_mode) == stat.S_IMODE((tmp_path / "plain").stat().st_mode)


@pytest.mark.parametrize(("height", "width"), [(300, 200), (200, 300), (1201, 803), (40, 40), (20, 3)])
@pytest.mark.parametrize("name", ["JPEG", "PNG"])
def test_reduced_reading_is_close_to_resizing_the_whole(name: str, height: int, width: int, tmp_path: Path) -> None:
    path = tmp_path / "picture"
    Image.fromarray(smooth(height, width)).save(path, name, quality=95)
    reduced = read_reduced(path, 32)
    assert min(reduced.size) == 32
    assert abs(max(reduced.size) - max(height, width) * 32 / min(height, width)) <= 1
    whole = read_image(path).resize(reduced.size, Image.Resampling.LANCZOS)
    assert np.abs(np.asarray(reduced).astype(int) - np.asarray(whole)).max() <= 6


def test_reduced_reading_applies_orientation_and_lays_transparency_on_white(tmp_path: Path) -> None:
    exif = Image.Exif()
    exif[ExifTags.Base.Orientation] = 6
    path = tmp_path / "picture"
    Image.fromarray(smooth(400, 800)).save(path, "JPEG", exif=exif)
    reduced = read_reduced(path, 50)
    assert reduced.size == (50, 100)
    left_to_right = np.asarray(reduced).astype(int).mean(axis=0)[:, 1]  # what grew downwards grows leftwards now
    assert left_to_right[0] - left_to_right[-1] > 100
    Image.new("RGBA", (64, 64), (200, 0, 0, 51)).save(path, "PNG")  # 51 / 255 = one fifth
    reduced = read_reduced(path, 16)
    assert reduced.mode == "RGB"
    assert np.abs(np.asarray(reduced)[8, 8].astype(int) - [244, 204, 204]).max() <= 1


def test_reduced_reading_names_the_file_it_refuses(tmp_path: Path) -> None:
    path = tmp_path / "thread.png"
    Image.new("RGB", (1, 60000)).save(path)
    with pytest.raises(UserError, match=r"thread\.png: .* 1 x 60000 pixels is too elongated"):
        read_reduced(path, 400)
    with pytest.raises(UserError, match=r"thread\.png: .* at least 1"):
        read_reduced(path, 0)
