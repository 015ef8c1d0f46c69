"""evaluate(cfg): every content × style pair of two folders, painted by each model and measured."""

from __future__ import annotations

from typing import Any, NamedTuple

import torch
from omegaconf import DictConfig, OmegaConf
from PIL import Image
from rich.progress import track

from nst.charts import MISSING, can_draw, draw_frontier
from nst.config_numbers import Number, check_numbers
from nst.devices import choose_device
from nst.errors import UserError
from nst.evaluation_bench import Bench
from nst.evaluation_files import output_folder
from nst.evaluation_pairs import choose_pairs, evenly, not_met, require_names, sources
from nst.evaluation_report import SIDE, print_failures, print_table, write_sheet, write_tables
from nst.evaluation_rows import Pair, build_rows, square
from nst.metrics import MINIMUM_SIDE, PairMetrics, metrics_device
from nst.perceptual_metrics import PerceptualMetrics

NUMBERS = {
    "limit": Number(1, whole=True, optional=True),
    "size": Number(MINIMUM_SIDE, whole=True),
    "alpha": Number(0, 1, several=True),
    "sheet_pairs": Number(0, whole=True, optional=True),
}


class Evaluation(NamedTuple):
    """What was measured.

    Attributes:
        rows: one dict a row: ``row``, ``alpha``, the mean of each metric over the pairs, ``milliseconds`` (median a picture,
            style already encoded) and ``peak_mib`` (what the last pair's picture, painted once more after all others, added
            to the GPU's memory, or that of this process where it did not compute there). What is not known is left out.
        failed: one dict a pair that was left out: ``content``, ``style`` and ``reason``.
    """

    rows: list[dict[str, Any]]
    failed: list[dict[str, str]]


def evaluate(cfg: DictConfig) -> Evaluation:
    """Measure models, finished outputs and other programs on the same pairs, as ``configs/inference/evaluate.yaml`` says.

    Prints a table and writes ``results.csv``, ``results.md``, ``results.json`` (every pair too), ``sheet.jpg`` and
    ``frontier.png``. The rows "content copied" and "style copied" bound what the figures can be. A pair of which a picture
    cannot be read, or that a row cannot paint, is left out for all rows and named at the end.

    Raises:
        UserError: folders, models, names or values that do not fit, or no pair could be measured.
    """
    check_numbers(cfg, NUMBERS)
    contents, styles = sources(cfg, "content"), sources(cfg, "style")
    pairs = choose_pairs(contents, styles, cfg.limit, cfg.pairs)
    if missed := not_met(pairs, contents, styles):
        print(f"{missed}: pairs=spread meets more of them")
    if cfg.save_pictures or cfg.outputs:
        require_names(pairs)
    rows = build_rows(cfg, pairs)
    device = choose_device(cfg.device)
    measuring = metrics_device(device)
    metrics, perceptual = PairMetrics(measuring, _metrics_dtype(cfg)), PerceptualMetrics(measuring)
    if perceptual.missing:
        print(f"left out, as these are not in {perceptual.folder}: {', '.join(perceptual.missing)}")
    folder = output_folder(cfg.output_dir)

    bench = Bench(rows, cfg.size, metrics, perceptual, device, folder if cfg.save_pictures else None)
    on_sheet = {pairs[index] for index in evenly(len(pairs), cfg.sheet_pairs)}
    sheet: list[list[Image.Image]] = []
    measured: list[Pair] = []
    outcomes = zip(pairs, bench.measure(pairs), strict=True)
    for pair, outputs in track(outcomes, description="pairs", total=len(pairs), transient=True):
        if outputs is None:
            continue
        measured.append(pair)
        if pair in on_sheet:
            sheet.append([square(image, SIDE) for image in (pair[0].image, pair[1].image, *outputs[2:])])
    if not measured:
        raise UserError(f"no pair could be measured, {len(pairs)} failed, the first: {bench.failed[0]['reason']}")
    bench.measure_memory(*measured[-1])

    results = bench.results()
    print_table(results, len(measured))
    settings: dict[str, Any] = OmegaConf.to_container(cfg, resolve=True)  # type: ignore[assignment]
    write_tables(folder, results, bench.pair_results, bench.failed, settings)
    written = ["results.csv", "results.md", "results.json"]
    if sheet:
        titles = ["content", "style", *(row.label for row in rows[2:])]
        written.append(write_sheet(folder / "sheet.jpg", titles, sheet).name)
    if can_draw():
        written.append(draw_frontier(results, folder / "frontier.png").name)
    else:
        print(f"left out: frontier.png, {MISSING}")
    print(f"written to {folder}: {', '.join(written)}")
    if bench.failed:
        print_failures(bench.failed, len(measured))
    return Evaluation(results, bench.failed)


def _metrics_dtype(cfg: DictConfig) -> torch.dtype:
    if cfg.metrics_precision not in ("float32", "bfloat16"):
        raise UserError(f"metrics_precision={cfg.metrics_precision!r}: choose float32 or bfloat16.")
    return getattr(torch, cfg.metrics_precision)
