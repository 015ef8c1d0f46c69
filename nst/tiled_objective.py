"""The loss of a picture of any size, with the memory of one tile for the loss network.

Means and Gram matrices are sums over positions. A first pass over the tiles adds them up without gradients; the loss's
gradient with respect to these small matrices is taken once; a second pass takes each tile's gradient with respect to its
pixels, given that of the matrices. Content distances are sums over positions, too. The result is the whole picture's
gradient, not an approximation: tiles carry a margin as wide as the loss network looks.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor

from nst.errors import UserError
from nst.image_objective import MixedLossFeatures, StyleRegion, interior_masks
from nst.loss_distances import squared_norm
from nst.loss_terms import ContentTerm
from nst.losses import IDENTITY_TERMS, LossFeatures, LossInputs, LossValues, StyleTransferLoss
from nst.region_features import fill_outside
from nst.statistics import mean_and_gram, widest_float
from nst.tiling import AUTO_TILE, Part, Tile, parts, tile_side

# Pixels up to which the loss is not cut. Gradients need every map of the loss network: 1.8 KiB a pixel in bfloat16.
AUTO_WHOLE = 2048 * 1024

Masks = dict[str, Tensor] | None  # layer → weights of its positions, (1, 1, h, w) of the whole picture; None: all alike


class Moments(NamedTuple):
    """Sums over positions of features, of their products, and of the positions' weights."""

    values: Tensor  # (1, C)
    products: Tensor  # (1, C, C)
    weight: Tensor  # ()


class SummedLossFeatures(LossFeatures):
    """Features of which only means and Gram matrices are known."""

    def __init__(self, moments: dict[str, tuple[Tensor, Tensor]], scales: Mapping[str, Tensor]) -> None:
        super().__init__({}, scales)
        for layer, (mean, gram) in moments.items():
            scale = scales[layer]
            self._means_and_grams[layer] = mean * scale, gram * (scale[:, None] * scale[None, :])


def objective_side(tile: Tile, height: int, width: int) -> int:
    """As :func:`nst.tiling.tile_side`, but ``auto`` cuts pictures above 2048×1024 pixels: gradients need more memory."""
    if tile == "auto" and height * width > AUTO_WHOLE:
        return AUTO_TILE
    return tile_side(tile, height, width)


def check_sums(loss: StyleTransferLoss) -> None:
    """Refuse a loss that no sums over tiles make up.

    Raises:
        UserError: a term needs the whole picture's features at once.
    """
    for name, term in loss.terms.items():
        plain = isinstance(term, ContentTerm) and term.target == "content" and not term.instance_norm
        if name not in IDENTITY_TERMS and term.layered and not (plain or term.summable):
            raise UserError(
                f"loss term {name!r} looks at the whole picture's features at once, which tiles do not have: "
                "set tile=off, choose a smaller size, or a loss of Gram matrices and moments."
            )


