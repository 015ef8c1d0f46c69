"""The results of an evaluation on the screen and on disk."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractContextManager
from pathlib import Path

import pytest
from PIL import Image

from nst.errors import UserError
from nst.evaluation_report import print_failures, print_table, write_sheet, write_tables

FIGURES = ("content", "style", "gram", "ssim", "cfsd", "sliced_wasserstein", "color_histogram", "total_variation")


def test_a_wide_table_is_turned_rather_than_cut(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    rows = [{"row": f"model {n}", "alpha": 0.5, **dict.fromkeys(FIGURES, 0.12345)} for n in range(2)]
    for columns, expected in (("60", 1 + len(FIGURES)), ("250", 2)):
        monkeypatch.setenv("COLUMNS", columns)
        print_table(rows, 1)
        printed = capsys.readouterr().out
        assert printed.count("0.1235") == 2 * len(FIGURES) and "…" not in printed
        assert sum(line.startswith("│") for line in printed.splitlines()) == expected


def test_tables_stay_as_they_were_where_the_disk_is_full(
    tmp_path: Path, full_disk: Callable[[], AbstractContextManager[None]]
) -> None:
    rows = [{"row": "mine", "alpha": None, "content": 0.5, "style": 0.5}]
    write_tables(tmp_path, rows, rows, [], {})
    before = (tmp_path / "results.json").read_text()
    with full_disk(), pytest.raises(UserError, match="cannot be written"):
        write_tables(tmp_path, rows, rows * 100, [], {})
    assert (tmp_path / "results.json").read_text() == before
    assert {path.name for path in tmp_path.iterdir()} == {"results.csv", "results.md", "results.json"}


def test_a_reason_is_told_once_however_many_pairs_it_left_out(capsys: pytest.CaptureFixture[str]) -> None:
    failed = [{"content": content, "style": "x", "reason": "damaged"} for content in "abc"]
    print_failures([*failed, {"content": "a", "style": "y", "reason": "dark"}], measured=2)
    said = capsys.readouterr()
    assert said.out == "2 pairs measured, 4 failed and left out of every row\n"
    assert said.err == "failed: a × x and 2 more: damaged\nfailed: a × y: dark\n"


def test_a_sheet_of_very_many_pairs_grows_in_width_as_a_jpeg_cannot_be_higher(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("nst.evaluation_report.SIDE", 4)
    pair = [Image.new("RGB", (4, 4))] * 9  # as many as fit beside each other
    assert Image.open(write_sheet(tmp_path / "few.jpg", ["x"] * 9, [pair] * 300)).size == (4 + 9 * 8, 24 + 4 + 300 * 8)
    assert Image.open(write_sheet(tmp_path / "many.jpg", ["x"] * 9, [pair] * 302)).size == (
        2 * 76 + 24,
        24 + 4 + 151 * 8,
    )
