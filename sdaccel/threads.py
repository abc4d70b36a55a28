"""Threads for what waits for the disk or computes outside of the interpreter: picture files and their resizing."""

import os
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from itertools import islice
from typing import TypeVar

WORKERS = min(8, os.cpu_count() or 1)
AHEAD = 8 * WORKERS
"""Results that may wait for whoever asked: what bounds the memory."""

A = TypeVar("A")
B = TypeVar("B")


def mapped(call: Callable[[A], B], items: Iterable[A]) -> Iterator[B]:
    """`map` in the order of the items, some of them at once."""
    rest = iter(items)
    with ThreadPoolExecutor(WORKERS) as pool:
        waiting: deque[Future[B]] = deque(pool.submit(call, item) for item in islice(rest, AHEAD))
        try:
            while waiting:
                result = waiting.popleft().result()
                waiting.extend(pool.submit(call, item) for item in islice(rest, 1))
                yield result
        finally:
            for future in waiting:
                future.cancel()
