"""The style's colours for the content, against independent arithmetic."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor

from nst.color_transport import (
    SMALLEST_VARIANCE,
    ColorMap,
    ColorStatistics,
    color_statistics,
    color_transport,
    recolored,
    square_roots,
)
from nst.networks import build
from nst.style_code import StyleCode


def pictures(seed: int, count: int = 1, height: int = 24, width: int = 40) -> Tensor:
    """Noise whose colours go together, in the middle of the range."""
    generator = torch.Generator().manual_seed(seed)
    noise = torch.rand(count, 3, height, width, generator=generator) - 0.5
    mixing = torch.rand(count, 3, 3, generator=generator)
    return 0.5 + 0.25 * torch.einsum("bij,bjhw->bihw", mixing, noise)


def test_statistics_are_those_of_numpy() -> None:
    batch = pictures(0, 2, 1100, 5)  # three parts of 512 rows
    found = color_statistics(batch)
    for index in range(2):
        pixels = batch[index].flatten(1).double().numpy()
        assert np.allclose(found.mean[index], pixels.mean(1), atol=1e-6)
        assert np.allclose(found.covariance[index], np.cov(pixels, bias=True), atol=1e-6)


def test_a_mask_weighs_pixels() -> None:
    batch, mask = pictures(0), torch.zeros(1, 1, 24, 40)
    mask[..., :10] = 0.5
    inside, found = color_statistics(batch[..., :10]), color_statistics(batch, mask)
    assert torch.allclose(found.mean, inside.mean, atol=1e-6)
    assert torch.allclose(found.covariance, inside.covariance, atol=1e-6)


def test_eight_bit_pictures_have_the_statistics_of_floats() -> None:
    batch = (pictures(0) * 255).to(torch.uint8)
    for one, other in zip(color_statistics(batch), color_statistics(batch.float() / 255), strict=True):
        assert torch.allclose(one, other, atol=1e-6)


def test_statistics_are_exact_where_the_network_computes_in_bfloat16() -> None:
    batch = pictures(0)
    with torch.autocast("cpu", torch.bfloat16):
        inside = color_statistics(batch)
    assert all(torch.equal(one, other) for one, other in zip(inside, color_statistics(batch), strict=True))


def test_square_roots_are_those_of_the_eigenvalues() -> None:
    rotation = torch.linalg.qr(torch.randn(3, 3, dtype=torch.float64, generator=torch.Generator().manual_seed(0)))[0]
    for eigenvalues in ([1.0, 1.0, 1.0], [0.3, 0.02, 1e-3], [1.0, 1e-3, 1e-6]):
        matrix = rotation @ torch.diag(torch.tensor(eigenvalues, dtype=torch.float64)) @ rotation.T
        root, inverse = square_roots(matrix[None])
        expected = rotation @ torch.diag(torch.tensor(eigenvalues, dtype=torch.float64).sqrt()) @ rotation.T
        assert torch.allclose(root[0], expected, rtol=1e-6, atol=1e-9)
        assert torch.allclose(inverse[0] @ root[0], torch.eye(3, dtype=torch.float64), atol=1e-6)


def test_the_map_carries_mean_and_covariance_over_and_is_symmetric() -> None:
    content, style = color_statistics(pictures(1)), color_statistics(pictures(2))
    matrix, shift = color_transport(style, content)
    assert torch.allclose(matrix, matrix.mT, atol=1e-5)
    assert bool((torch.linalg.eigvalsh(matrix) > 0).all())
    floor = SMALLEST_VARIANCE * torch.eye(3)
    assert torch.allclose(matrix @ (content.covariance + floor) @ matrix.mT, style.covariance + floor, atol=1e-5)
    assert torch.allclose(matrix @ content.mean[..., None] + shift, style.mean[..., None], atol=1e-5)


def test_no_other_map_to_the_same_colours_moves_them_less() -> None:
    """Any other map to that covariance is this one after a rotation of the whitened colours."""
    content, style = color_statistics(pictures(1)), color_statistics(pictures(2))
    floor = SMALLEST_VARIANCE * torch.eye(3)
    wanted, given = ((one.covariance[0] + floor).double() for one in (style, content))

    def moved(matrix: Tensor) -> float:  # E‖Tx − x‖² of centred x
        difference = matrix - torch.eye(3)
        return float(torch.trace(difference @ given @ difference.T))

    own = moved(color_transport(style, content).matrix[0].double())
    root, inverse = torch.linalg.cholesky(wanted), torch.linalg.inv(torch.linalg.cholesky(given))
    for seed in range(20):
        generator = torch.Generator().manual_seed(seed)
        rotation = torch.linalg.qr(torch.randn(3, 3, dtype=torch.float64, generator=generator))[0]
        assert moved(root @ rotation @ inverse) > own - 1e-6


def test_the_noise_of_a_grey_content_is_not_made_into_colours() -> None:
    grey = torch.rand(1, 1, 32, 32).expand(-1, 3, -1, -1) * 0.6 + 0.2
    noisy = grey + 0.002 * torch.randn(1, 3, 32, 32)
    matrix = color_transport(color_statistics(pictures(2)), color_statistics(noisy)).matrix[0]
    chroma = torch.tensor([[1.0, -1.0, 0.0], [1.0, 1.0, -2.0]]).T
    assert float((torch.linalg.vector_norm(matrix @ chroma, dim=0) / torch.linalg.vector_norm(chroma, dim=0)).max()) < 5


def test_degrees_lie_between_the_content_s_colours_and_the_style_s() -> None:
    content, style = color_statistics(pictures(1, 2)), color_statistics(pictures(2))
    nothing, half, full = (color_transport(style, content, degree) for degree in (0.0, 0.5, 1.0))
    assert torch.allclose(nothing.matrix, torch.eye(3)) and torch.equal(nothing.shift, torch.zeros_like(nothing.shift))
    assert torch.allclose(2 * half.matrix, nothing.matrix + full.matrix, atol=1e-6)
    one_each = color_transport(style, content, torch.tensor([[0.0], [1.0]]))
    assert torch.allclose(one_each.matrix, torch.stack([nothing.matrix[0], full.matrix[1]]), atol=1e-6)
    assert torch.allclose(one_each.shift, torch.stack([nothing.shift[0], full.shift[1]]), atol=1e-6)


def test_masks_give_each_region_its_own_map_and_leave_the_rest() -> None:
    darker, redder = (
        ColorMap(torch.eye(3)[None] * k, torch.tensor([[[s], [0.0], [0.0]]])) for k, s in ((0.5, 0), (1, 0.2))
    )
    batch = torch.full((1, 3, 4, 6), 0.5)
    left, middle = torch.zeros(2, 1, 1, 4, 6)
    left[..., :2], middle[..., 2:4] = 1, 1
    result = recolored(batch, [darker, redder], [left, middle])
    assert torch.allclose(result[..., :2], torch.tensor(0.25))
    assert torch.allclose(result[0, :, 0, 3], torch.tensor([0.7, 0.5, 0.5]))
    assert torch.equal(result[..., 4:], batch[..., 4:])


def test_codes_carry_colours_through_mixing_and_files(tmp_path: Path, tiny_config: dict[str, Any]) -> None:
    network = build(tiny_config)
    first, second = (network.encode_style(pictures(seed)) for seed in (1, 2))
    mixed = StyleCode.mix([first, second], [0.25, 0.75])
    assert first.colors is not None and second.colors is not None and mixed.colors is not None
    for one, a, b in zip(mixed.colors, first.colors, second.colors, strict=True):
        assert torch.allclose(one, 0.25 * a + 0.75 * b, atol=1e-6)
    loaded = StyleCode.load(mixed.save(tmp_path / "mixed.style.safetensors"))
    assert loaded.colors is not None
    assert all(torch.equal(a, b) for a, b in zip(loaded.colors, mixed.colors, strict=True))
    without = StyleCode(first.layers, first.statistics, first.encoder)  # as files of earlier versions are
    assert StyleCode.mix([without, second]).colors is None
    assert StyleCode.load(without.save(tmp_path / "old.style.safetensors")).colors is None
    content = pictures(3, height=16)
    assert torch.equal(network.recolored(content, without), content)
    assert torch.equal(network(content, without), network.decode(network.encode_content(content), without))


@pytest.mark.parametrize("recolor", [True, False])
def test_a_network_says_whether_it_recolours(tiny_config: dict[str, Any], recolor: bool) -> None:
    network = build(tiny_config | {"recolor": recolor})
    content, code = pictures(3), network.encode_style(pictures(4))
    assert code.colors is not None
    expected = recolored(content, [color_transport(code.colors, color_statistics(content))]) if recolor else content
    assert torch.equal(network.recolored(content, code), expected)
    assert torch.allclose(network.recolored(content, code, 0.0), content, atol=1e-6)


def test_a_picture_in_its_own_colours_stays_as_it_is() -> None:
    batch = pictures(1, 2)
    own = color_statistics(batch)
    assert torch.allclose(recolored(batch, [color_transport(own, ColorStatistics(*own))]), batch, atol=1e-4)
