"""What terms and metrics compare of pixels: smoothness, structure, edges, the spectrum. Pictures are ``(B, 3, H, W)`` RGB."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor

from nst.loss_distances import squared_norm

SSIM_WINDOW = 7  # pixels of a side
FLAT_WINDOW = 16  # likewise
FLAT_DEVIATION = 0.02  # of a window's pixels: five levels of 8 bits


def total_variation(pictures: Tensor, reduction: str = "mean") -> Tensor:
    """``Σ_ij (I[i+1,j] − I[i,j])² + (I[i,j+1] − I[i,j])²`` of ``(B, 3, H, W)``; it has no target: ``relative`` is ``mean``."""
    down, right = pictures.diff(dim=2), pictures.diff(dim=3)
    variation = squared_norm(down) + squared_norm(right)
    return (variation / (1 if reduction == "sum" else pictures[0].numel())).mean()


def luma(pictures: Tensor) -> Tensor:
    """``(B, 3, H, W)`` RGB → ``(B, 1, H, W)``, by ITU-R BT.601's weights."""
    red, green, blue = pictures.split(1, dim=1)  # numbers, not a tensor of them: a GPU would wait for that
    return 0.299 * red + 0.587 * green + 0.114 * blue


def mean_structural_similarity(grey: Tensor, target: Tensor, value_range: float = 1.0) -> Tensor:
    """SSIM of ``(B, 1, H, W)`` grey pictures, ``(B,)``, 1 for equal ones (Wang et al. 2004).

    Uniform 7 × 7 window, sample covariance, mean over the windows inside the picture: scikit-image's convention.
    (torchmetrics has a uniform window too, but takes the population's covariance and leaves out a wider border.)
    """
    means = torch.cat([grey, target, grey * grey, target * target, grey * target], dim=1)
    for window in ((1, SSIM_WINDOW), (SSIM_WINDOW, 1)):  # rows, then columns: 14 values a window instead of 49
        means = F.avg_pool2d(means, window, stride=1)
    mean_x, mean_y, xx, yy, xy = means.unbind(dim=1)
    sample = SSIM_WINDOW**2 / (SSIM_WINDOW**2 - 1)
    variances = sample * (xx - mean_x**2 + yy - mean_y**2)
    covariance = sample * (xy - mean_x * mean_y)
    c1, c2 = (0.01 * value_range) ** 2, (0.03 * value_range) ** 2
    similarity = (2 * mean_x * mean_y + c1) * (2 * covariance + c2)
    return (similarity / ((mean_x**2 + mean_y**2 + c1) * (variances + c2))).mean(dim=(1, 2))


def window_variance(pictures: Tensor) -> Tensor:
    """Variance of the pixels in windows that overlap by half, mean over channels: ``(B, C, H, W)`` → ``(B, H', W')``."""
    window = min(FLAT_WINDOW, *pictures.shape[2:])
    moments = F.avg_pool2d(torch.cat([pictures, pictures.square()], dim=1), window, stride=max(1, window // 2))
    mean, square = moments.chunk(2, dim=1)
    return (square - mean.square()).clamp_min(0).mean(dim=1)


def flat_variance(pictures: Tensor, content: Tensor) -> Tensor:
    """``mean_w exp(−v_w(c) / σ²) · v_w(x) / σ²``, v_w the variance in window w, σ = 0.02: what goes on where the content is flat.

    A smoothness that the content weighs, like the edge-aware one of Godard et al. 2017 (equation 3), but of windows: a sky's
    slow gradient hardly costs, a hatching does, and only where nothing is to be seen in the whole window.
    """
    return variance_where_flat(window_variance(pictures), window_variance(content))


def variance_where_flat(variance: Tensor, content_variance: Tensor) -> Tensor:
    """:func:`flat_variance` of pictures whose :func:`window_variance` is known."""
    flat = torch.exp(-content_variance / FLAT_DEVIATION**2)
    return (flat * variance).mean() / FLAT_DEVIATION**2


def laplacian(pictures: Tensor, pooling: int = 4) -> Tensor:
    """Edges: the Laplacian ``4 I[i,j] − I[i±1,j] − I[i,j±1]`` of the ``pooling``-fold reduced picture, summed over channels.

    ``(B, 3, H, W)`` → ``(B, 1, H/p − 2, W/p − 2)`` (Li et al. 2017).
    """
    small = F.avg_pool2d(pictures, pooling).sum(dim=1, keepdim=True)
    kernel = small.new_tensor([[0.0, -1.0, 0.0], [-1.0, 4.0, -1.0], [0.0, -1.0, 0.0]])
    return F.conv2d(small, kernel.view(1, 1, 3, 3))


def laplacian_distance(pictures: Tensor, target: Tensor, pooling: int = 4, reduction: str = "relative") -> Tensor:
    """``Σ_ij (D(x) − D(c))²_ij``, D the Laplacian (Li et al. 2017); ``mean``: over positions; ``relative``: over ``‖D(c)‖²``."""
    edges, wanted = laplacian(pictures, pooling), laplacian(target, pooling)
    distance = squared_norm(edges - wanted)
    if reduction == "relative":
        return (distance / squared_norm(wanted).clamp_min(1e-12)).mean()
    return (distance / (1 if reduction == "sum" else edges[0].numel())).mean()


def radial_spectrum(pictures: Tensor, bands: int = 32) -> Tensor:
    """Mean power in rings of frequency, ``(B, bands)``: from the lowest frequency to the highest along a side, ½.

    The power spectrum of the luma, averaged over each ring as Durall et al. 2020 integrate it.
    """
    grey = luma(pictures)[:, 0]
    height, width = grey.shape[1:]
    power = torch.fft.rfft2(grey - grey.mean(dim=(1, 2), keepdim=True), norm="ortho").abs().square()
    vertical = torch.fft.fftfreq(height, device=grey.device).square()
    horizontal = torch.fft.rfftfreq(width, device=grey.device).square()
    radius = (vertical[:, None] + horizontal[None, :]).sqrt()
    inside = (radius > 0) & (radius <= 0.5)
    ring = (radius[inside] * 2 * bands).ceil().long() - 1
    sums = grey.new_zeros(len(grey), bands).index_add(1, ring, power[:, inside])
    return sums / torch.bincount(ring, minlength=bands).clamp_min(1)


def spectrum_distance(pictures: Tensor, target: Tensor, bands: int = 32) -> Tensor:
    """Mean over rings of ``(ln P(x) − ln P(t))²``: regular grids and missing detail show in it (after Durall et al. 2020).

    Pictures may differ in size. Logarithms of power (plus 1e-6, below the noise of 8 bits) weigh every ring alike, so there
    is no reduction to choose.
    """
    logarithms = [(radial_spectrum(each, bands) + 1e-6).log() for each in (pictures, target)]
    return (logarithms[0] - logarithms[1]).square().mean()
