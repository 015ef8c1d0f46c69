"""What image optimisation refuses before its first step, and the values it chooses where none are given."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from torch import Tensor

from nst.errors import UserError
from nst.losses import IDENTITY_TERMS, StyleTransferLoss
from nst.pictures import MINIMUM_STYLE_SIDE, Picture
from nst.tiled_objective import check_sums, objective_side
from nst.tiling import Tile

LEARNING_RATES = {"adam": 0.014, "lbfgs": 1.0}
STARTS = ("content", "noise", "stylizer")
SMALLEST_SIDE = 32  # below it the loss network's deepest layers have too few positions


def check_start(init: object) -> None:
    """Refuse an ``init`` that is neither one of :data:`STARTS` nor a picture.

    Raises:
        UserError: see above.
    """
    named = isinstance(init, str | Path)
    if not isinstance(init, Picture) or (named and init not in STARTS and not Path(init).exists()):  # type: ignore[arg-type]
        raise UserError(f"unknown init {init!r}: choose from {', '.join(STARTS)}, or give a picture.")


def check_counts(steps: int, scales: int, window: int) -> None:
    """Refuse numbers of steps and scales below 1.

    Raises:
        UserError: see above.
    """
    if steps < 1 or scales < 1 or window < 1:
        raise UserError(f"steps, scales and window must be at least 1: found {steps}, {scales} and {window}.")


def check_sides(side: int, style_size: int | None, scales: int) -> None:
    """Refuse pictures that are too small for the loss network at the coarsest scale.

    Args:
        side: the result's shorter one.
        style_size: the styles' shorter one; ``None``: as the result's.
        scales: each twice the one before.

    Raises:
        UserError: see above.
    """
    coarsest = side // 2 ** (scales - 1)
    if coarsest < SMALLEST_SIDE:
        raise UserError(
            f"the picture's shorter side is {coarsest} pixels at the coarsest scale, below {SMALLEST_SIDE}: "
            "choose a larger size or fewer scales."
        )
    if style_size is not None and style_size // 2 ** (scales - 1) < MINIMUM_STYLE_SIDE:
        raise UserError(
            f"style_size={style_size} is {style_size // 2 ** (scales - 1)} pixels at the coarsest scale, below "
            f"{MINIMUM_STYLE_SIDE}: choose a larger one or fewer scales."
        )


def check_tiles(loss: StyleTransferLoss, tile: Tile, height: int, width: int) -> None:
    """Refuse a loss that tiles cannot compute where a picture of this size is cut into some.

    Raises:
        UserError: see above.
    """
    if objective_side(tile, height, width) < max(height, width):
        check_sums(loss)


def chosen_rate(optimizer: str, learning_rate: float | None) -> float:
    """The optimizer's rate; see :func:`nst.image_optimization.optimize` for what is taken where none is given.

    Raises:
        UserError: an unknown optimizer, or a rate of 0 or less.
    """
    if optimizer not in LEARNING_RATES:
        raise UserError(f"unknown optimizer {optimizer!r}: choose from {', '.join(LEARNING_RATES)}.")
    if learning_rate is None:
        learning_rate = LEARNING_RATES[optimizer]
    if not learning_rate > 0:
        raise UserError(f"learning_rate must be above 0: found {learning_rate}.")
    return learning_rate


def build_loss(options: object) -> StyleTransferLoss:
    """The loss of these options, with at least one term of a picture.

    Raises:
        UserError: they are no options of :class:`nst.losses.StyleTransferLoss`, or leave no term.
    """
    if not isinstance(options, Mapping):
        raise UserError(
            f"loss must be a dict of a loss's options: found {options!r}; docs/losses.md shows how to get that of a file of "
            "configs/loss."
        )
    loss = StyleTransferLoss(**options)
    if not set(loss.terms) - IDENTITY_TERMS:
        raise UserError("no term of the loss has a weight above 0: give one to content, style or another term.")
    return loss


def require_one(batch: Tensor, name: str) -> Tensor:
    """The batch, which must be of one picture.

    Raises:
        UserError: it has several.
    """
    if len(batch) != 1:
        raise UserError(
            f"one picture is optimised at a time: found a batch of {len(batch)} as {name}; call it for each."
        )
    return batch
