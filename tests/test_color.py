"""Colour preservation against independent arithmetic."""

import numpy as np
import pytest
import torch

from nst import UserError
from nst.color import check_preserve_color, keep_content_chroma, match_colors


def pixels(picture: torch.Tensor) -> np.ndarray:
    return picture[0].flatten(1).double().numpy()


def test_matched_colours_have_the_content_s_mean_and_covariance() -> None:
    generator = torch.Generator().manual_seed(0)
    style = 0.4 + 0.1 * torch.rand(1, 3, 40, 30, generator=generator)
    content = 0.5 + 0.2 * (torch.rand(1, 3, 20, 50, generator=generator) - 0.5)
    content[:, 1] = 0.5 * content[:, 0] + 0.5 * content[:, 1]  # correlated channels
    matched = pixels(match_colors(style, content))
    assert np.allclose(matched.mean(1), pixels(content).mean(1), atol=1e-3)
    assert np.allclose(np.cov(matched), np.cov(pixels(content)), atol=2e-4)


def test_chroma_comes_from_the_content_and_luminance_from_the_output() -> None:
    generator = torch.Generator().manual_seed(0)
    output = 0.4 + 0.2 * torch.rand(1, 3, 700, 8, generator=generator)
    content = 0.4 + 0.2 * torch.rand(1, 3, 700, 8, generator=generator)
    yiq = np.array([[0.299, 0.587, 0.114], [0.596, -0.274, -0.322], [0.211, -0.523, 0.312]])
    kept = yiq @ pixels(keep_content_chroma(output, content))
    assert np.allclose(kept[0], (yiq @ pixels(output))[0], atol=1e-5)
    assert np.allclose(kept[1:], (yiq @ pixels(content))[1:], atol=1e-5)


def test_eight_bit_pictures_stay_eight_bit() -> None:
    output = torch.randint(80, 170, (1, 3, 10, 10), dtype=torch.uint8)
    kept = keep_content_chroma(output, output)
    assert kept.dtype == torch.uint8 and int((kept.int() - output.int()).abs().max()) <= 1


def test_an_unknown_mode_is_named() -> None:
    with pytest.raises(UserError, match="purple"):
        check_preserve_color("purple")
