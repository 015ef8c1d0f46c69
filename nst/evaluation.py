"""evaluate(cfg): every content × style pair of two folders, painted by each model and measured."""

from __future__ import annotations

import math
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from statistics import fmean, median
from typing import Any

import torch
from omegaconf import DictConfig, OmegaConf
from PIL import Image
from rich.progress import track

from nst.charts import MISSING, can_draw, draw_frontier
from nst.crew import Crew
from nst.devices import choose_device
from nst.errors import UserError
from nst.evaluation_report import print_table, write_sheet, write_tables
from nst.evaluation_rows import CONTENT_COPIED, STYLE_COPIED, Pair, Row, Source, build_rows, output_path, square
from nst.images import find_images, to_tensor, write_image
from nst.metrics import MINIMUM_SIDE, PairMetrics, PictureFeatures, metrics_device
from nst.peak_memory import peak_memory
from nst.perceptual_metrics import PerceptualMetrics
from nst.samples import SAMPLES

CACHED_PICTURES = 64  # whose features are kept whole: 30 MB each at 512 × 512
Figures = dict[str, float]


def evaluate(cfg: DictConfig) -> list[dict[str, Any]]:
    """Measure models, finished outputs and other programs on the same pairs, as ``configs/inference/evaluate.yaml`` says.

    Prints a table and writes ``results.csv``, ``results.md``, ``results.json`` (every pair too), ``sheet.jpg`` and
    ``frontier.png``. The rows "content copied" and "style copied" bound what the figures can be.

    Returns:
        One dict a row: ``row``, ``alpha``, the mean of each metric over the pairs, ``milliseconds`` (median a picture, style
        already encoded) and ``peak_mib`` (what a picture adds to the memory in use, at most); None where nothing is known.

    Raises:
        UserError: folders, models, names or values that do not fit.
    """
    if cfg.size < MINIMUM_SIDE:
        raise UserError(f"size={cfg.size} is too small for the metrics: give at least {MINIMUM_SIDE}.")
    contents, styles = _sources(cfg, "content"), _sources(cfg, "style")
    pairs = choose_pairs(contents, styles, cfg.limit, cfg.pairs)
    if not_met := left_out(pairs, contents, styles):
        print(f"{not_met}: pairs=spread meets more of them")
    if cfg.save_pictures or cfg.outputs:
        _require_names(pairs)
    rows = build_rows(cfg, pairs)
    device = choose_device(cfg.device)
    measuring = metrics_device(device)
    perceptual = PerceptualMetrics(measuring)
    if perceptual.missing:
        print(f"left out, as these are not in {perceptual.folder}: {', '.join(perceptual.missing)}")

    bench = _Bench(cfg, rows, PairMetrics(measuring, _metrics_dtype(cfg)), perceptual, device)
    on_sheet = {pairs[index] for index in _evenly(len(pairs), cfg.sheet_pairs)}
    sheet: list[list[Image.Image]] = []
    measured = zip(pairs, bench.measure(pairs), strict=True)
    for pair, outputs in track(measured, description="pairs", total=len(pairs), transient=True):
        if pair in on_sheet:
            sheet.append([pair[0].image, pair[1].image, *outputs[2:]])

    results = bench.results()
    print_table(results, len(pairs))
    folder = Path(cfg.output_dir)
    write_tables(folder, results, bench.pair_results, OmegaConf.to_container(cfg, resolve=True))  # type: ignore[arg-type]
    written = ["results.csv", "results.md", "results.json"]
    if sheet:
        written.append(
            write_sheet(folder / "sheet.jpg", ["content", "style", *(row.label for row in rows[2:])], sheet).name
        )
    if can_draw():
        written.append(draw_frontier(results, folder / "frontier.png").name)
    else:
        print(f"left out: frontier.png, {MISSING}")
    print(f"written to {folder}: {', '.join(written)}")
    return results


