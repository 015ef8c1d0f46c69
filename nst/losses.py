"""Loss terms and their weighted sum ``α·content + β·style + γ·TV + …``.

Distances come first, as pure functions of features; then one small class a term; then :class:`StyleTransferLoss`.
``reduction`` means the same everywhere:

``sum``       the published formula to the letter, for one picture; a batch is averaged
``mean``      divided by the number of elements, so that a weight carries over between resolutions
``relative``  squared distance over the squared norm of the target, so that a weight means the same at every layer
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn

from nst.encoders import VGG19, vgg19_layer_names
from nst.errors import UserError
from nst.fusion import adaptive_instance_norm
from nst.statistics import Statistics, mean_and_gram, moments_to_statistics

REDUCTIONS = ("sum", "mean", "relative")


def _squared_norm(x: Tensor) -> Tensor:
    return x.flatten(1).square().sum(dim=1)


def content_distance(features: Tensor, target: Tensor, reduction: str = "relative") -> Tensor:
    """``½ Σ_ij (F_ij − P_ij)²`` (Gatys et al. 2016, equation 1); ``mean``: over N·M; ``relative``: ``‖F − P‖² / ‖P‖²``.

    Both ``(B, C, H, W)``; returns a scalar, the mean over the batch.
    """
    distance = _squared_norm(features - target)
    if reduction == "relative":
        return (distance / _squared_norm(target).clamp_min(1e-12)).mean()
    divisor = features[0].numel() if reduction == "mean" else 1
    return (0.5 * distance / divisor).mean()


def gram_distance(gram: Tensor, target: Tensor, reduction: str = "relative") -> Tensor:
    """``1/(4 N² M²) Σ_ij (G_ij − A_ij)²`` (Gatys et al. 2016, equation 4); ``relative``: ``‖G − A‖² / ‖A‖²``.

    Both ``(B, N, N)`` are Gram matrices already divided by their own number of positions M, so that the two pictures may
    differ in size; with that, ``sum`` is free of the picture's size and equals ``mean``.
    """
    distance = _squared_norm(gram - target)
    if reduction == "relative":
        return (distance / _squared_norm(target).clamp_min(1e-12)).mean()
    return (distance / (4 * gram.shape[1] ** 2)).mean()


def moment_distance(statistics: Statistics, target: Statistics, reduction: str = "relative") -> Tensor:
    """``‖μ − μ_s‖² + ‖σ − σ_s‖²`` (Huang & Belongie 2017, equation 13, squared).

    ``mean``: over the N channels; ``relative``: over ``‖μ_s‖² + ‖σ_s‖²``.
    """
    distance = _squared_norm(statistics.mean - target.mean) + _squared_norm(statistics.std - target.std)
    if reduction == "relative":
        return (distance / (_squared_norm(target.mean) + _squared_norm(target.std)).clamp_min(1e-12)).mean()
    return (distance / (target.mean.shape[1] if reduction == "mean" else 1)).mean()


def total_variation(pictures: Tensor, reduction: str = "mean") -> Tensor:
    """``Σ_ij (I[i+1,j] − I[i,j])² + (I[i,j+1] − I[i,j])²`` of ``(B, 3, H, W)``; it has no target: ``relative`` is ``mean``."""
    down, right = pictures.diff(dim=2), pictures.diff(dim=3)
    variation = _squared_norm(down) + _squared_norm(right)
    return (variation / (1 if reduction == "sum" else pictures[0].numel())).mean()


class LossFeatures:
    """A batch's features in the loss network; Gram matrices and statistics are computed once and in float32.

    Args:
        maps: layer → ``(B, C, H, W)``.
        scales: layer → ``(C,)`` factors the features are multiplied by.
    """

    def __init__(self, maps: Mapping[str, Tensor], scales: Mapping[str, Tensor]) -> None:
        self.maps, self.scales = maps, scales
        self._moments: dict[str, tuple[Tensor, Tensor]] = {}

    def map(self, layer: str) -> Tensor:
        return self.maps[layer].float() * self.scales[layer].view(1, -1, 1, 1)

    def _mean_and_gram(self, layer: str) -> tuple[Tensor, Tensor]:
        """The scales are applied to the small matrix instead of the large features: it is the same."""
        if layer not in self._moments:
            (mean, gram), scale = mean_and_gram(self.maps[layer]), self.scales[layer]
            self._moments[layer] = mean * scale, gram * (scale[:, None] * scale[None, :])
        return self._moments[layer]

    def gram(self, layer: str) -> Tensor:
        """``F Fᵀ / M``, ``(B, C, C)``."""
        return self._mean_and_gram(layer)[1]

    def statistics(self, layer: str) -> Statistics:
        """Mean and deviation; the mean square is the Gram matrix's diagonal."""
        mean, gram = self._mean_and_gram(layer)
        return moments_to_statistics(mean, gram.diagonal(dim1=1, dim2=2))


