"""Loss terms: what they look at, and that networks can be trained with each."""

from __future__ import annotations

import math
from functools import partial
from pathlib import Path
from typing import Any

import pytest
import torch
from omegaconf import OmegaConf
from torch import Tensor

from nst.distribution_distances import (
    central_moment_discrepancy,
    histogram_distance,
    sliced_wasserstein_distance,
)
from nst.errors import UserError
from nst.images import crop, pad_to_multiple
from nst.lightning_module import StyleTransferModule
from nst.loss_distances import balanced_gram_distance, content_distance
from nst.losses import TERMS, LossFeatures, LossInputs, StyleTransferLoss
from nst.networks import build
from nst.picture_distances import flat_variance, laplacian_distance, spectrum_distance

LOSSES = Path(__file__).parent.parent / "configs" / "loss"
VGG_LOSSES = sorted(path.stem for path in LOSSES.glob("*.yaml") if path.stem != "resnet50")
SHALLOW = {"relu1_1": 0.25, "relu2_1": 0.75}
CPU_TYPES = {"float32": torch.float32, "bfloat16": torch.bfloat16}


def loss_config(name: str) -> dict[str, Any]:
    """A config of the group ``loss`` as plain values."""
    given = OmegaConf.load(LOSSES / f"{name}.yaml")
    for base in given.pop("defaults", []):
        given = OmegaConf.merge(OmegaConf.load(LOSSES / f"{base}.yaml"), given)
    return OmegaConf.to_container(given)  # type: ignore[return-value]


def shallow(config: dict[str, Any]) -> dict[str, Any]:
    """The same terms on the network's first layers with random weights: small enough for any test."""
    config["network"] = {"name": "vgg19", "weights": "random"}
    for options in config.values():
        if isinstance(options, dict) and "layers" in options:
            options["layers"] = dict(SHALLOW)
    return config


def losses_of_training(model: dict[str, Any], loss: dict[str, Any], precision: str, side: int) -> list[float]:
    """Total loss of each of 50 steps on one batch."""
    module = StyleTransferModule(build(model), StyleTransferLoss(**loss), partial(torch.optim.Adam, lr=1e-2))
    optimizer = module.configure_optimizers()
    batch = {"content": torch.rand(2, 3, side, side), "style": torch.rand(2, 3, side, side).square()}
    totals = []
    for _ in range(50):
        optimizer.zero_grad()
        with torch.autocast("cpu", CPU_TYPES[precision], enabled=precision != "float32"):
            _, values = module.stylize_and_measure(batch)
        assert all(value.dtype == torch.float32 for value in values.raw.values())
        values.total.backward()
        optimizer.step()
        totals.append(float(values.total.detach()))
    assert all(torch.isfinite(parameter).all() for parameter in module.network.parameters())
    return totals


@pytest.mark.parametrize("precision", CPU_TYPES)
@pytest.mark.parametrize("name", ["sliced_wasserstein", "cmd"])
def test_fifty_steps_lower_the_loss_without_a_nan(name: str, precision: str, tiny_config: dict[str, Any]) -> None:
    totals = losses_of_training(tiny_config, shallow(loss_config(name)), precision, side=16)
    assert all(math.isfinite(total) for total in totals) and totals[-1] < 0.9 * totals[0]


@pytest.mark.slow
@pytest.mark.parametrize("precision", CPU_TYPES)
@pytest.mark.parametrize("name", VGG_LOSSES)
def test_fifty_steps_with_every_loss_as_it_is_shipped(name: str, precision: str, tiny_config: dict[str, Any]) -> None:
    totals = losses_of_training(tiny_config, loss_config(name), precision, side=32)
    assert all(math.isfinite(total) for total in totals) and totals[-1] < 0.9 * totals[0]


@pytest.mark.parametrize("name", [path.stem for path in LOSSES.glob("*.yaml")])
def test_every_loss_config_names_terms_that_there_are(name: str) -> None:
    config = loss_config(name)
    config["network"] |= {"weights": "random"}
    loss = StyleTransferLoss(**config)
    assert set(loss.terms) == {key for key in TERMS if config.get(key) and config[key]["weight"]}


# --- what each term looks at -----------------------------------------------------------------------------------------


@pytest.fixture
def maps() -> tuple[Tensor, Tensor, Tensor]:
    return torch.rand(2, 4, 6, 5), torch.rand(2, 4, 6, 5), torch.rand(2, 4, 7, 7)


def wrapped(features: Tensor) -> LossFeatures:
    return LossFeatures({"relu1_1": features}, {"relu1_1": torch.ones(features.shape[1])})


def gram(features: Tensor) -> Tensor:
    flat = features.flatten(2)
    return flat @ flat.transpose(1, 2) / flat.shape[2]


def test_style_terms_compare_the_output_with_the_style(maps: tuple[Tensor, Tensor, Tensor]) -> None:
    output, content, style = maps
    inputs = LossInputs(torch.rand(2, 3, 6, 5), wrapped(output), wrapped(content), wrapped(style))
    flat, target = output.flatten(2), style.flatten(2)
    expected = {
        "balanced": balanced_gram_distance(gram(output), gram(style)),
        "histogram": histogram_distance(flat, target, "mean"),
        "central_moments": central_moment_discrepancy(flat, target, "mean"),
    }
    for name, value in expected.items():
        term = TERMS[name](1.0, {"relu1_1": 2.0})
        assert float(term(inputs, "mean")) == pytest.approx(2 * float(value), rel=1e-4), name
        assert term.regional


