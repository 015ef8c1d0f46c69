"""FastNetwork: it looks as far as it says, forgets the style at alpha 0, and gives regions their own style."""

from __future__ import annotations

import contextlib

import pytest
import torch

from nst.base_network import Region
from nst.errors import UserError
from nst.fast_network import DEVIATION_OFFSET, FastNetwork
from nst.networks import build
from nst.style_code import StyleCode
from nst.tiling import render


@pytest.fixture(scope="module")
def network() -> FastNetwork:
    torch.manual_seed(0)
    encoder = {"name": "vgg19", "layers": ["relu1_1", "relu2_1"]}
    widths, blocks = {2: 8, 4: 12, 8: 16}, {4: 1, 8: 2}
    network = build(
        {
            "architecture": "fast",
            "style_encoder": encoder,
            "widths": widths,
            "blocks": blocks,
            "hidden": 8,
            "kernel_rank": 3,
        }
    )
    assert isinstance(network, FastNetwork)
    for name, parameter in network.named_parameters():
        if name.endswith(("second.weight", "predictor.last.weight", "to_picture.weight", "outward")):
            torch.nn.init.normal_(parameter, std=0.1)  # these start at (nearly) nothing, which would hide mistakes
    return network.eval().requires_grad_(False)


@pytest.fixture(scope="module")
def pictures() -> torch.Tensor:
    return torch.rand(3, 1, 3, 144, 160, generator=torch.Generator().manual_seed(2))


def test_tiles_give_what_the_whole_picture_gives(network: FastNetwork, pictures: torch.Tensor) -> None:
    regions = [Region(network.encode_style(pictures[1]))]
    whole = render(network, pictures[0], regions, 1.0, "off", contextlib.nullcontext)
    tiled = render(network, pictures[0], regions, 1.0, 64, contextlib.nullcontext)
    assert float(whole.std()) > 1e-2
    # A channel that hardly fires is scaled up a hundredfold, and its rounding with it.
    assert float((whole - tiled).abs().mean()) < 1e-5 and float((whole - tiled).abs().max()) < 5e-3


def test_alpha_zero_forgets_the_style(network: FastNetwork, pictures: torch.Tensor) -> None:
    content, codes = pictures[0], [network.encode_style(style) for style in pictures[1:]]
    at_zero = [network(content, code, alpha=0.0) for code in codes]
    at_one = [network(content, code, alpha=1.0) for code in codes]
    assert torch.equal(*at_zero) and not torch.allclose(*at_one, atol=1e-2)
    half = network(content, codes[0], alpha=torch.tensor([0.5]))
    assert torch.allclose(half, network(content, codes[0], alpha=4 * [0.5]), atol=1e-6)


def test_light_features_take_the_predicted_statistics(network: FastNetwork, pictures: torch.Tensor) -> None:
    content, code = pictures[0], network.encode_style(pictures[1])
    features = network.encode_content(content)
    maps = network._modulations(code, network.content_statistics(features), 1.0)
    other = network._modulations(code, network.content_statistics(network.encode_content(pictures[2])), 1.0)
    features_2 = network.encode_content(pictures[2])
    for level, place, level_2, place_2 in zip(features[1:], maps.places, features_2[1:], other.places, strict=False):
        first, second = place.features(level), place_2.features(level_2)  # two contents, one target
        assert torch.allclose(first.mean((2, 3)), second.mean((2, 3)), atol=1e-3)
        # A channel that hardly fires is not scaled up without bound, see FEATURE_EPSILON.
        alive = torch.minimum(level.std((0, 2, 3)), level_2.std((0, 2, 3))) > 0.15
        assert alive.any()
        assert torch.allclose(first.std((2, 3))[:, alive], second.std((2, 3))[:, alive], rtol=0.05)


def test_each_region_has_its_own_style(network: FastNetwork, pictures: torch.Tensor) -> None:
    content, codes = pictures[0], [network.encode_style(style) for style in pictures[1:]]
    statistics = network.content_statistics(network.encode_content(content))
    features = network.encode_content(content)
    ones = torch.ones(1, 1, *content.shape[2:])
    alone = network.decode(features, codes[0], 1.0, statistics)
    everywhere = network.decode_regions(features, [Region(codes[0], ones, statistics)])
    assert torch.allclose(everywhere, alone, atol=1e-5)
    unpainted = network.decode_regions(features, [Region(codes[0], 0 * ones, statistics)])
    assert torch.allclose(unpainted, network.decode(features, codes[0], 0.0, statistics), atol=1e-5)


def test_colours_take_a_mean_and_covariance_that_only_the_style_sets(
    network: FastNetwork, pictures: torch.Tensor
) -> None:
    code = network.encode_style(pictures[1])
    mapped = []
    for seed in (3, 4):  # three independent colours of unlike deviations: their normalised covariance is the identity
        generator = torch.Generator().manual_seed(seed)
        spread = 0.1 + 0.2 * torch.rand(1, 3, 1, 1, generator=generator)
        content = 0.3 + spread * torch.rand(1, 3, 256, 256, generator=generator)
        statistics = network.content_statistics(network.encode_content(content))
        colors = network._modulations(code, statistics, 1.0).colors
        normalised = (content - statistics[0].mean[..., None, None]) / network._bounded(statistics[0]).std[
            ..., None, None
        ]
        expected = torch.einsum("dc,bchw->bdhw", mixing_matrix(network, code), normalised)
        result = colors(content)
        assert torch.allclose(result - result.mean((2, 3), keepdim=True), expected, atol=1e-4)
        mapped.append(result.mean((2, 3)))
    assert torch.allclose(*mapped, atol=1e-4)


def mixing_matrix(network: FastNetwork, code: StyleCode) -> torch.Tensor:
    """Deviations on the diagonal, mixtures off it, read from the MLP's output by hand."""
    predicted = network.predictor(code)[0]
    a, b, c, d, e, f = predicted[2 * sum(network.sizes) :][:6]
    deviation = torch.nn.functional.softplus(predicted[:3] + DEVIATION_OFFSET)
    zero = torch.zeros(())
    return torch.diag(deviation) + torch.stack([zero, a, b, c, zero, d, e, f, zero]).view(3, 3)


@pytest.mark.parametrize(
    ("part", "given", "message"),
    [
        ("widths", {2: 8, 4: 12}, r"widths must name the strides 2, 4, 8: found \{2: 8, 4: 12\}"),
        ("blocks", {4: 1}, r"blocks must name the strides 4, 8: found \{4: 1\}"),
        ("blocks", {4: 1, 8: 1, 16: 1}, r"blocks must name the strides 4, 8: found \{4: 1, 8: 1, 16: 1\}"),
    ],
)
def test_strides_are_those_of_the_network(network: FastNetwork, part: str, given: dict[int, int], message: str) -> None:
    with pytest.raises(UserError, match=rf"model {message}"):
        build({**network.config, part: given})


def test_a_rank_is_no_less_than_nothing(network: FastNetwork) -> None:
    with pytest.raises(UserError, match="kernel_rank must be at least 0: found -2"):
        build({**network.config, "kernel_rank": -2})
