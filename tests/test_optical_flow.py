"""Optical flow: known motion, what is hidden, and which estimator is taken."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from films import panned
from torch import Tensor
from torchvision.models.optical_flow import raft_small

from nst import optical_flow
from nst.optical_flow import choose_flow, dis_flow, raft_flow, raft_weights, reliability, warp


def frames(step: float, name: str = "coffee") -> list[Tensor]:
    return [torch.tensor(frame).permute(2, 0, 1)[None] / 255 for frame in panned(2, 96, 80, step, name)]


@pytest.mark.parametrize("step", [0.0, 1.5, 4.0])
def test_dis_finds_the_motion_of_a_moved_view(step: float) -> None:
    first, second = frames(step)
    # What is at x in the first frame is at x - step in the second.
    found = dis_flow(first, second)[..., 16:-16, 16:-16]
    assert abs(found[:, 0].median() + step) < 0.15 and found[:, 1].median().abs() < 0.15


def test_warping_along_the_flow_undoes_the_motion() -> None:
    first, second = frames(4.0)
    carried = warp(first, dis_flow(second, first))
    inner = (..., slice(8, -8), slice(8, -12))
    assert (carried - second)[inner].abs().mean() < 0.1 * (first - second)[inner].abs().mean() + 0.01


def test_warping_by_whole_pixels_is_a_shift() -> None:
    picture = torch.rand(1, 3, 10, 12)
    flow = torch.zeros(1, 2, 10, 12)
    flow[:, 0], flow[:, 1] = 2, -1
    assert torch.allclose(warp(picture, flow)[..., 1:, :-2], picture[..., :-1, 2:], atol=1e-5)


def test_what_came_into_the_picture_is_not_reliable() -> None:
    first, second = frames(6.0)
    backward, forward = torch.zeros(1, 2, 80, 96), torch.zeros(1, 2, 80, 96)
    backward[:, 0], forward[:, 0] = 6, -6
    found = reliability(backward, forward, second, warp(first, backward))[0, 0]
    assert (found[:, -6:] == 0).all()  # new at the right edge
    assert found[:, 6:-8].mean() > 0.9
    backward[:, 0] = -6  # the opposite way: the two flows contradict each other
    assert (reliability(backward, forward, second, warp(first, backward)) == 0).all()


def test_other_colours_are_not_reliable() -> None:
    still = torch.zeros(1, 2, 80, 96)
    first, _ = frames(0.0)
    assert reliability(still, still, first, first).min() == 1
    assert reliability(still, still, first, (first + 0.5) % 1).max() == 0


def test_tiny_pictures_are_taken_as_still() -> None:
    assert (dis_flow(torch.rand(1, 3, 8, 40), torch.rand(1, 3, 8, 40)) == 0).all()


def test_raft_is_taken_where_its_weights_are_on_disk_and_an_accelerator_computes(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(torch.hub, "get_dir", lambda: str(tmp_path))
    assert raft_weights() is None and choose_flow(torch.device("meta")) is dis_flow
    (tmp_path / "checkpoints").mkdir()
    torch.save(raft_small().state_dict(), tmp_path / "checkpoints" / "raft_small_C_T_V2-01064c6d.pth")
    assert choose_flow(torch.device("meta")) is raft_flow
    assert choose_flow(torch.device("cpu")) is dis_flow
    first, second = frames(0.0)
    found = raft_flow(first, second)
    assert found.shape == (1, 2, 80, 96) and found.dtype == torch.float32
    optical_flow._raft.cache_clear()
