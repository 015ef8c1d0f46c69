"""StyleTransferNetwork: building from config, the steps of a forward pass, and what of it is stored."""

from __future__ import annotations

from copy import deepcopy
from typing import Any

import pytest
import torch
import torch.nn.functional as F

from nst.calibration import mean_activations
from nst.encoders import VGG19
from nst.errors import UserError
from nst.networks import Region, StyleTransferNetwork, build
from nst.style_code import StyleCode

FIVE_LEVELS = ["relu1_1", "relu2_1", "relu3_1", "relu4_1", "relu5_1"]


def random_encoder(layers: list[str]) -> dict[str, Any]:
    return {"name": "vgg19", "layers": layers, "weights": "random", "normalized": False}


def caffe(config: dict[str, Any], **content: Any) -> dict[str, Any]:
    """The config with Caffe weights in both encoders."""
    config = deepcopy(config)
    for part in ("content_encoder", "style_encoder"):
        config[part] |= {"weights": "caffe", "normalized": True}
    config["content_encoder"] |= content
    return config


def output(network: StyleTransferNetwork) -> torch.Tensor:
    generator = torch.Generator().manual_seed(5)
    content, style = (torch.rand(1, 3, 16, 16, generator=generator) for _ in "ab")
    with torch.no_grad():
        return network(content, style)


def perturb(network: StyleTransferNetwork) -> None:
    """Stands for training: every parameter that requires a gradient moves."""
    with torch.no_grad():
        for parameter in network.parameters():
            if parameter.requires_grad:
                parameter.add_(torch.randn_like(parameter) * 0.05)


# --- forward ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("levels", [1, 2, 3, 4, 5])
def test_one_to_five_levels_run_forward_and_backward_at_odd_multiples_of_the_stride(levels: int) -> None:
    layers = FIVE_LEVELS[:levels]
    widths = {2**i: 4 for i in range(levels)}
    network = StyleTransferNetwork(
        random_encoder(layers), random_encoder(layers), {"layers": layers}, {"widths": widths}
    )
    assert network.stride == 2 ** (levels - 1)
    content = torch.rand(2, 3, 3 * network.stride, 5 * network.stride)
    picture = network(content, torch.rand(2, 3, 32, 48))
    assert picture.shape == content.shape
    picture.square().sum().backward()
    for part in (network.fusion, network.decoder):
        assert all(parameter.grad is not None for parameter in part.parameters())
    assert all(parameter.grad is None for parameter in network.content_encoder.parameters())
    assert all(parameter.grad is None for parameter in network.style_encoder.parameters())


def test_plain_adain_fuses_the_deepest_layer_alone() -> None:
    layers = ["relu1_1", "relu2_1", "relu3_1"]
    decoder = {"widths": {8: 9, 4: 8, 2: 6, 1: 4}, "depth": 1}
    network = StyleTransferNetwork(random_encoder(layers), random_encoder(layers), {"layers": ["relu3_1"]}, decoder)
    assert list(network.fusion(*_encoded(network))) == [4]
    assert network.decoder.strides == [4, 2, 1]  # widths deeper than the fusion are not built


def _encoded(network: StyleTransferNetwork) -> tuple[Any, ...]:
    content = network.encode_content(torch.rand(1, 3, 16, 16))
    return content, network.content_statistics(content), network.encode_style(torch.rand(1, 3, 16, 16))


def test_alpha_zero_is_the_content_in_its_own_style(tiny_config: dict[str, Any]) -> None:
    network = build(caffe(tiny_config))  # its encoders are equal, so that a content picture can be its own style
    torch.nn.init.normal_(network.decoder.to_picture.weight)
    content, style = torch.rand(2, 3, 16, 24), torch.rand(2, 3, 16, 16) ** 3
    itself = network(content, network.encode_style(content), alpha=1.0)
    assert torch.allclose(network(content, style, alpha=0.0), itself, atol=1e-3)
    assert not torch.allclose(network(content, style, alpha=1.0), itself, atol=1e-1)


