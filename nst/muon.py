"""Muon: steps of the same size in every direction of a convolution's kernel."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

import torch
from torch import Tensor
from torch.optim import Optimizer

NEWTON_SCHULZ = (3.4445, -4.7750, 2.0315)  # a x + b x³ + c x⁵, five times, brings singular values of (0, 1] near 1
SMALLEST_SIDE = 16  # of a kernel as a matrix; smaller ones take Adam's steps
ADAM_ROOT_MEAN_SQUARE = 0.2  # of Adam's usual step over its learning rate (Liu et al. 2025)


def orthogonalize(matrix: Tensor, iterations: int = 5) -> Tensor:
    """The nearest semi-orthogonal matrix to ``(N, M)``, roughly: ``U V`` of its decomposition ``U S V`` (Jordan et al. 2024)."""
    a, b, c = NEWTON_SCHULZ
    tall = matrix.shape[0] > matrix.shape[1]
    x = matrix.T if tall else matrix
    x = x / x.norm().clamp_min(1e-12)
    for _ in range(iterations):
        gram = x @ x.T
        x = a * x + (b * gram + c * gram @ gram) @ x
    return x.T if tall else x


class Muon(Optimizer):
    """Momentum orthogonalised by Newton–Schulz iterations (Jordan et al. 2024) for kernels of convolutions; Adam for the rest.

    A kernel ``(O, I, h, w)`` counts as a matrix ``(O, I·h·w)``. Steps are scaled to the size that Adam's have at the same
    learning rate (Liu et al. 2025), so that one learning rate serves both. Linear layers are left to Adam: the statistics of
    styles that some of them read have a large common mean, of which an orthogonal step makes too much.

    Args:
        params: parameters or groups of them.
        lr: learning rate.
        momentum: of the gradient, in Nesterov's form.
        betas: decay of the gradient's moments where Adam is used.
        eps: of Adam.
        weight_decay: decoupled weight decay.
    """

    def __init__(
        self,
        params: Iterable[Any],
        lr: float = 1e-3,
        momentum: float = 0.95,
        betas: tuple[float, float] = (0.9, 0.99),
        eps: float = 1e-8,
        weight_decay: float = 0.0,
    ) -> None:
        defaults = {"lr": lr, "momentum": momentum, "betas": betas, "eps": eps, "weight_decay": weight_decay}
        super().__init__(params, defaults)

    @torch.no_grad()
    def step(self, closure: Callable[[], float] | None = None) -> float | None:  # type: ignore[override]
        loss = None
        if closure is not None:
            with torch.enable_grad():
                loss = closure()
        for group in self.param_groups:
            for parameter in group["params"]:
                if parameter.grad is None:
                    continue
                parameter.mul_(1 - group["lr"] * group["weight_decay"])
                kernel = parameter.ndim > 2 and min(parameter.flatten(1).shape) >= SMALLEST_SIDE
                step = self._orthogonal_step if kernel else self._adam_step
                parameter.sub_(step(parameter, group), alpha=group["lr"])
        return loss

    def _orthogonal_step(self, parameter: Tensor, group: dict[str, Any]) -> Tensor:
        state = self.state[parameter]
        if not state:
            state["momentum"] = torch.zeros_like(parameter)
        average = state["momentum"].lerp_(parameter.grad, 1 - group["momentum"])
        matrix = parameter.grad.lerp(average, group["momentum"]).flatten(1)  # type: ignore[union-attr]
        scale = ADAM_ROOT_MEAN_SQUARE * max(matrix.shape) ** 0.5
        return scale * orthogonalize(matrix).view_as(parameter)

    def _adam_step(self, parameter: Tensor, group: dict[str, Any]) -> Tensor:
        state = self.state[parameter]
        if not state:
            state["step"], state["mean"], state["square"] = 0, torch.zeros_like(parameter), torch.zeros_like(parameter)
        state["step"] += 1
        first, second = group["betas"]
        mean = state["mean"].lerp_(parameter.grad, 1 - first)
        square = state["square"].lerp_(parameter.grad.square(), 1 - second)  # type: ignore[union-attr]
        corrected = mean / (1 - first ** state["step"])
        return corrected / ((square / (1 - second ** state["step"])).sqrt() + group["eps"])
