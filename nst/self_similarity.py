"""What in a picture is like what: its structure, whatever the colours (CFSD, one of :mod:`nst.metrics`' figures)."""

from __future__ import annotations

import torch
from torch import Tensor

SIMILARITY_ROWS = 128  # of a self-similarity, computed together
# Self-similarities of 1,024 to all 16,384 positions at 512 × 512: within 4 % of those of all, in a tenth of the time. Of more
# positions about as many are taken, or time and memory would grow with the fourth power of the side.
STRUCTURE_STEP, STRUCTURE_SIDE = 4, 128


def structure_steps(side: int) -> tuple[int, int]:
    """Steps between positions i and between positions j for a map of that shorter side: 4 and 1 up to 512 × 512 pixels.

    At 1024 × 1024, 8 and 2: against all j it moved CFSD by 0.2 %, where another choice of i moves it by 4 %.
    """
    return max(STRUCTURE_STEP, round(STRUCTURE_STEP * side / STRUCTURE_SIDE)), max(1, round(side / STRUCTURE_SIDE))


def log_self_similarity(
    features: Tensor, step_i: int = 1, step_j: int = 1, dtype: torch.dtype = torch.float32
) -> Tensor:
    """``log (N S_ij)``, ``S_i = softmax_j(f_i·f_j / C²)``: how alike each position i is to every one of the N positions j.

    The factor N makes it the logarithm of the ratio to being alike to all: near 0, where float32 is fine enough, although
    the similarities themselves differ in the fourth digit only. Rows are made in blocks that stay in the cache.

    Args:
        features: ``(1, C, H, W)`` of mean activation about 1.
        step_i, step_j: only every ``step``-th position in both directions is taken, as i and as j.
        dtype: of the products' factors.

    Returns:
        ``(positions i, positions j)`` float32.
    """
    picture = features[0].float()
    f_i, f_j = (picture[:, step // 2 :: step, step // 2 :: step].flatten(1) for step in (step_i, step_j))
    f_i, f_j = (f_i / features.shape[1] ** 2).to(dtype), f_j.to(dtype)
    logarithms = picture.new_empty(f_i.shape[1], f_j.shape[1])
    for rows, block in zip(f_i.T.split(SIMILARITY_ROWS), logarithms.split(SIMILARITY_ROWS), strict=True):
        block.copy_(rows @ f_j)
        largest = block.amax(dim=1, keepdim=True)
        # Exponentials are near 1: what they differ by from it adds up in float32 as finely as they do in float64.
        excess = (block - largest).exp_().sub_(1).mean(dim=1, keepdim=True)
        block -= (largest.double() + excess.double().log1p()).float()
    return logarithms


def content_feature_structural_distance(output: Tensor, content: Tensor, positions: int) -> float:
    """CFSD: ``Σ_i KL(S_i(content) ‖ S_i(output))`` over the positions of relu3_1, from :func:`log_self_similarity`.

    What in a picture is like what is its structure, whatever the colours (Chung et al. 2024, StyleID; the sum over positions
    as in its published program, which takes torchvision's VGG-19: compare only figures of one program).

    Args:
        output, content: logarithms of self-similarities, ``(positions i, positions j)``.
        positions: how many the maps have; where only some of them were taken, the sum is estimated from those.
    """
    blocks = zip(output.split(SIMILARITY_ROWS), content.split(SIMILARITY_ROWS), strict=True)
    total = sum(float((q.exp() * (q - p)).sum(dim=1).sum(dtype=torch.float64)) for p, q in blocks)
    # With n of the N positions as j: Σ_j (1/n) n S_ij log(S_ij / S'_ij), averaged over the i taken, times N.
    return total / len(content) * (positions / content.shape[1])