def test_the_steps_one_by_one_are_the_forward_pass(tiny_config: dict[str, Any]) -> None:
    network = build(tiny_config)
    content, style = torch.rand(2, 3, 16, 24), torch.rand(1, 3, 16, 16)
    code = network.encode_style(style)
    features = network.encode_content(network.recolored(content, code, 0.7))
    whole = network(content, style, alpha=0.7)
    assert torch.equal(network(content, code, alpha=0.7), whole)
    assert torch.equal(network.decode(features, code, 0.7, network.content_statistics(features)), whole)


def test_a_batch_is_its_pictures_one_by_one(tiny_config: dict[str, Any]) -> None:
    network = build(tiny_config)
    content, style, alpha = torch.rand(3, 3, 16, 16), torch.rand(3, 3, 16, 16), torch.tensor([0.0, 0.5, 1.0])
    together = network(content, style, alpha)
    for i in range(3):
        assert torch.allclose(
            together[i : i + 1], network(content[i : i + 1], style[i : i + 1], float(alpha[i])), atol=1e-5
        )


def test_the_style_code_holds_the_statistics_of_the_style_encoders_features(tiny_config: dict[str, Any]) -> None:
    network = build(tiny_config)
    style = torch.rand(2, 3, 16, 16)
    code = network.encode_style(style)
    assert code.layers == ("relu1_1", "relu2_1")
    assert code.encoder == network.style_encoder_id
    assert code.encoder.startswith("vgg19-random-raw-")
    for statistics, features in zip(code.statistics, network.style_encoder(style), strict=True):
        assert torch.allclose(statistics.mean, features.mean(dim=(2, 3)), atol=1e-5)
        variance = features.var(dim=(2, 3), correction=0)
        assert torch.allclose(statistics.std, (variance + 1e-5).sqrt(), atol=1e-3)


def test_a_pyramid_looks_at_the_smallest_styles_too(tiny_config: dict[str, Any]) -> None:
    tiny_config["style_encoder"] |= {"pyramid": [1.0, 0.25], "layers": ["relu1_1", "relu2_1", "relu3_1", "relu5_1"]}
    code = build(tiny_config).encode_style(torch.rand(1, 3, 16, 40))
    assert all(torch.isfinite(value).all() for pair in code.statistics for value in pair)


def test_a_pyramid_averages_the_looks_at_several_sizes(tiny_config: dict[str, Any]) -> None:
    plain = build(tiny_config)
    tiny_config["style_encoder"]["pyramid"] = [1.0, 0.5]
    pyramid = build(tiny_config)
    pyramid.style_encoder.load_state_dict(plain.style_encoder.state_dict())
    style = torch.rand(1, 3, 32, 32)
    looks = [plain.encode_style(style), plain.encode_style(F.avg_pool2d(style, 2))]
    found, expected = pyramid.encode_style(style), StyleCode.mix(looks)
    for layer in expected.layers:
        assert torch.allclose(found[layer].mean, expected[layer].mean, atol=1e-5)
        assert torch.allclose(found[layer].std, expected[layer].std, atol=1e-5)


def test_a_style_code_of_another_model_is_refused(tiny_config: dict[str, Any]) -> None:
    network = build(tiny_config)
    code = network.encode_style(torch.rand(1, 3, 16, 16))
    for foreign in (
        StyleCode(code.layers, code.statistics, "vgg19-torchvision-normalized"),
        StyleCode(code.layers[:1], code.statistics[:1], code.encoder),
    ):
        with pytest.raises(UserError):
            network(torch.rand(1, 3, 16, 16), foreign)


# --- modulation ------------------------------------------------------------------------------------------------------


