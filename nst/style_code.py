"""StyleCode: what a style is to the networks."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import overload

import torch
from safetensors import SafetensorError, safe_open
from torch import Tensor

from nst.color_transport import ColorStatistics
from nst.errors import UserError
from nst.safetensors_file import write_safetensors
from nst.statistics import Statistics

FORMAT = "nst-style-code-1"


@dataclass(frozen=True, eq=False)
class StyleCode:
    """Mean and standard deviation of a style picture's features at each layer, for a batch of B styles.

    Codes are values: mixing gives a new one, and any part of the library takes a code wherever it takes a style picture.

    Attributes:
        layers: layer names, shallow to deep.
        statistics: one :class:`Statistics` a layer, ``(B, C_l)`` each.
        encoder: which encoder made it, e.g. ``vgg19-caffe-normalized``; codes of different encoders do not mix.
        colors: of the style picture; ``None`` (as in the first files): a content keeps its own until it is painted.
    """

    layers: tuple[str, ...]
    statistics: tuple[Statistics, ...] = field(repr=False)  # thousands of numbers
    encoder: str = "vgg19-caffe-normalized"
    colors: ColorStatistics | None = field(default=None, repr=False)

    def __len__(self) -> int:
        return len(self.statistics[0].mean)

    @overload
    def __getitem__(self, which: str) -> Statistics: ...
    @overload
    def __getitem__(self, which: int | slice | Tensor) -> StyleCode: ...
    def __getitem__(self, which: str | int | slice | Tensor) -> Statistics | StyleCode:
        """Statistics of a layer, or the code of one or some of the styles, a batch as well."""
        if isinstance(which, str):
            return self.statistics[self.layers.index(which)]
        if isinstance(which, int):
            index = range(len(self))[which]  # an IndexError past the end, which ends a loop over the styles
            which = slice(index, index + 1)
        return self._each(lambda tensor: tensor[which])

    def __eq__(self, other: object) -> bool:
        """Whether the numbers, and what they are of, are the same; on whatever device."""
        if not isinstance(other, StyleCode):
            return NotImplemented
        if (self.layers, self.encoder, len(self)) != (other.layers, other.encoder, len(other)):
            return False
        mine, others = self._tensors(), other._tensors()
        return len(mine) == len(others) and all(
            torch.equal(a.cpu(), b.cpu()) for a, b in zip(mine, others, strict=True)
        )

    __hash__ = None  # type: ignore[assignment]  # as of lists: equal codes may be different objects

    def _tensors(self) -> list[Tensor]:
        return [tensor for one in (*self.statistics, *([] if self.colors is None else [self.colors])) for tensor in one]

    @staticmethod
    def mix(codes: Sequence[StyleCode], weights: Sequence[float] | None = None) -> StyleCode:
        """The weighted mean of codes: linear in means and standard deviations. Weights are normalised to sum to 1.

        Raises:
            UserError: no code, another number of weights, weights that are negative or all zero, or codes of
                different encoders, layers or numbers of styles.
        """
        try:
            weights = [1.0] * len(codes) if weights is None else [float(weight) for weight in weights]
        except (TypeError, ValueError):
            raise UserError(f"mix weights must be a list of numbers, one a style: found {weights!r}.") from None
        if not codes or len(weights) != len(codes):
            raise UserError(f"mix needs one weight a style: found {len(codes)} styles and {len(weights)} weights.")
        if not (min(weights) >= 0 and 0 < sum(weights) < math.inf):  # written so that NaN fails too
            raise UserError(f"mix weights must be at least 0 and not all 0: found {weights}.")
        if any((code.layers, code.encoder) != (codes[0].layers, codes[0].encoder) for code in codes):
            raise UserError("mix needs style codes of one model: these were made by different encoders or layers.")
        if len({len(code) for code in codes}) > 1:
            raise UserError(f"mix needs codes of equally many styles each: found {[len(code) for code in codes]}.")
        total = sum(weights)

        def average(tensors: Sequence[Tensor]) -> Tensor:
            return torch.stack([weight / total * t for weight, t in zip(weights, tensors, strict=True)]).sum(dim=0)

        rows = zip(*(code.statistics for code in codes), strict=True)
        mixed = tuple(Statistics(average([s.mean for s in row]), average([s.std for s in row])) for row in rows)
        colors = [code.colors for code in codes if code.colors is not None]
        if len(colors) < len(codes):
            return StyleCode(codes[0].layers, mixed, codes[0].encoder)
        both = ColorStatistics(average([c.mean for c in colors]), average([c.covariance for c in colors]))
        return StyleCode(codes[0].layers, mixed, codes[0].encoder, both)

    def lerp(self, other: StyleCode, weight: float) -> StyleCode:
        """From this style (``weight`` 0) to the other (1)."""
        return StyleCode.mix([self, other], [1 - weight, weight])

    def to(self, device: torch.device | str) -> StyleCode:
        return self._each(lambda tensor: tensor.to(device))

    def _each(self, change: Callable[[Tensor], Tensor]) -> StyleCode:
        """The code with every tensor changed alike."""
        statistics = tuple(Statistics(*map(change, one)) for one in self.statistics)
        colors = None if self.colors is None else ColorStatistics(*map(change, self.colors))
        return replace(self, statistics=statistics, colors=colors)

    def save(self, path: str | Path) -> Path:
        """Write a ``.safetensors`` file, e.g. ``monet.style.safetensors``."""
        path = Path(path)
        tensors = {}
        for layer, statistics in zip(self.layers, self.statistics, strict=True):
            tensors[f"{layer}.mean"] = statistics.mean.contiguous().cpu()
            tensors[f"{layer}.std"] = statistics.std.contiguous().cpu()
        if self.colors is not None:
            tensors |= {f"colors.{name}": one.contiguous().cpu() for name, one in self.colors._asdict().items()}
        metadata = {"format": FORMAT, "layers": ",".join(self.layers), "encoder": self.encoder}
        return write_safetensors(tensors, path, metadata, "style code")

    @classmethod
    def load(cls, path: str | Path) -> StyleCode:
        """Read what :meth:`save` wrote.

        Raises:
            UserError: the file is missing or is not a style code.
        """
        path = Path(path)
        if not path.is_file():
            raise UserError(f"style code {str(path)!r} does not exist.")
        try:
            with safe_open(path, framework="pt") as file:
                metadata = file.metadata() or {}
                if metadata.get("format") != FORMAT:
                    raise UserError(f"{str(path)!r} is not a style code: write one with `encode_style(…).save(path)`.")
                layers = tuple(metadata["layers"].split(","))
                statistics = tuple(
                    Statistics(file.get_tensor(f"{layer}.mean"), file.get_tensor(f"{layer}.std")) for layer in layers
                )
                colors = None
                if "colors.mean" in file.keys():  # noqa: SIM118 (it is no dict)
                    colors = ColorStatistics(file.get_tensor("colors.mean"), file.get_tensor("colors.covariance"))
        except (SafetensorError, OSError) as error:
            raise UserError(f"style code {str(path)!r} cannot be read ({type(error).__name__}).") from None
        return cls(layers, statistics, metadata["encoder"], colors)
