"""Which pictures are evaluated, and which of their pairs."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
from omegaconf import OmegaConf

from nst.errors import UserError
from nst.evaluation_pairs import choose_pairs, not_met, sources
from nst.evaluation_rows import Source


def named(*names: str) -> list[Source]:
    return [Source(Path(name), 64) for name in names]


def test_limit_takes_every_eighth_of_800_pairs() -> None:
    contents, styles = named(*map(str, range(20))), named(*map(str, range(40)))
    everything = choose_pairs(contents, styles, None)
    assert everything[:2] == [(contents[0], styles[0]), (contents[0], styles[1])] and len(everything) == 800
    assert choose_pairs(contents, styles, 100) == everything[::8]
    assert choose_pairs(contents, styles, 5000) == everything
    assert len(choose_pairs(contents, styles, 7)) == 7


@pytest.mark.parametrize("limit", [1, 7, 20, 33, 40, 100, 200, 799])
@pytest.mark.parametrize(("rows", "columns"), [(20, 40), (7, 12), (30, 30), (41, 20)])
def test_spread_pairs_meet_every_content_and_style_equally_often(limit: int, rows: int, columns: int) -> None:
    contents, styles = named(*map(str, range(rows))), named(*map(str, range(columns)))
    pairs = choose_pairs(contents, styles, limit, "spread")
    assert len(set(pairs)) == len(pairs) == min(limit, rows * columns)
    for kind, pictures in enumerate((contents, styles)):
        times = [sum(pair[kind] == picture for pair in pairs) for picture in pictures]
        assert max(times) - min(times) <= 1
    assert [pair[0] for pair in pairs] == sorted((pair[0] for pair in pairs), key=contents.index)  # read once each


def test_pairs_that_miss_styles_say_so() -> None:
    contents, styles = named(*map(str, range(20))), named(*map(str, range(40)))
    strided, spread = (choose_pairs(contents, styles, 100, order) for order in ("strided", "spread"))
    assert not_met(strided, contents, styles) == "100 pairs are of 20 of 20 contents and 5 of 40 styles"
    assert not_met(spread, contents, styles) is None
    assert not_met(choose_pairs(contents, styles, 1), contents, styles) is None


def test_pictures_come_from_files_folders_and_lists_of_both_each_once(
    tmp_path: Path, write_pictures: Callable[..., list[Path]]
) -> None:
    b, a, other = write_pictures("photos/b.png", "photos/a.png", "other.png")

    def found(given: object) -> list[Path]:
        return [source.path for source in sources(OmegaConf.create({"content": given, "size": 64}), "content")]

    assert found(str(other)) == [other]
    assert found(str(tmp_path / "photos")) == [a, b]
    assert found([str(other), str(tmp_path / "photos"), str(a)]) == [other, a, b]
    with pytest.raises(UserError, match=r"content=\[\] names nothing"):
        found([])
