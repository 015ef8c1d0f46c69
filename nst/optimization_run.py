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
from nst.tiled_objective import TiledObjective
from nst.whole_file import written_whole


class Progress(NamedTuple):
    """A step that was taken.

    Attributes:
        step, steps: which one at its scale, the first being 1, and how many there are at most.
        losses: of the picture that it started from.
        picture: where it led, ``(1, 3, H, W)``, not clamped; it goes on changing.
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
        """Take the steps of one scale, the first being 0, from a ``(1, 3, H, W)`` picture; returns where they lead.

        ``finish`` makes a result of a picture, for :class:`Progress`.
        """
        resumed = self._resumed or {"scale": 0}
        if scale < resumed["scale"]:
            return picture  # this scale was finished before; what follows starts from the stored picture
        picture = picture.contiguous().requires_grad_(True)  # L-BFGS wants it so
        algorithm: torch.optim.Optimizer
        if self.optimizer == "adam":
            algorithm = torch.optim.Adam([picture], lr=self.learning_rate, betas=(0.9, 0.99))
        else:
            algorithm = torch.optim.LBFGS([picture], lr=self.learning_rate, max_iter=1, history_size=20)
        first, history = 0, []
        if scale == resumed["scale"] and "picture" in resumed:
            with torch.no_grad():
                picture.copy_(resumed["picture"])
            algorithm.load_state_dict(resumed["optimizer"])
            first, history = resumed["step"], resumed["history"]
        values: list[LossValues] = []

        def closure() -> Tensor:
            # In [0, 1], as a result is: L-BFGS goes beyond black and white.
            seen = picture.detach().clamp(0, 1).requires_grad_(True)
            values[:] = [objective.backward(seen)]
            assert seen.grad is not None
            picture.grad = torch.where(picture == seen, seen.grad, 0)
            return values[0].total

        for step in range(first, self.steps):
            if converged(history, self.tolerance, self.window):  # before the step: a resumed scale may be done
                break
            algorithm.step(closure)
            if self.optimizer == "adam":
                with torch.no_grad():
                    picture.clamp_(0, 1)
            history.append(values[0].total.item())
            if self.on_step:
                now = picture.detach()
                self.on_step(Progress(step + 1, self.steps, values[0], now, scale, partial(finish, now)))
            if (step + 1) % self.window == 0:
                self._save(scale, picture, algorithm, history)
        if len(history) % self.window != 0:
            self._save(scale, picture, algorithm, history)
        return picture.detach()

    def _load(self) -> dict[str, Any] | None:
        if self.state is None or not self.state.exists():
            return None
        try:
            held: dict[str, Any] = torch.load(self.state, weights_only=True, map_location="cpu")
            same = held["job"] == self._job and held["step"] <= self.steps
            return held if same else None  # what another or a longer job left is no start for this one
        except Exception:  # unpickling something else can raise anything
            raise UserError(f"state {str(self.state)!r} is not one of an optimisation: remove it.") from None

    def _save(self, scale: int, picture: Tensor, algorithm: torch.optim.Optimizer, history: list[float]) -> None:
        if self.state is None:
            return
        where = {"job": self._job, "scale": scale, "step": len(history), "history": history}
        held = where | {"picture": picture.detach().cpu(), "optimizer": algorithm.state_dict()}
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
