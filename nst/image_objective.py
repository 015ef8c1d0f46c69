"""The loss of one picture as a function of its pixels: what image optimisation minimises."""

from __future__ import annotations

from collections.abc import Sequence

import torch
import torch.nn.functional as F
from torch import Tensor

from nst.errors import UserError
from nst.losses import IDENTITY_TERMS, LossFeatures, LossInputs, LossValues, StyleTransferLoss
from nst.statistics import mean_and_gram


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

    def _mean_and_gram(self, layer: str) -> tuple[Tensor, Tensor]:
        pairs = [style._mean_and_gram(layer) for style in self._styles]
        means, grams = (torch.stack(values) for values in zip(*pairs, strict=True))
        weights = torch.tensor(self._weights, device=means.device).view(-1, 1, 1)
        return (means * weights).sum(dim=0), (grams * weights[..., None]).sum(dim=0)


class MaskedLossFeatures(LossFeatures):
    """Features of a region: means and Gram matrices are weighted by a soft mask ``(1, 1, H, W)`` of the picture."""

    def __init__(self, whole: LossFeatures, mask: Tensor) -> None:
        super().__init__(whole.maps, whole.scales)
        self._mask = mask

    def samples(self, layer: str) -> Tensor:
        """Positions that lie in the region by half and more; at least its innermost one."""
        values = self.map(layer)
        mask = F.adaptive_avg_pool2d(self._mask, (values.shape[2], values.shape[3])).flatten()
        return values.flatten(2)[:, :, mask >= min(0.5, float(mask.max()))]

    def _mean_and_gram(self, layer: str) -> tuple[Tensor, Tensor]:
        features, scale = self.maps[layer], self.scales[layer]
        mask = F.adaptive_avg_pool2d(self._mask, (features.shape[2], features.shape[3]))
        share = mask.mean().clamp_min(1e-6)
        # Weighting each position once in both factors of the Gram matrix takes the mask's root.
        _, gram = mean_and_gram(features * mask.sqrt().to(features.dtype))
        mean = (features.float() * mask).mean(dim=(2, 3)) / share
        return mean * scale, gram / share * (scale[:, None] * scale[None, :])


class Objective:
    """Weighted loss of a picture against one content and one or several styles.

    Args:
        loss: terms and weights; the identity terms, which are about networks, are left out.
        content: ``(1, 3, H, W)`` RGB in [0, 1].
        styles: ``(1, 3, H_i, W_i)`` each.
        weights: of the styles, summing to 1.
        masks: instead of weights, one ``(1, 1, H, W)`` a style: its terms are computed inside it alone.
        autocast: context in which the loss network runs.
    """

    def __init__(
        self,
        loss: StyleTransferLoss,
        content: Tensor,
        styles: Sequence[Tensor],
        weights: Sequence[float],
        masks: Sequence[Tensor] | None,
        autocast: torch.autocast,
    ) -> None:
        self.loss, self.masks, self._autocast = loss, masks, autocast
        self._pictures = content
        with torch.no_grad():
            self._content = self._features(content)
            targets = [self._features(style) for style in styles]
        self._styles: list[LossFeatures] = list(targets) if masks else [MixedLossFeatures(targets, weights)]

    def _features(self, picture: Tensor) -> LossFeatures:
        picture = picture.contiguous(memory_format=torch.channels_last)
        with self._autocast:
            return self.loss.wrap(self.loss.network.features(picture, self.loss.layers))

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
