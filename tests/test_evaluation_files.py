"""The folder of an evaluation or a benchmark, and its files."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractContextManager
from pathlib import Path

import pytest

from nst.errors import UserError
from nst.evaluation_files import output_folder, write_text


def test_a_folder_is_made_and_left_as_it_was_found(tmp_path: Path) -> None:
    assert output_folder(tmp_path / "new" / "deeper") == tmp_path / "new" / "deeper"
    assert list((tmp_path / "new" / "deeper").iterdir()) == []


def test_a_folder_that_cannot_be_written_is_one_line(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    for folder in (tmp_path / "file", tmp_path / "file" / "below", "/proc/self"):
        with pytest.raises(UserError, match=f"output_dir='{folder}' cannot be written: "):
            output_folder(folder)
    with pytest.raises(UserError, match="output_dir=null: name a folder"):
        output_folder(None)


def test_a_text_stays_as_it_was_where_the_disk_is_full(
    tmp_path: Path, full_disk: Callable[[], AbstractContextManager[None]]
) -> None:
    write_text(tmp_path / "a.json", "before")
    with full_disk(), pytest.raises(UserError, match="cannot be written"):
        write_text(tmp_path / "a.json", "x" * 10_000)
    assert (tmp_path / "a.json").read_text() == "before" and len(list(tmp_path.iterdir())) == 1
