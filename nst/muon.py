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


def orthogonalize(matrices: Tensor, iterations: int = 5) -> Tensor:
    """The nearest semi-orthogonal matrices to ``(K, N, M)``, roughly: ``U V`` of ``U S V`` (Jordan et al. 2024)."""
    a, b, c = NEWTON_SCHULZ
    tall = matrices.shape[-2] > matrices.shape[-1]
    x = matrices.mT if tall else matrices
    x = x / torch.linalg.matrix_norm(x, keepdim=True).clamp_min(1e-12)
    for _ in range(iterations):
        gram = torch.bmm(x, x.mT)
        x = torch.baddbmm(x, torch.baddbmm(gram, gram, gram, beta=b, alpha=c), x, beta=a)
    return x.mT if tall else x


def _gradients(parameters: list[Tensor]) -> list[Tensor]:
    return [parameter.grad for parameter in parameters if parameter.grad is not None]


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
            trained = [parameter for parameter in group["params"] if parameter.grad is not None]
            if group["weight_decay"] and trained:  # torch takes no empty list
                torch._foreach_mul_(trained, 1 - group["lr"] * group["weight_decay"])
            by_shape: dict[torch.Size, list[Tensor]] = {}
            others = []
            for parameter in trained:
                if parameter.ndim > 2 and min(parameter.flatten(1).shape) >= SMALLEST_SIDE:
                    by_shape.setdefault(parameter.shape, []).append(parameter)
                else:
                    others.append(parameter)
            for kernels in by_shape.values():
                self._orthogonal_steps(kernels, group)
            if others:
                self._adam_steps(others, group)
        return loss

    def _orthogonal_steps(self, kernels: list[Tensor], group: dict[str, Any]) -> None:
        """Steps of kernels of one shape, which are orthogonalised together: a GPU is quicker at one stack than at many."""
        for kernel in kernels:
            if not self.state[kernel]:
                self.state[kernel]["momentum"] = torch.zeros_like(kernel)
        gradients = _gradients(kernels)
        averages = [self.state[kernel]["momentum"] for kernel in kernels]
        torch._foreach_lerp_(averages, gradients, 1 - group["momentum"])
        ahead = torch._foreach_lerp(gradients, averages, group["momentum"])
        matrices = torch.stack([step.flatten(1) for step in ahead])
        scale = ADAM_ROOT_MEAN_SQUARE * max(matrices.shape[1:]) ** 0.5
        steps = [step.view_as(kernel) for step, kernel in zip(orthogonalize(matrices), kernels, strict=True)]
        torch._foreach_add_(kernels, steps, alpha=-group["lr"] * scale)

    def _adam_steps(self, parameters: list[Tensor], group: dict[str, Any]) -> None:
        first, second = group["betas"]
        for parameter in parameters:
            state = self.state[parameter]
            if not state:
                state["step"] = 0
                state["mean"], state["square"] = torch.zeros_like(parameter), torch.zeros_like(parameter)
            state["step"] += 1
        states = [self.state[parameter] for parameter in parameters]
        gradients = _gradients(parameters)
        means, squares = [state["mean"] for state in states], [state["square"] for state in states]
        torch._foreach_lerp_(means, gradients, 1 - first)
        torch._foreach_mul_(squares, second)
        torch._foreach_addcmul_(squares, gradients, gradients, 1 - second)
        roots = torch._foreach_sqrt(torch._foreach_div(squares, [1 - second ** state["step"] for state in states]))
        torch._foreach_add_(roots, group["eps"])
        sizes = [-group["lr"] / (1 - first ** state["step"]) for state in states]
        torch._foreach_addcdiv_(parameters, means, roots, sizes)