def modulated(config: dict[str, Any]) -> StyleTransferNetwork:
    """The tiny network with a deeper style layer that only modulates, and a residual block, as if trained."""
    config = deepcopy(config)
    config["style_encoder"]["layers"] = ["relu1_1", "relu2_1", "relu3_1"]
    config["decoder"] |= {"residual_blocks": 1}
    network = build(config | {"hidden": 8, "recolor": False, "kernel_rank": 3})
    assert isinstance(network, StyleTransferNetwork) and network.predictor is not None
    for name, parameter in network.named_parameters():
        if name.endswith(("second.weight", "to_picture.weight", "mlp.last.weight", "outward")):
            torch.nn.init.normal_(parameter, std=0.1)
    return network.requires_grad_(False)


def test_layers_that_are_not_fused_modulate_the_decoder(tiny_config: dict[str, Any]) -> None:
    network = modulated(tiny_config)
    assert network.style_layers == ("relu1_1", "relu2_1", "relu3_1")
    content, code = torch.rand(1, 3, 24, 32), network.encode_style(torch.rand(1, 3, 32, 32))
    deeper = code.statistics[2]
    other = StyleCode(code.layers, (*code.statistics[:2], deeper._replace(mean=2 * deeper.mean + 1)), code.encoder)
    features = network.encode_content(content)
    assert not torch.allclose(network.decode(features, code), network.decode(features, other), atol=1e-3)
    assert torch.equal(network.decode(features, code, 0.0), network.decode(features, other, 0.0))


def test_a_scale_of_alpha_zero_is_not_modulated(tiny_config: dict[str, Any]) -> None:
    network = modulated(tiny_config)
    code = network.encode_style(torch.rand(1, 3, 32, 32))
    maps = network._modulations(code, [0.0, 1.0])
    assert maps is not None and [stride for stride, *_ in network.decoder.places] == [2, 1]
    unchanged = [bool((scale == 1).all() and (shift == 0).all()) for (scale, shift), _ in maps]
    unmixed = [all(bool((mix == 0).all()) for mix in mixes) for _, mixes in maps]
    assert unchanged == unmixed == [False, True]


def test_a_region_is_modulated_by_its_own_style(tiny_config: dict[str, Any]) -> None:
    network = modulated(tiny_config)
    features = network.encode_content(torch.rand(1, 3, 16, 160))
    codes = [network.encode_style(torch.rand(1, 3, 32, 32) ** power) for power in (1, 4)]
    left = torch.zeros(1, 1, 16, 160)
    left[..., :80] = 1
    statistics = network.content_statistics(features)
    regions = [Region(code, mask, statistics) for code, mask in zip(codes, (left, 1 - left), strict=True)]
    painted, inside = network.decode_regions(features, regions), network.margins[1]
    assert inside < 64
    for index, part in enumerate((slice(0, 80 - inside), slice(80 + inside, 160))):
        assert torch.allclose(painted[..., part], network.decode(features, codes[index])[..., part], atol=1e-4)


# --- regions and tiles -----------------------------------------------------------------------------------------------


def test_one_region_everywhere_is_the_style_itself(tiny_config: dict[str, Any]) -> None:
    network = build(tiny_config)
    torch.nn.init.normal_(network.decoder.to_picture.weight)
    features, code = network.encode_content(torch.rand(1, 3, 16, 24)), network.encode_style(torch.rand(1, 3, 16, 16))
    region = Region(code, torch.ones(1, 1, 16, 24), network.content_statistics(features))
    assert torch.allclose(
        network.decode_regions(features, [region], 0.8), network.decode(features, code, 0.8), atol=1e-4
    )


