"""Contact sheets."""

from __future__ import annotations

import numpy as np
import torch

from nst.contact_sheet import GAP, contact_sheet


def plain(red: float, height: int = 10, width: int = 14) -> torch.Tensor:
    return torch.tensor([red, 0.0, 0.0]).view(3, 1, 1).expand(3, height, width)


def test_every_picture_has_its_square_in_its_row_between_white_gaps() -> None:
    levels = [[0.0, 0.2, 0.4], [0.6, 0.8, 1.0]]
    sheet = np.asarray(contact_sheet([[plain(level) for level in row] for row in levels], side=20))
    assert sheet.shape == (GAP + 2 * (20 + GAP), GAP + 3 * (20 + GAP), 3)
    expected = np.full_like(sheet, 255)
    for row, line in enumerate(levels):
        for column, level in enumerate(line):
            top, left = GAP + row * (20 + GAP), GAP + column * (20 + GAP)
            expected[top : top + 20, left : left + 20] = [round(level * 255), 0, 0]
    np.testing.assert_array_equal(sheet, expected)


def test_pictures_of_all_sizes_and_types_are_scaled_to_the_side() -> None:
    row = [plain(0.5, 64, 48).bfloat16(), plain(0.5, 4, 5), plain(0.5, 32, 32)]
    sheet = contact_sheet([row], side=32)
    assert sheet.mode == "RGB"
    assert sheet.size == (GAP + 3 * (32 + GAP), GAP + 32 + GAP)


def test_a_picture_of_the_right_size_is_shown_as_it_is_and_clamped() -> None:
    picture = torch.rand(3, 16, 16) * 1.4 - 0.2
    cell = np.asarray(contact_sheet([[picture]], side=16))[GAP:-GAP, GAP:-GAP]
    np.testing.assert_array_equal(cell, np.rint(picture.clamp(0, 1).numpy() * 255).transpose(1, 2, 0))
