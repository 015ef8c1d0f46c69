"""Numbers of a config, checked before anything is read or built."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any, NamedTuple

from omegaconf import DictConfig, OmegaConf

from nst.errors import UserError


class Number(NamedTuple):
    """What a key takes: a number between two bounds, themselves included.

    Attributes:
        least, most: the bounds.
        whole: no fractions; 1e5 is whole.
        optional: or null.
        several: or a list of such numbers.
    """

    least: float = -math.inf
    most: float = math.inf
    whole: bool = False
    optional: bool = False
    several: bool = False

    def takes(self, value: Any) -> bool:
        """Whether a value is one of these."""
        if value is None:
            return self.optional
        if OmegaConf.is_list(value) or isinstance(value, list):
            return self.several and len(value) > 0 and all(self._holds(one) for one in value)
        return self._holds(value)

    def _holds(self, value: Any) -> bool:
        if isinstance(value, bool) or not isinstance(value, int | float) or not self.least <= value <= self.most:
            return False
        return not self.whole or float(value).is_integer()

    def __str__(self) -> str:
        words = "a whole number" if self.whole else "a number"
        if math.isfinite(self.most):
            words += f" from {self.least:.10g} to {self.most:.10g}"
        elif math.isfinite(self.least):
            words += f" of at least {self.least:.10g}"
        return words + ", or a list of such" * self.several + ", or null" * self.optional


def check_numbers(cfg: DictConfig, numbers: Mapping[str, Number]) -> None:
    """Refuse values that are not what their keys take; a key may lead into groups, ``data.crop``.

    Whole numbers written as 1e5 or 64.0 become integers in ``cfg``, as the code behind them counts with those.

    Raises:
        UserError: names the first such key, its value and what it takes.
    """
    for key, number in numbers.items():
        value = OmegaConf.select(cfg, key)
        if not number.takes(value):
            given = "null" if value is None else value
            raise UserError(f"{key}={given}: give {number}.")
        if number.whole and isinstance(value, float):
            OmegaConf.update(cfg, key, int(value))
        elif number.whole and OmegaConf.is_list(value):
            OmegaConf.update(cfg, key, [int(one) for one in value])