def test_each_region_has_its_own_style_and_the_rest_none(tiny_config: dict[str, Any]) -> None:
    network = build(tiny_config)
    torch.nn.init.normal_(network.decoder.to_picture.weight)
    features = network.encode_content(torch.rand(1, 3, 16, 96))
    codes = [network.encode_style(torch.rand(1, 3, 16, 16) ** power) for power in (1, 4)]
    masks = [torch.zeros(1, 1, 16, 96) for _ in codes]
    masks[0][..., :32], masks[1][..., 32:64] = 1, 1
    statistics = network.content_statistics(features)
    painted = network.decode_regions(features, [Region(c, m, statistics) for c, m in zip(codes, masks, strict=True)])
    inside = network.margins[1]  # further from the border of a region its neighbours cannot be seen
    assert inside < 16
    expected = [*(network.decode(features, code) for code in codes), network.decode(features, codes[0], 0.0)]
    for index, whole in enumerate(expected):
        part = slice(32 * index + inside, 32 * (index + 1) - inside)
        assert torch.allclose(painted[..., part], whole[..., part], atol=1e-4)
        assert not torch.allclose(painted[..., part], expected[index - 1][..., part], atol=1e-2)


@pytest.mark.parametrize("upsampling", ["nearest", "bilinear", "transposed", "pixelshuffle"])
@pytest.mark.parametrize("layers", [["relu1_1", "relu2_1"], ["relu3_1"]])
def test_nothing_beyond_the_margins_is_looked_at(upsampling: str, layers: list[str]) -> None:
    decoder = {"widths": {4: 6, 2: 6, 1: 4}, "depth": 2, "upsampling": upsampling}
    network = StyleTransferNetwork(random_encoder(layers), random_encoder(layers), {"layers": layers}, decoder)
    torch.nn.init.normal_(network.decoder.to_picture.weight)
    column = 64
    content, code = torch.rand(1, 3, 8, 128), network.encode_style(torch.rand(1, 3, 16, 16))
    changed = content.clone()
    changed[..., column] = 1 - changed[..., column]
    maps = [network.encode_content(picture) for picture in (content, changed)]
    statistics = network.content_statistics(maps[0])
    pictures = [network.decode(features, code, 1.0, statistics) for features in maps]
    of_features, of_output = network.margins
    for before, after in zip(*maps, strict=True):
        stride = 128 // before.shape[3]
        differs = (before != after).any(dim=2)[0].any(dim=0).nonzero().flatten() * stride
        assert column - of_features - stride < int(differs.min()) and int(differs.max()) <= column + of_features
    differs = ((pictures[0] - pictures[1]).abs() > 1e-5).any(dim=2)[0].any(dim=0).nonzero().flatten()
    assert column - of_output <= int(differs.min()) and int(differs.max()) <= column + of_output
    assert int(differs.max()) - int(differs.min()) > of_output  # not wastefully wide either


# --- what is stored --------------------------------------------------------------------------------------------------


def test_frozen_encoder_weights_are_not_stored(tiny_config: dict[str, Any]) -> None:
    state = build(caffe(tiny_config)).own_state_dict()
    assert not [name for name in state if "convolutions" in name]
    assert {name.split(".")[0] for name in state} <= {"content_encoder", "style_encoder", "fusion", "decoder"}
    stored = build(caffe(tiny_config, trainable_from="conv2_1")).own_state_dict()
    assert [name for name in stored if "convolutions" in name] == [
        "content_encoder.convolutions.conv2_1.weight",
        "content_encoder.convolutions.conv2_1.bias",
    ]


@pytest.mark.parametrize("trainable_from", [None, "conv2_1", "conv1_1"])
def test_what_was_learned_comes_back_in_a_new_network(tiny_config: dict[str, Any], trainable_from: str | None) -> None:
    config = caffe(tiny_config, trainable_from=trainable_from)
    network = build(config)
    perturb(network)
    copy = build(config)
    assert not torch.allclose(output(copy), output(network), atol=1e-4)
    copy.load_own_state_dict(network.own_state_dict())
    assert torch.equal(output(copy), output(network))


