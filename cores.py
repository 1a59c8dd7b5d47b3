"""On how many cores something is computed, and who comes next where there are more decodes than cores.

Knows: how many cores there are, whether they are idle, and what gains by two. Does not know: models, windows.
"""

from __future__ import annotations

import threading
import time
from collections import deque
from collections.abc import Iterator
from contextlib import contextmanager

import torch

N_THREADS = torch.get_num_threads()
# A decoder step is some hundred parallel regions of microseconds. On two free cores they take 0.6 of the time of one; where the second
# core is busy, regions wait for the scheduler, and a step takes twice as long.
STEP_THREADS = min(2, N_THREADS)
STALL_SECONDS = 0.0005  # a parallel region that takes this long waited for a core


@contextmanager
def threads(n_threads: int) -> Iterator[None]:
    """This thread's operators on `n_threads` cores.

    The count is put back to N_THREADS, not to what it was: another decode may be between its own two settings.
    """
    torch.set_num_threads(n_threads)
    try:
        yield
    finally:
        torch.set_num_threads(N_THREADS)


_n_decoding = 0  # decodes in this process at this moment
_counting = threading.Lock()


@contextmanager
def counted() -> Iterator[None]:
    """Counts a decode while it runs."""
    global _n_decoding
    with _counting:
        _n_decoding += 1
    try:
        yield
    finally:
        with _counting:
            _n_decoding -= 1


def is_shared() -> bool:
    """Whether another decode runs at this moment, where the one that asks is `counted` itself."""
    return _n_decoding > 1


def free_threads() -> int:
    """How many threads this decode should have now: N_THREADS where a second core is idle, else one.

    Where it is not, even the encoder is up to ten times as slow on two threads as on one.
    """
    if N_THREADS == 1 or is_shared():
        return 1
    x = torch.zeros(1 << 17)  # elements enough for torch to share an addition
    with threads(N_THREADS):
        x.add_(1)  # wakes the threads
        for _ in range(4):
            start = time.perf_counter()
            x.add_(1)
            if time.perf_counter() - start > STALL_SECONDS:
                return 1
    return N_THREADS


class Turns:
    """Lets as many in at once as there are cores, in the order in which they came.

    Windows take turns, not files: nobody waits for another's whole hour. A semaphore would not do: whoever leaves it and
    comes back at once, as a long file does from window to window, is ahead of those whom it has only begun to wake.
    """

    def __init__(self, n_at_once: int) -> None:
        self._free = n_at_once
        self._waiting: deque[threading.Event] = deque()
        self._lock = threading.Lock()

    def __enter__(self) -> None:
        with self._lock:
            if self._free:
                self._free -= 1
                return
            called = threading.Event()
            self._waiting.append(called)
        called.wait()

    def __exit__(self, *_: object) -> None:
        with self._lock:
            if self._waiting:
                self._waiting.popleft().set()
            else:
                self._free += 1
