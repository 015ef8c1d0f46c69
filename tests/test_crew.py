from __future__ import annotations

import threading

import pytest
import torch

from nst.crew import LARGEST, Crew


@pytest.fixture
def four_threads():
    before = torch.get_num_threads()
    torch.set_num_threads(4)
    yield
    torch.set_num_threads(before)


def test_each_member_has_its_share_of_the_threads_and_the_caller_has_all_again(four_threads: None) -> None:
    crew = Crew(torch.device("cpu"))
    meeting = threading.Barrier(crew.size, timeout=30)  # passed only if all work at once

    def work(item: int) -> tuple[int, int]:
        meeting.wait()
        return item, torch.get_num_threads()

    assert crew.size == min(4, LARGEST)
    assert crew.map(work, range(2 * crew.size)) == [(item, 4 // crew.size) for item in range(2 * crew.size)]
    assert torch.get_num_threads() == 4


def test_an_error_is_raised_and_the_caller_has_all_threads_again(four_threads: None) -> None:
    crew = Crew(torch.device("cpu"))
    with pytest.raises(ZeroDivisionError):
        crew.map(lambda item: 1 // item, [1, 0, 1])
    assert torch.get_num_threads() == 4


def test_beside_a_gpu_one_thread_keeps_all(four_threads: None) -> None:
    crew = Crew(torch.device("cuda"))
    assert crew.size == 1
    assert crew.map(lambda _: torch.get_num_threads(), [None]) == [4]


@pytest.mark.parametrize(
    ("threads", "members"), [(1, 1), (3, 3), (5, 4), (6, 3), (7, 3), (8, 4), (9, 3), (15, 3), (16, 4)]
)
def test_a_crew_leaves_as_few_threads_over_as_three_or_four_members_can(threads: int, members: int) -> None:
    before = torch.get_num_threads()
    torch.set_num_threads(threads)
    try:
        crew = Crew(torch.device("cpu"))
        shares = crew.map(lambda _: torch.get_num_threads(), range(crew.size))
    finally:
        torch.set_num_threads(before)
    assert crew.size == members
    assert 0 <= threads - sum(shares) <= 2
