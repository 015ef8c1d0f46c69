"""The MLP that reads a style's statistics: standardised inputs, a hidden layer that lives."""

from __future__ import annotations

import torch

from nst.calibration import standardize
from nst.networks import build
from nst.statistics import Statistics
from nst.style_code import StyleCode
from nst.style_mlp import SMALLEST_DEVIATION, EqualizedLinear, StyleMLP, log_statistics


def style_code(styles: int = 2) -> StyleCode:
    statistics = tuple(Statistics(torch.rand(styles, width), torch.rand(styles, width)) for width in (4, 6))
    return StyleCode(("relu1_1", "relu2_1"), statistics)


def test_statistics_become_logarithms_layer_by_layer() -> None:
    code = style_code(1)
    found = log_statistics(code, ["relu2_1", "relu1_1"])
    expected = [code["relu2_1"].mean, code["relu2_1"].std, code["relu1_1"].mean, code["relu1_1"].std]
    assert torch.allclose(found.exp() - 0.01, torch.cat(expected, dim=1), atol=1e-6)


def test_means_below_zero_are_mirrored_at_that_of_zero() -> None:
    mean = torch.tensor([[-2.0, 0.0, 2.0]])
    code = StyleCode(("layer1",), (Statistics(mean, torch.ones(1, 3)),))
    below, zero, above = log_statistics(code, ["layer1"])[0, :3]
    assert torch.isfinite(below) and torch.isclose(zero - below, above - zero)
    assert torch.isclose(zero.exp(), torch.tensor(0.01))


def test_standardised_statistics_have_mean_zero_and_deviation_one_between_styles() -> None:
    code = style_code(50)
    constant = code["relu1_1"]._replace(mean=torch.full((50, 4), 0.5))
    code = StyleCode(code.layers, (constant, code["relu2_1"]), code.encoder)
    mlp = StyleMLP(code.layers, [4, 6], hidden=8, outputs=3)
    mlp.standardize([code[:20], code[20:]])
    known = (log_statistics(code, code.layers) - mlp.mean) / mlp.deviation
    assert torch.allclose(known.mean(0), torch.zeros(20), atol=1e-5)
    assert torch.allclose(known.std(0, correction=0)[4:], torch.ones(16), atol=1e-5)
    assert torch.all(known[:, :4].abs() < 1e-4)  # what hardly differs is not blown up
    assert torch.all(mlp.deviation >= SMALLEST_DEVIATION)


def test_it_is_two_layers_and_a_relu_over_what_the_code_says() -> None:
    code, mlp = style_code(3), StyleMLP(["relu2_1"], [6], hidden=8, outputs=5)
    mlp.standardize([code])
    known = (log_statistics(code, ["relu2_1"]) - mlp.mean) / mlp.deviation
    hidden = (known @ mlp.first.weight.T / 12**0.5 + mlp.first.bias).clamp_min(0)
    assert torch.allclose(mlp(code), hidden @ mlp.last.weight.T / 8**0.5 + mlp.last.bias, atol=1e-5)


def test_a_step_of_adam_moves_an_output_by_the_root_of_the_number_of_inputs() -> None:
    moved = []
    for inputs in (16, 1600):
        layer, x = EqualizedLinear(inputs, 4), torch.ones(1, inputs)
        before, optimizer = layer(x).detach(), torch.optim.Adam(layer.parameters(), lr=1e-3)
        layer(x).sum().backward()
        optimizer.step()
        moved.append(float((layer(x) - before).abs().mean().detach()))
    # A plain layer moves by the number of inputs times the learning rate, this by its root times it; biases by once.
    assert abs(moved[0] - 5e-3) < 1e-5 and abs(moved[1] - 41e-3) < 1e-5


def test_training_begins_with_what_it_knows_of_styles() -> None:
    encoder = {"name": "vgg19", "layers": ["relu1_1", "relu2_1"]}
    widths, blocks = {2: 4, 4: 4, 8: 4}, {4: 1, 8: 1}
    network = build({"architecture": "fast", "style_encoder": encoder, "widths": widths, "blocks": blocks, "hidden": 8})
    pictures = [torch.rand(2, 3, 32, 32) ** power for power in (1, 3)]
    standardize(network, pictures)
    logs = torch.cat([log_statistics(network.encode_style(batch), encoder["layers"]) for batch in pictures])
    assert torch.allclose(network.predictor.mean, logs.mean(0), atol=1e-4)
    assert "predictor.mean" in network.own_state_dict() and "predictor.deviation" in network.own_state_dict()
