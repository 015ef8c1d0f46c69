"""StyleCode: mixing, interpolation and files."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractContextManager
from pathlib import Path

import pytest
import torch
from safetensors.torch import save_file

from nst.errors import UserError
from nst.statistics import Statistics
from nst.style_code import StyleCode

LAYERS = ("relu1_1", "relu2_1")


def code(batch: int = 1, encoder: str = "vgg19-caffe-normalized", layers: tuple[str, ...] = LAYERS) -> StyleCode:
    statistics = tuple(Statistics(torch.randn(batch, 4), torch.rand(batch, 4) + 0.1) for _ in layers)
    return StyleCode(layers, statistics, encoder)


def test_a_code_gives_its_statistics_by_layer_and_its_number_of_styles() -> None:
    styles = code(batch=3)
    assert len(styles) == 3
    assert styles["relu2_1"] is styles.statistics[1]


def test_all_the_weight_on_one_style_is_that_style_exactly() -> None:
    a, b = code(), code()
    assert StyleCode.mix([a, b], [1, 0]) == a
    assert StyleCode.mix([a, b], [0, 5]) == b
    assert StyleCode.mix([a]) == a


def test_mixing_is_linear_in_means_and_deviations() -> None:
    a, b, c = code(), code(), code()
    mixed = StyleCode.mix([a, b, c], [2, 1, 1])
    for layer in LAYERS:
        assert torch.allclose(mixed[layer].mean, 0.5 * a[layer].mean + 0.25 * b[layer].mean + 0.25 * c[layer].mean)
        assert torch.allclose(mixed[layer].std, 0.5 * a[layer].std + 0.25 * b[layer].std + 0.25 * c[layer].std)
    nested = StyleCode.mix([a, StyleCode.mix([b, c])])
    for layer in LAYERS:
        assert torch.allclose(nested[layer].mean, mixed[layer].mean)


def test_without_weights_every_style_counts_alike() -> None:
    a, b = code(), code()
    assert StyleCode.mix([a, b]) == StyleCode.mix([a, b], [7, 7])


def test_mixing_leaves_the_mixed_codes_alone() -> None:
    a, b = code(), code()
    before = a["relu1_1"].mean.clone()
    StyleCode.mix([a, b])
    assert torch.equal(a["relu1_1"].mean, before)


def test_lerp_goes_from_one_style_to_the_other() -> None:
    a, b = code(), code()
    assert a.lerp(b, 0) == a
    assert a.lerp(b, 1) == b
    assert torch.allclose(a.lerp(b, 0.25)["relu1_1"].std, 0.75 * a["relu1_1"].std + 0.25 * b["relu1_1"].std)


@pytest.mark.parametrize(
    ("codes", "weights", "message"),
    [
        ([], None, "found 0 styles and 0 weights"),
        ([code(), code()], [1.0], "found 2 styles and 1 weights"),
        ([code(), code()], [1.0, -0.5], r"at least 0 and not all 0: found \[1.0, -0.5\]"),
        ([code(), code()], [0, 0], "not all 0"),
        ([code(), code()], [1.0, float("nan")], "nan"),
        ([code(), code(encoder="vgg19-torchvision-normalized")], None, "different encoders"),
        ([code(), code(layers=("relu1_1",))], None, "different encoders or layers"),
        ([code(), code()[torch.tensor([0, 0])]], None, r"equally many styles each: found \[1, 2\]"),
    ],
)
def test_what_cannot_be_mixed_is_refused(codes: list[StyleCode], weights: list[float] | None, message: str) -> None:
    with pytest.raises(UserError, match=message):
        StyleCode.mix(codes, weights)


def test_lerp_beyond_its_ends_is_refused() -> None:
    with pytest.raises(UserError):
        code().lerp(code(), 1.5)


def test_to_moves_every_tensor() -> None:
    moved = code().to("meta")
    assert all(t.device.type == "meta" for statistics in moved.statistics for t in statistics)
    assert moved.layers == LAYERS


def test_a_saved_code_is_read_back_as_it_was(tmp_path: Path) -> None:
    original = code(batch=2, encoder="vgg19-random-raw")
    path = original.save(tmp_path / "new folder" / "monet.style.safetensors")
    assert path.is_file()
    assert StyleCode.load(path) == original
    assert StyleCode.load(str(path)) == original


def test_files_that_are_no_style_code_are_refused(tmp_path: Path) -> None:
    text, foreign, cut = tmp_path / "a.safetensors", tmp_path / "b.safetensors", tmp_path / "c.safetensors"
    text.write_text("a style")
    save_file({"weight": torch.zeros(2)}, foreign)
    cut.write_bytes(code().save(tmp_path / "whole.safetensors").read_bytes()[:100])
    for path, message in ((text, "cannot be read"), (foreign, "is not a style code"), (cut, "cannot be read")):
        with pytest.raises(UserError, match=message):
            StyleCode.load(path)
    with pytest.raises(UserError, match="does not exist"):
        StyleCode.load(tmp_path / "missing.safetensors")


def test_a_place_that_cannot_be_written_is_named(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("in the way")
    (tmp_path / "folder.safetensors").mkdir()
    for path in (tmp_path / "file" / "monet.safetensors", tmp_path / "folder.safetensors"):
        with pytest.raises(UserError, match="cannot be written"):
            code().save(path)


def test_a_failed_save_leaves_the_file_that_was_there(
    tmp_path: Path, full_disk: Callable[[], AbstractContextManager[None]]
) -> None:
    original = code()
    path = original.save(tmp_path / "monet.safetensors")
    with full_disk(), pytest.raises(UserError, match="cannot be written"):
        code(batch=10_000).save(path)
    assert StyleCode.load(path) == original
    assert list(tmp_path.iterdir()) == [path]


def test_codes_of_the_same_numbers_are_equal(tmp_path: Path) -> None:
    first, second = code(), code()
    assert first == StyleCode.load(first.save(tmp_path / "a.style.safetensors"))
    assert first != second and second in [first, second] and first != "first"


def test_a_batch_of_styles_is_counted_and_walked_through() -> None:
    both = code(batch=2)
    assert [len(one) for one in both] == [1, 1]
    assert both[-1] == both[1] == both[1:]
    with pytest.raises(IndexError):
        both[2]
