"""Encoders from any network: torchvision's models by name, a user's own ``nn.Module`` by its dotted path.

Layers are torchvision's graph nodes (:func:`torchvision.models.feature_extraction.get_graph_node_names`): the name of a
submodule stands for its last operation, ``layer2`` of a ResNet for its second stage. Channels, strides and margins are
derived from the traced graph.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from functools import partial
from importlib import import_module
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, fx, nn
from torchvision import models
from torchvision.models.feature_extraction import create_feature_extractor, get_graph_node_names

from nst.encoder_contract import MINIMUM_MEAN_ACTIVATION, UNREPEATABLE, Encoder, mean_activation_name
from nst.errors import UserError
from nst.graph_reach import Layer, measure_layers
from nst.vgg_weights import TORCHVISION_MEAN, TORCHVISION_STD, classifier_state, read_state_dict

LISTED_DEPTH = 1  # dots in the layer names that an error lists


def is_classifier(name: str) -> bool:
    """Whether torchvision has a classifier of this name."""
    return name in models.list_models(module=models)


def build_module(name: str) -> nn.Module:
    """A torchvision classifier with random weights, or ``package.module.Class()``.

    Raises:
        UserError: there is no such model or class, or it is no ``nn.Module`` that can be made without arguments.
    """
    if is_classifier(name):
        return models.get_model(name, weights=None)
    package, _, attribute = name.rpartition(".")
    try:
        found = getattr(import_module(package), attribute)
    except (ImportError, AttributeError, ValueError) as error:
        raise UserError(
            f"unknown encoder {name!r}: choose from vgg19, a torchvision classifier (vgg16, resnet50, convnext_tiny, "
            f"efficientnet_b0, …) or the dotted path of an nn.Module class ({error})."
        ) from None
    if not (isinstance(found, type) and issubclass(found, nn.Module)):
        raise UserError(f"encoder {name!r} is not an nn.Module class: name a class that is.")
    try:
        return found()
    except TypeError as error:
        raise UserError(f"encoder {name!r} cannot be made without arguments: {error}.") from None


def usual_names(module: nn.Module) -> dict[str, str]:
    """relu1_1 → features.1, …: a VGG's layers as the papers call them; nothing for other networks."""
    if not isinstance(module, models.VGG):
        return {}
    names, block, index = {}, 1, 0
    for position, layer in enumerate(module.features):
        if isinstance(layer, nn.Conv2d):
            index += 1
            names[f"conv{block}_{index}"] = f"features.{position}"
        elif isinstance(layer, nn.ReLU):
            names[f"relu{block}_{index}"] = f"features.{position}"
        elif isinstance(layer, nn.MaxPool2d):
            names[f"pool{block}"] = f"features.{position}"
            block, index = block + 1, 0
    return names


def load_weights(module: nn.Module, name: str, weights: str) -> None:
    """Give the module weights: ``torchvision`` (downloaded by it on first use), or a state dict's path.

    Raises:
        UserError: weights that do not exist, cannot be had or read, or belong to another network.
    """
    if weights == "torchvision" and is_classifier(name):
        state = classifier_state(name)
    else:
        state = read_state_dict(weights, "torchvision, random" if is_classifier(name) else "own")
    try:
        module.load_state_dict(state, assign=True)
        module.float()
    except (RuntimeError, TypeError, AttributeError) as error:
        reason = str(error).strip().splitlines()[-1].strip()
        raise UserError(f"encoder weights {weights!r} are not a state dict of {name}: {reason}") from None


