"""ValidationMetrics: the figures of ``evaluate`` at every validation of a training run."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from statistics import fmean

import pytorch_lightning as pl
from torch import Tensor

from nst.errors import UserError
from nst.images import to_image
from nst.metrics import MINIMUM_SIDE, PairMetrics, PictureFeatures, metrics_device

FIGURES = ("content", "style", "gram", "ssim", "cfsd")


class ValidationMetrics(pl.Callback):
    """Logs ``val/metrics/…``, means over the fixed pairs of :class:`nst.metrics.PairMetrics`.

    The loss's terms are compared only within one loss; these are the same for every run. Features of the pairs' own pictures
    are computed once.

    Args:
        figures: which, by their names in :meth:`nst.metrics.PairMetrics.compare`.
    """

    def __init__(self, figures: Sequence[str] = FIGURES) -> None:
        self.figures = tuple(figures)
        self._metrics: PairMetrics | None = None
        self._pairs: dict[tuple[int, int], tuple[PictureFeatures, PictureFeatures]] = {}

    def on_validation_batch_end(
        self,
        trainer: pl.Trainer,
        module: pl.LightningModule,
        outputs: Tensor,  # type: ignore[override]
        batch: Mapping[str, Tensor],
        batch_idx: int,
        dataloader_idx: int = 0,
    ) -> None:
        """Measure the outputs of a batch, ``(B, 3, H, W)`` RGB in [0, 1].

        Raises:
            UserError: pictures too small for the metrics, or a figure that they do not have.
        """
        if min(outputs.shape[2:]) < MINIMUM_SIDE:
            raise UserError(
                f"validation pictures of {min(outputs.shape[2:])} pixels are too small for the metrics: set "
                f"data.validation_size to at least {MINIMUM_SIDE}, or callbacks.metrics=null."
            )
        if self._metrics is None:
            self._metrics = PairMetrics(metrics_device(module.device))
        found = []
        for row, output in enumerate(outputs):
            place = (batch_idx, row)
            if place not in self._pairs:
                content, style = (self._metrics.features(to_image(batch[kind][row])) for kind in ("content", "style"))
                self._pairs[place] = content, style.without_maps()
            found.append(self._metrics.compare(self._metrics.features(to_image(output)), *self._pairs[place]))
        for name in self.figures:
            if name not in found[0]:
                raise UserError(
                    f"callbacks.metrics.figures: unknown figure {name!r}: choose from {', '.join(found[0])}."
                )
            mean = fmean(one[name] for one in found)
            module.log(f"val/metrics/{name}", mean, batch_size=len(found), sync_dist=True)
