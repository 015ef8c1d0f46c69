"""What loss terms look at: features of the loss network with their statistics, and everything of one batch."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from torch import Tensor

from nst.statistics import Statistics, mean_and_gram, moments_to_statistics


class LossFeatures:
    """A batch's features in the loss network; Gram matrices and statistics are computed once and in float32.

    Args:
        maps: layer → ``(B, C, H, W)``.
        scales: layer → ``(C,)`` factors the features are multiplied by.
    """

    def __init__(self, maps: Mapping[str, Tensor], scales: Mapping[str, Tensor]) -> None:
        self.maps, self.scales = maps, scales
        self._means_and_grams: dict[str, tuple[Tensor, Tensor]] = {}

    def map(self, layer: str) -> Tensor:
        return self.maps[layer].float() * self.scales[layer].view(1, -1, 1, 1)

    def samples(self, layer: str) -> Tensor:
        """The features as a distribution, ``(B, C, M)``: the M positions have no order."""
        return self.map(layer).flatten(2)

    def mean_and_gram(self, layer: str) -> tuple[Tensor, Tensor]:
        """``(B, C)`` and ``(B, C, C)``. The scales are applied to the small matrix instead of the large features: it is the
        same."""
        if layer not in self._means_and_grams:
            (mean, gram), scale = mean_and_gram(self.maps[layer]), self.scales[layer]
            self._means_and_grams[layer] = mean * scale, gram * (scale[:, None] * scale[None, :])
        return self._means_and_grams[layer]

    def gram(self, layer: str) -> Tensor:
        """``F Fᵀ / M``, ``(B, C, C)``."""
        return self.mean_and_gram(layer)[1]

    def statistics(self, layer: str) -> Statistics:
        """Mean and deviation; the mean square is the Gram matrix's diagonal."""
        mean, gram = self.mean_and_gram(layer)
        return moments_to_statistics(mean, gram.diagonal(dim1=1, dim2=2))


class SelectedLossFeatures(LossFeatures):
    """Some of a batch's pictures, in any order and number: statistics are those of the batch, computed once."""

    def __init__(self, batch: LossFeatures, index: Tensor) -> None:
        super().__init__(batch.maps, batch.scales)
        self._batch, self._index = batch, index

    def map(self, layer: str) -> Tensor:
        return self._batch.map(layer)[self._index]

    def mean_and_gram(self, layer: str) -> tuple[Tensor, Tensor]:
        mean, gram = self._batch.mean_and_gram(layer)
        return mean[self._index], gram[self._index]


@dataclass
class LossInputs:
    """Everything a term may look at. Pictures are ``(B, 3, H, W)`` RGB; targets carry no gradient."""

    output: Tensor
    output_features: LossFeatures
    content_features: LossFeatures
    style_features: LossFeatures
    content: Tensor | None = None  # pictures whose edges and spectrum the output is compared with
    originals: Tensor | None = None  # pictures that were stylized with themselves …
    reconstructions: Tensor | None = None  # … and what became of them
    original_features: LossFeatures | None = None
    reconstruction_features: LossFeatures | None = None

    def content_pictures(self) -> Tensor:
        assert self.content is not None, "a term that compares pixels needs LossInputs.content"
        return self.content
