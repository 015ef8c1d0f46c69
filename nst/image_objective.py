"""The loss of one picture as a function of its pixels: what image optimisation minimises."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor

from nst.encoder_contract import Encoder
from nst.errors import UserError
from nst.loss_terms import ContentTerm
from nst.losses import IDENTITY_TERMS, LossFeatures, LossInputs, LossValues, StyleTransferLoss
from nst.region_features import FEWEST_POSITIONS, erode, fill_outside
from nst.region_styles import StylePart
from nst.statistics import mean_and_gram


class StyleRegion(NamedTuple):
    """A soft ``(1, 1, H, W)`` mask of the picture, and the style regions that it takes, mixed equally."""

    mask: Tensor
    parts: Sequence[StylePart]


class MixedLossFeatures(LossFeatures):
    """Several styles as one target: the weighted mean of their feature means and Gram matrices."""

    def __init__(self, styles: Sequence[LossFeatures], weights: Sequence[float]) -> None:
        super().__init__(styles[0].maps, styles[0].scales)
        self._styles, self._weights = styles, weights

    def map(self, layer: str) -> Tensor:
        if len(self._styles) > 1:
            raise UserError(
                "a loss term that compares features position by position takes one style picture, not several."
            )
        return self._styles[0].map(layer)

    def samples(self, layer: str) -> Tensor:
        """Positions of every style, evenly taken, as many as its weight says."""
        each = [style.samples(layer) for style in self._styles]
        positions = max(values.shape[2] for values in each)
        counts = [round(weight * positions) for weight in self._weights]
        chosen = [
            values[:, :, torch.linspace(0, values.shape[2] - 1, count, device=values.device).round().long()]
            for values, count in zip(each, counts, strict=True)
        ]
        return each[0] if len(each) == 1 else torch.cat(chosen, dim=2)

    def mean_and_gram(self, layer: str) -> tuple[Tensor, Tensor]:
        pairs = [style.mean_and_gram(layer) for style in self._styles]
        means, grams = (torch.stack(values) for values in zip(*pairs, strict=True))
        weights = torch.tensor(self._weights, device=means.device).view(-1, 1, 1)
        return (means * weights).sum(dim=0), (grams * weights[..., None]).sum(dim=0)


class MaskedLossFeatures(LossFeatures):
    """Features of a region: means and Gram matrices are weighted by a soft mask ``(1, 1, H, W)`` of the picture, or one a
    layer."""

    def __init__(self, whole: LossFeatures, mask: Tensor | Mapping[str, Tensor]) -> None:
        super().__init__(whole.maps, whole.scales)
        self._mask = mask

    def _weights(self, layer: str, values: Tensor) -> Tensor:
        mask = self._mask if isinstance(self._mask, Tensor) else self._mask[layer]
        return F.adaptive_avg_pool2d(mask, (values.shape[2], values.shape[3]))

    def samples(self, layer: str) -> Tensor:
        """Positions that lie in the region by half and more; at least its innermost one."""
        values = self.map(layer)
        mask = self._weights(layer, values).flatten()
        return values.flatten(2)[:, :, mask >= min(0.5, float(mask.max()))]

    def mean_and_gram(self, layer: str) -> tuple[Tensor, Tensor]:
        if layer in self._means_and_grams:
            return self._means_and_grams[layer]
        features, scale = self.maps[layer], self.scales[layer]
        mask = self._weights(layer, features)
        share = mask.mean().clamp_min(1e-6)
        # Weighting each position once in both factors of the Gram matrix takes the mask's root.
        _, gram = mean_and_gram(features * mask.sqrt().to(features.dtype))
        mean = (features.float() * mask).mean(dim=(2, 3)) / share
        self._means_and_grams[layer] = mean * scale, gram / share * (scale[:, None] * scale[None, :])
        return self._means_and_grams[layer]


def interior_masks(mask: Tensor, network: Encoder, layers: Sequence[str]) -> dict[str, Tensor]:
    """A region's ``(1, 1, H, W)`` mask for each layer, without the border where the layer sees beyond the region.

    Where that would leave too few positions the border is narrower; see :mod:`nst.region_features`.
    """
    masks = {}
    strides = dict(zip(network.layers, network.strides, strict=True))
    for layer in layers:
        margin, fewest = min(network.margin(layer), max(mask.shape)), FEWEST_POSITIONS * strides[layer] ** 2
        while margin and float(erode(mask, margin).sum()) < fewest:
            margin //= 2
        masks[layer] = erode(mask, margin)
    return masks


class Objective:
    """Weighted loss of a picture against one content and one or several styles.

    Args:
        loss: terms and weights; the identity terms, which are about networks, are left out.
        content: ``(1, 3, H, W)`` RGB in [0, 1].
        styles: ``(1, 3, H_i, W_i)`` each.
        weights: of the styles, summing to 1.
        regions: instead of weights, masks of the picture with the style regions they take.
        autocast: context in which the loss network runs.

    Raises:
        UserError: regions, and a content term whose target is that of one style.
    """

    def __init__(
        self,
        loss: StyleTransferLoss,
        content: Tensor,
        styles: Sequence[Tensor],
        weights: Sequence[float],
        regions: Sequence[StyleRegion] | None,
        autocast: torch.autocast,
    ) -> None:
        if regions and any(isinstance(term, ContentTerm) and term.target == "adain" for term in loss.terms.values()):
            raise UserError(
                "a content target of adain is one style's for the whole picture, and masks make regions of it: take "
                "a loss whose content target is content, or give no masks."
            )
        self.loss, self._autocast = loss, autocast
        self._pictures = content
        with torch.no_grad():
            self._content = self._features(content)
            self.masks = [region.mask for region in regions or ()]
            self._styles: list[LossFeatures]
            if regions:
                self._styles = [self._mixed_parts(region.parts, styles) for region in regions]
            else:
                self._styles = [MixedLossFeatures([self._features(style) for style in styles], weights)]

    def _mixed_parts(self, parts: Sequence[StylePart], styles: Sequence[Tensor]) -> LossFeatures:
        targets = [self._part_features(part, styles[part.style]) for part in parts]
        return targets[0] if len(targets) == 1 else MixedLossFeatures(targets, [1 / len(parts)] * len(parts))

    def _part_features(self, part: StylePart, style: Tensor) -> LossFeatures:
        mask = part.mask((style.shape[2], style.shape[3]))
        if mask is None:
            return self._features(style)
        mask = mask.to(style.device)
        masks = interior_masks(mask, self.loss.network, self.loss.layers)
        return MaskedLossFeatures(self._features(fill_outside(style, mask)), masks)

    def _features(self, picture: Tensor) -> LossFeatures:
        picture = picture.contiguous(memory_format=torch.channels_last)
        with self._autocast:
            return self.loss.wrap(self.loss.network.features(picture, self.loss.layers))

    def backward(self, picture: Tensor) -> LossValues:
        """The loss of a picture, its gradient added to ``picture.grad``."""
        values = self(picture)
        values.total.backward()
        return values

    def __call__(self, picture: Tensor) -> LossValues:
        """The loss of a ``(1, 3, H, W)`` picture."""
        features = self._features(picture)
        inputs = LossInputs(picture, features, self._content, self._styles[0], self._pictures)
        raw: dict[str, Tensor] = {}
        for name, term in self.loss.terms.items():
            if name in IDENTITY_TERMS:
                continue
            if not (self.masks and term.regional):  # type: ignore[operator,union-attr]
                raw[name] = term(inputs, self.loss.reduction)
                continue
            raw[name] = picture.new_zeros(())
            for style, mask in zip(self._styles, self.masks, strict=True):
                region = LossInputs(picture, MaskedLossFeatures(features, mask), self._content, style)
                raw[name] = raw[name] + mask.mean() * term(region, self.loss.reduction)
        weighted = {name: self.loss.terms[name].weight * value for name, value in raw.items()}  # type: ignore[operator]
        return LossValues(torch.stack(list(weighted.values())).sum(), raw, weighted)