class SelectedLossFeatures(LossFeatures):
    """Some of a batch's pictures, in any order and number: statistics are those of the batch, computed once."""

    def __init__(self, batch: LossFeatures, index: Tensor) -> None:
        super().__init__(batch.maps, batch.scales)
        self._batch, self._index = batch, index

    def map(self, layer: str) -> Tensor:
        return self._batch.map(layer)[self._index]

    def _mean_and_gram(self, layer: str) -> tuple[Tensor, Tensor]:
        mean, gram = self._batch._mean_and_gram(layer)
        return mean[self._index], gram[self._index]


@dataclass
class LossInputs:
    """Everything a term may look at. Pictures are ``(B, 3, H, W)`` RGB; targets carry no gradient."""

    output: Tensor
    output_features: LossFeatures
    content_features: LossFeatures
    style_features: LossFeatures
    originals: Tensor | None = None  # pictures that were stylized with themselves …
    reconstructions: Tensor | None = None  # … and what became of them


class Term(nn.Module):
    """One term: a weight, and the layers it looks at with a weight λ_l each.

    Attributes:
        regional: whether it compares with the style, and so belongs to a region where regions have styles of their own.
    """

    regional = False

    def __init__(self, weight: float, layers: Mapping[str, float] | None = None) -> None:
        super().__init__()
        self.weight = float(weight)
        self.layers = {name: float(weight) for name, weight in (layers or {}).items() if weight}
        for name in self.layers:
            if name not in vgg19_layer_names():
                raise UserError(f"unknown loss layer {name!r}: choose from {', '.join(vgg19_layer_names())}.")

    def forward(self, inputs: LossInputs, reduction: str) -> Tensor:
        """``Σ_l λ_l · distance`` at layer l; a scalar, the mean over the batch."""
        total = inputs.output.new_zeros(())
        for layer, layer_weight in self.layers.items():
            total = total + layer_weight * self.distance(inputs, layer, reduction)
        return total

    def distance(self, inputs: LossInputs, layer: str, reduction: str) -> Tensor:
        """The term at one layer."""
        raise NotImplementedError


class ContentTerm(Term):
    """Distance of the features to the content's (``target: content``) or to AdaIN(content, style) (``target: adain``).

    ``instance_norm`` compares features with mean 0 and deviation 1, which leaves the palette free.
    """

    def __init__(
        self, weight: float, layers: Mapping[str, float], target: str = "content", instance_norm: bool = False
    ) -> None:
        super().__init__(weight, layers)
        if target not in ("content", "adain"):
            raise UserError(f"unknown content target {target!r}: choose content or adain.")
        self.target, self.instance_norm = target, instance_norm

    def distance(self, inputs: LossInputs, layer: str, reduction: str) -> Tensor:
        features, target = inputs.output_features.map(layer), inputs.content_features.map(layer)
        if self.target == "adain":
            style, content = inputs.style_features.statistics(layer), inputs.content_features.statistics(layer)
            target = adaptive_instance_norm(target, style, content)
        if self.instance_norm:
            features, target = nn.functional.instance_norm(features), nn.functional.instance_norm(target)
        return content_distance(features, target, reduction)


class StyleTerm(Term):
    """``Σ_l λ_l E_l``, E_l the distance of Gram matrices (Gatys et al. 2016, equation 5)."""

    regional = True

    def distance(self, inputs: LossInputs, layer: str, reduction: str) -> Tensor:
        return gram_distance(inputs.output_features.gram(layer), inputs.style_features.gram(layer), reduction)