def test_sliced_wasserstein_estimates_the_mean_over_all_directions(maps: tuple[Tensor, Tensor, Tensor]) -> None:
    output, content, style = maps
    inputs = LossInputs(torch.rand(2, 3, 6, 5), wrapped(output), wrapped(content), wrapped(style))
    term = TERMS["sliced_wasserstein"](1.0, {"relu1_1": 1.0}, directions=4000)  # type: ignore[call-arg]
    directions = torch.nn.functional.normalize(torch.randn(4000, 4), dim=1)
    expected = sliced_wasserstein_distance(output.flatten(2), style.flatten(2), directions)
    assert float(term(inputs, "relative")) == pytest.approx(float(expected), rel=0.1)


def test_directions_are_fixed_by_the_style_alone(maps: tuple[Tensor, Tensor, Tensor]) -> None:
    output, content, style = maps
    term = TERMS["sliced_wasserstein"](1.0, {"relu1_1": 1.0}, directions=2)  # type: ignore[call-arg]

    def value(features: Tensor, target: Tensor) -> float:
        return float(term(LossInputs(output, wrapped(features), wrapped(content), wrapped(target)), "mean"))

    first = value(output, style)
    torch.manual_seed(1)
    assert value(output, style) == first
    shifted = torch.cat([style[:, :, 1:], style[:, :, :1] + 1e-3], dim=2)  # nearly the same distribution
    assert value(output, shifted) != pytest.approx(first, rel=1e-3)


def test_edges_spectrum_and_flat_places_are_those_of_the_content() -> None:
    output, content = torch.rand(2, 3, 16, 20), torch.rand(2, 3, 16, 20)
    features = wrapped(torch.rand(2, 4, 4, 4))
    inputs = LossInputs(output, features, features, features, content)
    laplacian = TERMS["laplacian"](1.0, poolings={2: 0.5, 4: 2.0})  # type: ignore[call-arg]
    expected = 0.5 * laplacian_distance(output, content, 2) + 2 * laplacian_distance(output, content, 4)
    assert float(laplacian(inputs, "relative")) == pytest.approx(float(expected), rel=1e-5)
    spectrum = TERMS["spectrum"](1.0, bands=4)  # type: ignore[call-arg]
    assert float(spectrum(inputs, "relative")) == pytest.approx(float(spectrum_distance(output, content, 4)), rel=1e-5)
    flat = TERMS["flat_variance"](1.0)
    assert float(flat(inputs, "relative")) == pytest.approx(float(flat_variance(output, content)), rel=1e-5)


def test_identity_features_compare_pictures_stylized_with_themselves(tiny_config: dict[str, Any]) -> None:
    network = build(tiny_config)
    loss = StyleTransferLoss(network={"weights": "random"}, identity_features={"weight": 1.0, "layers": SHALLOW})
    module = StyleTransferModule(network, loss, partial(torch.optim.Adam, lr=1e-2))
    batch = {"content": torch.rand(2, 3, 16, 16), "style": torch.rand(2, 3, 16, 16)}
    _, values = module.stylize_and_measure(batch)
    expected = 0.0
    for layer, share in SHALLOW.items():
        pairs = []
        content, painting = batch["content"][:1], batch["style"][:1]
        for picture, alpha in ((content, 0.0), (content, 1.0), (painting, 1.0)):
            extended, place = pad_to_multiple(picture, network.stride, network.border)  # as encoders of its own see it
            style, statistics = network.encode_style(picture), network.content_statistics
            features = network.encode_content(extended)
            result = crop(
                network.decode(features, style, alpha, statistics(features)), picture.shape[2:], network.border
            )
            found, wanted = (loss.network.features(x, [layer])[layer] for x in (result, picture))
            pairs.append(float(content_distance(found, wanted)))
        expected += share * sum(pairs) / 3
    assert float(values.raw["identity_features"]) == pytest.approx(expected, rel=1e-4)


@pytest.mark.parametrize(
    ("terms", "message"),
    [
        ({"sliced_wasserstein": {"layers": SHALLOW, "directions": 0}}, "directions must be at least 1"),
        ({"laplacian": {"poolings": {0: 1.0}}}, "poolings must be at least 1"),
        ({"laplacian": {}}, "loss config does not fit: .*poolings"),
    ],
)
def test_unusable_options_are_named(terms: dict[str, Any], message: str) -> None:
    options = {name: {"weight": 1.0, **given} for name, given in terms.items()}
    with pytest.raises(UserError, match=message):
        StyleTransferLoss(network={"weights": "random"}, **options)


def test_a_picture_too_small_for_its_laplacian_is_refused() -> None:
    features, picture = wrapped(torch.rand(1, 4, 4, 4)), torch.rand(1, 3, 8, 8)
    term = TERMS["laplacian"](1.0, poolings={4: 1.0})  # type: ignore[call-arg]
    with pytest.raises(UserError, match="8 pixels is too small for a pooling of 4"):
        term(LossInputs(picture, features, features, features, picture), "mean")
