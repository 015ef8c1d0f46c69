"""One small class a loss term: which distance it takes of what."""

from __future__ import annotations

from collections.abc import Mapping

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from nst.distribution_distances import central_moment_discrepancy, histogram_distance, sliced_wasserstein_distance
from nst.errors import UserError
from nst.fusion import adaptive_instance_norm
from nst.loss_distances import balanced_gram_distance, content_distance, gram_distance, moment_distance
from nst.loss_features import LossInputs
from nst.picture_distances import (
    flat_variance,
    laplacian_distance,
    luma,
    mean_structural_similarity,
    spectrum_distance,
    total_variation,
)
from nst.statistics import widest_float


class Term(nn.Module):
    """One term: a weight, and the layers it looks at with a weight λ_l each.

    A subclass has a ``distance`` at a layer, or a ``forward`` of its own that looks at pixels.

    Attributes:
        layered: whether it has a distance, and so needs layers.
        regional: whether it compares with the style, and so belongs to a region where regions have styles of their own.
        summable: whether it looks at means and Gram matrices alone, which tiles of a picture add up to.
    """

    layered: bool
    regional = False
    summable = False

    def __init_subclass__(cls) -> None:
        super().__init_subclass__()
        cls.layered = cls.distance is not Term.distance

    def __init__(self, weight: float, layers: Mapping[str, float] | None = None) -> None:
        super().__init__()
        if layers is not None and not isinstance(layers, Mapping):
            raise UserError(f"a loss term's layers must say each one's share, {{relu1_1: 1.0}}: found {layers!r}.")
        self.weight = float(weight)
        self.layers = {name: float(weight) for name, weight in (layers or {}).items() if weight}

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
        self,
        weight: float,
        layers: Mapping[str, float] | None = None,
        target: str = "content",
        instance_norm: bool = False,
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
    summable = True

    def distance(self, inputs: LossInputs, layer: str, reduction: str) -> Tensor:
        return gram_distance(inputs.output_features.gram(layer), inputs.style_features.gram(layer), reduction)


class MomentTerm(Term):
    """``Σ_l λ_l`` distance of means and standard deviations (Huang & Belongie 2017)."""

    regional = True
    summable = True

    def distance(self, inputs: LossInputs, layer: str, reduction: str) -> Tensor:
        output, style = inputs.output_features.statistics(layer), inputs.style_features.statistics(layer)
        return moment_distance(output, style, reduction)


class BalancedStyleTerm(Term):
    """``Σ_l λ_l`` balanced distance of Gram matrices (Cheng et al. 2021): every style counts alike."""

    regional = True
    summable = True

    def distance(self, inputs: LossInputs, layer: str, reduction: str) -> Tensor:
        return balanced_gram_distance(inputs.output_features.gram(layer), inputs.style_features.gram(layer))


class SlicedWassersteinTerm(Term):
    """``Σ_l λ_l`` sliced Wasserstein distance of the feature distributions (Heitz et al. 2021).

    Directions are drawn from a seed that the style's features make: a new batch of styles gives new ones, a resumed run the
    same ones, and image optimisation minimises one fixed function.

    Args:
        directions: how many; ``None``: as many as the layer has channels, as in the paper.
    """

    regional = True

    def __init__(self, weight: float, layers: Mapping[str, float] | None = None, directions: int | None = None) -> None:
        super().__init__(weight, layers)
        if directions is not None and directions < 1:
            raise UserError(f"directions must be at least 1, or null: found {directions}.")
        self.directions = directions

    def distance(self, inputs: LossInputs, layer: str, reduction: str) -> Tensor:
        features, target = inputs.output_features.samples(layer), inputs.style_features.samples(layer)
        channels = features.shape[1]
        seed = int(target.abs().mean(dtype=widest_float(target.device)).item() * 2**32) % 2**63
        generator = torch.Generator().manual_seed(seed)
        directions = torch.randn(self.directions or channels, channels, generator=generator)
        directions = F.normalize(directions, dim=1).to(features)
        return sliced_wasserstein_distance(features, target, directions, reduction)


class HistogramTerm(Term):
    """``Σ_l λ_l`` distance to the features with the style's histograms (Risser et al. 2017)."""

    regional = True

    def distance(self, inputs: LossInputs, layer: str, reduction: str) -> Tensor:
        return histogram_distance(
            inputs.output_features.samples(layer), inputs.style_features.samples(layer), reduction
        )


