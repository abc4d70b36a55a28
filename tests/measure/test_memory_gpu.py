"""Laws of an arm's memory, which need a GPU: one figure, whatever ran before, with weights, caches and pools of graphs."""

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest
import torch

from sdaccel.conditions import batches
from sdaccel.generators.var.generator import Var
from sdaccel.measure.memory import alone
from tests.generators.test_engine import TINY

pytestmark = pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a GPU")
GPU = torch.device("cuda")
CONFIG = replace(TINY, dtype="float16", vocab=4096, cfg=3.0, top_k=900, top_p=0.95)
ROUNDING = 1024
"""Bytes: pools of graphs are counted in whole blocks, so that what lies in them counts to the next 512."""
Make = Callable[[], Callable[[], Any]]


def arm(config: Var, *, size: int = 2) -> Make:
    batch = batches([1] * size, seed=0, size=size)[0]

    def make() -> Callable[[], Any]:
        runtime = config.build(GPU)
        return lambda: runtime.generate(batch, backend=None, strategy=None)

    return make


@pytest.mark.parametrize("engine", ["eager", "fast", "autocast"])
def test_the_same_arm_twice_has_one_figure_whatever_ran_before_it(engine: str) -> None:
    made = arm(replace(CONFIG, engine=engine))
    made()()  # as the clock does: what the process keeps for good is there
    first = alone(made, GPU)
    others = [arm(replace(CONFIG, engine=other), size=3)() for other in ("fast", "eager")]
    for call in others:
        call()
    stale = torch.empty(300_000_000, dtype=torch.uint8, device=GPU)
    assert first and alone(made, GPU) == pytest.approx(first, abs=ROUNDING), "other models and their graphs are there"
    del others, stale, call
    assert alone(made, GPU) == pytest.approx(first, abs=ROUNDING), "and were there"


def test_it_holds_the_weights_and_what_is_kept_between_calls() -> None:
    size = 100_000_000

    def make() -> Callable[[], Any]:
        weights = torch.zeros(size, dtype=torch.uint8, device=GPU)
        kept: list[torch.Tensor] = []

        def call() -> None:
            torch.empty(size, dtype=torch.uint8, device=GPU)  # at once given back
            kept[:] = [torch.empty(size, dtype=torch.uint8, device=GPU), weights]

        return call

    assert alone(make, GPU) == 3 * size, "weights, what the last call left, and what this one makes beside it"


def test_the_pool_that_graphs_work_in_counts() -> None:
    """An eager engine gives its working memory back to all; a recorded graph keeps its own."""
    size = 64_000_000

    def make() -> Callable[[], Any]:
        graph, seen = torch.cuda.CUDAGraph(), torch.zeros(1, device=GPU)
        with torch.cuda.graph(graph):
            seen += torch.ones(size // 4, device=GPU).sum()

        def call() -> torch.Tensor:
            graph.replay()
            return seen  # what a graph writes to has to live as long

        return call

    found = alone(make, GPU)
    assert found is not None and size <= found < 1.2 * size + 2**26