def choose_pairs(
    contents: Sequence[Source], styles: Sequence[Source], limit: int | None, order: str = "strided"
) -> list[Pair]:
    """Every content with every style, content by content; or ``limit`` of them.

    Args:
        contents, styles: in the order of their names.
        limit: number of pairs; ``None`` or a larger one than there are: all.
        order: ``strided`` takes every n-th pair of all, of 800 and for 100: 0, 8, 16, …, which of 40 styles are five.
            ``spread`` lets no content and no style occur more than once more often than another.

    Raises:
        UserError: a limit below 1 or an unknown order.
    """
    if limit is not None and not (isinstance(limit, int) and limit >= 1):
        raise UserError(f"limit={limit}: give the number of pairs, at least 1, or null for all.")
    if order not in ("strided", "spread"):
        raise UserError(f"pairs={order!r}: choose strided or spread.")
    count = len(contents) * len(styles)
    wanted = count if limit is None else min(limit, count)
    if order == "spread":
        chosen = _diagonals(len(contents), len(styles), wanted)
    else:
        chosen = [divmod(index, len(styles)) for index in _evenly(count, wanted)]
    return [(contents[content], styles[style]) for content, style in chosen]


def left_out(pairs: Sequence[Pair], contents: Sequence[Source], styles: Sequence[Source]) -> str | None:
    """A line that says how few pictures the pairs are of, if as many pairs could be of more."""
    met = [len({pair[kind] for pair in pairs}) for kind in (0, 1)]
    if met == [min(len(pairs), len(contents)), min(len(pairs), len(styles))]:
        return None
    return f"{len(pairs)} pairs are of {met[0]} of {len(contents)} contents and {met[1]} of {len(styles)} styles"


