"""The two charts: content against style, and seconds against size. They need matplotlib, the extra ``plot``."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any

from nst.errors import UserError
from nst.whole_file import written_whole

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

MISSING = 'without matplotlib, which draws it: pip install -e ".[plot]"'
MARKERS = "osD^vP*X"
Rows = Sequence[Mapping[str, Any]]


def can_draw() -> bool:
    """Whether matplotlib is installed."""
    return find_spec("matplotlib") is not None


def draw_frontier(rows: Rows, path: str | Path) -> Path:
    """Content distance (x) against style distance (y) of the rows of an evaluation, the rows of one model joined over alpha.

    Nearer to the lower left is better: a picture that keeps the content and has the style.

    Args:
        rows: dicts with ``row``, ``alpha`` (None where there is none), ``content``, ``style``; the bounds among them.
        path: of the picture file, whose suffix says its format.

    Raises:
        UserError: the file cannot be written.
    """
    figure, axes = _figure()
    groups: dict[str, list[Mapping[str, Any]]] = {}
    for row in rows:
        groups.setdefault(row["row"], []).append(row)
    for number, (name, group) in enumerate(groups.items()):
        ordered = sorted(group, key=lambda row: row["alpha"] or 0)
        x, y = [row["content"] for row in ordered], [row["style"] for row in ordered]
        if name in ("content copied", "style copied"):
            axes.plot(x, y, "kx", markersize=8)
            axes.annotate(name, (x[0], y[0]), xytext=(0, 8), textcoords="offset points", color="0.3", ha="center")
            continue
        axes.plot(x, y, marker=MARKERS[number % len(MARKERS)], label=name)
        if len(ordered) > 1:
            for row in ordered:
                place = (row["content"], row["style"])
                axes.annotate(
                    f"{row['alpha']:g}", place, xytext=(5, 5), textcoords="offset points", fontsize=7, color="0.4"
                )
    axes.set_xlabel("content distance (relu4_1, relu5_1)")
    axes.set_ylabel("style distance (means and deviations)")
    axes.margins(0.12)  # room for the words at the bounds
    return _save(figure, axes, path)


def draw_times(rows: Rows, path: str | Path) -> Path:
    """Median seconds (y) against the side of the picture (x), both logarithmic, with the middle half of the rounds as bars.

    Args:
        rows: dicts with ``name``, ``size`` (pixels), ``low``, ``median``, ``high`` (seconds).
        path: of the picture file, whose suffix says its format.

    Raises:
        UserError: the file cannot be written.
    """
    figure, axes = _figure()
    for number, name in enumerate(dict.fromkeys(row["name"] for row in rows)):
        own = [row for row in rows if row["name"] == name]
        median = [row["median"] for row in own]
        spread = [[row["median"] - row["low"] for row in own], [row["high"] - row["median"] for row in own]]
        marker = MARKERS[number % len(MARKERS)]
        axes.errorbar([row["size"] for row in own], median, yerr=spread, marker=marker, capsize=3, label=name)
    sizes = sorted({row["size"] for row in rows})
    axes.set_xscale("log", base=2)
    axes.set_yscale("log")
    axes.set_xticks(sizes, [str(size) for size in sizes])
    axes.set_xlabel("side of the picture, pixels")
    axes.set_ylabel("seconds a picture")
    return _save(figure, axes, path)


def _figure() -> tuple[Figure, Axes]:
    from matplotlib.figure import Figure  # not pyplot: no global state, no window

    figure = Figure(figsize=(7, 5), layout="constrained")
    return figure, figure.add_subplot()


def _save(figure: Figure, axes: Axes, path: str | Path) -> Path:
    axes.grid(alpha=0.3)
    if axes.get_legend_handles_labels()[0]:
        axes.legend(fontsize=8)
    try:
        with written_whole(Path(path)) as partial:
            figure.savefig(partial, dpi=130, format=Path(path).suffix[1:])
    except OSError as error:
        raise UserError(f"chart {str(path)!r} cannot be written: {error.strerror or error}.") from None
    return Path(path)
