"""CUDA graphs by key: the launches of one scale are recorded once and replayed as one.

What is recorded reads and writes tensors that live as long as the graphs do, may run any number of times with the same result,
and takes no decision on the host. Elsewhere than on a GPU, and where such a record cannot be made, the call simply runs.
"""

from collections.abc import Callable, Hashable

import torch

WARMUP = 3
"""Runs before a record: compilers and libraries choose their kernels there."""


class Graphs:
    def __init__(self, *, enabled: bool) -> None:
        self.enabled = enabled
        self.recorded: dict[Hashable, torch.cuda.CUDAGraph] = {}
        self.pool = torch.cuda.graph_pool_handle() if enabled else None
        self.side = torch.cuda.Stream() if enabled else None

    def run(self, key: Hashable, call: Callable[[], None]) -> None:
        """Do what `call` does."""
        if not self.enabled:
            call()
            return
        if key not in self.recorded:
            self.recorded[key] = self._record(call)
        self.recorded[key].replay()

    def _record(self, call: Callable[[], None]) -> torch.cuda.CUDAGraph:
        assert self.side is not None, "only an enabled engine records"
        self.side.wait_stream(torch.cuda.current_stream())
        with torch.cuda.stream(self.side):
            for _ in range(WARMUP):
                call()
        torch.cuda.current_stream().wait_stream(self.side)
        graph = torch.cuda.CUDAGraph()
        with torch.cuda.graph(graph, pool=self.pool, stream=self.side):
            call()
        return graph
