"""The results of an evaluation on the screen and on disk: table, CSV, JSON, Markdown and contact sheet."""

from __future__ import annotations

import csv
import io
import json
import math
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from PIL import Image, ImageDraw, ImageFont
from rich.console import Console
from rich.table import Table

from nst.contact_sheet import GAP, contact_sheet
from nst.evaluation_files import write_text
from nst.images import to_tensor, write_image

# Figure → its heading; arrows point to the better side.
HEADINGS = {
    "content": "content ↓",
    "style": "style ↓",
    "gram": "gram ↓",
    "ssim": "SSIM ↑",
    "cfsd": "CFSD ↓",
    "sliced_wasserstein": "sliced W ↓",
    "color_histogram": "colour ↓",
    "total_variation": "TV",
    "flat_variance": "flat var. ↓",
    "microast_content": "MicroAST content ↓",
    "microast_style": "MicroAST style ↓",
    "lpips": "LPIPS ↓",
    "fid": "FID ↓",
    "art_fid": "ArtFID ↓",
    "milliseconds": "ms ↓",
    "peak_mib": "MiB ↓",
}
SIDE, COLUMNS = 192, 9  # of the contact sheet: side of a picture in pixels, most pictures in a line
LINES = 300  # most lines of the contact sheet: a JPEG has at most 65,535 pixels a side; more pairs make it wider
TITLE_HEIGHT, BLOCK_GAP = 24, 24  # pixels above the pictures and between pairs

Results = Sequence[Mapping[str, Any]]


def print_table(rows: Results, pairs: int) -> None:
    """A rich table on standard output, a line a row, or, where that is too wide for the terminal, a line a figure."""
    lines = [_headings(rows), *_cells(rows)]
    table, transposed = _table(lines, pairs), _table(list(zip(*lines, strict=True)), pairs)
    if _width(table) > Console().width:
        table = min(table, transposed, key=_width)
    Console(width=max(Console().width, _width(table))).print(table)  # beyond the terminal rather than cut off


def _width(table: Table) -> int:
    return Console(width=10_000).measure(table).maximum


def _table(lines: Sequence[Sequence[str]], pairs: int) -> Table:
    table = Table(title=f"{pairs} pairs")
    for index, heading in enumerate(lines[0]):
        table.add_column(heading, justify="right" if index else "left", no_wrap=True)
    for line in lines[1:]:
        table.add_row(*line)
    return table


def print_failures(failed: Results, measured: int) -> None:
    """How many pairs were left out, and on standard error a line a reason: one picture may fail in many pairs.

    Args:
        failed: dicts with ``content``, ``style``, ``reason``.
        measured: number of the others.
    """
    print(f"{measured} pairs measured, {len(failed)} failed and left out of every row")
    names: dict[str, list[str]] = {}
    for pair in failed:
        names.setdefault(pair["reason"], []).append(f"{pair['content']} × {pair['style']}")
    for reason, pairs in names.items():
        others = f" and {len(pairs) - 1} more" if len(pairs) > 1 else ""
        print(f"failed: {pairs[0]}{others}: {reason}", file=sys.stderr)


def write_tables(folder: Path, rows: Results, pairs: Results, failed: Results, settings: Mapping[str, Any]) -> None:
    """``results.csv`` and ``results.md`` with the rows, ``results.json`` with settings, rows, every pair and those left out.

    Raises:
        UserError: the folder cannot be written.
    """
    lines = [_headings(rows), ["---", *["---:"] * (len(_headings(rows)) - 1)], *_cells(rows)]
    table = io.StringIO(newline="")
    writer = csv.DictWriter(table, ["row", "alpha", *_figures(rows)], extrasaction="ignore", lineterminator="\n")
    writer.writeheader()
    writer.writerows(rows)
    everything = {"settings": settings, "rows": rows, "pairs": pairs, "failed": failed}
    write_text(folder / "results.csv", table.getvalue())
    write_text(folder / "results.md", "".join(f"| {' | '.join(line)} |\n" for line in lines))
    write_text(folder / "results.json", json.dumps(everything, indent=1))


def write_sheet(path: Path, titles: Sequence[str], pairs: Sequence[Sequence[Image.Image]]) -> Path:
    """A contact sheet of pairs: content, style and outputs side by side, titles above, as many pairs a line as are readable.

    Args:
        path: of the picture file.
        titles: of the pictures of a pair.
        pairs: as many pictures each as there are titles.
    """
    pairs_a_line = max(1, min(COLUMNS // len(titles), len(pairs)), math.ceil(len(pairs) / LINES))
    blocks = [
        contact_sheet([[to_tensor(picture) for picture in pair] for pair in pairs[start::pairs_a_line]], SIDE)
        for start in range(pairs_a_line)
    ]
    step = blocks[0].width + BLOCK_GAP
    sheet = Image.new("RGB", (step * pairs_a_line - BLOCK_GAP, blocks[0].height + TITLE_HEIGHT), "white")
    draw, font = ImageDraw.Draw(sheet), ImageFont.load_default(size=14)
    for number, block in enumerate(blocks):
        sheet.paste(block, (number * step, TITLE_HEIGHT))
        for column, title in enumerate(titles):
            draw.text((number * step + GAP + column * (SIDE + GAP), 4), _fitting(title, font), "black", font)
    return write_image(sheet, path, quality=90)


def _fitting(title: str, font: Any) -> str:
    while len(title) > 1 and font.getlength(title) > SIDE:
        title = f"{title.removesuffix('…')[:-1]}…"
    return title


def _figures(rows: Results) -> list[str]:
    """The figures that at least one row has."""
    return [name for name in HEADINGS if any(row.get(name) is not None for row in rows)]


def _headings(rows: Results) -> list[str]:
    return ["row", *(["alpha"] if _has_alpha(rows) else []), *(HEADINGS[name] for name in _figures(rows))]


def _has_alpha(rows: Results) -> bool:
    return any(row["alpha"] is not None for row in rows)


def _cells(rows: Results) -> list[list[str]]:
    lines = []
    for row in rows:
        alpha = [] if not _has_alpha(rows) else ["" if row["alpha"] is None else f"{row['alpha']:g}"]
        lines.append([row["row"], *alpha, *(_number(name, row.get(name)) for name in _figures(rows))])
    return lines


def _number(name: str, value: float | None) -> str:
    if value is None:
        return "–"
    return f"{value:.0f}" if name in ("milliseconds", "peak_mib") else f"{value:.4f}"
