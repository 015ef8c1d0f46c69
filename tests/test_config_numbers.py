"""Numbers of any config: what a key takes, how that is said, and that whole ones arrive as integers."""

from __future__ import annotations

import math
from typing import Any

import pytest
from omegaconf import OmegaConf

from nst import UserError
from nst.config_numbers import Number, check_numbers


@pytest.mark.parametrize(
    ("number", "taken", "refused"),
    [
        (Number(), [0, -1.5, 1e9], [None, "1", True, math.nan, [1]]),
        (Number(0, 1), [0, 1, 0.5], [-0.01, 1.01, math.nan, math.inf]),
        (Number(1, whole=True), [1, 7, 1e5, 64.0], [0, 1.5, math.inf, math.nan, True, "2"]),
        (Number(1, optional=True), [None, 1], [0]),
        (Number(0, 1, several=True), [0.5, [0.5], [0, 1, 1]], [[], [0.5, 2], [0.5, "a"], [[0.5]], [None], None]),
    ],
)
def test_a_number_takes_what_lies_between_its_bounds(number: Number, taken: list[Any], refused: list[Any]) -> None:
    assert [value for value in taken if not number.takes(value)] == []
    assert [value for value in refused if number.takes(value)] == []


@pytest.mark.parametrize(
    ("number", "words"),
    [
        (Number(), "a number"),
        (Number(0), "a number of at least 0"),
        (Number(1, 100, whole=True), "a whole number from 1 to 100"),
        (Number(0, 2**32 - 1, whole=True, optional=True), "a whole number from 0 to 4294967295, or null"),
        (Number(0, 1, several=True), "a number from 0 to 1, or a list of such"),
    ],
)
def test_it_says_what_it_takes(number: Number, words: str) -> None:
    assert str(number) == words


def test_the_first_key_that_does_not_fit_is_named_with_its_value() -> None:
    cfg = OmegaConf.create({"size": None, "group": {"steps": 0, "rate": "fast"}})
    numbers = {"size": Number(1, optional=True), "group.steps": Number(1, whole=True), "group.rate": Number(0)}
    with pytest.raises(UserError, match=r"^group\.steps=0: give a whole number of at least 1\.$"):
        check_numbers(cfg, numbers)
    with pytest.raises(UserError, match=r"^size=null: give a number of at least 1\.$"):
        check_numbers(cfg, {"size": Number(1)})


def test_whole_numbers_become_integers_and_others_stay_as_they_are() -> None:
    cfg = OmegaConf.create({"steps": 1e5, "sides": [64.0, 128], "rate": 1.0, "both": "${steps}"})
    OmegaConf.set_struct(cfg, True)
    whole = Number(1, whole=True, several=True)
    check_numbers(cfg, {"steps": whole, "sides": whole, "both": whole, "rate": Number()})
    found = OmegaConf.to_container(cfg, resolve=True)
    assert found == {"steps": 100_000, "sides": [64, 128], "rate": 1.0, "both": 100_000}
    assert isinstance(cfg.steps, int) and all(isinstance(side, int) for side in cfg.sides)
    assert isinstance(cfg.rate, float)
