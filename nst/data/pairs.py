"""Pairs of a content and a style crop.

Everything random about a training sample follows from ``(seed, index)``: a run can be resumed at any sample, with any
number of loader processes, and sees what it would have seen.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

import numpy as np
import torch
from torch import Tensor
from torch.utils.data import Dataset

from nst.data.folders import UnreadableReport
from nst.errors import UserError
from nst.images import read_reduced, to_tensor

Size = int | Sequence[int]


def crop_picture(path: Path, size: int, crop: int, squash: bool, position: tuple[float, float] = (0.5, 0.5)) -> Tensor:
    """``(3, crop, crop)`` RGB in [0, 1] from a picture resized so that its shorter side is ``size``.

    Args:
        squash: resize to ``size`` × ``size`` instead, whatever the aspect ratio.
        position: where the crop lies, from (0, 0) top left to (1, 1) bottom right.
    """
    picture = read_reduced(path, max(size, crop))
    if squash:
        picture = picture.resize((max(size, crop), max(size, crop)))
    top, left = round(position[0] * (picture.height - crop)), round(position[1] * (picture.width - crop))
    return to_tensor(picture.crop((left, top, left + crop, top + crop)))


class PairDataset(Dataset[dict[str, Tensor]]):
    """Sample ``index`` (any number ≥ 0) is a random crop of a content picture and one of a style picture.

    Content pictures come in a new order every pass. Styles are drawn by movement, a movement's chance being the square root
    of its number of pictures, so that small ones are seen.

    Args:
        contents: content pictures.
        styles: movement → style pictures.
        crop: side of the crops in pixels.
        content_size: shorter side after resizing, or a range from which it is drawn (log-uniform).
        style_size: the same for style pictures.
        flip: mirror half of the pictures.
        squash: resize to a square instead of keeping the aspect ratio.
        seed: of everything random.
        report: where unreadable pictures are listed; others are drawn in their place, of another movement if theirs has none.
        distinct_samples: start again after so many samples, to see whether a network can learn those; ``None``: never.
    """

    def __init__(
        self,
        contents: Sequence[Path],
        styles: Mapping[str, Sequence[Path]],
        crop: int,
        content_size: Size,
        style_size: Size,
        flip: bool,
        squash: bool,
        seed: int,
        report: UnreadableReport,
        distinct_samples: int | None = None,
    ) -> None:
        self.contents, self.crop, self.flip, self.squash, self.seed = contents, crop, flip, squash, seed
        self.content_size, self.style_size, self.report = content_size, style_size, report
        self.distinct_samples = distinct_samples
        self.movements = [list(paths) for _, paths in sorted(styles.items())]
        counts = np.sqrt([len(paths) for paths in self.movements])
        self.chances = counts / counts.sum()
        self._orders: dict[int, np.ndarray] = {}
        self._reported: set[Path] = set()  # a line once a process, not once a sample

    def __getitem__(self, index: int) -> dict[str, Tensor]:
        if self.distinct_samples:
            index %= self.distinct_samples
        random = np.random.default_rng([self.seed, 1, index])
        turn, place = divmod(index, len(self.contents))
        content = self._read(self.contents, int(self._order(turn)[place]), self.content_size, random)
        return {"content": content, "style": self._style(random)}

    def _order(self, turn: int) -> np.ndarray:
        """The order of the content pictures in a pass; kept, since drawing it anew for every sample would be slow."""
        if turn not in self._orders:
            self._orders = {turn: np.random.default_rng([self.seed, 0, turn]).permutation(len(self.contents))}
        return self._orders[turn]

    def _style(self, random: np.random.Generator) -> Tensor:
        left = self.chances
        while True:
            drawn = random.choice(len(left), p=left / left.sum())
            movement = self.movements[drawn]
            try:
                return self._read(movement, int(random.integers(len(movement))), self.style_size, random)
            except UserError:
                left = np.where(np.arange(len(left)) == drawn, 0.0, left)
                if not left.any():
                    raise

    def _read(self, paths: Sequence[Path], first: int, size: Size, random: np.random.Generator) -> Tensor:
        """A crop of ``paths[first]``, or of any other while they cannot be read; which, no earlier sample decides."""
        side = size if isinstance(size, int) else int(np.exp(random.uniform(np.log(size[0]), np.log(size[1]))))
        position, mirror = (random.random(), random.random()), self.flip and random.random() < 0.5
        for path in _each_once(paths, first, random):
            try:
                picture = crop_picture(path, side, self.crop, self.squash, position)
            except UserError as error:
                if path not in self._reported:
                    self._reported.add(path)
                    self.report.add(path, str(error))
            else:
                return picture.flip(2) if mirror else picture
        raise UserError(
            f"none of the {len(paths)} pictures in and around {str(paths[first].parent)!r} can be read: "
            f"see {self.report.path}."
        )


def _each_once(paths: Sequence[Path], first: int, random: np.random.Generator) -> Iterator[Path]:
    yield paths[first]
    for place in random.permutation(len(paths)):
        if place != first:
            yield paths[place]


class FixedPairs(Dataset[dict[str, Tensor]]):
    """Always the same pairs of centre crops: content i with style i, each list repeated as needed."""

    def __init__(self, contents: Sequence[Path], styles: Sequence[Path], count: int, crop: int, size: int) -> None:
        self.pairs = [(contents[i % len(contents)], styles[i % len(styles)]) for i in range(count)]
        self.crop, self.size = crop, size

    def __len__(self) -> int:
        return len(self.pairs)

    def __getitem__(self, index: int) -> dict[str, Tensor]:
        content, style = self.pairs[index]
        return {
            "content": crop_picture(content, self.size, self.crop, squash=False),
            "style": crop_picture(style, self.size, self.crop, squash=False),
        }


def readable(paths: Sequence[Path], report: UnreadableReport, size: int) -> list[Path]:
    """The pictures that can be read at a shorter side of ``size``; the others go into the report."""
    good = []
    for path in paths:
        try:
            read_reduced(path, size)
            good.append(path)
        except UserError as error:
            report.add(path, str(error))
    return good


def collate(samples: Sequence[dict[str, Tensor]]) -> dict[str, Tensor]:
    """Stack samples into ``(B, 3, crop, crop)`` batches in channels-last memory, which convolutions are fastest on."""
    return {
        name: torch.stack([sample[name] for sample in samples]).contiguous(memory_format=torch.channels_last)
        for name in samples[0]
    }
