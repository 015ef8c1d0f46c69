"""The loop of image optimisation: when it stops, and what it goes on from."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractContextManager
from pathlib import Path

import pytest
import torch

from nst import UserError
from nst.image_optimization import optimize
from nst.optimization_run import Progress, converged

LOSS = {
    "content": {"weight": 1.0, "layers": {"relu2_1": 1.0}},
    "style": {"weight": 20.0, "layers": {"relu1_1": 0.5, "relu2_1": 0.5}},
}


@pytest.fixture(scope="module")
def pictures() -> torch.Tensor:
    """Three smooth random pictures, ``(3, 1, 3, 48, 64)``."""
    coarse = torch.rand(3, 3, 6, 8, generator=torch.Generator().manual_seed(0))
    return torch.nn.functional.interpolate(coarse, size=(48, 64), mode="bicubic").clamp(0, 1)[:, None]


def losses_of(**options: object) -> list[float]:
    losses: list[float] = []
    defaults = {"loss": LOSS, "precision": "float32", "on_step": lambda p: losses.append(p.losses.total.item())}
    optimize(**(defaults | options))  # type: ignore[arg-type]
    return losses


def stopped_at(step: int, scale: int = 0) -> Callable[[Progress], None]:
    """For ``on_step``: Ctrl+C at a step."""

    def stop(progress: Progress) -> None:
        if (progress.scale, progress.step) == (scale, step):
            raise KeyboardInterrupt

    return stop


def test_an_interrupted_run_goes_on_as_if_nothing_had_happened(pictures: torch.Tensor, tmp_path: Path) -> None:
    options = {"content": pictures[0], "style": pictures[1], "window": 4, "steps": 10}
    whole = losses_of(**options)
    state = tmp_path / "run.state"
    with pytest.raises(KeyboardInterrupt):
        losses_of(**options, state=state, on_step=stopped_at(6))
    assert losses_of(**options, state=state) == pytest.approx(whole[4:], rel=1e-5)


def test_a_finished_run_is_kept_until_its_file_is_removed(pictures: torch.Tensor, tmp_path: Path) -> None:
    options = {"content": pictures[0], "style": pictures[1], "loss": LOSS, "state": tmp_path / "run.state"}
    first = optimize(**options, steps=3)  # type: ignore[arg-type]
    steps: list[int] = []
    again = optimize(**options, steps=3, on_step=lambda p: steps.append(p.step))  # type: ignore[arg-type]
    assert torch.equal(first, again) and steps == []
    optimize(**options, steps=5, on_step=lambda p: steps.append(p.step))  # type: ignore[arg-type]
    assert steps == [4, 5]
    optimize(**options, steps=2, on_step=lambda p: steps.append(p.step))  # type: ignore[arg-type]
    assert steps == [4, 5, 1, 2]  # what went on for longer is no start for fewer steps


def test_a_scale_that_had_converged_takes_no_further_step_when_it_is_resumed(
    pictures: torch.Tensor, tmp_path: Path
) -> None:
    options = {"content": pictures[0], "style": pictures[1], "size": 64, "scales": 2, "window": 2, "steps": 9}
    options |= {"tolerance": 1.0}  # every scale has converged after two windows
    whole = losses_of(**options)
    assert len(whole) == 8
    state = tmp_path / "run.state"
    with pytest.raises(KeyboardInterrupt):
        losses_of(**options, state=state, on_step=stopped_at(1, scale=1))
    assert losses_of(**options, state=state) == pytest.approx(whole[4:], rel=1e-5)


@pytest.mark.parametrize("change", ["style", "content's size", "optimizer"])
def test_what_an_interrupted_run_of_another_job_left_is_passed_over(
    pictures: torch.Tensor, tmp_path: Path, change: str
) -> None:
    options = {"content": pictures[0], "style": pictures[1], "window": 1, "steps": 3}
    state = tmp_path / "run.state"
    with pytest.raises(KeyboardInterrupt):
        losses_of(**options, state=state, on_step=stopped_at(2))
    assert state.exists()
    other = {"style": {"style": pictures[2]}, "content's size": {"size": 40}, "optimizer": {"optimizer": "lbfgs"}}
    options |= other[change]
    assert losses_of(**options, state=state) == losses_of(**options)


def test_a_state_that_cannot_be_read_or_written_is_one_line(
    pictures: torch.Tensor, tmp_path: Path, full_disk: Callable[[], AbstractContextManager[None]]
) -> None:
    options = {"content": pictures[0], "style": pictures[1], "steps": 1}
    (tmp_path / "file").write_text("not a state")
    with pytest.raises(UserError, match="not one of an optimisation"):
        losses_of(**options, state=tmp_path / "file")
    with pytest.raises(UserError, match="cannot write the run's state .*file.run.state.*File exists"):
        losses_of(**options, state=tmp_path / "file" / "run.state")
    with full_disk(), pytest.raises(UserError, match="cannot write the run's state .*check the folder and the disk"):
        losses_of(**options, state=tmp_path / "run.state")
    assert [path.name for path in tmp_path.iterdir()] == ["file"]


def test_it_stops_when_the_loss_has_converged(pictures: torch.Tensor) -> None:
    losses = losses_of(content=pictures[0], style=pictures[1], steps=60, window=5, tolerance=0.2)
    assert 10 <= len(losses) < 60
    before, after = sum(losses[-10:-5]), sum(losses[-5:])
    assert before - after < 0.2 * before
    assert not converged([1.0, 0.5, 0.2, 0.1], tolerance=0.0, window=2)
