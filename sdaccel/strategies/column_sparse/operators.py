"""The backend during one generation: it takes the place of attention and MLP in a diffusers FLUX, and keeps their state.

Layers are numbered from the first double block to the last single block. The parts of a block are called as before, so
whatever watches or wraps a block's modules sees this backend's outputs as it sees the model's own.
"""

from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from functools import partial
from typing import TYPE_CHECKING, Any

from torch import Tensor, nn
from torch.nn.functional import linear

from sdaccel.noise import Stream, uniform
from sdaccel.strategies.column_sparse.mlp import Weights
from sdaccel.strategies.column_sparse.order import patch_order
from sdaccel.strategies.column_sparse.plan import ForwardPlan, Kind, next_plan
from sdaccel.strategies.column_sparse.processor import SparseProcessor
from sdaccel.strategies.column_sparse.state import AttentionState, MlpState

if TYPE_CHECKING:
    from sdaccel.strategies.column_sparse.options import ColumnSparse

DRAWS = 2**24
"""Random numbers that one layer may take in one step."""


class SparseOperators:
    """State and plan of one generation. `forward` is entered around every real forward of the whole model and nothing else.

    Outside of it the operators are dense and touch nothing, so a step that runs only part of the model is exact.
    """

    def __init__(self, options: "ColumnSparse", model: Any, *, grid: Sequence[int], seeds: Tensor) -> None:
        self.options = options
        self.seeds = seeds
        self.order = self._order(grid).to(seeds.device) if options.patchify.is_enabled else None
        self.layers = len(model.transformer_blocks) + len(model.single_transformer_blocks)
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
        """Layers in which `attn` or `mlp` is sparse."""
        options = getattr(self.options, half)
        return range(min(options.first_n_dense_layers, self.layers), self.layers if options.is_enabled else 0)

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


@contextmanager
def attached(operators: SparseOperators, model: Any) -> Iterator[SparseOperators]:
    """The operators in their places, for the length of one generation."""
    doubles, singles = list(model.transformer_blocks), list(model.single_transformer_blocks)
    with ExitStack() as stack:
        for i in operators.layers_of("attn"):
            attn = [*doubles, *singles][i].attn
            stack.callback(setattr, attn, "processor", attn.processor)
            attn.processor = SparseProcessor(partial(operators.attend, i))
        for i in operators.layers_of("mlp"):
            if i < len(doubles):
                ff = doubles[i].ff
                _place(stack, ff, partial(_double_mlp, operators, i, ff))
                continue
            block = singles[i - len(doubles)]
            _place(stack, block.proj_mlp, _unchanged)
            _place(stack, block.act_mlp, _unchanged)
            _place(stack, block.proj_out, partial(_single_out, operators, i, block))
        yield operators


def _place(stack: ExitStack, module: nn.Module, forward: Callable[..., Tensor]) -> None:
    """An instance's own `forward` goes before its class's until it is deleted."""
    module.forward = forward
    stack.callback(delattr, module, "forward")


def _unchanged(x: Tensor) -> Tensor:
    return x


def _double_mlp(operators: SparseOperators, layer: int, ff: Any, x: Tensor) -> Tensor:
    up, down = ff.net[0].proj, ff.net[2]
    return operators.feed_forward(layer, x, Weights(up.weight, up.bias, down.weight, down.bias))


def _single_out(operators: SparseOperators, layer: int, block: Any, joint: Tensor) -> Tensor:
    """proj_out of [attention; x], where the first layer of the MLP has left x for this place to work on.

    The last layer is one matrix over both halves and its bias is counted once, with the MLP.
    """
    width = joint.shape[-1] - block.proj_mlp.in_features
    attention, x = joint.split([width, block.proj_mlp.in_features], -1)
    up, down = block.proj_mlp, block.proj_out
    weights = Weights(up.weight, up.bias, down.weight[:, width:], down.bias)
    mlp = operators.feed_forward(layer, x, weights)
    return linear(attention, down.weight[:, :width]) + mlp