def _diagonals(contents: int, styles: int, wanted: int) -> list[tuple[int, int]]:
    """Cells of a grid, walked along its diagonals: each row and each column as often as any other, but for one.

    Both indices step on together and wrap round. That returns to its start after their least common multiple of cells, and
    each time it does the walk goes on one column further.
    """
    rows, columns = _evenly(contents, wanted), _evenly(styles, wanted)  # of few pairs, pictures from the whole list
    around = math.lcm(len(rows), len(columns))
    return sorted((rows[k % len(rows)], columns[(k + k // around) % len(columns)]) for k in range(wanted))


@dataclass(frozen=True)
class _Painted:
    """A row's output of a pair, at the evaluation's size, and what it cost."""

    row: Row
    content: Source
    style: Source
    image: Image.Image
    cost: Figures


class _Bench:
    """Paints and measures pair after pair, and keeps what is computed once: style codes and source pictures' features."""

    def __init__(
        self,
        cfg: DictConfig,
        rows: Sequence[Row],
        metrics: PairMetrics,
        perceptual: PerceptualMetrics,
        device: torch.device,
    ) -> None:
        self.cfg, self.rows, self.metrics, self.perceptual, self.device = cfg, rows, metrics, perceptual, device
        self.crew = Crew(metrics.device)
        self.features = lru_cache(CACHED_PICTURES)(lambda source: metrics.features(source.image))
        self.style_features: dict[Source, PictureFeatures] = {}
        self.prepared: dict[tuple[str, Source], Any] = {}
        self.figures: dict[str, list[Figures]] = {row.label: [] for row in rows}
        self.distributions = {row.label: perceptual.distributions() for row in rows}
        self.pair_results: list[dict[str, Any]] = []

    def measure(self, pairs: Sequence[Pair]) -> Iterator[list[Image.Image]]:
        """Every row's output of each pair, its figures noted down.

        As many pairs are painted as the crew then measures at once: painting, which is timed, has the processor to itself.
        """
        for start in range(0, len(pairs), self.crew.size):
            together = pairs[start : start + self.crew.size]
            painted = [self._paint(row, *pair) for pair in together for row in self.rows]
            for content, style in together:
                self.features(content)  # once, not in two threads
                if style not in self.style_features:
                    self.style_features[style] = self.features(style).without_maps()
            for output, figures in zip(painted, self.crew.map(self._compare, painted), strict=True):
                self._note(output, figures)
            for first in range(0, len(painted), len(self.rows)):
                yield [output.image for output in painted[first : first + len(self.rows)]]

    def _paint(self, row: Row, content: Source, style: Source) -> _Painted:
        """A row's output at the evaluation's size, and what it cost."""
        if (row.label, style) not in self.prepared:
            self.prepared[row.label, style] = row.prepare(style)
        prepared, _ = self.prepared[row.label, style], content.image  # read now: reading is not painting
        with peak_memory(self.device) as memory:
            start = time.perf_counter()
            output = row.paint(content, prepared)
            seconds = time.perf_counter() - start
        cost = {"milliseconds": 1000 * seconds} if row.timed else {}
        if row.timed and memory.mebibytes is not None:
            cost["peak_mib"] = memory.mebibytes
        return _Painted(row, content, style, square(output, self.cfg.size), cost)

    def _compare(self, output: _Painted) -> Figures:
        """Figures of features; may run beside others."""
        content, style = output.content, output.style
        if output.row is CONTENT_COPIED or output.row is STYLE_COPIED:
            features = self.features(content if output.row is CONTENT_COPIED else style)
        else:
            features = self.metrics.features(output.image)
        return self.metrics.compare(features, self.features(content), self.style_features[style])

    def _note(self, output: _Painted, figures: Figures) -> None:
        """Keep an output's figures, with the perceptual ones and its cost."""
        row, content, style = output.row, output.content, output.style
        tensor = to_tensor(output.image)[None]
        figures = figures | self.perceptual.compare(tensor, to_tensor(content.image)[None]) | output.cost
        self.distributions[row.label].add(tensor, to_tensor(style.image)[None])
        self.figures[row.label].append(figures)
        names = {"row": row.name, "alpha": row.alpha, "content": content.name, "style": style.name}
        self.pair_results.append({**names, "figures": figures})
        if self.cfg.save_pictures and row.timed:
            write_image(output.image, output_path(Path(self.cfg.output_dir) / row.label, (content, style)))

    def results(self) -> list[dict[str, Any]]:
        """One dict a row, see :func:`evaluate`."""
        results = []
        for row in self.rows:
            figures = self.figures[row.label]
            means: dict[str, Any] = {name: fmean(one[name] for one in figures) for name in figures[0]}
            means |= self.distributions[row.label].figures(means.get("lpips"))
            if row.timed:
                means["milliseconds"] = median(one["milliseconds"] for one in figures)
                if "peak_mib" in means:
                    means["peak_mib"] = max(one["peak_mib"] for one in figures)
            results.append({"row": row.name, "alpha": row.alpha, **means})
        return results


def _metrics_dtype(cfg: DictConfig) -> torch.dtype:
    if cfg.metrics_precision not in ("float32", "bfloat16"):
        raise UserError(f"metrics_precision={cfg.metrics_precision!r}: choose float32 or bfloat16.")
    return getattr(torch, cfg.metrics_precision)


def _sources(cfg: DictConfig, key: str) -> list[Source]:
    where = cfg[key]
    if where is None:
        where = SAMPLES / key
        if not where.is_dir():
            raise UserError(f"no {key} given and no sample pictures found: set {key}=FOLDER.")
    return [Source(path, cfg.size) for path in find_images(where)]


def _evenly(count: int, wanted: int) -> list[int]:
    """``wanted`` of ``count`` indices, evenly spread from 0; all if there are no more."""
    return list(range(count)) if wanted >= count else [index * count // wanted for index in range(wanted)]


def _require_names(pairs: Sequence[Pair]) -> None:
    """Outputs are named after their pair, so names must tell pairs apart."""
    for kind in (0, 1):
        paths: dict[str, Path] = {}
        for pair in pairs:
            source = pair[kind]
            if paths.setdefault(source.name, source.path) != source.path:
                raise UserError(
                    f"{paths[source.name]} and {source.path} have one name, so their outputs would too: rename one of them."
                )