class MomentTerm(Term):
    """``Σ_l λ_l`` distance of means and standard deviations (Huang & Belongie 2017)."""

    regional = True

    def distance(self, inputs: LossInputs, layer: str, reduction: str) -> Tensor:
        output, style = inputs.output_features.statistics(layer), inputs.style_features.statistics(layer)
        return moment_distance(output, style, reduction)


class TotalVariationTerm(Term):
    """Smoothness of the output."""

    def forward(self, inputs: LossInputs, reduction: str) -> Tensor:
        return total_variation(inputs.output.float(), reduction)


class IdentityTerm(Term):
    """A picture stylized with itself comes back (Park & Lee 2019, equation 9, on pixels)."""

    def forward(self, inputs: LossInputs, reduction: str) -> Tensor:
        if inputs.reconstructions is None or inputs.originals is None:
            return inputs.output.new_zeros(())
        return content_distance(inputs.reconstructions.float(), inputs.originals.float(), reduction)


TERMS: dict[str, type[Term]] = {
    "content": ContentTerm,
    "style": StyleTerm,
    "moment": MomentTerm,
    "total_variation": TotalVariationTerm,
    "identity": IdentityTerm,
}


class LossValues(NamedTuple):
    """The weighted total and each term's raw value."""

    total: Tensor
    raw: dict[str, Tensor]
    weighted: dict[str, Tensor]


class StyleTransferLoss(nn.Module):
    """The weighted sum of the configured terms, over a frozen VGG-19 of its own.

    Args:
        reduction: ``sum``, ``mean`` or ``relative``.
        normalized: look at activations normalised to mean 1, or at VGG-19's own.
        network: ``weights`` and ``padding`` of the loss network.
        terms: term name → its options; a term of weight 0 is left out.

    Raises:
        UserError: an unknown reduction, term, layer or option.
    """

    def __init__(
        self,
        reduction: str = "relative",
        normalized: bool = False,
        network: Mapping[str, Any] | None = None,
        **terms: Any,
    ) -> None:
        super().__init__()
        if reduction not in REDUCTIONS:
            raise UserError(f"unknown loss reduction {reduction!r}: choose from {', '.join(REDUCTIONS)}.")
        if unknown := set(terms) - set(TERMS):
            raise UserError(f"unknown loss term {sorted(unknown)[0]!r}: choose from {', '.join(TERMS)}.")
        self.reduction = reduction
        for name, options in terms.items():
            if options is not None and not isinstance(options, Mapping):
                raise UserError(f"loss term {name!r} needs options, found {options!r}: set loss.{name}.weight.")
        active = {name: options for name, options in terms.items() if options and options.get("weight", 0)}
        try:
            self.terms = nn.ModuleDict({name: TERMS[name](**options) for name, options in active.items()})
        except TypeError as error:
            raise UserError(f"loss config does not fit: {error}.") from None
        layers = [layer for term in self.terms.values() for layer in term.layers]  # type: ignore[union-attr]
        self.layers: tuple[str, ...] = tuple(dict.fromkeys(layers)) or ("relu1_1",)
        try:
            self.network = VGG19(layers=self.layers, **(network or {}))
        except TypeError as error:
            raise UserError(f"loss.network does not fit: {error}.") from None
        self.normalized = normalized

    def wrap(self, maps: Mapping[str, Tensor]) -> LossFeatures:
        """Features of the loss network as the terms see them."""
        scales = {layer: self.network.mean_activation(layer) for layer in maps}
        if self.normalized:
            scales = {layer: torch.ones_like(scale) for layer, scale in scales.items()}
        return LossFeatures(maps, scales)

    def forward(self, inputs: LossInputs) -> LossValues:
        raw = {name: term(inputs, self.reduction) for name, term in self.terms.items()}
        weighted = {name: self.terms[name].weight * value for name, value in raw.items()}  # type: ignore[operator]
        total = torch.stack(list(weighted.values())).sum() if weighted else inputs.output.new_zeros(())
        return LossValues(total, raw, weighted)
