"""Independent pieces of work done at once, each on its share of the processor."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

import torch

LARGEST = 4  # members: each holds the memory of its own piece of work

Item = TypeVar("Item")
Result = TypeVar("Result")


class Crew:
    """Threads that take one item each and divide PyTorch's threads among them: evenly, so that up to two may be left over.

    Much of what measures a picture is too small to be divided itself: two threads on two pictures wait less than on one.
    On other devices than a processor it is one thread.

    Attributes:
        size: how many items are worked on at once; multiples of it leave none idle.
    """

    def __init__(self, device: torch.device) -> None:
        threads = torch.get_num_threads()
        self.size = _members(threads) if device.type == "cpu" else 1
        self._share = threads // self.size
        self._pool = ThreadPoolExecutor(self.size, initializer=torch.set_num_threads, initargs=(self._share,))

    def map(self, function: Callable[[Item], Result], items: Iterable[Item]) -> list[Result]:
        """``function`` of every item, in their order; the first error is raised."""
        threads = torch.get_num_threads()
        torch.set_num_threads(self._share)  # of all threads at once, where MKL is concerned
        try:
            return list(self._pool.map(function, items))
        finally:
            torch.set_num_threads(threads)


def _members(threads: int) -> int:
    """As many as there are threads up to the largest crew; beyond it that crew or one smaller, whichever uses more of them.

    6 threads are 3 × 2 rather than 4 × 1.
    """
    if threads <= LARGEST:
        return threads
    return max((LARGEST, LARGEST - 1), key=lambda members: threads // members * members)