class TiledObjective:
    """As :class:`nst.image_objective.Objective`, a tile at a time; see there for the arguments.

    Args:
        side: of the tiles.
    """

    def __init__(
        self,
        loss: StyleTransferLoss,
        content: Tensor,
        styles: Sequence[Tensor],
        weights: Sequence[float],
        regions: Sequence[StyleRegion] | None,
        autocast: torch.autocast,
        side: int,
    ) -> None:
        check_sums(loss)
        self.loss, self._autocast, self._content, self._side = loss, autocast, content, side
        terms = {name: term for name, term in loss.terms.items() if name not in IDENTITY_TERMS}
        self._pixel_terms = {name: term for name, term in terms.items() if not term.layered}
        self._content_terms = {name: term for name, term in terms.items() if isinstance(term, ContentTerm)}
        self._style_terms = {name: term for name, term in terms.items() if term.summable}
        self._style_layers = list(dict.fromkeys(layer for term in self._style_terms.values() for layer in term.layers))  # type: ignore[union-attr]
        self._strides = dict(zip(loss.network.layers, loss.network.strides, strict=True))
        self._scales = loss.wrap({layer: content for layer in loss.layers}).scales
        self._masks: list[Masks] = [None]
        self._shares = [1.0]
        if regions:
            masks = [dict.fromkeys(self._style_layers, region.mask) for region in regions]
            self._masks = [self._weights(content, each) for each in masks]
            self._shares = [float(region.mask.mean()) for region in regions]
        with torch.no_grad():
            if regions:
                self._styles = [
                    MixedLossFeatures(
                        [
                            self._style(styles[part.style], part.mask(_size(styles[part.style])))
                            for part in region.parts
                        ],
                        [1 / len(region.parts)] * len(region.parts),
                    )
                    for region in regions
                ]
            else:
                self._styles = [MixedLossFeatures([self._style(style, None) for style in styles], weights)]
            self._content_norms = self._norms()

    def backward(self, picture: Tensor) -> LossValues:
        """The loss of a ``(1, 3, H, W)`` picture, its gradient added to ``picture.grad``."""
        if picture.grad is None:
            picture.grad = torch.zeros_like(picture)
        raw: dict[str, Tensor] = {}
        gradients: list[dict[str, tuple[Tensor, Tensor]]] = [{} for _ in self._masks]
        if self._style_terms:
            with torch.no_grad():
                totals = self._sums(picture, self._masks)
            for index, total in enumerate(totals):
                found, values = self._style_gradients(total, index, picture)
                gradients[index] = found
                raw = {name: raw.get(name, 0) + value for name, value in values.items()}
        none = SummedLossFeatures({}, {})
        for name, term in self._pixel_terms.items():
            value = term(LossInputs(picture, none, none, none, self._content), self.loss.reduction)
            (term.weight * value).backward()
            raw[name] = value.detach()
        for part in self._parts(picture):
            for name, value in self._part_backward(picture, part, gradients).items():
                raw[name] = raw.get(name, 0) + value
        raw = {name: raw[name] for name in self.loss.terms if name in raw}
        weighted = {name: self.loss.terms[name].weight * value for name, value in raw.items()}  # type: ignore[operator]
        return LossValues(torch.stack(list(weighted.values())).sum(), raw, weighted)

    def _style_gradients(
        self, total: dict[str, Moments], index: int, picture: Tensor
    ) -> tuple[dict[str, tuple[Tensor, Tensor]], dict[str, Tensor]]:
        """The gradients with respect to the sums of features and of their products in one region, and the terms' values."""
        weights = {layer: sums.weight.clamp_min(1e-6) for layer, sums in total.items()}
        moments = {
            layer: (
                (sums.values / weights[layer]).float().requires_grad_(),
                (sums.products / weights[layer]).float().requires_grad_(),
            )
            for layer, sums in total.items()
        }
        features = SummedLossFeatures(moments, self._scales)
        inputs = LossInputs(picture.detach(), features, features, self._styles[index])
        values = {
            name: self._shares[index] * term(inputs, self.loss.reduction) for name, term in self._style_terms.items()
        }
        torch.stack([self.loss.terms[name].weight * value for name, value in values.items()]).sum().backward()
        gradients = {}
        for layer, pair in moments.items():
            mean, gram = (torch.zeros_like(one) if one.grad is None else one.grad for one in pair)
            gradients[layer] = mean / weights[layer].float(), gram / weights[layer].float()
        return gradients, {name: value.detach() for name, value in values.items()}

    def _part_backward(
        self, picture: Tensor, part: Part, gradients: Sequence[dict[str, tuple[Tensor, Tensor]]]
    ) -> dict[str, Tensor]:
        """Add one tile's gradient to ``picture.grad``; returns its share of the content terms."""
        rows, columns = part.outer_slices
        piece = picture.detach()[:, :, rows, columns].clone().requires_grad_()
        features = self._inner(piece, part)
        total, raw = piece.new_zeros(()), {}
        for masks, found in zip(self._masks, gradients, strict=True):
            for layer, (values, products) in found.items():
                sums = self._moments(features, layer, part, masks)
                total = total + (sums.values * values).sum() + (sums.products * products).sum()
        if self._content_terms:
            with torch.no_grad():
                targets = self._inner(self._content[:, :, rows, columns], part)
        for name, term in self._content_terms.items():
            value = piece.new_zeros(())
            for layer, share in term.layers.items():
                difference = (features[layer].float() - targets[layer].float()) * self._scales[layer].view(1, -1, 1, 1)
                value = value + share * squared_norm(difference).sum() / self._content_norms[layer]
            total = total + term.weight * value
            raw[name] = value.detach()
        if total.requires_grad:
            total.backward()
            assert picture.grad is not None and piece.grad is not None
            picture.grad[:, :, rows, columns] += piece.grad
        return raw

    def _parts(self, picture: Tensor) -> list[Part]:
        margin = max((self.loss.network.margin(layer) for layer in self.loss.layers), default=0)
        return parts(*_size(picture), self._side, margin, max(self._strides.values(), default=1))

    def _inner(self, piece: Tensor, part: Part) -> dict[str, Tensor]:
        """Every layer's features of a tile without its margin."""
        with self._autocast:
            maps = self.loss.network.features(piece.contiguous(memory_format=torch.channels_last), self.loss.layers)
        inner = {}
        for layer, features in maps.items():
            rows, columns = part.within(self._strides[layer])
            inner[layer] = features[:, :, rows, columns]
        return inner

    def _sums(self, picture: Tensor, all_masks: Sequence[Masks]) -> list[dict[str, Moments]]:
        """Each mask's sums over the whole picture, in float64 so that many tiles add up."""
        totals: list[dict[str, Moments]] = [{} for _ in all_masks]
        for part in self._parts(picture):
            rows, columns = part.outer_slices
            features = self._inner(picture[:, :, rows, columns], part)
            for total, masks in zip(totals, all_masks, strict=True):
                for layer in self._style_layers:
                    found = self._moments(features, layer, part, masks)
                    wide = [one.to(widest_float(one.device)) for one in found]
                    before = total.get(layer)
                    total[layer] = Moments(
                        *(wide if before is None else [a + b for a, b in zip(before, wide, strict=True)])
                    )
        return totals

    def _style(self, style: Tensor, mask: Tensor | None) -> LossFeatures:
        masks = None
        if mask is not None:
            mask = mask.to(style.device)
            style, masks = fill_outside(style, mask), interior_masks(mask, self.loss.network, self._style_layers)
            masks = self._weights(style, masks)
        (total,) = self._sums(style, [masks])
        moments = {}
        for layer, sums in total.items():
            weight = sums.weight.clamp_min(1e-6)
            moments[layer] = (sums.values / weight).float(), (sums.products / weight).float()
        return SummedLossFeatures(moments, self._scales)

    def _weights(self, picture: Tensor, masks: Mapping[str, Tensor]) -> dict[str, Tensor]:
        """Masks of the picture, one a layer, as weights of the layer's positions over the whole picture."""
        last = self._parts(picture)[-1]
        rows, columns = last.outer_slices
        with torch.no_grad():
            features = self._inner(picture[:, :, rows, columns], last)
        weights = {}
        for layer, mask in masks.items():
            stride, (height, width) = self._strides[layer], _size(features[layer])
            weights[layer] = F.adaptive_avg_pool2d(mask, (last.top // stride + height, last.left // stride + width))
        return weights

    def _moments(self, maps: Mapping[str, Tensor], layer: str, part: Part, masks: Masks) -> Moments:
        """Sums over a tile's ``(1, C, h, w)`` features of a layer; a narrow last tile may have no position of a deep one."""
        features, (height, width) = maps[layer], _size(maps[layer])
        if not height or not width:
            none = features.float().sum(dim=(2, 3))
            return Moments(none, none[:, :, None] * none[:, None], none.new_zeros(()))
        if masks is None:
            mean, gram = mean_and_gram(features)
            return Moments(mean * height * width, gram * height * width, mean.new_tensor(float(height * width)))
        top, left = part.top // self._strides[layer], part.left // self._strides[layer]
        weights = masks[layer][:, :, top : top + height, left : left + width]
        # Weighting each position once in both factors of the product takes the mask's root.
        _, gram = mean_and_gram(features * weights.sqrt().to(features.dtype))
        return Moments((features.float() * weights).sum(dim=(2, 3)), gram * height * width, weights.sum())

    def _norms(self) -> dict[str, Tensor]:
        """What the content terms' squared distances are divided by, see :func:`nst.loss_distances.content_distance`."""
        layers = {layer for term in self._content_terms.values() for layer in term.layers}
        wide = widest_float(self._content.device)
        squares = {layer: torch.zeros((), dtype=wide, device=self._content.device) for layer in layers}
        counts = dict.fromkeys(layers, 0)
        for part in self._parts(self._content) if layers else []:
            rows, columns = part.outer_slices
            features = self._inner(self._content[:, :, rows, columns], part)
            for layer in layers:
                squares[layer] += squared_norm(features[layer].float() * self._scales[layer].view(1, -1, 1, 1)).sum()
                counts[layer] += features[layer].numel()
        if self.loss.reduction == "relative":
            return {layer: value.clamp_min(1e-12).float() for layer, value in squares.items()}
        each = counts if self.loss.reduction == "mean" else dict.fromkeys(layers, 1)
        return {layer: torch.tensor(2.0 * each[layer], device=self._content.device) for layer in layers}


def _size(picture: Tensor) -> tuple[int, int]:
    return picture.shape[2], picture.shape[3]