class CentralMomentTerm(Term):
    """``Σ_l λ_l`` central moment discrepancy of the feature distributions (Kalischek et al. 2021)."""

    regional = True

    def distance(self, inputs: LossInputs, layer: str, reduction: str) -> Tensor:
        output, style = inputs.output_features.samples(layer), inputs.style_features.samples(layer)
        return central_moment_discrepancy(output, style, reduction)


class TotalVariationTerm(Term):
    """Smoothness of the output."""

    def forward(self, inputs: LossInputs, reduction: str) -> Tensor:
        return total_variation(inputs.output.float(), reduction)


class FlatVarianceTerm(Term):
    """What goes on in the output where the content is flat: a sky stays calm."""

    def forward(self, inputs: LossInputs, reduction: str) -> Tensor:
        return flat_variance(inputs.output.float(), inputs.content_pictures().float())


class LaplacianTerm(Term):
    """The content's edges stay (Li et al. 2017): ``pooling: λ`` for each size at which they are compared."""

    def __init__(self, weight: float, poolings: Mapping[int, float]) -> None:
        super().__init__(weight)
        self.poolings = {int(pooling): float(share) for pooling, share in poolings.items() if share}
        if any(pooling < 1 for pooling in self.poolings):
            raise UserError(f"laplacian poolings must be at least 1 pixel: found {sorted(self.poolings)}.")

    def forward(self, inputs: LossInputs, reduction: str) -> Tensor:
        output, content = inputs.output.float(), inputs.content_pictures().float()
        if min(output.shape[2:]) < 3 * max(self.poolings, default=1):
            raise UserError(
                f"the Laplacian needs 3 positions: a side of {min(output.shape[2:])} pixels is too small for a pooling of "
                f"{max(self.poolings)}."
            )
        total = output.new_zeros(())
        for pooling, share in self.poolings.items():
            total = total + share * laplacian_distance(output, content, pooling, reduction)
        return total


class SpectrumTerm(Term):
    """The power of every frequency stays that of the content (after Durall et al. 2020): a penalty on grids and blur."""

    def __init__(self, weight: float, bands: int = 32) -> None:
        super().__init__(weight)
        self.bands = int(bands)

    def forward(self, inputs: LossInputs, reduction: str) -> Tensor:
        return spectrum_distance(inputs.output.float(), inputs.content_pictures().float(), self.bands)


class IdentityTerm(Term):
    """A picture stylized with itself comes back (Park & Lee 2019, equation 9, on pixels)."""

    def forward(self, inputs: LossInputs, reduction: str) -> Tensor:
        if inputs.reconstructions is None or inputs.originals is None:
            return inputs.output.new_zeros(())
        return content_distance(inputs.reconstructions.float(), inputs.originals.float(), reduction)


class IdentityStructureTerm(Term):
    """A picture stylized with itself keeps its structure: 1 − SSIM of their luma (Zhao et al. 2017, equation 8).

    Squared distances of pixels hardly see faint detail; this looks at all of it alike.
    """

    def forward(self, inputs: LossInputs, reduction: str) -> Tensor:
        if inputs.reconstructions is None or inputs.originals is None:
            return inputs.output.new_zeros(())
        found, wanted = luma(inputs.reconstructions.float()), luma(inputs.originals.float())
        return 1 - mean_structural_similarity(found, wanted).mean()


class IdentityFeatureTerm(Term):
    """A picture stylized with itself keeps its features (Park & Lee 2019, equation 9, second part)."""

    def forward(self, inputs: LossInputs, reduction: str) -> Tensor:
        if inputs.reconstruction_features is None or inputs.original_features is None:
            return inputs.output.new_zeros(())
        return super().forward(inputs, reduction)

    def distance(self, inputs: LossInputs, layer: str, reduction: str) -> Tensor:
        assert inputs.reconstruction_features is not None and inputs.original_features is not None
        found, wanted = inputs.reconstruction_features.map(layer), inputs.original_features.map(layer)
        return content_distance(found, wanted, reduction)


IDENTITY_TERMS = frozenset(
    {"identity", "identity_structure", "identity_features"}
)  # of networks: a picture alone has none
TERMS: dict[str, type[Term]] = {
    "content": ContentTerm,
    "style": StyleTerm,
    "moment": MomentTerm,
    "balanced": BalancedStyleTerm,
    "sliced_wasserstein": SlicedWassersteinTerm,
    "histogram": HistogramTerm,
    "central_moments": CentralMomentTerm,
    "total_variation": TotalVariationTerm,
    "flat_variance": FlatVarianceTerm,
    "laplacian": LaplacianTerm,
    "spectrum": SpectrumTerm,
    "identity": IdentityTerm,
    "identity_structure": IdentityStructureTerm,
    "identity_features": IdentityFeatureTerm,
}
