"""The networks, and :func:`build`, which makes one from a plain config."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from nst.decoder import Decoder
from nst.encoders import VGG19, build_encoder
from nst.errors import UserError
from nst.fusion import Alpha, MultiScaleFusion
from nst.statistics import Statistics, feature_statistics
from nst.style_code import StyleCode

MASK_TOLERANCE = 1e-3  # masks that miss a sum of 1 by less leave nothing unstylized
MINIMUM_STYLE_SIDE = 16  # below it the deepest layers have a single position and no deviation


@dataclass
class Region:
    """A part of a picture and its style.

    Attributes:
        style: code of one style.
        mask: ``(1, 1, H, W)`` soft mask in [0, 1]; ``None``: everywhere.
        statistics: of the content's features inside the region, over the whole picture.
    """

    style: StyleCode
    mask: Tensor | None = None
    statistics: Sequence[Statistics] = ()


class StyleTransferNetwork(nn.Module):
    """Content encoder, style encoder, multi-scale fusion and decoder.

    The steps are public so that each is done once: a style is encoded once for many pictures, content statistics once for
    many tiles.

    Args:
        content_encoder: options of :func:`nst.encoders.build_encoder` (``name``, ``layers``, ``weights``, …).
        style_encoder: the same; its layers must include the content encoder's. ``pyramid`` lists the scales at which the
            style is seen (``[1.0]``; ``[1.0, 0.5]`` adds a half-size look).
        fusion: ``layers``, the content layers that are fused.
        decoder: ``widths`` (stride → channels), ``depth``, ``upsampling``.

    Raises:
        UserError: layers that do not fit each other, or an option of a part that it does not know.
    """

    def __init__(
        self,
        content_encoder: Mapping[str, Any],
        style_encoder: Mapping[str, Any],
        fusion: Mapping[str, Any],
        decoder: Mapping[str, Any],
    ) -> None:
        super().__init__()
        style_options = dict(style_encoder)
        self.pyramid = tuple(float(scale) for scale in style_options.pop("pyramid", (1.0,)))
        self.content_encoder = build_encoder(**content_encoder)
        self.style_encoder = build_encoder(**style_options)
        layers = list(fusion["layers"])
        for layer in layers:
            for kind, encoder in (("content", self.content_encoder), ("style", self.style_encoder)):
                if layer not in encoder.layers:
                    raise UserError(
                        f"fusion layer {layer!r} is not among the {kind} encoder's: {list(encoder.layers)}."
                    )
        position = [self.content_encoder.layers.index(layer) for layer in layers]
        strides = [self.content_encoder.strides[i] for i in position]
        widths = {int(stride): int(width) for stride, width in decoder["widths"].items() if int(stride) <= max(strides)}
        if missing := set(strides) - set(widths):
            raise UserError(f"decoder widths name no width for stride {sorted(missing)}: found {dict(widths)}.")
        channels = [self.content_encoder.out_channels[i] for i in position]
        self.fusion = MultiScaleFusion(layers, channels, strides, widths)
        self.decoder = Decoder(widths, **{key: value for key, value in decoder.items() if key != "widths"})
        self.stride = max(self.content_encoder.strides)

    def encode_style(self, pictures: Tensor) -> StyleCode:
        """StyleCode of ``(B, 3, H, W)`` RGB style pictures in [0, 1]."""
        codes = []
        for scale in self.pyramid:
            resized = pictures if scale == 1 else F.interpolate(pictures, scale_factor=scale, mode="area")
            codes.append(self.style_code(self.style_encoder(resized)))
        return codes[0] if len(codes) == 1 else StyleCode.mix(codes)

    def style_code(self, features: Sequence[Tensor]) -> StyleCode:
        """StyleCode from the style encoder's features, one ``(B, C_l, H_l, W_l)`` a layer."""
        statistics = tuple(feature_statistics(level) for level in features)
        return StyleCode(self.style_encoder.layers, statistics, self.style_encoder_id)

    @property
    def style_encoder_id(self) -> str:
        """Names the encoder in a StyleCode, so that a code of another encoder is refused."""
        encoder = self.style_encoder
        assert isinstance(encoder, VGG19)
        return f"vgg19-{encoder.weights}-{'normalized' if encoder.normalized else 'raw'}"

    def encode_content(self, pictures: Tensor) -> list[Tensor]:
        """The fused layers' features of ``(B, 3, H, W)`` pictures; H and W multiples of ``stride``."""
        features = self.content_encoder.features(pictures, self.fusion.layers)
        return [features[layer] for layer in self.fusion.layers]

    def content_statistics(self, features: Sequence[Tensor]) -> list[Statistics]:
        """Statistics of :meth:`encode_content`'s features."""
        return [feature_statistics(level) for level in features]

    def decode(
        self,
        features: Sequence[Tensor],
        style: StyleCode,
        alpha: Alpha = 1.0,
        content_statistics: Sequence[Statistics] | None = None,
    ) -> Tensor:
        """Paint encoded content in a style.

        Args:
            features: from :meth:`encode_content`.
            style: code of one style or of B.
            alpha: degree of stylization in [0, 1]: one number, one a fusion level, or a ``(B,)`` tensor.
            content_statistics: those of the whole picture when ``features`` are a tile of it; by default the features' own.

        Returns:
            ``(B, 3, H, W)`` RGB, not clamped.
        """
        if content_statistics is None:
            content_statistics = self.content_statistics(features)
        return self.decoder(self.fusion(features, content_statistics, style, alpha))

    def decode_regions(self, features: Sequence[Tensor], regions: Sequence[Region], alpha: Alpha = 1.0) -> Tensor:
        """Paint each region of encoded content in its own style; positions without a region stay unstylized.

        Args:
            features: from :meth:`encode_content`.
            regions: their masks ``(1, 1, H, W)`` belong to the pictures that ``features`` come from.
            alpha: see :meth:`decode`.

        Returns:
            ``(B, 3, H, W)`` RGB, not clamped.
        """
        blended: dict[int, Tensor] = {}
        masks = [region.mask for region in regions]
        rest = 1 - torch.stack(masks).sum(dim=0)  # type: ignore[arg-type]
        layers = [(region.mask, region.style, region.statistics, alpha) for region in regions]
        if float(rest.max()) > MASK_TOLERANCE:
            layers.append((rest, regions[0].style, regions[0].statistics, 0.0))
        for mask, style, statistics, degree in layers:
            assert mask is not None
            for stride, level in self.fusion(features, statistics, style, degree).items():
                weighted = level * F.adaptive_avg_pool2d(mask, level.shape[2:]).to(level.dtype)
                blended[stride] = blended[stride] + weighted if stride in blended else weighted
        return self.decoder(blended)

    def forward(self, content: Tensor, style: Tensor | StyleCode, alpha: Alpha = 1.0) -> Tensor:
        """``(B, 3, H, W)`` content in the manner of ``style`` (pictures or a code), RGB, not clamped."""
        code = style if isinstance(style, StyleCode) else self.encode_style(style)
        return self.decode(self.encode_content(content), code, alpha)

    @property
    def margins(self) -> tuple[int, int]:
        """How far, in pixels, the content features and how far the output look beyond a position."""
        encoder = max(self.content_encoder.margin(layer) for layer in self.fusion.layers)
        return encoder, encoder + self.decoder.margin

    def own_state_dict(self) -> dict[str, Tensor]:
        """What this network has learned: its state without the frozen encoder weights, which are installed anyway."""
        encoders = (self.content_encoder, self.style_encoder)
        trained = {id(parameter) for encoder in encoders for parameter in encoder.trained_parameters()}
        frozen = {
            name
            for name, parameter in self.named_parameters()
            if name.startswith(("content_encoder.", "style_encoder.")) and id(parameter) not in trained
        }
        return {name: tensor for name, tensor in self.state_dict().items() if name not in frozen}

    def load_own_state_dict(self, state: Mapping[str, Tensor]) -> None:
        """Load :meth:`own_state_dict`'s result.

        Raises:
            UserError: the state belongs to a network of another shape.
        """
        for part, encoder in (("content_encoder", self.content_encoder), ("style_encoder", self.style_encoder)):
            prefix = f"{part}.mean_activation_"
            means = {name.removeprefix(prefix): mean for name, mean in state.items() if name.startswith(prefix)}
            if isinstance(encoder, VGG19) and means:
                encoder.set_mean_activations(means)
        expected = self.own_state_dict()
        for name, tensor in state.items():
            if name not in expected or expected[name].shape != tensor.shape:
                raise UserError(
                    f"the weights do not fit this network at {name!r}: check that model and checkpoint match."
                )
        if missing := sorted(set(expected) - set(state)):
            raise UserError(f"the weights lack {missing[0]!r}: check that model and checkpoint match.")
        self.load_state_dict({name: tensor.float() for name, tensor in state.items()}, strict=False)


NETWORKS = {"multiscale": StyleTransferNetwork}


def build(config: Mapping[str, Any]) -> StyleTransferNetwork:
    """A network from a plain config: ``architecture`` names the class, the rest are its arguments.

    Raises:
        UserError: an unknown architecture or option.
    """
    options = dict(config)
    name = options.pop("architecture", None)
    if name not in NETWORKS:
        raise UserError(f"unknown model architecture {name!r}: choose from {', '.join(NETWORKS)}.")
    try:
        return NETWORKS[name](**options)
    except TypeError as error:
        raise UserError(f"model config does not fit architecture {name!r}: {error}.") from None
