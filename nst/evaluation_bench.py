"""Bench: paints and measures pair after pair."""

from __future__ import annotations

import logging
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from statistics import fmean, median
from typing import Any

import torch
from PIL import Image

from nst.crew import Crew
from nst.devices import wait_for
from nst.errors import UserError
from nst.evaluation_rows import CONTENT_COPIED, STYLE_COPIED, Pair, Row, Source, output_path, square
from nst.images import to_tensor, write_image
from nst.metrics import PairMetrics, PictureFeatures
from nst.peak_memory import peak_memory, release_memory
from nst.perceptual_metrics import PerceptualMetrics

# Pictures whose features are kept whole, up to 512 × 512, where one takes 30 MB; of larger ones fewer, in the same 2 GB.
CACHED_PICTURES, CACHED_SIDE = 64, 512
Figures = dict[str, float]
log = logging.getLogger(__name__)


@dataclass(frozen=True)
class _Painted:
    """A row's output of a pair, at the evaluation's size, and the milliseconds it took."""

    row: Row
    content: Source
    style: Source
    image: Image.Image
    milliseconds: float


class Bench:
    """Keeps what is computed once (style codes, source pictures' features) and every figure.

    Args:
        rows: what is measured.
        size: of the pictures, which are square.
        device: of the models.
        save_to: a folder for the pictures of timed rows; None: they are not kept.

    Attributes:
        pair_results: a dict an output: ``row``, ``alpha``, ``content``, ``style`` (names) and ``figures``.
        failed: a dict a pair that could not be painted: ``content``, ``style`` and ``reason``. No row counts it.
    """

    def __init__(
        self,
        rows: Sequence[Row],
        size: int,
        metrics: PairMetrics,
        perceptual: PerceptualMetrics,
        device: torch.device,
        save_to: Path | None = None,
    ) -> None:
        self.rows, self.size, self.metrics, self.perceptual = rows, size, metrics, perceptual
        self.device, self.save_to = device, save_to
        self.crew = Crew(metrics.device)
        kept = max(int(CACHED_PICTURES * min(1.0, CACHED_SIDE / size) ** 2), 2 * self.crew.size)
        self.features = lru_cache(kept)(lambda source: metrics.features(source.image))
        self.style_features: dict[Source, PictureFeatures] = {}
        self.prepared: dict[tuple[str, Source], Any] = {}
        self.peaks: dict[str, float | None] = {}
        self.figures: dict[str, list[Figures]] = {row.label: [] for row in rows}
        self.distributions = {row.label: perceptual.distributions() for row in rows}
        self.pair_results: list[dict[str, Any]] = []
        self.failed: list[dict[str, str]] = []

    def measure(self, pairs: Sequence[Pair]) -> Iterator[list[Image.Image] | None]:
        """Every row's output of each pair, its figures noted down; None for a pair that failed.

        As many pairs are painted as the crew then measures at once: painting, which is timed, has the processor to itself.
        """
        for start in range(0, len(pairs), self.crew.size):
            groups = [self._paint_pair(*pair) for pair in pairs[start : start + self.crew.size]]
            painted = [output for group in groups for output in group or ()]
            for group in groups:
                if group is not None:
                    self._look_at(group[0].content, group[0].style)
            for output, figures in zip(painted, self.crew.map(self._compare, painted), strict=True):
                self._note(output, figures)
            for group in groups:
                yield None if group is None else [output.image for output in group]

    def _paint_pair(self, content: Source, style: Source) -> list[_Painted] | None:
        """Every row's output, or None where one fails: rows are comparable only over the same pairs."""
        try:
            _ = content.image, style.image  # read now: reading is not painting
            # Other programs, which are named last, go first: where they fail, no model has worked in vain.
            return [self._paint(row, content, style) for row in reversed(self.rows)][::-1]
        except Exception as error:  # whatever it is, the other pairs are not to blame
            reason = str(error) if isinstance(error, UserError) else f"unexpected {type(error).__name__}: {error}"
            log.debug("%s × %s", content.path, style.path, exc_info=error)  # seen with hydra.verbose=true
            self.failed.append({"content": content.name, "style": style.name, "reason": " ".join(reason.split())})
            return None

    def _paint(self, row: Row, content: Source, style: Source) -> _Painted:
        if (row.label, style) not in self.prepared:
            self.prepared[row.label, style] = row.prepare(style)
        prepared = self.prepared[row.label, style]
        wait_for(self.device)  # encoding the style is not painting
        start = time.perf_counter()
        output = row.paint(content, prepared)
        milliseconds = 1000 * (time.perf_counter() - start)
        return _Painted(row, content, style, square(output, self.size), milliseconds)

    def _look_at(self, content: Source, style: Source) -> None:
        """Compute what several outputs are compared with: once, before threads would do so at once."""
        self.metrics.structure(self.features(content))
        if style not in self.style_features:
            self.style_features[style] = self.features(style).without_maps()

    def _compare(self, output: _Painted) -> Figures:
        """Figures of features; may run beside others."""
        content, style = output.content, output.style
        if output.row is CONTENT_COPIED or output.row is STYLE_COPIED:
            features = self.features(content if output.row is CONTENT_COPIED else style)
        else:
            features = self.metrics.features(output.image)
        return self.metrics.compare(features, self.features(content), self.style_features[style])

    def _note(self, output: _Painted, figures: Figures) -> None:
        """Keep an output's figures, with the perceptual ones and its time."""
        row, content, style = output.row, output.content, output.style
        tensor = to_tensor(output.image)[None]
        figures = figures | self.perceptual.compare(tensor, to_tensor(content.image)[None])
        if row.timed:
            figures["milliseconds"] = output.milliseconds
        self.distributions[row.label].add(tensor, to_tensor(style.image)[None])
        self.figures[row.label].append(figures)
        names = {"row": row.name, "alpha": row.alpha, "content": content.name, "style": style.name}
        self.pair_results.append({**names, "figures": figures})
        if self.save_to is not None and row.timed:
            write_image(output.image, output_path(self.save_to / row.label, (content, style)))

    def measure_memory(self, content: Source, style: Source) -> None:
        """What a picture adds to the memory in use, of every timed row: the pair is painted once more for it, at the end.

        Not of programs in processes of their own, whose memory is not seen. The process must hold no free memory, or reusing
        that would not show; and to get it back from the system takes time, so that no timed picture may come after.
        """
        for row in self.rows:
            if row.timed and not row.own_process:
                release_memory()
                try:
                    with peak_memory(self.device) as memory:
                        row.paint(content, self.prepared[row.label, style])
                except Exception as error:  # it went well before
                    log.debug("memory of %s", row.label, exc_info=error)
                else:
                    self.peaks[row.label] = memory.mebibytes

    def results(self) -> list[dict[str, Any]]:
        """One dict a row, see :func:`nst.evaluation.evaluate`; one pair at least must have been measured."""
        results = []
        for row in self.rows:
            figures = self.figures[row.label]
            means: dict[str, Any] = {name: fmean(one[name] for one in figures) for name in figures[0]}
            means |= self.distributions[row.label].figures(means.get("lpips"))
            if row.timed:
                means["milliseconds"] = median(one["milliseconds"] for one in figures)
            if (peak := self.peaks.get(row.label)) is not None:
                means["peak_mib"] = peak
            results.append({"row": row.name, "alpha": row.alpha, **means})
        return results
