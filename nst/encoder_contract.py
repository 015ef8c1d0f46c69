"""The contract that every encoder keeps: pictures in, features of named layers out.

An encoder is built with the names of the layers it gives, states their channel counts (``out_channels``) and strides, takes
``(B, 3, H, W)`` RGB in [0, 1] and returns one tensor a layer, in the order asked for. Fusion and decoder are built from
those counts, so an encoder can be exchanged by config alone.
"""

from __future__ import annotations

import zlib
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import torch
from torch import Tensor, nn

UNREPEATABLE = ("random", "own")  # weights that are nowhere else to be found
MINIMUM_MEAN_ACTIVATION = 1e-3  # a filter that (nearly) never fires is left as it is rather than blown up


def mean_activation_name(layer: str) -> str:
    """Name of the buffer that holds a layer's mean activations; a buffer's name may have no dots."""
    return f"mean_activation_{layer.replace('.', '/')}"


class Encoder(nn.Module):
    """What fusion, decoder and losses rely on. Subclasses set the fields and implement the methods that are not written here.

    Attributes:
        layers: names of the layers that ``forward`` gives, with their …
        out_channels: … channels and …
        strides: … pixels a position.
        names: every layer that :meth:`features` can give.
        weights: where the weights come from.
        normalized: whether features are to have mean 1 on photographs.
        normalized_layers: layers that have mean activations of their own.
    """

    layers: tuple[str, ...]
    out_channels: tuple[int, ...]
    strides: tuple[int, ...]
    names: Sequence[str]
    weights: str
    normalized: bool
    normalized_layers: tuple[str, ...]
    trainable_from: str | None  # first layer that training changes, None if none
    zero_padded: bool = False  # whether features near the border look different from those inside

    def features(self, images: Tensor, layers: Iterable[str]) -> dict[str, Tensor]:
        """The named layers' features of ``(B, 3, H, W)`` RGB pictures in [0, 1], each ``(B, C_l, H_l, W_l)``."""
        raise NotImplementedError

    def margin(self, layer: str) -> int:
        """How many pixels beyond its own a position of ``layer`` looks at: the overlap that tiles need."""
        raise NotImplementedError

    def activations(self, images: Tensor) -> dict[str, Tensor]:
        """What mean activations are taken of: at each of ``normalized_layers``, ``(B, C, H, W)`` of at least 0."""
        raise NotImplementedError

    def mean_activation(self, layer: str) -> Tensor:
        """``m_l`` ``(C,)`` by which the layer's features have been divided; ones where nothing was rescaled."""
        return self.get_buffer(mean_activation_name(layer))

    def set_mean_activations(self, means: Mapping[str, Tensor]) -> None:
        """Let features be the original's divided by ``means``; calling it again replaces them."""
        raise NotImplementedError

    @property
    def needs_calibration(self) -> bool:
        """True when ``normalized`` was asked for and no mean activations have been set yet."""
        known = (self.get_buffer(mean_activation_name(layer)) for layer in self.normalized_layers)
        return self.normalized and all(bool((mean == 1).all()) for mean in known)

    def describe(self) -> dict[str, Any]:
        """What decides the features' values; two frozen encoders with equal descriptions give equal features."""
        raise NotImplementedError

    def trained_parameters(self) -> list[nn.Parameter]:
        """Parameters of the layers from ``trainable_from`` on."""
        raise NotImplementedError

    def installed_state(self) -> set[str]:
        """Names in the state dict that the encoder's own weights give again, so that no model needs to store them."""
        if self.weights in UNREPEATABLE:
            return set()
        trained = {id(parameter) for parameter in self.trained_parameters()}
        kept = {name for name, parameter in self.named_parameters() if id(parameter) in trained}
        kept |= {mean_activation_name(layer) for layer in self.normalized_layers}
        return set(self.state_dict()) - kept

    def fingerprint(self) -> str:
        """Tells apart encoders of one name whose weights differ: fine-tuned or random ones, or mean activations of the user's
        own. Eight hexadecimal digits; empty for an encoder that is as its package installs it.

        Computed in float16, as models are stored: a checkpoint and the file made from it agree.
        """
        state = self.state_dict()
        own = sorted(set(state) - self.installed_state())
        if self.weights == "caffe":  # its mean activations are installed, too
            own = [name for name in own if not name.startswith("mean_activation")]
        if not own or torch.compiler.is_exporting():  # a graph that is being traced has no values
            return ""
        digest = 0
        for name in own:
            digest = zlib.crc32(state[name].detach().half().cpu().numpy().tobytes(), digest)
        return f"{digest:08x}"

    def set_trainable(self, trainable: bool) -> None:
        """Let gradients reach :meth:`trained_parameters`, or freeze the whole encoder."""
        self.requires_grad_(False)
        for parameter in self.trained_parameters():
            parameter.requires_grad_(trainable)

    def forward(self, images: Tensor) -> list[Tensor]:
        features = self.features(images, self.layers)
        return [features[layer] for layer in self.layers]


def same_features(one: Encoder, other: Encoder) -> bool:
    """Whether ``other`` gives all of ``one``'s layers, with equal values."""
    if one.describe() != other.describe() or not set(one.layers) <= set(other.names):
        return False
    pairs = ((one.mean_activation(layer), other.mean_activation(layer)) for layer in one.normalized_layers)
    return all(torch.allclose(mean, same, rtol=1e-2) for mean, same in pairs)  # models are stored in float16
