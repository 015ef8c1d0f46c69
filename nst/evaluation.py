"""evaluate(cfg): every content × style pair of two folders, painted by each model and measured."""

from __future__ import annotations

import importlib
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import lru_cache
from pathlib import Path
from statistics import fmean, median
from typing import Any

import torch
from omegaconf import DictConfig, ListConfig, OmegaConf
from PIL import Image
from rich.progress import track

from nst.checkpoints import bundled_models
from nst.errors import UserError
from nst.evaluation_report import write_report
from nst.images import find_images, on_white, read_image, resize_shorter_side, write_image
from nst.metrics import MINIMUM_SIDE, PairMetrics, PictureFeatures
from nst.peak_memory import PeakMemory
from nst.perceptual_metrics import PerceptualMetrics
from nst.samples import SAMPLES
from nst.stylizer import Stylizer

CACHED_CONTENTS = 64  # pictures whose features are kept whole: 30 MB each at 512 × 512


@dataclass(frozen=True)
class Source:
    """A content or style picture, brought to the size of the evaluation."""

    path: Path
    size: int

    @property
    def name(self) -> str:
        return self.path.stem

    @property
    def image(self) -> Image.Image:
        return _read_square(self.path, self.size)


@dataclass
class Row:
    """A line of the table: something that makes an output of a content and a style.

    Attributes:
        prepare: what the style is to it; once a style, not timed.
        paint: the output of a content and a prepared style.
        timed: whether its time and memory say anything.
        figures: measured so far, one dict a pair.
    """

    name: str
    prepare: Callable[[Source], Any]
    paint: Callable[[Source, Any], Image.Image]
    timed: bool = False
    alpha: float | None = None
    figures: list[dict[str, float]] = field(default_factory=list)
    summary: dict[str, Any] = field(default_factory=dict)

    @property
    def label(self) -> str:
        return self.name if self.alpha is None else f"{self.name} alpha={self.alpha:g}"


def evaluate(cfg: DictConfig) -> list[dict[str, Any]]:
    """Measure models, finished outputs and other programs on the same pairs, as ``configs/evaluate.yaml`` says.

    Prints a table and writes ``results.csv``, ``results.md``, ``results.json`` (with every pair) and ``sheet.jpg``. The rows
    "content copied" and "style copied" bound what the figures can be.

    Returns:
        One dict a row: ``row``, ``alpha``, the mean of each metric over the pairs, ``milliseconds`` (median a picture, style
        already encoded) and ``peak_mib``; None where it cannot be told.

    Raises:
        UserError: folders, models, names or values that do not fit.
    """
    if cfg.size < MINIMUM_SIDE:
        raise UserError(f"size={cfg.size} is too small for the metrics: give at least {MINIMUM_SIDE}.")
    contents, styles = (_sources(cfg, key) for key in ("content", "style"))
    pairs = choose_pairs(contents, styles, cfg.limit)
    rows = [*_bounding_rows(), *_model_rows(cfg), *_output_rows(cfg, pairs), *_peer_rows(cfg)]
    if cfg.save_pictures:
        _require_unique_names(contents, styles)
    device = torch.device(cfg.device or ("cuda" if torch.cuda.is_available() else "cpu"))
    metrics, perceptual = PairMetrics(device), PerceptualMetrics(device)
    for line in perceptual.missing:
        print(line)

    cache = FeatureCache(metrics)
    output_dir = Path(cfg.output_dir)
    sheet_pairs = set(_evenly(range(len(pairs)), cfg.sheet_pairs))
    sheet: list[list[Image.Image]] = []
    prepared: dict[tuple[int, Path], Any] = {}
    for index, (content, style) in enumerate(track(pairs, description="pairs", transient=True)):
        pictures = [content.image, style.image]
        for number, row in enumerate(rows):
            if (number, style.path) not in prepared:
                prepared[number, style.path] = row.prepare(style)
            start = time.perf_counter()
            with PeakMemory(device) as memory:
                output = row.paint(content, prepared[number, style.path])
            seconds = time.perf_counter() - start
            output = _square(output, cfg.size)
            figures = metrics.compare(_features(row, output, content, style, cache), cache.content(content), cache.style(style))
            figures |= perceptual.compare(row.label, output, content.image, style.image)
            if row.timed:
                figures |= {"milliseconds": 1000 * seconds}
                figures |= {} if memory.mebibytes is None else {"peak_mib": memory.mebibytes}
            row.figures.append(figures)
            if number >= len(_BOUNDS):
                pictures.append(output)
                if cfg.save_pictures:
                    write_image(output, output_dir / row.label / f"{content.name}--{style.name}.png")
        if index in sheet_pairs:
            sheet.append(pictures)

    results = [_summarise(row, perceptual) for row in rows]
    write_report(output_dir, results, _pair_table(rows, pairs), sheet, [row.label for row in rows[len(_BOUNDS) :]])
    return results