class FeatureEncoder(Encoder):
    """Features of named layers of any network that torchvision's feature extraction can trace.

    It stays in evaluation mode: batch normalisation uses the statistics that came with the weights. With ``normalized`` a
    layer's features are divided by their channels' mean absolute activations, which
    :func:`nst.calibration.mean_activations` finds: after a ReLU that is the mean activation of Gatys et al. 2016.

    Args:
        name: a torchvision classifier, or the dotted path of an ``nn.Module`` class that takes no arguments.
        layers: graph nodes or submodules, in the order the features are to be returned; VGGs also know relu1_1, …
        weights: ``torchvision``, ``random`` or the path of a state dict; ``own``: as the user's class makes itself.
        normalized: divide each channel by its mean absolute activation.
        padding: of every padded convolution: ``zeros`` or ``reflect``.
        trainable_from: first layer that is trained; ``None`` freezes the whole encoder.
        mean, std: of the channels in [0, 1], subtracted and divided by; ImageNet's by default.

    Raises:
        UserError: an unknown network, layer or weights, a layer without positions, or a network that cannot be traced.
    """

    mean: Tensor
    std: Tensor

    def __init__(
        self,
        name: str,
        layers: Sequence[str],
        weights: str | Path = "torchvision",
        normalized: bool = True,
        padding: str = "zeros",
        trainable_from: str | None = None,
        mean: Sequence[float] = TORCHVISION_MEAN,
        std: Sequence[float] = TORCHVISION_STD,
    ) -> None:
        super().__init__()
        if not layers:
            raise UserError(f"encoder {name!r} needs at least one layer: set layers.")
        if padding not in ("zeros", "reflect"):
            raise UserError(f"unknown encoder padding {padding!r}: choose zeros or reflect.")
        self.name, self.weights, self.normalized, self.padding = name, str(weights), normalized, padding
        self.layers = self.names = self.normalized_layers = tuple(layers)
        self.trainable_from, self.zero_padded = trainable_from, padding == "zeros"
        with torch.device("meta" if is_classifier(name) else "cpu"):  # names first, and no random weights in vain
            module = build_module(name)
        usual = usual_names(module)
        nodes = self._check_layers(module, usual)
        if self.weights not in UNREPEATABLE:
            load_weights(module, name, self.weights)
        elif is_classifier(name):
            module = build_module(name)
        for part in module.modules():
            if isinstance(part, nn.Conv2d) and padding == "reflect":
                part.padding_mode = "reflect"
            if getattr(part, "inplace", False):
                part.inplace = False  # type: ignore[assignment]  # else a layer asked for may be overwritten by the next
        self.body = create_feature_extractor(module.eval(), {usual.get(layer, layer): layer for layer in layers})
        self.body.eval()
        self._measured: dict[str, Layer] = measure_layers(self.body, layers)
        self.out_channels = tuple(self._measured[layer].channels for layer in layers)
        self.strides = tuple(self._measured[layer].stride for layer in layers)
        for layer in layers:
            self.register_buffer(mean_activation_name(layer), torch.ones(self._measured[layer].channels))
        self.register_buffer("mean", torch.tensor(mean).view(1, 3, 1, 1), persistent=False)
        self.register_buffer("std", torch.tensor(std).view(1, 3, 1, 1), persistent=False)
        self._first_trained = nodes.get(trainable_from or "", "")
        if trainable_from and not self.trained_parameters():
            raise UserError(
                f"trainable_from={trainable_from!r}: {name} has no weights from there to its last layer in use "
                f"({', '.join(layers)}), so nothing would be trained; name a shallower layer."
            )
        self.set_trainable(True)

    def _check_layers(self, module: nn.Module, usual: Mapping[str, str]) -> dict[str, str]:
        """Every name that a layer may have, and its graph node or submodule."""
        try:
            _, found = get_graph_node_names(module, suppress_diff_warning=True)
        except Exception as error:
            raise UserError(
                f"encoder {self.name!r} cannot be traced ({type(error).__name__}: {error}): its forward may not branch on "
                "values or sizes."
            ) from None
        names = [".".join(node.split(".")[:depth]) for node in found for depth in range(1, node.count(".") + 2)]
        known = dict(zip(names, names, strict=True)) | dict(usual)
        for layer in [*self.layers, *([self.trainable_from] if self.trainable_from else [])]:
            if layer not in known:
                listed = list(usual) or [node for node in known if node.count(".") <= LISTED_DEPTH]
                raise UserError(f"unknown layer {layer!r} for {self.name}: choose from {', '.join(listed)}.")
        return known

    def train(self, mode: bool = True) -> FeatureEncoder:
        super().train(mode)
        self.body.eval()
        return self

    def features(self, images: Tensor, layers: Iterable[str]) -> dict[str, Tensor]:
        wanted = list(layers)
        found = self.body((images - self.mean) / self.std) if wanted else {}
        for level in found.values():
            if level.requires_grad:
                level.register_hook(partial(_laid_out_as, level.is_contiguous()))
        if not self.normalized:
            return {layer: found[layer] for layer in wanted}
        means = {layer: self.mean_activation(layer).view(1, -1, 1, 1) for layer in wanted}
        return {layer: found[layer] / means[layer].to(found[layer].dtype) for layer in wanted}

    def activations(self, images: Tensor) -> dict[str, Tensor]:
        return {layer: found.abs() for layer, found in self.features(images, self.layers).items()}

    @torch.no_grad()
    def set_mean_activations(self, means: Mapping[str, Tensor]) -> None:
        for layer in self.layers:
            mean = means[layer].to(self.mean)
            typical = mean.mean() if mean.any() else 1.0
            # A channel that (nearly) never fires is divided by what is usual in its layer rather than blown up.
            self.mean_activation(layer).copy_(torch.where(mean > MINIMUM_MEAN_ACTIVATION * typical, mean, typical))

    def margin(self, layer: str) -> int:
        return self._measured[layer].margin

    def describe(self) -> dict[str, Any]:
        description = {
            "name": self.name,
            "weights": self.weights,
            "normalized": self.normalized,
            "padding": self.padding,
        }
        return description | ({"instance": id(self)} if self.weights in UNREPEATABLE else {})

    def trained_parameters(self) -> list[nn.Parameter]:
        if not self._first_trained:
            return []
        graph: fx.Graph = self.body.graph  # type: ignore[assignment]
        targets = [str(node.target) for node in graph.nodes if node.op in ("call_module", "get_attr")]
        within = [f"{target}.".startswith(f"{self._first_trained}.") for target in targets]
        if not any(within):
            return []
        trained = targets[within.index(True) :]
        # In the order of the network's own parameters, each once.
        chosen = {name: p for name, p in self.body.named_parameters() if _holds(trained, name)}
        return list(chosen.values())


def _laid_out_as(contiguous: bool, gradient: Tensor) -> Tensor:
    """The gradient in its features' memory format.

    Without it, torch 2.14 on a CPU goes back wrongly through EfficientNet-B0 where the gradient comes from Gram matrices or
    statistics (nst.statistics), whose layout is channels-last.
    """
    return gradient.contiguous(memory_format=torch.contiguous_format if contiguous else torch.channels_last)


def _holds(targets: Sequence[str], parameter: str) -> bool:
    """Whether a parameter belongs to one of the graph's operations."""
    return any(f"{parameter}.".startswith(f"{target}.") for target in targets)
