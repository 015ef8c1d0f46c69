"""VGG-19, the encoder of the field, and :func:`build_encoder`, which makes any encoder by name."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from itertools import pairwise
from pathlib import Path
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from nst import vgg_weights
from nst.encoder_contract import MINIMUM_MEAN_ACTIVATION, Encoder, mean_activation_name
from nst.errors import UserError
from nst.reflection import ReflectionConv2d, fuses_relu

# Convolutions a block of VGG-19 and their width (Simonyan & Zisserman 2014, table 1, column E).
VGG19_BLOCKS = ((2, 64), (2, 128), (4, 256), (4, 512), (4, 512))


def vgg19_layer_names() -> list[str]:
    """Every layer name of VGG-19 in order: conv1_1, relu1_1, …, relu1_2, pool1, conv2_1, …"""
    names: list[str] = []
    for block, (depth, _) in enumerate(VGG19_BLOCKS, start=1):
        for index in range(1, depth + 1):
            names += [f"conv{block}_{index}", f"relu{block}_{index}"]
        names.append(f"pool{block}")
    return names


class VGG19(Encoder):
    """VGG-19 up to the deepest layer asked for.

    With ``normalized`` every filter's activation after its ReLU has mean 1 on photographs, the network Gatys et al. 2016
    (section 2) and all AdaIN recipes assume. ReLU and max-pooling are positively homogeneous, so this is an exact
    rescaling of the weights, ``W_l ← W_l · m_{l-1}[in] / m_l[out]`` and ``b_l ← b_l / m_l[out]``: features are the
    original's divided by ``m_l``. The Caffe network's ``m`` ship with the package; for other weights call
    :func:`nst.calibration.mean_activations` once and hand the result to :meth:`set_mean_activations`.

    Args:
        layers: names such as ``relu4_1``, in the order the features are to be returned.
        weights: ``caffe``, ``torchvision``, ``random`` or the path of a state dict.
        normalized: divide each filter by its mean activation.
        padding: ``zeros`` (what VGG was trained with) or ``reflect``.
        trainable_from: first layer that is trained; ``None`` freezes the whole encoder.

    Raises:
        UserError: an unknown layer name, or weights that cannot be read.
    """

    mean: Tensor
    std: Tensor

    def __init__(
        self,
        layers: Sequence[str] = ("relu4_1",),
        weights: str | Path = "caffe",
        normalized: bool = True,
        padding: str = "zeros",
        trainable_from: str | None = None,
    ) -> None:
        super().__init__()
        known = vgg19_layer_names()
        if not layers:
            raise UserError("vgg19 needs at least one layer: set layers, e.g. [relu4_1].")
        for layer in [*layers, *([trainable_from] if trainable_from else [])]:
            if layer not in known:
                raise UserError(f"unknown layer {layer!r} for vgg19: choose from {', '.join(known)}.")
        if padding not in ("zeros", "reflect"):
            raise UserError(f"unknown encoder padding {padding!r}: choose zeros or reflect.")
        self.layers = tuple(layers)
        self.padding = padding
        self.zero_padded = padding == "zeros"
        self.normalized = normalized
        self.weights = str(weights)
        self.trainable_from = trainable_from

        convolution = ReflectionConv2d if padding == "reflect" else nn.Conv2d
        channels = 3
        self.layer_channels: dict[str, int] = {}
        self.layer_strides: dict[str, int] = {}
        self.convolutions = nn.ModuleDict()
        self.names = known[: max(known.index(layer) for layer in layers) + 1]
        for name in self.names:
            block = int(name[4])  # convB_i, reluB_i, poolB
            if name.startswith("conv"):
                width = VGG19_BLOCKS[block - 1][1]
                self.convolutions[name] = convolution(channels, width, 3, padding=1)
                self.register_buffer(mean_activation_name(name), torch.ones(width))
                channels = width
            self.layer_channels[name] = channels
            self.layer_strides[name] = 2 ** (block if name.startswith("pool") else block - 1)
        self.out_channels = tuple(self.layer_channels[layer] for layer in layers)
        self.strides = tuple(self.layer_strides[layer] for layer in layers)
        self.normalized_layers = tuple(self.convolutions)
        if trainable_from and not self.trained_parameters():
            raise UserError(
                f"trainable_from={trainable_from!r} is beyond the encoder's last convolution in use, "
                f"{self.normalized_layers[-1]!r}: nothing would be trained; name that one or a shallower one."
            )
        self._load_weights()
        self.set_trainable(True)

    def _load_weights(self) -> None:
        names = list(self.convolutions)
        mean, std = vgg_weights.TORCHVISION_MEAN, vgg_weights.TORCHVISION_STD
        if self.weights == "caffe":
            mean, std = vgg_weights.CAFFE_MEAN, vgg_weights.CAFFE_STD
            state = vgg_weights.caffe_weights(names)
        elif self.weights == "torchvision":
            state = vgg_weights.torchvision_weights(names)
        elif self.weights == "random":
            for name, values in self.convolutions.named_parameters():
                if name.endswith("weight"):
                    nn.init.kaiming_normal_(values, nonlinearity="relu")
                else:
                    nn.init.zeros_(values)
            state = self.convolutions.state_dict()
        else:
            state = vgg_weights.file_weights(self.weights, names)
        self.register_buffer("mean", torch.tensor(mean).view(1, 3, 1, 1), persistent=False)
        self.register_buffer("std", torch.tensor(std).view(1, 3, 1, 1), persistent=False)
        for key, tensor in self.convolutions.state_dict().items():
            if state[key].shape != tensor.shape:
                raise UserError(f"encoder weights {self.weights!r}: {key} has shape {tuple(state[key].shape)}, "
                                f"VGG-19's has {tuple(tensor.shape)}: not a VGG-19 state dict.")  # fmt: skip
        self.convolutions.load_state_dict(state)
        if self.normalized and self.weights == "caffe":
            self.set_mean_activations(vgg_weights.caffe_mean_activations())

    def mean_activation(self, layer: str) -> Tensor:
        """As of every encoder; any layer has those of the convolution before it."""
        convolution = [name for name in self.names[: self.names.index(layer) + 1] if name.startswith("conv")][-1]
        return self.get_buffer(mean_activation_name(convolution))

    @torch.no_grad()
    def set_mean_activations(self, means: Mapping[str, Tensor]) -> None:
        """Rescale the weights so that features are the original's divided by ``means``; calling it again replaces them."""
        previous: Tensor | None = None
        parameters = dict(self.convolutions.named_parameters())
        for name in self.convolutions:
            weight, bias = parameters[f"{name}.weight"], parameters[f"{name}.bias"]
            mean = means[name].to(weight)
            ratio = torch.where(mean > MINIMUM_MEAN_ACTIVATION, mean, 1.0) / self.mean_activation(name)
            weight.div_(ratio.view(-1, 1, 1, 1))
            bias.div_(ratio)
            if previous is not None:
                weight.mul_(previous.view(1, -1, 1, 1))
            self.mean_activation(name).mul_(ratio)
            previous = ratio

    def activations(self, images: Tensor) -> dict[str, Tensor]:
        return {name: found.relu() for name, found in self.features(images, self.normalized_layers).items()}

    def trained_parameters(self) -> list[nn.Parameter]:
        if self.trainable_from not in self.names:
            return []
        start = self.names.index(self.trainable_from)
        trained = [layer for name, layer in self.convolutions.items() if self.names.index(name) >= start]
        return [parameter for layer in trained for parameter in layer.parameters()]

    def margin(self, layer: str) -> int:
        names = self.names[: self.names.index(layer) + 1]
        # A 3×3 convolution looks one position further, a 2×2 pooling at most one: each as wide as its input's stride.
        reach = [self.layer_strides[name] for name in names if name.startswith("conv")]
        return sum(reach) + sum(self.layer_strides[name] // 2 for name in names if name.startswith("pool"))

    def describe(self) -> dict[str, Any]:
        description = {"name": "vgg19", "weights": self.weights, "normalized": self.normalized, "padding": self.padding}
        # No two encoders draw the same random weights.
        return description | ({"instance": id(self)} if self.weights == "random" else {})

    def features(self, images: Tensor, layers: Iterable[str]) -> dict[str, Tensor]:
        wanted = set(layers)
        deepest = max((self.names.index(layer) for layer in wanted), default=-1)
        x = (images - self.mean) / self.std
        found: dict[str, Tensor] = {}
        rectified = False
        for name, following in pairwise([*self.names[: deepest + 1], ""]):
            if name.startswith("conv"):
                layer = self.convolutions[name]
                rectified = name not in wanted and self.padding == "reflect" and fuses_relu(x)
                x = layer.rectified(x) if rectified else layer(x)  # type: ignore[operator]
            elif rectified:
                x = F.max_pool2d(x, 2) if name.startswith("pool") else x
            elif name.startswith("pool"):
                x = F.relu(F.max_pool2d(x, 2), inplace=True)
            elif name in wanted or not following.startswith("pool"):  # else it waits for pooling: the same, for less
                # In place saves a pass over memory, unless somebody asked for what stood there before.
                x = F.relu(x, inplace=f"conv{name[4:]}" not in wanted)
            if name in wanted:
                found[name] = x
        return found


def build_encoder(name: str, **options: Any) -> Encoder:
    """An encoder by name: ``vgg19``, a torchvision classifier or a user's class; ``options`` go to the encoder's class."""
    if name == "vgg19":
        return VGG19(**options)
    from nst.feature_encoders import FeatureEncoder  # late: it is built on this module, and torchvision takes its time

    return FeatureEncoder(name, **options)
