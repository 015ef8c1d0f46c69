"""What every stylization network offers: the contract that training, Stylizer and tiling are written against."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from nst.color_transport import color_statistics, color_transport, recolored
from nst.encoder_contract import Encoder, mean_activation_name
from nst.encoders import build_encoder
from nst.errors import UserError
from nst.fusion import Alpha, alpha_per_level
from nst.region_features import fill_outside, interior_weights
from nst.statistics import Statistics, feature_statistics
from nst.style_code import StyleCode

SMALLEST_LOOK = 16  # pixels of a side: below it VGG-19's deepest layers have a single position


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


class BaseNetwork(nn.Module):
    """Content in, style code in, picture out. The steps are public so that each is done once: a style is encoded once for
    many pictures, content statistics once for many tiles.

    Subclasses set the fields and implement :meth:`encode_content`, :meth:`decode` and :meth:`decode_regions`.

    Attributes:
        config: what :func:`nst.networks.build` made it from; empty for a network made by hand.
        content_encoder: pretrained encoder of the content, if there is one …
        content_layers: … and which of its layers are the content features.
        style_layers: layers a StyleCode must have, shallow to deep.
        levels: number of values that ``alpha`` may have.
        content_strides: strides of the content features.
        recolor: whether contents are given the style's colours before they are encoded (:mod:`nst.color_transport`).
        border: pixels by which pictures are extended before they are encoded, and that are cut off again.
        margins: how far, in pixels, the content features and how far the output look beyond a position.

    Args:
        style_encoder: options of :func:`nst.encoders.build_encoder`, and ``pyramid``: the scales at which the style is
            seen (``[1.0]``; ``[1.0, 0.5]`` adds a half-size look).
    """

    config: Mapping[str, Any] = {}
    content_encoder: Encoder | None
    content_layers: tuple[str, ...] = ()
    style_layers: tuple[str, ...]
    levels: int
    content_strides: tuple[int, ...]
    margins: tuple[int, int]
    border: int = 0
    recolor: bool = False

    def __init__(self, style_encoder: Mapping[str, Any]) -> None:
        super().__init__()
        options = dict(style_encoder)
        self.pyramid = tuple(float(scale) for scale in options.pop("pyramid", (1.0,)))
        self.style_encoder = build_encoder(**options)
        self.content_encoder = None

    @property
    def stride(self) -> int:
        """Sides of content pictures must be multiples of it."""
        return max(self.content_strides)

    @property
    def encoders(self) -> list[Encoder]:
        """The pretrained encoders in the network."""
        return [self.style_encoder, *([self.content_encoder] if self.content_encoder is not None else [])]

    def own_modules(self) -> Iterator[nn.Module]:
        """The parts that are trained from scratch."""
        return (module for module in self.children() if not isinstance(module, Encoder))

    @property
    def style_encoder_id(self) -> str:
        """Names the encoder in a StyleCode, so that a code of another encoder is refused."""
        encoder = self.style_encoder
        words = [encoder.describe()["name"], encoder.weights, "normalized" if encoder.normalized else "raw"]
        return "-".join([*words, *filter(None, [encoder.fingerprint()])])

    def encode_style(self, pictures: Tensor, mask: Tensor | None = None) -> StyleCode:
        """StyleCode of ``(B, 3, H, W)`` RGB style pictures in [0, 1], or of a ``(B, 1, H, W)`` region of them alone."""
        colors = color_statistics(pictures, mask)
        if mask is not None:
            pictures = fill_outside(pictures, mask)
        codes = []
        for scale in self.pyramid:
            resized, inside = pictures, mask
            if scale != 1:
                resized = F.interpolate(pictures, size=_scaled(pictures, scale), mode="area")
                inside = None if mask is None else F.adaptive_avg_pool2d(mask, (resized.shape[2], resized.shape[3]))
            codes.append(self.style_code(self.style_encoder(resized), inside))
        return replace(codes[0] if len(codes) == 1 else StyleCode.mix(codes), colors=colors)

    def style_code(self, features: Sequence[Tensor], mask: Tensor | None = None) -> StyleCode:
        """StyleCode from the style encoder's features, one ``(B, C_l, H_l, W_l)`` a layer; ``mask`` of the pictures."""
        encoder = self.style_encoder
        statistics = []
        for layer, level in zip(encoder.layers, features, strict=True):
            weights = None
            if mask is not None:
                weights = interior_weights(mask, encoder.margin(layer), (level.shape[2], level.shape[3]))
            statistics.append(feature_statistics(level, weights))
        return StyleCode(encoder.layers, tuple(statistics), self.style_encoder_id)

    def require_own(self, code: StyleCode) -> None:
        """Refuse a code that another encoder made.

        Raises:
            UserError: its encoder is not this network's, or it lacks a layer.
        """
        if code.encoder != self.style_encoder_id or not set(self.style_layers) <= set(code.layers):
            raise UserError(
                f"the style code was made by {code.encoder} ({', '.join(code.layers)}), this model needs one of "
                f"{self.style_encoder_id} ({', '.join(self.style_layers)}): encode the style picture again."
            )

    def recolored(self, pictures: Tensor, style: StyleCode, alpha: Alpha = 1.0) -> Tensor:
        """``(B, 3, H, W)`` whole contents as they are encoded: in the style's colours, as far as alpha's finest level says."""
        degree = alpha_per_level(alpha, self.levels)[0]
        if not self.recolor or style.colors is None or (isinstance(degree, float) and degree == 0):
            return pictures
        with torch.autocast(pictures.device.type, enabled=False):
            return recolored(pictures, [color_transport(style.colors, color_statistics(pictures), degree)])

    def encode_content(self, pictures: Tensor) -> list[Tensor]:
        """Features of ``(B, 3, H, W)`` pictures, one tensor a content stride; H and W are multiples of ``stride``."""
        raise NotImplementedError

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
            alpha: degree of stylization in [0, 1]: one number, one a level, or a ``(B,)`` tensor.
            content_statistics: those of the whole picture when ``features`` are a tile of it; by default the features' own.

        Returns:
            ``(B, 3, H, W)`` RGB, not clamped.
        """
        raise NotImplementedError

    def decode_regions(self, features: Sequence[Tensor], regions: Sequence[Region], alpha: Alpha = 1.0) -> Tensor:
        """Paint each region of encoded content in its own style; positions without a region stay unstylized.

        Args:
            features: from :meth:`encode_content`.
            regions: their masks belong to the pictures that ``features`` come from.
            alpha: see :meth:`decode`.

        Returns:
            ``(B, 3, H, W)`` RGB, not clamped.
        """
        raise NotImplementedError

    def forward(self, content: Tensor, style: Tensor | StyleCode, alpha: Alpha = 1.0) -> Tensor:
        """``(B, 3, H, W)`` content in the manner of ``style`` (pictures or a code), RGB, not clamped."""
        code = style if isinstance(style, StyleCode) else self.encode_style(style)
        self.require_own(code)
        return self.decode(self.encode_content(self.recolored(content, code, alpha)), code, alpha)

    def own_state_dict(self) -> dict[str, Tensor]:
        """What this network has learned: its state without the frozen encoder weights, which are installed anyway."""
        left_out = set()
        for part in ("content_encoder", "style_encoder"):
            encoder = getattr(self, part, None)
            if isinstance(encoder, Encoder):
                left_out |= {f"{part}.{name}" for name in encoder.installed_state()}
        return {name: tensor for name, tensor in self.state_dict().items() if name not in left_out}

    def load_own_state_dict(self, state: Mapping[str, Tensor]) -> None:
        """Load :meth:`own_state_dict`'s result.

        Raises:
            UserError: the state belongs to a network of another shape.
        """
        expected = self.own_state_dict()
        for name, tensor in state.items():
            if name not in expected or expected[name].shape != tensor.shape:
                raise UserError(
                    f"the weights do not fit this network at {name!r}: check that model and checkpoint match."
                )
        if missing := sorted(set(expected) - set(state)):
            raise UserError(f"the weights lack {missing[0]!r}: check that model and checkpoint match.")
        for part in ("content_encoder", "style_encoder"):
            encoder = getattr(self, part, None)
            if isinstance(encoder, Encoder):
                keys = {layer: f"{part}.{mean_activation_name(layer)}" for layer in encoder.normalized_layers}
                encoder.set_mean_activations({layer: state[key] for layer, key in keys.items()})
        self.load_state_dict({name: tensor.float() for name, tensor in state.items()}, strict=False)


def _scaled(pictures: Tensor, scale: float) -> list[int]:
    """(H, W) of a look at styles at another scale, no smaller than the smallest style."""
    return [max(int(side * scale), SMALLEST_LOOK) for side in pictures.shape[2:]]
