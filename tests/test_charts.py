"""The charts show what the rows say."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from nst import charts
from nst.errors import UserError

matplotlib_figure = pytest.importorskip("matplotlib.figure")


@pytest.fixture
def figures(monkeypatch: pytest.MonkeyPatch) -> list[Any]:
    """Every figure that is made."""
    made: list[Any] = []

    class Recorded(matplotlib_figure.Figure):  # type: ignore[misc,name-defined]
        def __init__(self, *args: Any, **kwargs: Any) -> None:
            super().__init__(*args, **kwargs)
            made.append(self)

    monkeypatch.setattr(matplotlib_figure, "Figure", Recorded)
    return made


def test_the_frontier_joins_a_model_s_rows_over_alpha_and_names_the_bounds(tmp_path: Path, figures: list[Any]) -> None:
    rows = [
        {"row": "content copied", "alpha": None, "content": 0.0, "style": 1.1},
        {"row": "style copied", "alpha": None, "content": 1.4, "style": 0.0},
        {"row": "mine", "alpha": 1.0, "content": 0.7, "style": 0.1},
        {"row": "mine", "alpha": 0.5, "content": 0.4, "style": 0.5},
        {"row": "theirs", "alpha": None, "content": 0.9, "style": 0.4},
    ]
    path = charts.draw_frontier(rows, tmp_path / "new" / "frontier.png")
    assert np.asarray(Image.open(path)).std() > 5
    (axes,) = figures[0].axes
    lines = {line.get_label(): line.get_xydata().tolist() for line in axes.lines}
    assert lines["mine"] == [[0.4, 0.5], [0.7, 0.1]]
    assert lines["theirs"] == [[0.9, 0.4]]
    assert {text.get_text() for text in axes.texts} == {"content copied", "style copied", "0.5", "1"}
    assert [text.get_text() for text in axes.get_legend().get_texts()] == ["mine", "theirs"]


def test_times_are_drawn_on_logarithmic_axes_with_their_middle_half(tmp_path: Path, figures: list[Any]) -> None:
    rows = [{"name": "a", "size": s, "low": s / 1000, "median": s / 500, "high": s / 400} for s in (256, 512)]
    charts.draw_times(rows, tmp_path / "times.png")
    (axes,) = figures[0].axes
    assert (axes.get_xscale(), axes.get_yscale()) == ("log", "log")
    (bars,) = axes.containers[0].lines[2]
    np.testing.assert_allclose([part[:, 1] for part in bars.get_segments()], [[0.256, 0.64], [0.512, 1.28]])


def test_a_chart_that_cannot_be_written_is_one_line(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(UserError, match="cannot be written"):
        charts.draw_times([{"name": "a", "size": 1, "low": 1, "median": 1, "high": 1}], tmp_path / "file" / "x.png")


def test_a_chart_stays_as_it_was_where_the_disk_is_full(
    tmp_path: Path, full_disk: Callable[[], AbstractContextManager[None]]
) -> None:
    rows = [{"name": "a", "size": 1, "low": 1, "median": 1, "high": 1}]
    before = charts.draw_times(rows, tmp_path / "times.png").read_bytes()
    with full_disk(), pytest.raises(UserError, match="cannot be written"):
        charts.draw_times(rows * 2, tmp_path / "times.png")
    assert (tmp_path / "times.png").read_bytes() == before
    assert [path.name for path in tmp_path.iterdir()] == ["times.png"]
