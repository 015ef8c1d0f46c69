"""What a config's targets become, and one line for those that do not fit."""

from __future__ import annotations

from typing import Any

import pytest
from omegaconf import DictConfig, OmegaConf

from nst import UserError
from nst.config_parts import build_group, build_part


def refuse() -> None:
    raise UserError("the picture is too small: give a larger one.")


def config(**parts: Any) -> DictConfig:
    cfg = OmegaConf.create({"group": parts})
    OmegaConf.set_struct(cfg, True)
    return cfg


def test_a_part_is_what_its_target_makes_of_its_options_and_of_what_is_added() -> None:
    cfg = config(one={"_target_": "builtins.dict", "a": 1})
    assert build_part(cfg, "group.one", b=2) == {"a": 1, "b": 2}


def test_entries_that_are_off_or_have_no_target_are_passed_over() -> None:
    cfg = config(on={"_target_": "builtins.dict"}, off=None, rest={"decay": 0.5}, number=3)
    assert build_group(cfg, "group") == {"on": {}}
    assert build_group(cfg, "another") == {}
    assert build_group(OmegaConf.create({"group": None}), "group") == {}


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"_target_": "builtins.int", "x": 1}, r"^group\.one does not fit: 'x' is an invalid keyword"),
        ({"_target_": "nowhere.Thing"}, r"^group\.one does not fit: .*nowhere"),
        ({"_target_": f"{__name__}.refuse"}, r"^the picture is too small: give a larger one\.$"),
    ],
)
def test_what_does_not_fit_is_named_in_one_line(options: dict[str, Any], message: str) -> None:
    with pytest.raises(UserError, match=message):
        build_part(config(one=options), "group.one")
