"""Pictures as numbers, resizing, padding and cropping."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from nst.errors import UserError
from nst.images import (
    crop,
    from_array,
    limit_longer_side,
    pad_to_multiple,
    require_side,
    resize_shorter_side,
    to_image,
    to_tensor,
)

LEVELS = np.arange(256, dtype=np.uint8).reshape(16, 16)
RGB = np.dstack([LEVELS, LEVELS.T, LEVELS[::-1]])


def test_a_tensor_holds_the_levels_over_255() -> None:
    tensor = to_tensor(Image.fromarray(RGB))
    assert tensor.shape == (3, 16, 16)
    assert tensor.dtype == torch.float32
    assert tensor.is_contiguous()
    assert np.allclose(tensor.numpy(), RGB.transpose(2, 0, 1) / 255, atol=1e-7)


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_a_picture_survives_the_way_through_a_tensor_exactly(dtype: torch.dtype) -> None:
    tensor = to_tensor(Image.fromarray(RGB)).to(dtype)
    assert np.array_equal(np.asarray(to_image(tensor)), RGB)
    assert np.array_equal(np.asarray(to_image(tensor[None])), RGB)


def test_half_precision_loses_at_most_one_level() -> None:
    for dtype in (torch.float16, torch.bfloat16):
        back = np.asarray(to_image(to_tensor(Image.fromarray(RGB)).to(dtype)))
        assert np.abs(back.astype(int) - RGB).max() <= 1


def test_values_out_of_range_are_clamped_and_rounded_to_nearest() -> None:
    values = torch.tensor([-3.0, -0.001, 0.4 / 255, 0.6 / 255, 1.0, 7.0])
    image = to_image(values.expand(3, 1, 6).clone().requires_grad_())
    assert np.asarray(image)[0, :, 0].tolist() == [0, 0, 0, 1, 255, 255]


@pytest.mark.parametrize("shape", [(16, 16), (4, 5, 5), (2, 3, 5, 5), (1, 1, 5, 5), (3, 0, 5), (5, 5, 3)])
def test_tensors_that_are_not_one_picture_are_refused(shape: tuple[int, ...]) -> None:
    with pytest.raises(UserError, match="is not one picture"):
        to_image(torch.zeros(shape))


def test_the_matte_is_left_out_of_a_tensor() -> None:
    rgba = np.dstack([RGB, LEVELS])
    assert torch.equal(to_tensor(Image.fromarray(rgba)), to_tensor(Image.fromarray(RGB)))


def test_arrays_become_pictures() -> None:
    rgba = np.dstack([RGB, LEVELS])
    assert np.array_equal(np.asarray(from_array(RGB)), RGB)
    assert np.array_equal(np.asarray(from_array(rgba)), rgba)
    assert np.array_equal(np.asarray(from_array(LEVELS)), np.dstack([LEVELS] * 3))
    assert np.array_equal(np.asarray(from_array(RGB[::-1, ::2])), RGB[::-1, ::2])
    for dtype in (np.float16, np.float32, np.float64):
        assert np.array_equal(np.asarray(from_array((RGB / 255).astype(dtype))), RGB)
    assert np.asarray(from_array(np.array([[-0.001, 1.001]])))[0, :, 0].tolist() == [0, 255]


@pytest.mark.parametrize(
    ("array", "message"),
    [
        (np.zeros((3, 16, 16), np.uint8), r"shape \(3, 16, 16\) and type uint8 is not a picture"),
        (np.zeros((1, 16, 16, 3), np.uint8), "is not a picture"),
        (np.zeros((0, 16, 3), np.uint8), "is not a picture"),
        (np.zeros((4, 4, 3), np.uint16), "type uint16 cannot be read"),
        (np.zeros((4, 4, 3), bool), "type bool cannot be read"),
        (np.full((4, 4, 3), 255.0), r"values from 255 to 255: .*floats in \[0, 1\]"),
        (np.full((4, 4), -0.5), "values from -0.5 to -0.5"),
        (np.full((4, 4), np.nan), "values from nan to nan"),
    ],
)
def test_arrays_that_are_no_picture_are_refused(array: np.ndarray, message: str) -> None:
    with pytest.raises(UserError, match=message):
        from_array(array)


@pytest.mark.parametrize(
    ("before", "side", "after"),
    [((200, 100), 50, (100, 50)), ((100, 200), 50, (50, 100)), ((30, 20), 60, (90, 60)), ((301, 200), 100, (150, 100))],
)
def test_the_shorter_side_becomes_exactly_the_size(before: tuple[int, int], side: int, after: tuple[int, int]) -> None:
    resized = resize_shorter_side(Image.new("RGBA", before), side)
    assert (resized.size, resized.mode) == (after, "RGBA")


@pytest.mark.parametrize(
    ("before", "side", "after"),
    [((200, 100), 50, (50, 25)), ((100, 200), 50, (25, 50)), ((3, 5000), 100, (1, 100)), ((30, 20), 60, (30, 20))],
)
def test_the_longer_side_is_only_ever_shrunk(before: tuple[int, int], side: int, after: tuple[int, int]) -> None:
    assert limit_longer_side(Image.new("RGB", before), side).size == after


def test_a_picture_of_the_right_size_is_passed_on() -> None:
    image = Image.new("RGB", (30, 20))
    assert resize_shorter_side(image, 20) is image
    assert limit_longer_side(image, 30) is image


def test_shrinking_averages_and_does_not_alias() -> None:
    stripes = np.zeros((64, 64, 3), np.uint8)
    stripes[:, ::2] = 255
    middle = np.asarray(resize_shorter_side(Image.fromarray(stripes), 8))[2:-2, 2:-2].astype(int)
    assert np.abs(middle - 127).max() <= 4


def test_impossible_sizes_are_refused() -> None:
    for resize in (resize_shorter_side, limit_longer_side):
        with pytest.raises(UserError, match="a side of 0 pixels: give a size of at least 1"):
            resize(Image.new("RGB", (4, 4)), 0)
    with pytest.raises(UserError, match="too elongated for a shorter side of 400: it would become 400 x 26000000"):
        resize_shorter_side(Image.new("RGB", (1, 65000)), 400)


def test_a_picture_too_small_to_work_on_is_refused_by_name() -> None:
    require_side(Image.new("RGB", (8, 9)), 8, "content.png")
    with pytest.raises(UserError, match=r"content\.png is only 8 x 1 pixels: at least 8 on each side"):
        require_side(Image.new("RGB", (8, 1)), 8, "content.png")


@settings(max_examples=100, deadline=None)
@given(height=st.integers(1, 20), width=st.integers(1, 20), multiple=st.integers(1, 33))
def test_padding_reflects_as_numpy_does_and_cropping_undoes_it(height: int, width: int, multiple: int) -> None:
    batch = torch.arange(2 * 3 * height * width, dtype=torch.float32).reshape(2, 3, height, width)
    padded, size = pad_to_multiple(batch, multiple)
    down, right = -height % multiple, -width % multiple
    expected = np.pad(batch.numpy(), ((0, 0), (0, 0), (0, down), (0, right)), mode="reflect")
    assert size == (height, width)
    assert np.array_equal(padded.numpy(), expected)
    assert torch.equal(crop(padded, size), batch)


def test_nothing_is_copied_where_nothing_is_missing() -> None:
    batch = torch.rand(1, 3, 16, 32)
    assert pad_to_multiple(batch, 8)[0] is batch


def test_gradients_flow_back_through_padding() -> None:
    batch = torch.rand(1, 3, 3, 4, requires_grad=True)
    pad_to_multiple(batch, 4)[0].sum().backward()
    assert batch.grad is not None
    assert batch.grad[0, 0, :, 0].tolist() == [1, 2, 1]  # row 1 is reflected into the one row missing
