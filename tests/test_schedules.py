"""Learning-rate schedules as factors by step."""

from __future__ import annotations

import math
from collections.abc import Callable
from functools import partial
from types import SimpleNamespace
from typing import Any

import pytest
import torch
from torch.optim.lr_scheduler import LambdaLR

from nst.schedules import constant, cosine, inverse_time, schedule_of_run, steps_of_run


def rates(schedule: Callable[[torch.optim.Optimizer], LambdaLR], steps: int) -> list[float]:
    """The learning rate of each step, of an optimiser at rate 2."""
    optimizer = torch.optim.SGD([torch.zeros(1, requires_grad=True)], lr=2.0)
    scheduler = schedule(optimizer)
    found = []
    for _ in range(steps):
        found.append(optimizer.param_groups[0]["lr"])
        optimizer.step()
        scheduler.step()
    return found


def test_constant_stays_after_a_linear_warm_up() -> None:
    assert rates(constant, 3) == [2, 2, 2]
    assert rates(lambda o: constant(o, warmup_steps=3), 6) == pytest.approx([0.5, 1.0, 1.5, 2, 2, 2])


def test_cosine_falls_to_its_final_factor_and_stays_there() -> None:
    found = rates(lambda o: cosine(o, total_steps=8, final_factor=0.1), 12)
    expected = [2 * (0.1 + 0.9 * 0.5 * (1 + math.cos(math.pi * min(step, 8) / 8))) for step in range(12)]
    assert found == pytest.approx(expected)
    assert found[0] == 2
    assert found[4] == pytest.approx(1.1)
    assert found[8:] == pytest.approx([0.2] * 4)


def test_cosine_begins_when_the_warm_up_is_over() -> None:
    found = rates(lambda o: cosine(o, total_steps=10, warmup_steps=4, final_factor=0.0), 11)
    assert found[:5] == pytest.approx([0.4, 0.8, 1.2, 1.6, 2.0])
    assert found[7] == pytest.approx(1.0)
    assert found[10] == pytest.approx(0)


def test_cosine_bears_a_warm_up_longer_than_the_run() -> None:
    assert all(0 < rate < 2 for rate in rates(lambda o: cosine(o, total_steps=3, warmup_steps=10), 5))


def test_inverse_time_divides_by_one_plus_decay_times_step() -> None:
    found = rates(lambda o: inverse_time(o, decay=0.5), 4)
    assert found == pytest.approx([2 / 1, 2 / 1.5, 2 / 2, 2 / 2.5])
    assert rates(lambda o: inverse_time(o, decay=0.5, warmup_steps=1), 2) == pytest.approx([1.0, 2 / 1.5])


def trainer(max_steps: int = -1, max_epochs: int = -1) -> Any:
    """Of epochs of 5 steps."""
    return SimpleNamespace(max_steps=max_steps, max_epochs=max_epochs, datamodule=SimpleNamespace(steps_per_epoch=5))


def test_a_run_has_the_steps_of_the_limit_that_comes_first() -> None:
    assert steps_of_run(trainer(max_steps=8)) == 8
    assert steps_of_run(trainer(max_epochs=3)) == 15
    assert steps_of_run(trainer(max_steps=8, max_epochs=3)) == 8
    assert steps_of_run(trainer(max_steps=8, max_epochs=1)) == 5
    assert steps_of_run(trainer()) == math.inf


def test_a_schedule_ends_with_its_run_unless_told_otherwise() -> None:
    expected = rates(lambda o: cosine(o, total_steps=8), 12)
    for schedule in (cosine, partial(cosine, total_steps=None)):
        assert rates(lambda o, made=schedule: schedule_of_run(made, o, trainer(max_steps=8)), 12) == expected
    told = partial(cosine, total_steps=8)
    assert rates(lambda o: schedule_of_run(told, o, trainer(max_steps=100)), 12) == expected
    assert rates(lambda o: schedule_of_run(constant, o, trainer()), 3) == [2, 2, 2]


def test_a_run_without_an_end_keeps_its_rate() -> None:
    assert rates(lambda o: schedule_of_run(cosine, o, trainer()), 50) == [2] * 50
