"""The backend during one generation: attention and MLP of every layer, and what they remember."""

from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING

from torch import Tensor

from sdaccel.generators.flux.operators import Weights
from sdaccel.noise import Stream, uniform
from sdaccel.strategies.column_sparse.order import patch_order
from sdaccel.strategies.column_sparse.plan import ForwardPlan, Kind, next_plan
from sdaccel.strategies.column_sparse.state import AttentionState, MlpState

if TYPE_CHECKING:
    from sdaccel.strategies.column_sparse.options import ColumnSparse

DRAWS = 2**24
"""Random numbers that one layer may take in one step."""


class SparseOperators:
    """State and plan of one generation. `forward` is entered around every real forward of the whole model and nothing else.

    Outside of it the operators are dense and touch nothing, so a step that runs only part of the model is exact.
    """

    def __init__(self, options: "ColumnSparse", *, layers: int, grid: Sequence[int], seeds: Tensor) -> None:
        self.options = options
        self.seeds = seeds
        self.order = self._order(grid).to(seeds.device) if options.patchify.is_enabled else None
        self.layers = layers
        self.plan: ForwardPlan | None = None
        """The running real forward, or the last one; None where nothing is cached."""
        self.running = False
        self.attention: dict[int, AttentionState] = {}
        self.mlp: dict[int, MlpState] = {}
        self.mlp_state: type[MlpState] = MlpState
        self._ran: Counter[tuple[str, int]] = Counter()

    @property
    def exact(self) -> bool:
        """The last real forward left nothing out: its features may enter differences."""
        return self.plan is None or self.plan.full

    @contextmanager
    def forward(self, step: int) -> Iterator[None]:
        """One real forward. If it dies or does not run every layer once, nothing is cached and the next one starts over."""
        self.plan = next_plan(self.plan, step, self.options)
        if self.plan.ordinal == 0:
            self.attention = {i: AttentionState(self.options.attn) for i in self.layers_of("attn")}
            self.mlp = {i: self.mlp_state(self.options.mlp) for i in self.layers_of("mlp")}
        self.running = True
        self._ran.clear()
        complete = False
        try:
            yield
            complete = self._ran == Counter([("attn", i) for i in self.attention] + [("mlp", i) for i in self.mlp])
        finally:
            self.running = False
            if not complete:
                self.plan = None

    def attend(self, layer: int, q: Tensor, k: Tensor, v: Tensor) -> Tensor:
        """(B, H, N, d)"""
        if not self.running or self.plan is None:
            return AttentionState(self.options.attn).step(Kind.FULL_INIT, q, k, v)
        self._ran["attn", layer] += 1
        return self.attention[layer].step(self.plan.attn, q, k, v)

    def feed_forward(self, layer: int, x: Tensor, weights: Weights) -> Tensor:
        """(B, M, C_out)"""
        if not self.running or self.plan is None:
            return MlpState(self.options.mlp).step(Kind.FULL_INIT, x, weights, select=False)
        self._ran["mlp", layer] += 1
        sparse = self.plan.mlp is Kind.SPARSE and self.plan.select
        random = self._random(layer, x, weights) if sparse and self.options.mlp.random_keys else None
        return self.mlp[layer].step(self.plan.mlp, x, weights, select=self.plan.select, random=random)

    def layers_of(self, half: str) -> range:
        return self.options.layers_of(half, self.layers)

    def _random(self, layer: int, x: Tensor, weights: Weights) -> Tensor:
        """(B, G, F); the two branches of true guidance share their sample's draws."""
        assert self.plan is not None
        shape = (-(-x.shape[1] // self.options.mlp.mbm), len(weights.w1))
        start = (self.plan.step * self.layers + layer) * DRAWS
        draws = uniform(self.seeds.to(x.device), Stream.SPARSE, shape, start=start) < self.options.mlp.random_keys
        return draws.repeat(len(x) // len(draws), 1, 1)

    def _order(self, grid: Sequence[int]) -> Tensor:
        p = self.options.patchify
        return patch_order(*grid, chunk_size_1=p.chunk_size_1, chunk_size_2=p.chunk_size_2)
