"""The figures of evaluate at every validation."""

from __future__ import annotations

from statistics import fmean
from typing import Any

import pytest
import torch

from nst import UserError
from nst.images import to_image
from nst.metrics import PairMetrics
from nst.validation_metrics import ValidationMetrics


class Module:
    """Notes down what is logged, weighted as Lightning does."""

    device = torch.device("cpu")

    def __init__(self) -> None:
        self.logged: dict[str, list[tuple[float, int]]] = {}

    def log(self, name: str, value: float, batch_size: int, sync_dist: bool) -> None:
        assert sync_dist  # processes have pairs of their own
        self.logged.setdefault(name, []).append((value, batch_size))


@pytest.fixture
def pictures() -> torch.Tensor:
    """Contents, styles and outputs of three pairs, ``(3, 3, 3, 32, 40)``, of 8-bit values."""
    return (torch.rand(3, 3, 3, 32, 40, generator=torch.Generator().manual_seed(0)) * 255).round() / 255


def test_logged_are_the_means_of_evaluate_s_figures(pictures: torch.Tensor) -> None:
    contents, styles, outputs = pictures
    callback, metrics = ValidationMetrics(["content", "ssim", "cfsd"]), PairMetrics()
    for painted in (contents, outputs):  # a second validation meets the same pairs
        module: Any = Module()
        for index, rows in enumerate((slice(0, 2), slice(2, 3))):
            batch = {"content": contents[rows], "style": styles[rows]}
            callback.on_validation_batch_end(None, module, painted[rows], batch, index)  # type: ignore[arg-type]
        features = [[metrics.features(to_image(one)) for one in kind] for kind in (painted, contents, styles)]
        expected = [metrics.compare(*row) for row in zip(*features, strict=True)]
        for name in ("content", "ssim", "cfsd"):
            found = [value for value, count in module.logged[f"val/metrics/{name}"] for _ in range(count)]
            assert fmean(found) == pytest.approx(fmean(one[name] for one in expected), rel=1e-5, abs=1e-6)
    assert set(module.logged) == {"val/metrics/content", "val/metrics/ssim", "val/metrics/cfsd"}


def test_mistakes_are_one_line(pictures: torch.Tensor) -> None:
    batch = {"content": pictures[0], "style": pictures[1]}
    with pytest.raises(UserError, match="unknown figure 'beauty': choose from content, style"):
        ValidationMetrics(["beauty"]).on_validation_batch_end(None, Module(), pictures[2], batch, 0)  # type: ignore[arg-type]
    with pytest.raises(UserError, match="callbacks.metrics=null"):
        ValidationMetrics().on_validation_batch_end(None, Module(), pictures[2][..., :16], batch, 0)  # type: ignore[arg-type]
