"""Which pictures an evaluation is of, and which of their pairs."""

from __future__ import annotations

import math
from collections.abc import Sequence
from pathlib import Path

from omegaconf import DictConfig, OmegaConf

from nst.errors import UserError
from nst.evaluation_rows import Pair, Source
from nst.images import find_images
from nst.samples import SAMPLES


def sources(cfg: DictConfig, key: str) -> list[Source]:
    """The pictures that ``content`` or ``style`` names: a file, a folder, a glob or a list of those; the samples if null.

    Raises:
        UserError: there is no picture.
    """
    given = cfg[key]
    if given is None:
        given = SAMPLES / key
        if not given.is_dir():
            raise UserError(f"no {key} given and no sample pictures found: set {key}=FOLDER.")
    places = list(given) if OmegaConf.is_list(given) else [given]
    if not places:
        raise UserError(f"{key}=[] names nothing: give a picture, a folder or a glob, or null for the samples.")
    found = [path for place in places for path in find_images(str(place))]
    return [Source(path, cfg.size) for path in dict.fromkeys(found)]  # a list may name one twice


def choose_pairs(
    contents: Sequence[Source], styles: Sequence[Source], limit: int | None, order: str = "strided"
) -> list[Pair]:
    """Every content with every style, content by content; or ``limit`` of them.

    Args:
        contents, styles: in the order of their names.
        limit: number of pairs, at least 1; ``None`` or a larger one than there are: all.
        order: ``strided`` takes every n-th pair of all, of 800 and for 100: 0, 8, 16, …, which of 40 styles are five.
            ``spread`` lets no content and no style occur more than once more often than another.

    Raises:
        UserError: an unknown order.
    """
    if order not in ("strided", "spread"):
        raise UserError(f"pairs={order!r}: choose strided or spread.")
    count = len(contents) * len(styles)
    wanted = count if limit is None else min(limit, count)
    if order == "spread":
        chosen = _diagonals(len(contents), len(styles), wanted)
    else:
        chosen = [divmod(index, len(styles)) for index in evenly(count, wanted)]
    return [(contents[content], styles[style]) for content, style in chosen]


def not_met(pairs: Sequence[Pair], contents: Sequence[Source], styles: Sequence[Source]) -> str | None:
    """A line that says how few pictures the pairs are of, if as many pairs could be of more."""
    met = [len({pair[kind] for pair in pairs}) for kind in (0, 1)]
    if met == [min(len(pairs), len(contents)), min(len(pairs), len(styles))]:
        return None
    return f"{len(pairs)} pairs are of {met[0]} of {len(contents)} contents and {met[1]} of {len(styles)} styles"


def require_names(pairs: Sequence[Pair]) -> None:
    """Outputs are named after their pair, so names must tell pairs apart.

    Raises:
        UserError: they do not.
    """
    for kind in (0, 1):
        paths: dict[str, Path] = {}
        for pair in pairs:
            source = pair[kind]
            if paths.setdefault(source.name, source.path) != source.path:
                raise UserError(
                    f"{paths[source.name]} and {source.path} have one name, so their outputs would too: rename one of them."
                )


def evenly(count: int, wanted: int | None) -> list[int]:
    """``wanted`` of ``count`` indices, evenly spread from 0; all if there are no more, or for None."""
    if wanted is None or wanted >= count:
        return list(range(count))
    return [index * count // wanted for index in range(wanted)]


def _diagonals(contents: int, styles: int, wanted: int) -> list[tuple[int, int]]:
    """Cells of a grid, walked along its diagonals: each row and each column as often as any other, but for one.

    Both indices step on together and wrap round. That returns to its start after their least common multiple of cells, and
    each time it does the walk goes on one column further.
    """
    rows, columns = evenly(contents, wanted), evenly(styles, wanted)  # of few pairs, pictures from the whole list
    around = math.lcm(len(rows), len(columns))
    return sorted((rows[k % len(rows)], columns[(k + k // around) % len(columns)]) for k in range(wanted))
