"""Muon: orthogonal steps of Adam's size for kernels, Adam itself for the rest."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from nst.muon import Muon, orthogonalize


@pytest.mark.parametrize("shape", [(24, 24), (20, 60), (60, 20)])
def test_singular_values_become_one_and_directions_stay(shape: tuple[int, int]) -> None:
    matrix = torch.randn(shape, dtype=torch.float64)
    u, _, v = torch.linalg.svd(matrix, full_matrices=False)
    found = u.T @ orthogonalize(matrix[None])[0] @ v.T
    assert torch.all((found.diagonal() > 0.5) & (found.diagonal() < 1.3))
    assert (found - torch.diag(found.diagonal())).abs().max() < 1e-6


def test_a_step_of_a_kernel_has_the_size_of_adam_at_the_same_learning_rate() -> None:
    kernel = nn.Parameter(torch.zeros(32, 16, 3, 3))
    optimizer = Muon([kernel], lr=1e-2)
    kernel.grad = torch.randn(32, 16, 3, 3)
    optimizer.step()
    assert float(kernel.detach().square().mean().sqrt()) == pytest.approx(0.2e-2, rel=0.25)


def test_vectors_matrices_and_thin_kernels_take_the_steps_of_adam() -> None:
    start = [torch.randn(12), torch.randn(20, 40), torch.randn(3, 8, 3, 3)]
    ours, theirs = ([nn.Parameter(tensor.clone()) for tensor in start] for _ in range(2))
    muon, adam = Muon(ours, lr=1e-2, betas=(0.9, 0.99)), torch.optim.Adam(theirs, lr=1e-2, betas=(0.9, 0.99))
    for _ in range(5):
        for mine, other in zip(ours, theirs, strict=True):
            mine.grad = torch.randn_like(mine)
            other.grad = mine.grad.clone()
        muon.step()
        adam.step()
    for mine, other in zip(ours, theirs, strict=True):
        assert torch.allclose(mine, other, atol=1e-7)


def test_its_state_is_resumed() -> None:
    def steps(optimizer: Muon, parameters: list[nn.Parameter], seeds: range) -> None:
        for seed in seeds:
            generator = torch.Generator().manual_seed(seed)
            for parameter in parameters:
                parameter.grad = torch.randn(parameter.shape, generator=generator)
            optimizer.step()

    whole, parted = ([nn.Parameter(torch.ones(20, 16, 3, 3)), nn.Parameter(torch.ones(20))] for _ in range(2))
    optimizer = Muon(whole)
    steps(optimizer, whole, range(6))
    first = Muon(parted)
    steps(first, parted, range(3))
    second = Muon(parted)
    second.load_state_dict(first.state_dict())
    steps(second, parted, range(3, 6))
    for one, other in zip(whole, parted, strict=True):
        assert torch.equal(one, other)


def test_a_group_without_gradients_waits_with_its_weight_decay() -> None:
    waiting = nn.Parameter(torch.ones(4))
    Muon([waiting], lr=0.1, weight_decay=0.5).step()
    assert torch.equal(waiting, torch.ones(4))


def test_weight_decay_is_decoupled() -> None:
    parameter = nn.Parameter(torch.ones(4))
    parameter.grad = torch.zeros(4)
    Muon([parameter], lr=0.1, weight_decay=0.5).step()
    assert torch.allclose(parameter, torch.full((4,), 0.95))
