"""CUDA graphs by key: the launches of one scale are recorded once and replayed as one.

What is recorded reads and writes tensors that live as long as the graphs do, may run any number of times with the same result,
and takes no decision on the host. Elsewhere than on a GPU, and where such a record cannot be made, the call simply runs.
"""

from collections.abc import Callable, Hashable, Iterator
from contextlib import contextmanager
from typing import Any, NamedTuple

import torch

WARMUP = 3
"""Runs before a record: compilers and libraries choose their kernels there."""


class Place(NamedTuple):
    """Memory and stream of graphs that run one by one: what a graph works on is dead when it ends, so they share it."""

    pool: Any
    side: torch.cuda.Stream


def working_place() -> Place:
    """A new one, on the current GPU."""
    return Place(torch.cuda.graph_pool_handle(), torch.cuda.Stream())


@contextmanager
def products_in_place() -> Iterator[None]:
    """Products recorded inside find their workspace in the graph's own memory, and leave it there.

    That of the warm-up lies elsewhere, and others may give it back under the graph: Lightning does so after every predict.
    """
    torch._C._cuda_clearCublasWorkspaces()
    yield
    torch._C._cuda_clearCublasWorkspaces()


class Graphs:
    def __init__(self, *, enabled: bool, place: Place | None = None) -> None:
        self.enabled = enabled
        self.recorded: dict[Hashable, torch.cuda.CUDAGraph] = {}
        self.place = (place or working_place()) if enabled else None

    def run(self, key: Hashable, call: Callable[[], None]) -> None:
        """Do what `call` does."""
        if not self.enabled:
            call()
            return
        if key not in self.recorded:
            self.recorded[key] = self._record(call)
        self.recorded[key].replay()

    def _record(self, call: Callable[[], None]) -> torch.cuda.CUDAGraph:
        assert self.place is not None, "only an enabled engine records"
        pool, side = self.place
        side.wait_stream(torch.cuda.current_stream())
        # Outside of inference mode, wherever the caller is: compilers keep one record for both.
        with torch.inference_mode(False), torch.no_grad():
            with torch.cuda.stream(side):
                for _ in range(WARMUP):
                    call()
            torch.cuda.current_stream().wait_stream(side)
            graph = torch.cuda.CUDAGraph()
            with products_in_place(), torch.cuda.graph(graph, pool=pool, stream=side):
                call()
        return graph
