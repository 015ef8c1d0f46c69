"""The weighted sum of loss terms, ``α·content + β·style + γ·TV + …``.

Distances are pure functions (:mod:`nst.loss_distances`, :mod:`nst.distribution_distances`, :mod:`nst.picture_distances`);
:mod:`nst.loss_terms` has one small class a term; :mod:`nst.loss_features` what a term looks at.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn

from nst.encoders import build_encoder
from nst.errors import UserError
from nst.loss_distances import REDUCTIONS, content_distance, gram_distance, moment_distance
from nst.loss_features import LossFeatures, LossInputs, SelectedLossFeatures
from nst.loss_terms import (
    IDENTITY_TERMS,
    TERMS,
    ContentTerm,
    IdentityTerm,
    MomentTerm,
    StyleTerm,
    Term,
    TotalVariationTerm,
)
from nst.picture_distances import total_variation

__all__ = [
    "IDENTITY_TERMS",
    "REDUCTIONS",
    "TERMS",
    "ContentTerm",
    "IdentityTerm",
    "LossFeatures",
    "LossInputs",
    "LossValues",
    "MomentTerm",
    "SelectedLossFeatures",
    "StyleTerm",
    "StyleTransferLoss",
    "Term",
    "TotalVariationTerm",
    "content_distance",
    "gram_distance",
    "moment_distance",
    "total_variation",
]


class LossValues(NamedTuple):
    """The weighted total and each term's raw value."""

    total: Tensor
    raw: dict[str, Tensor]
    weighted: dict[str, Tensor]


class StyleTransferLoss(nn.Module):
    """The weighted sum of the configured terms, over a frozen encoder of its own.

    Args:
        reduction: ``sum``, ``mean`` or ``relative``.
        normalized: look at activations normalised to mean 1, or at the encoder's own.
        network: options of :func:`nst.encoders.build_encoder`; its ``layers`` are those that the terms name.
        terms: term name → its options; a term of weight 0 is left out.

    Raises:
        UserError: an unknown reduction, term, layer or option, or a term of features without layers.
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
        if network is not None and not isinstance(network, Mapping):
            raise UserError(f"loss.network needs options, found {network!r}: set loss.network.name.")
        active = {name: options for name, options in terms.items() if options and options.get("weight", 0)}
        try:
            self.terms = nn.ModuleDict({name: TERMS[name](**options) for name, options in active.items()})
        except (TypeError, ValueError) as error:
            raise UserError(f"loss config does not fit: {error}.") from None
        for name, term in self.terms.items():
            if term.layered and not term.layers:
                raise UserError(
                    f"loss term {name!r} has a weight but no layers to look at: give loss.{name}.layers, or weight 0."
                )
        layers = [layer for term in self.terms.values() for layer in term.layers]  # type: ignore[union-attr]
        self.layers: tuple[str, ...] = tuple(dict.fromkeys(layers))
        options = {"name": "vgg19", **(network or {})} | ({"layers": self.layers} if layers else {})
        try:
            self.network = build_encoder(**options)
        except UserError as error:
            raise UserError(f"loss.network: {error}") from None
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
        with torch.autocast(inputs.output.device.type, enabled=False):  # whatever the features' type, sums are float32
            raw = {name: term(inputs, self.reduction) for name, term in self.terms.items()}
        weighted = {name: self.terms[name].weight * value for name, value in raw.items()}  # type: ignore[operator]
        total = torch.stack(list(weighted.values())).sum() if weighted else inputs.output.new_zeros(())
        return LossValues(total, raw, weighted)
