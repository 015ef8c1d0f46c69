"""The loop of image optimisation: steps, when to stop, and the file that an interrupted run goes on from."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple

import torch
from torch import Tensor

from nst.errors import UserError
from nst.image_objective import Objective
from nst.losses import LossValues
from nst.picture_pyramid import PicturePyramid
from nst.tiled_objective import TiledObjective
from nst.whole_file import written_whole

AVERAGED = (
    20  # steps from which on the result is a running mean of the last ones (Shamir & Zhang 2013), of ever more of them
)


class Progress(NamedTuple):
    """A step that was taken.

    Attributes:
        step, steps: which one at its scale, the first being 1, and how many there are at most.
        losses: of the picture that it started from.
        picture: where the last steps led, ``(1, 3, H, W)`` in [0, 1]: their running mean, in which the steps' noise evens out.
        scale: which one, the coarsest being 0.
        result: gives what :func:`nst.image_optimization.optimize` would return if this was the last step.
    """

    step: int
    steps: int
    losses: LossValues
    picture: Tensor
    scale: int
    result: Callable[[], Any]


class OptimizationRun:
    """Steps at one scale after the other, and the file an interrupted run goes on from.

    Args:
        optimizer: ``adam`` or ``lbfgs``.
        learning_rate: its rate.
        steps, tolerance, window, on_step: see :func:`nst.image_optimization.optimize`.
        state: the file; ``None`` keeps none.
        job: :func:`fingerprint` of what is done; what another job left in the file is passed over.

    Raises:
        UserError: the file is something else, or cannot be written.
    """

    def __init__(
        self,
        optimizer: str,
        learning_rate: float,
        steps: int,
        tolerance: float,
        window: int,
        state: Path | None,
        job: str,
        on_step: Callable[[Progress], None] | None,
    ) -> None:
        self.optimizer, self.learning_rate, self.steps = optimizer, learning_rate, steps
        self.tolerance, self.window, self.state, self.on_step = tolerance, window, state, on_step
        self._job = job
        self._resumed = self._load()

    def __call__(
        self,
        objective: Objective | TiledObjective,
        picture: Tensor,
        scale: int,
        finish: Callable[[Tensor], Any],
    ) -> Tensor:
        """Take the steps of one scale, the first being 0, from a ``(1, 3, H, W)`` picture in [0, 1]; returns where they lead.

        ``finish`` makes a result of a picture, for :class:`Progress`.
        """
        resumed = self._resumed or {"scale": 0}
        if scale < resumed["scale"]:
            return picture  # this scale was finished before; what follows starts from the stored picture
        pyramid = PicturePyramid(picture)
        algorithm: torch.optim.Optimizer
        if self.optimizer == "adam":
            algorithm = torch.optim.Adam(pyramid.parameters(), lr=self.learning_rate, betas=(0.9, 0.9))
        else:
            algorithm = torch.optim.LBFGS(pyramid.parameters(), lr=self.learning_rate, max_iter=1, history_size=20)
        mean, history = picture, []
        if scale == resumed["scale"] and "picture" in resumed:
            picture, mean = (resumed[name].to(picture) for name in ("picture", "mean"))
            algorithm.load_state_dict(resumed["optimizer"])
            history = resumed["history"]
        values: list[LossValues] = []

        def closure() -> Tensor:
            # In [0, 1], as a result is: L-BFGS goes beyond black and white.
            seen = picture.clamp(0, 1).requires_grad_(True)
            values[:] = [objective.backward(seen)]
            assert seen.grad is not None
            pyramid.spread(torch.where(picture == seen, seen.grad, 0))
            return values[0].total

        for step in range(len(history) + 1, self.steps + 1):
            if converged(history, self.tolerance, self.window):  # before the step: a resumed scale may be done
                break
            algorithm.step(closure)
            picture = picture + pyramid.take()
            if self.optimizer == "adam":
                picture = picture.clamp(0, 1)
            mean = torch.lerp(mean, picture.clamp(0, 1), min(1.0, AVERAGED / step))
            history.append(values[0].total.item())
            if self.on_step:
                self.on_step(Progress(step, self.steps, values[0], mean, scale, partial(finish, mean)))
            if step % self.window == 0:
                self._save(scale, picture, mean, algorithm, history)
        if len(history) % self.window != 0:
            self._save(scale, picture, mean, algorithm, history)
        return mean

    def _load(self) -> dict[str, Any] | None:
        if self.state is None or not self.state.exists():
            return None
        try:
            held: dict[str, Any] = torch.load(self.state, weights_only=True, map_location="cpu")
            same = held["job"] == self._job and held["step"] <= self.steps and "mean" in held
            return held if same else None  # what another or a longer job left is no start for this one
        except Exception:  # unpickling something else can raise anything
            raise UserError(f"state {str(self.state)!r} is not one of an optimisation: remove it.") from None

    def _save(
        self, scale: int, picture: Tensor, mean: Tensor, algorithm: torch.optim.Optimizer, history: list[float]
    ) -> None:
        if self.state is None:
            return
        where = {"job": self._job, "scale": scale, "step": len(history), "history": history}
        held = where | {"picture": picture.cpu(), "mean": mean.cpu(), "optimizer": algorithm.state_dict()}
        try:
            with written_whole(self.state) as part:
                torch.save(held, part)
        except (OSError, RuntimeError) as error:  # torch's writer raises the second, of a full disk for one
            reason = (error.strerror if isinstance(error, OSError) else None) or error
            raise UserError(
                f"cannot write the run's state {str(self.state)!r} ({reason}): check the folder and the disk, or keep none "
                "(resume=false, in Python state=None)."
            ) from error


def fingerprint(pictures: Sequence[Tensor], options: Sequence[Any]) -> str:
    """Tells jobs apart: by their pictures and by the options that decide what is minimised and how."""
    digest = hashlib.sha256(json.dumps(options, default=str).encode())
    for picture in pictures:
        digest.update(picture.contiguous().cpu().numpy().tobytes())
    return digest.hexdigest()


def converged(history: Sequence[float], tolerance: float, window: int) -> bool:
    """Whether the mean of the last ``window`` losses is less than ``tolerance`` (a share) below that of the ones before."""
    if tolerance <= 0 or len(history) < 2 * window:
        return False
    before, after = sum(history[-2 * window : -window]), sum(history[-window:])
    return before - after < tolerance * before