@pytest.mark.parametrize("trainable_from", [None, "conv2_1"])
def test_a_calibrated_random_encoder_comes_back_too(tiny_config: dict[str, Any], trainable_from: str | None) -> None:
    """Nothing but the stored state can bring random weights back, frozen or not."""
    for part in ("content_encoder", "style_encoder"):
        tiny_config[part] |= {"normalized": True, "trainable_from": trainable_from}
    network = build(tiny_config)
    for encoder in (network.content_encoder, network.style_encoder):
        assert isinstance(encoder, VGG19)
        encoder.set_mean_activations(mean_activations(encoder, [torch.rand(2, 3, 16, 16)]))
    perturb(network)
    copy = build(tiny_config)
    copy.load_own_state_dict(network.own_state_dict())
    assert torch.allclose(output(copy), output(network), atol=1e-5)
    assert isinstance(copy.content_encoder, VGG19) and not copy.content_encoder.needs_calibration


def test_codes_of_a_fine_tuned_style_encoder_are_its_own(tiny_config: dict[str, Any]) -> None:
    """A model and the float16 file made of it share them; the encoder that it was tuned from, or tuned otherwise, does not."""
    config = caffe(tiny_config)
    config["style_encoder"]["trainable_from"] = "conv2_1"
    tuned, otherwise, frozen = build(config), build(config), build(caffe(tiny_config))
    assert frozen.style_encoder_id == "vgg19-caffe-normalized"
    for network in (tuned, otherwise):
        perturb(network)
        for parameter in network.style_encoder.trained_parameters():
            parameter.data += 0.01 * torch.rand_like(parameter)
    code = tuned.encode_style(torch.rand(1, 3, 32, 32))
    stored = build(config)
    stored.load_own_state_dict({name: value.half() for name, value in tuned.own_state_dict().items()})
    stored.require_own(code)
    for stranger in (otherwise, frozen):
        with pytest.raises(UserError, match="encode the style picture again"):
            stranger.require_own(code)


def test_loading_twice_changes_nothing(tiny_config: dict[str, Any]) -> None:
    network = build(caffe(tiny_config, trainable_from="conv2_1"))
    perturb(network)
    state = {name: tensor.clone() for name, tensor in network.own_state_dict().items()}
    expected = output(network)
    network.load_own_state_dict(state)
    network.load_own_state_dict(state)
    assert torch.allclose(output(network), expected, atol=1e-6)


@pytest.mark.parametrize(
    "missing", ["decoder.to_picture.bias", "fusion.projections.0.weight", "content_encoder.mean_activation_conv1_2"]
)
def test_a_state_that_lacks_something_is_refused(tiny_config: dict[str, Any], missing: str) -> None:
    network = build(caffe(tiny_config))
    state = network.own_state_dict()
    del state[missing]
    with pytest.raises(UserError, match=missing):
        network.load_own_state_dict(state)


@pytest.mark.parametrize("name", ["decoder.to_picture.bias", "content_encoder.mean_activation_conv1_2"])
def test_a_state_of_another_shape_is_refused_and_leaves_the_network_as_it_was(
    tiny_config: dict[str, Any], name: str
) -> None:
    network = build(caffe(tiny_config))
    before = output(network)
    state = {key: tensor * 2 for key, tensor in network.own_state_dict().items()} | {name: torch.zeros(7)}
    with pytest.raises(UserError, match=name):
        network.load_own_state_dict(state)
    assert torch.equal(output(network), before)


def test_a_state_with_a_part_too_many_is_refused(tiny_config: dict[str, Any]) -> None:
    network = build(caffe(tiny_config))
    with pytest.raises(UserError, match="decoder.stages.9.weight"):
        network.load_own_state_dict(network.own_state_dict() | {"decoder.stages.9.weight": torch.zeros(1)})


# --- config ----------------------------------------------------------------------------------------------------------


def test_a_config_with_text_keys_builds_the_same_network(tiny_config: dict[str, Any]) -> None:
    """JSON, in which models keep their config, knows only text keys."""
    widths = tiny_config["decoder"]["widths"]
    text = tiny_config | {"decoder": {**tiny_config["decoder"], "widths": {str(k): v for k, v in widths.items()}}}
    shapes = [{name: tensor.shape for name, tensor in build(c).state_dict().items()} for c in (tiny_config, text)]
    assert shapes[0] == shapes[1]


