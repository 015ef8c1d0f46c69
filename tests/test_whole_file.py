"""A file appears when it is complete; before that, what stood there stays."""

from __future__ import annotations

from pathlib import Path

import pytest

from nst.images import find_images
from nst.whole_file import written_whole


def test_the_old_file_stands_until_the_new_one_is_complete(tmp_path: Path) -> None:
    path = tmp_path / "picture.png"
    path.write_text("old")
    with written_whole(path) as partial:
        partial.write_text("new")
        assert path.read_text() == "old" and find_images(tmp_path) == [path]
    assert path.read_text() == "new" and list(tmp_path.iterdir()) == [path]


def test_a_failure_leaves_the_old_file_and_nothing_else(tmp_path: Path) -> None:
    path = tmp_path / "picture.png"
    path.write_text("old")
    with pytest.raises(ZeroDivisionError), written_whole(path) as partial:
        partial.write_text("half")
        1 / 0  # noqa: B018
    assert path.read_text() == "old" and list(tmp_path.iterdir()) == [path]


def test_folders_are_made(tmp_path: Path) -> None:
    with written_whole(tmp_path / "a" / "b" / "c.txt") as partial:
        partial.touch()
    assert (tmp_path / "a" / "b" / "c.txt").is_file()
