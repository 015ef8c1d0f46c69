"""Every figure that compares one output with its content and its style.

Pure functions first, then :class:`PairMetrics`, which looks at each picture once. Unless stated otherwise features are those
of the un-normalised Caffe VGG-19 with reflection padding (activations of RGB in [0, 1] scaled to 0..255 inside), one picture
at a time, and a smaller figure is better. Figures are comparable only between pictures of one size.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import lru_cache
from statistics import fmean

import torch
import torch.nn.functional as F
from PIL import Image
from torch import Tensor

from nst.crew import LARGEST
from nst.encoder_contract import MINIMUM_MEAN_ACTIVATION
from nst.encoders import VGG19
from nst.images import to_tensor
from nst.losses import content_distance, gram_distance, moment_distance, total_variation
from nst.picture_distances import mean_structural_similarity, variance_where_flat, window_variance
from nst.self_similarity import content_feature_structural_distance, log_self_similarity, structure_steps
from nst.statistics import (
    EPSILON,
    Statistics,
    feature_sums,
    mean_and_gram,
    positions_by_channels,
    widest_float,
)
from nst.vgg_weights import caffe_mean_activations

CONTENT_LAYERS = ("relu4_1", "relu5_1")
STYLE_LAYERS = ("relu1_1", "relu2_1", "relu3_1", "relu4_1", "relu5_1")
STRUCTURE_LAYER = "relu3_1"
MINIMUM_SIDE = 32  # two positions a side at relu5_1, the least that reflection padding and a variance need

PROJECTIONS, QUANTILES, PROJECTED_SIDE = 64, 256, 128
HISTOGRAM_LEVELS = 8  # a colour channel

Maps = Mapping[str, Tensor]


def relative_content_distance(output: Maps, content: Maps) -> float:
    """``‖F_o − F_c‖² / ‖F_c‖²``, the mean of relu4_1 and relu5_1 (Gatys et al. 2016, equation 1, made relative).

    Both map a layer to ``(1, C, H, W)`` features.
    """
    return fmean(float(content_distance(output[layer], content[layer])) for layer in CONTENT_LAYERS)


def relative_style_distance(output: Mapping[str, Statistics], style: Mapping[str, Statistics]) -> float:
    """``(‖μ_o − μ_s‖² + ‖σ_o − σ_s‖²) / (‖μ_s‖² + ‖σ_s‖²)``, the mean of relu1_1 … relu5_1.

    Huang & Belongie 2017, equation 13, made relative; statistics of :func:`unbiased_statistics`.
    """
    return fmean(float(moment_distance(output[layer], style[layer])) for layer in STYLE_LAYERS)


def relative_gram_distance(output: Maps, style: Maps) -> float:
    """``‖G_o − G_s‖² / ‖G_s‖²`` with ``G = F Fᵀ / M``, the mean of relu1_1 … relu5_1 (Gatys et al. 2016, made relative).

    Both map a layer to its ``(1, C, C)`` Gram matrix.
    """
    return fmean(float(gram_distance(output[layer], style[layer])) for layer in STYLE_LAYERS)


def unbiased_statistics(features: Tensor) -> Statistics:
    """Channel mean and ``sqrt(variance + 1e-5)``, the variance over M − 1."""
    sums = feature_sums(features)
    mean = sums.values / sums.weight
    variance = (sums.squares / sums.weight - mean.square()) * (sums.weight / (sums.weight - 1))
    return Statistics(mean.float(), variance.clamp_min(0).add(EPSILON).sqrt().float())


def gram_per_position(features: Tensor) -> Tensor:
    """``F Fᵀ / M`` of ``(1, C, H, W)`` features, ``(1, C, C)`` float32.

    Of bfloat16 features it is rounded to bfloat16, which takes a third of the time.
    """
    if features.dtype != torch.bfloat16:
        return mean_and_gram(features)[1]
    values = positions_by_channels(features)[0]
    return (values.T @ values)[None].float() / len(values)


def microast_content_loss(output: Maps, content: Maps, scales: Maps) -> float:
    """Mean squared difference of features, the mean of relu4_1 and relu5_1 (Wang et al. 2023, MicroAST, its evaluation).

    MicroAST looks at a VGG-19 of mean activation 1, hence features are divided by ``scales``. Published figures were made
    with other means and BGR pictures: compare only figures of one program.
    """
    return fmean(
        float(((output[layer] - content[layer]) / scales[layer].view(1, -1, 1, 1)).square().mean())
        for layer in CONTENT_LAYERS
    )


def microast_style_loss(output: Mapping[str, Statistics], style: Mapping[str, Statistics], scales: Maps) -> float:
    """``MSE(μ_o, μ_s) + MSE(σ_o, σ_s)``, the mean of relu1_1 … relu5_1; source and ``scales`` as for the content loss."""

    def distance(layer: str) -> float:
        (mean, std), (mean_target, std_target), scale = output[layer], style[layer], scales[layer]
        return float(((mean - mean_target) / scale).square().mean() + ((std - std_target) / scale).square().mean())

    return fmean(distance(layer) for layer in STYLE_LAYERS)


def structural_similarity(output: Tensor, content: Tensor) -> float:
    """SSIM of two 8-bit grey pictures ``(H, W)``, 1 for equal ones; larger is better (Wang et al. 2004).

    See :func:`nst.picture_distances.mean_structural_similarity`.
    """
    return float(mean_structural_similarity(output.double()[None, None], content.double()[None, None], 255.0))


def projected_quantiles(features: Tensor, projections: int = PROJECTIONS, quantiles: int = QUANTILES) -> Tensor:
    """Distribution of features along fixed random unit directions, ``(1, C, H, W)`` → ``(projections, quantiles)``.

    The sorted projections, averaged in ``quantiles`` groups of equal size; maps above 128 × 128 are thinned out evenly.
    """
    directions = torch.randn(projections, features.shape[1], generator=torch.Generator().manual_seed(0))
    directions = F.normalize(directions, dim=1).to(features.device)
    step = max(1, min(features.shape[2:]) // PROJECTED_SIDE)
    positions = positions_by_channels(features[:, :, ::step, ::step])[0].float()
    projected = (positions @ directions.T).T.contiguous()
    if projected.device.type == "cpu":
        projected.numpy().sort(axis=1)  # in place; several times as fast as torch's, which keeps the order too
    else:
        projected = projected.sort(dim=1).values
    return F.adaptive_avg_pool1d(projected, quantiles)


def sliced_wasserstein_distance(output: Maps, style: Maps) -> float:
    """``Σ (p_o − p_s)² / Σ p_s²`` of :func:`projected_quantiles`, the mean of relu1_1 … relu5_1.

    Heitz et al. 2021, equation 2, made relative: unlike moments and Gram matrices it sees the whole distribution.
    """
    ratios = (((output[layer] - style[layer]).square().sum(), style[layer].square().sum()) for layer in STYLE_LAYERS)
    return fmean(float(distance / norm.clamp_min(1e-12)) for distance, norm in ratios)


def color_histogram(picture: Tensor) -> Tensor:
    """Shares of the 8 × 8 × 8 cells of the RGB cube, ``(512,)``, of a ``(3, H, W)`` picture in [0, 1]."""
    levels = (picture * 256).long().clamp(0, 255) * HISTOGRAM_LEVELS // 256
    cells = (levels[0] * HISTOGRAM_LEVELS + levels[1]) * HISTOGRAM_LEVELS + levels[2]
    return cells.flatten().bincount(minlength=HISTOGRAM_LEVELS**3).double() / cells.numel()


def color_histogram_distance(output: Tensor, style: Tensor) -> float:
    """Hellinger distance ``sqrt(1 − Σ sqrt(p q))`` of two colour histograms, from 0 to 1 (Afifi et al. 2021, HistoGAN, eq. 4)."""
    return math.sqrt(max(0.0, 1.0 - float((output * style).sqrt().sum())))


def metrics_device(device: torch.device) -> torch.device:
    """Where figures are computed: beside the models, but on the processor where the device has no float64 (MPS)."""
    return device if widest_float(device) == torch.float64 else torch.device("cpu")


@dataclass(frozen=True, eq=False)  # hashed by identity, for the cache of self-similarities
class PictureFeatures:
    """What the metrics need of a picture: ``maps`` and ``luma`` where it is content, the rest where it is style."""

    luma: Tensor  # (H, W), 8-bit
    maps: dict[str, Tensor]
    statistics: dict[str, Statistics]
    grams: dict[str, Tensor]
    quantiles: dict[str, Tensor]
    histogram: Tensor
    variation: float
    variance: Tensor  # (1, H', W'), of windows

    def without_maps(self) -> PictureFeatures:
        """Enough for a style: 3 MB instead of 30 at 512 × 512."""
        return replace(self, maps={})


class PairMetrics:
    """All metrics of a pair of pictures.

    >>> metrics = PairMetrics()                                            # doctest: +SKIP
    >>> content, style = metrics.features(photo), metrics.features(painting)  # doctest: +SKIP
    >>> metrics.compare(metrics.features(result), content, style)["style"]    # doctest: +SKIP

    Args:
        device: where features are computed.
        dtype: of VGG-19's convolutions and of self-similarities' factors, all else is float32. What bfloat16
            saves, and by how much it moves the figures, is in docs/results.md.

    Several threads may use one; call ``structure`` of a content first, or each of them would compute it.
    """

    def __init__(self, device: torch.device | str = "cpu", dtype: torch.dtype = torch.float32) -> None:
        self.dtype = dtype
        network = VGG19(STYLE_LAYERS, weights="caffe", normalized=False, padding="reflect")
        self.network = network.eval().requires_grad_(False).to(device).to(memory_format=torch.channels_last)
        self.device = torch.device(device)
        means = caffe_mean_activations()
        self.scales: dict[str, Tensor] = {}
        for layer in STYLE_LAYERS:
            mean = means[layer.replace("relu", "conv")].to(device)
            self.scales[layer] = torch.where(mean > MINIMUM_MEAN_ACTIVATION, mean, 1.0)
        # Of the contents that a crew's outputs are compared with: 67 MB each at 512 × 512, at most twice as much beyond.
        self.structure = lru_cache(maxsize=LARGEST)(self._self_similarity)

    @torch.inference_mode()
    def features(self, image: Image.Image) -> PictureFeatures:
        """Features of an RGB picture, at least 32 × 32."""
        picture = to_tensor(image).to(self.device)
        batch = picture[None].contiguous(memory_format=torch.channels_last)
        with torch.autocast(self.device.type, self.dtype, enabled=self.dtype != torch.float32):
            maps = self.network.features(batch, STYLE_LAYERS)
        luma = to_tensor(image.convert("L"))[0].mul(255).round()
        return PictureFeatures(
            luma=luma.to(self.device, torch.uint8),
            maps={layer: maps[layer].float() for layer in (STRUCTURE_LAYER, *CONTENT_LAYERS)},
            statistics={layer: unbiased_statistics(maps[layer]) for layer in STYLE_LAYERS},
            grams={layer: gram_per_position(maps[layer]) for layer in STYLE_LAYERS},
            quantiles={layer: projected_quantiles(maps[layer]) for layer in STYLE_LAYERS},
            histogram=color_histogram(picture),
            variation=float(total_variation(picture[None])),
            variance=window_variance(picture[None]),
        )

    @torch.inference_mode()
    def _self_similarity(self, features: PictureFeatures) -> Tensor:
        maps, scale = features.maps[STRUCTURE_LAYER], self.scales[STRUCTURE_LAYER].view(1, -1, 1, 1)
        return log_self_similarity(maps / scale, *structure_steps(min(maps.shape[2:])), self.dtype)

    @torch.inference_mode()
    def compare(self, output: PictureFeatures, content: PictureFeatures, style: PictureFeatures) -> dict[str, float]:
        """Figures of one output, by name, in the order of a table. All three pictures are of one size."""
        structure, positions = self.structure(content), content.maps[STRUCTURE_LAYER][0, 0].numel()
        similarity = structure if output is content else self._self_similarity(output)
        return {
            "content": relative_content_distance(output.maps, content.maps),
            "style": relative_style_distance(output.statistics, style.statistics),
            "gram": relative_gram_distance(output.grams, style.grams),
            "ssim": structural_similarity(output.luma, content.luma),
            "cfsd": content_feature_structural_distance(similarity, structure, positions),
            "sliced_wasserstein": sliced_wasserstein_distance(output.quantiles, style.quantiles),
            "color_histogram": color_histogram_distance(output.histogram, style.histogram),
            "total_variation": output.variation,
            "flat_variance": float(variance_where_flat(output.variance, content.variance)),
            "microast_content": microast_content_loss(output.maps, content.maps, self.scales),
            "microast_style": microast_style_loss(output.statistics, style.statistics, self.scales),
        }
