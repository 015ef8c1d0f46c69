"""The multi-scale network, and :func:`build`, which makes any network from a plain config."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor

from nst.base_network import BaseNetwork, Region
from nst.decoder import Decoder
from nst.encoders import build_encoder
from nst.errors import UserError
from nst.fast_network import FastNetwork
from nst.fusion import Alpha, MultiScaleFusion, alpha_per_level
from nst.modulation import Modulation, ModulationPredictor, blended
from nst.statistics import Statistics
from nst.style_code import StyleCode

ZERO_PADDED_BORDER = 16  # hides most of the frame that zero padding in an encoder leaves; reflection leaves none
MASK_TOLERANCE = 1e-3  # masks that miss a sum of 1 by less leave nothing unstylized


class StyleTransferNetwork(BaseNetwork):
    """Content encoder, style encoder, multi-scale fusion and decoder.

    Args:
        content_encoder: options of :func:`nst.encoders.build_encoder` (``name``, ``layers``, ``weights``, …).
        style_encoder: the same, with ``pyramid``; its layers must include the fused ones. See :class:`BaseNetwork`.
        fusion: ``layers``, the content layers that are fused.
        decoder: ``widths`` (stride → channels; strides deeper than the fusion's are ignored), ``depth``, ``residual_blocks``,
            ``upsampling``.
        hidden: width of the MLP through which the statistics of all the style encoder's layers, fused or not, modulate the decoder
            (:mod:`nst.modulation`); 0: they do not, and all styles have the same kernels.
        recolor: give contents the style's colours before they are encoded (:mod:`nst.color_transport`).
        kernel_rank: of the directions in which the same MLP changes the decoder's kernels (:class:`nst.blocks.StyledConvolution`);
            0: it does not.

    Raises:
        UserError: layers that do not fit each other, or an option of a part that it does not know.
    """

    def __init__(
        self,
        content_encoder: Mapping[str, Any],
        style_encoder: Mapping[str, Any],
        fusion: Mapping[str, Any],
        decoder: Mapping[str, Any],
        hidden: int = 0,
        recolor: bool = True,
        kernel_rank: int = 0,
    ) -> None:
        if not fusion.get("layers"):
            raise UserError("fusion needs at least one of the encoders' layers: set fusion.layers, e.g. [relu4_1].")
        layers = list(fusion["layers"])
        super().__init__(style_encoder if hidden else _without_idle_layers(style_encoder, layers))
        self.recolor = recolor
        self.content_encoder = build_encoder(**_without_idle_layers(content_encoder, layers))
        if unknown := set(fusion) - {"layers"}:
            raise UserError(f"unknown fusion option {sorted(unknown)[0]!r}: it has layers alone.")
        if not decoder.get("widths"):
            raise UserError("decoder needs widths (stride: channels), e.g. {8: 256, 4: 128, 2: 64, 1: 32}.")
        for layer in layers:
            for kind, encoder in (("content", self.content_encoder), ("style", self.style_encoder)):
                if layer not in encoder.layers:
                    raise UserError(
                        f"fusion layer {layer!r} is not among the {kind} encoder's: {list(encoder.layers)}."
                    )
        position = [self.content_encoder.layers.index(layer) for layer in layers]
        for layer, index in zip(layers, position, strict=True):
            wide = self.content_encoder.out_channels[index]
            other = self.style_encoder.out_channels[self.style_encoder.layers.index(layer)]
            if wide != other:
                raise UserError(
                    f"fusion layer {layer!r} has {wide} channels in the content encoder and {other} in the style encoder: "
                    "give both the same name, as encoder=NAME does."
                )
        strides = [self.content_encoder.strides[i] for i in position]
        widths = {int(stride): int(width) for stride, width in decoder["widths"].items()}
        options = {key: value for key, value in decoder.items() if key != "widths"}
        widths = {stride: width for stride, width in widths.items() if stride <= max(strides)}
        if missing := set(strides) - set(widths):
            raise UserError(f"decoder widths name no width for stride {sorted(missing)}: found {dict(widths)}.")
        channels = [self.content_encoder.out_channels[i] for i in position]
        center = 1.0 if self.content_encoder.normalized else 0.0
        self.fusion = MultiScaleFusion(layers, channels, strides, widths, center)
        rank = int(kernel_rank) if hidden else 0
        self.decoder = Decoder(widths, kernel_rank=rank, **options)
        self.content_layers, self.style_layers = self.fusion.layers, self.fusion.layers
        self.predictor = None
        if hidden:
            self.style_layers = self.style_encoder.layers
            places = [(width, convolutions) for _, width, convolutions in self.decoder.places]
            self.predictor = ModulationPredictor(
                self.style_layers, self.style_encoder.out_channels, places, int(hidden), rank
            )
        self.levels, self.content_strides = len(layers), tuple(strides)
        self.border = ZERO_PADDED_BORDER if self.content_encoder.zero_padded else 0
        reach = max(self.content_encoder.margin(layer) for layer in layers)
        self.margins = (reach, reach + self.decoder.margin)

    def encode_content(self, pictures: Tensor) -> list[Tensor]:
        assert self.content_encoder is not None
        features = self.content_encoder.features(pictures, self.fusion.layers)
        return [features[layer] for layer in self.fusion.layers]

    def decode(
        self,
        features: Sequence[Tensor],
        style: StyleCode,
        alpha: Alpha = 1.0,
        content_statistics: Sequence[Statistics] | None = None,
    ) -> Tensor:
        if content_statistics is None:
            content_statistics = self.content_statistics(features)
        fused = self.fusion(features, content_statistics, style, alpha)
        return self.decoder(fused, self._modulations(style, alpha))

    def _modulations(self, style: StyleCode, alpha: Alpha) -> list[Modulation] | None:
        """One a place of the decoder, of the degree that alpha has at its stride."""
        if self.predictor is None:
            return None
        levels = list(zip(self.content_strides, alpha_per_level(alpha, self.levels), strict=True))
        degrees = []
        for place, *_ in self.decoder.places:
            deeper = [degree for stride, degree in levels if stride >= place]
            degrees.append((deeper or [levels[-1][1]])[0])
        return self.predictor(style, degrees)

    def decode_regions(self, features: Sequence[Tensor], regions: Sequence[Region], alpha: Alpha = 1.0) -> Tensor:
        masks = [region.mask for region in regions]
        rest = 1 - torch.stack(masks).sum(dim=0)  # type: ignore[arg-type]
        layers = [(region.mask, region.style, region.statistics, alpha) for region in regions]
        if float(rest.max()) > MASK_TOLERANCE:
            layers.append((rest, regions[0].style, regions[0].statistics, 0.0))
        mixed: dict[int, Tensor] = {}
        modulations = []
        for mask, style, statistics, degree in layers:
            assert mask is not None
            for stride, level in self.fusion(features, statistics, style, degree).items():
                weighted = level * F.adaptive_avg_pool2d(mask, level.shape[2:]).to(level.dtype)
                mixed[stride] = mixed[stride] + weighted if stride in mixed else weighted
            modulations.append(self._modulations(style, degree))
        return self.decoder(mixed, self._blended(modulations, [mask for mask, *_ in layers]))

    def _blended(
        self, modulations: Sequence[list[Modulation] | None], masks: Sequence[Tensor | None]
    ) -> list[Modulation] | None:
        """One a place, where each mask's own holds."""
        known = [each for each in modulations if each is not None]
        if not known:
            return None
        blends = []
        for (stride, *_), *each in zip(self.decoder.places, *known, strict=True):
            blends.append(blended(each, [F.avg_pool2d(mask, stride) for mask in masks]))  # type: ignore[arg-type]
        return blends


def _without_idle_layers(encoder: Mapping[str, Any], used: Sequence[str]) -> Mapping[str, Any]:
    """An encoder's options without layers whose features nothing uses, if it is trained: what leads to them alone would never
    have a gradient, and DDP waits for those of all that is trained."""
    layers = encoder.get("layers") or ()
    if not encoder.get("trainable_from") or not set(used) <= set(layers):
        return encoder
    return {**encoder, "layers": [layer for layer in layers if layer in used]}


NETWORKS: dict[str, type[BaseNetwork]] = {"multiscale": StyleTransferNetwork, "fast": FastNetwork}


def build(config: Mapping[str, Any]) -> BaseNetwork:
    """A network from a plain config: ``architecture`` names the class, the rest are its arguments.

    Raises:
        UserError: an unknown architecture or option.
    """
    options = dict(config)
    name = options.pop("architecture", None)
    if name not in NETWORKS:
        raise UserError(f"unknown model architecture {name!r}: choose from {', '.join(NETWORKS)}.")
    try:
        network = NETWORKS[name](**options)
    except TypeError as error:
        raise UserError(f"model config does not fit architecture {name!r}: {error}.") from None
    network.config = dict(config)
    return network