def test_building_leaves_the_config_alone(tiny_config: dict[str, Any]) -> None:
    tiny_config["style_encoder"]["pyramid"] = [1.0]
    before = deepcopy(tiny_config)
    build(tiny_config)
    assert tiny_config == before


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"architecture": "transformer"}, "unknown model architecture 'transformer': choose from multiscale"),
        ({"architecture": None}, "unknown model architecture None"),
        ({"depth": 3}, "does not fit architecture 'multiscale'.*depth"),
        ({"fusion": {"layers": ["relu4_1"]}}, "fusion layer 'relu4_1' is not among the content encoder's"),
        ({"fusion": {"layers": []}}, "fusion"),
        ({"fusion": {}}, "layers"),
        ({"fusion": {"layers": ["relu1_1"], "norm": "batch"}}, "unknown fusion option 'norm'"),
        ({"decoder": {"widths": {1: 4}}}, r"decoder widths name no width for stride \[2\]"),
        ({"decoder": {"widths": {2: 8}}}, "stride"),
        ({"decoder": {"depth": 1}}, "widths"),
        ({"decoder": {"widths": {2: 8, 1: 4}, "norm": "batch"}}, "norm"),
        ({"decoder": {"widths": {2: 8, 1: 4}, "upsampling": "cubic"}}, "unknown decoder upsampling 'cubic'"),
        ({"content_encoder": {"name": "vgg99", "layers": ["relu1_1"]}}, "unknown encoder 'vgg99'"),
        ({"content_encoder": {"name": "vgg19", "weights": "random", "dropout": 0.5}}, "dropout"),
        ({"content_encoder": {"name": "vgg19", "weights": "random", "layers": ["relu7_1"]}}, "unknown layer 'relu7_1'"),
        ({"style_encoder": random_encoder(["relu1_1"])}, "fusion layer 'relu2_1' is not among the style encoder's"),
    ],
)
def test_a_config_that_does_not_fit_is_named(tiny_config: dict[str, Any], change: dict[str, Any], message: str) -> None:
    with pytest.raises(UserError, match=message):
        build({**tiny_config, **change})


def test_encoders_of_one_layer_name_and_other_widths_are_named(tiny_config: dict[str, Any]) -> None:
    for part, name in (("content_encoder", "resnet18"), ("style_encoder", "resnet50")):
        tiny_config[part] = {"name": name, "layers": ["layer1"], "weights": "random", "normalized": False}
    change = {"fusion": {"layers": ["layer1"]}, "decoder": {"widths": {4: 8, 2: 8, 1: 4}}}
    with pytest.raises(UserError, match="'layer1' has 64 channels in the content encoder and 256 in the style encoder"):
        build(tiny_config | change)


@pytest.mark.parametrize("hidden", [0, 8])
@pytest.mark.parametrize("part", ["content_encoder", "style_encoder"])
def test_whatever_is_trained_gets_a_gradient(tiny_config: dict[str, Any], part: str, hidden: int) -> None:
    """DDP waits in vain for those of encoder layers that lead nowhere."""
    tiny_config[part]["trainable_from"] = "conv1_1"
    network = build(tiny_config | {"fusion": {"layers": ["relu1_1"]}, "hidden": hidden})
    torch.nn.init.normal_(network.decoder.to_picture.weight)
    network(torch.rand(1, 3, 16, 16), torch.rand(1, 3, 16, 16)).square().mean().backward()
    idle = [name for name, weight in network.named_parameters() if weight.requires_grad and weight.grad is None]
    assert idle == []
    used_by_hidden = hidden and part == "style_encoder"
    trained = {name for name, weight in network.named_parameters() if weight.requires_grad and "conv2_1" in name}
    assert bool(trained) == bool(used_by_hidden)


def test_a_config_without_a_part_is_named(tiny_config: dict[str, Any]) -> None:
    del tiny_config["decoder"]
    with pytest.raises(UserError, match="decoder"):
        build(tiny_config)
